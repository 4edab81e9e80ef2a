//! A meeting as the balancer knows it: where it lives, what was kept for it, and the seats it
//! takes up on its server.

use serde::Serialize;

use crate::history::MeetingUsage;
use crate::server::ServerId;
use crate::time::Timestamp;

/// Names a meeting: ids are exact text and belong to a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MeetingKey {
    /// The tenant's id; `None` without multitenancy.
    pub tenant: Option<String>,
    /// `meetingID` as the front-end gave it.
    pub id: String,
}

/// Marks a meeting whose first create is still under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// Says whose create it is.
    pub token: String,
    /// Nobody waits for that create any longer than this.
    pub until: Timestamp,
}

/// How many seats a meeting takes up.
///
/// While it is young it counts at least what is expected of it, so that the meetings of one burst
/// see each other before anybody has joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MeetingLoad {
    /// Seats expected when it was placed.
    pub expected_users: u32,
    /// Until when they count.
    pub expected_until: Timestamp,
    /// Users of the last poll, and joins since.
    pub users: u32,
}

impl MeetingLoad {
    /// What it counts at a moment.
    #[must_use]
    pub fn counted_users(&self, now: Timestamp) -> u32 {
        if now < self.expected_until { self.users.max(self.expected_users) } else { self.users }
    }

    /// Counts one more user; returns how many seats that adds.
    pub fn add_user(&mut self, now: Timestamp) -> u32 {
        let before = self.counted_users(now);
        self.users = self.users.saturating_add(1);
        self.counted_users(now).saturating_sub(before)
    }
}

/// A meeting on a server of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Meeting {
    /// Its name.
    pub key: MeetingKey,
    /// The server it lives on.
    pub server: ServerId,
    /// The moderators' password, remembered because old BBB servers want it to end a meeting.
    #[serde(skip)]
    pub moderator_pw: Option<String>,
    /// Its number in the telephone network, unique in the pool.
    pub voice_bridge: Option<String>,
    /// Set while its first create is under way.
    pub claim: Option<Claim>,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When its server last confirmed it.
    pub seen_at: Timestamp,
    /// What it takes up.
    pub load: MeetingLoad,
    /// How it has gone so far.
    pub usage: MeetingUsage,
    /// Good polls in a row that did not report it.
    pub missed_polls: u32,
    /// Whether its server went offline: the next create places it anew, unless the server comes
    /// back with it first.
    pub detached: bool,
    /// Why it was placed there, for people to read.
    pub placement_reason: String,
}

impl Meeting {
    /// Whether its first create is still under way.
    #[must_use]
    pub fn is_being_created(&self, now: Timestamp) -> bool {
        self.claim.as_ref().is_some_and(|claim| now <= claim.until)
    }

    /// Whether both are claimed by the same request; its claim may have been renewed in between.
    #[must_use]
    pub fn has_same_claim(&self, other: &Self) -> bool {
        let token = |one: &Self| one.claim.as_ref().map(|claim| claim.token.clone());
        self.claim.is_some() && token(self) == token(other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn joins_add_only_what_exceeds_the_expected_users(reserved in 0u32..40, joins in 0u32..80, young: bool) {
            let until = Timestamp(if young { 10 } else { 0 });
            let mut seats = MeetingLoad { expected_users: reserved, expected_until: until, users: 0 };
            let now = Timestamp(5);
            let start = seats.counted_users(now);
            let added: u32 = (0..joins).map(|_| seats.add_user(now)).sum();
            prop_assert_eq!(start + added, seats.counted_users(now));
            prop_assert_eq!(added, if young { joins.saturating_sub(reserved) } else { joins });
        }
    }
}
