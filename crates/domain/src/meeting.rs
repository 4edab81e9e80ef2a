//! A meeting as the balancer records it: its server, its claim, and the users it counts as.

use serde::{Deserialize, Serialize};

use crate::history::MeetingUsage;
use crate::origin::MeetingOrigin;
use crate::server::ServerId;
use crate::time::Timestamp;

/// Identifies a meeting: its id, compared exactly, and the tenant that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MeetingKey {
    /// The tenant's id; `None` without multitenancy.
    pub tenant: Option<String>,
    /// `meetingID` as the front-end gave it.
    pub id: String,
}

/// Marks a meeting whose first create is still in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Identifies the create request that holds the claim.
    pub token: String,
    /// When the claim runs out. No other request waits for the create longer than that.
    pub until: Timestamp,
}

/// The number of users that a meeting counts as.
///
/// A new meeting counts at least its expected users, so that meetings that are created in quick
/// succession take each other into account before anybody has joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeetingLoad {
    /// Users expected when the meeting was placed.
    pub expected_users: u32,
    /// Until when the expected users count.
    pub expected_until: Timestamp,
    /// Users reported by the last poll, plus joins since then.
    pub users: u32,
}

impl MeetingLoad {
    /// Returns the number of users that the meeting counts as at this time.
    #[must_use]
    pub fn counted_users(&self, now: Timestamp) -> u32 {
        if now < self.expected_until { self.users.max(self.expected_users) } else { self.users }
    }

    /// Adds one user. Returns by how much [`Self::counted_users`] grows.
    pub fn add_user(&mut self, now: Timestamp) -> u32 {
        let before = self.counted_users(now);
        self.users = self.users.saturating_add(1);
        self.counted_users(now).saturating_sub(before)
    }
}

/// A meeting on a server of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meeting {
    /// Its identity.
    pub key: MeetingKey,
    /// The server that it runs on.
    pub server: ServerId,
    /// The moderators' password. Old BBB releases require it to end a meeting.
    #[serde(skip)]
    pub moderator_pw: Option<String>,
    /// Its number in the telephone network, unique in the pool.
    pub voice_bridge: Option<String>,
    /// The claim, while its first create is in progress.
    pub claim: Option<Claim>,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When its server last confirmed it.
    pub seen_at: Timestamp,
    /// The users that it counts as.
    pub load: MeetingLoad,
    /// Its usage so far.
    pub usage: MeetingUsage,
    /// Number of consecutive successful polls that did not report it.
    pub missed_polls: u32,
    /// Whether its server went offline. The next create places the meeting again, unless the server
    /// comes back with it before.
    pub detached: bool,
    /// What is known of where it comes from.
    pub origin: MeetingOrigin,
    /// Why it was placed on this server, in words for administrators.
    pub placement_reason: String,
}

/// How the reason of the placement of a revived meeting begins.
pub const REVIVAL_REASON: &str = "revived: ";

impl Meeting {
    /// Returns whether it was made anew because the server that it was on was offline.
    #[must_use]
    pub fn is_revived(&self) -> bool {
        self.placement_reason.starts_with(REVIVAL_REASON)
    }

    /// Returns whether its first create is still in progress. A claim that was made by a clock that
    /// has been set back since is over: it would not end for as long as that step. The Redis script
    /// `prelude.lua` follows the same rule.
    #[must_use]
    pub fn is_being_created(&self, now: Timestamp) -> bool {
        let has_claim = self.claim.as_ref().is_some_and(|claim| now <= claim.until);
        has_claim && !self.placed_at.is_from_wrong_clock(now)
    }

    /// Returns whether its server has confirmed it after a request was sent at `asked_at`. That is not
    /// known, and counts as no, if the clock has been set back since.
    #[must_use]
    pub fn was_seen_since(&self, asked_at: Timestamp) -> bool {
        self.seen_at >= asked_at && !self.seen_at.is_from_wrong_clock(asked_at)
    }

    /// Returns whether the same request holds the claims of both meetings. The claims may end at
    /// different times, because a request may renew its claim.
    #[must_use]
    pub fn has_same_claim(&self, other: &Self) -> bool {
        match (&self.claim, &other.claim) {
            (Some(claim), Some(other_claim)) => claim.token == other_claim.token,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn joins_add_only_users_beyond_the_expected_ones(expected in 0u32..40, joins in 0u32..80, is_new: bool) {
            let until = Timestamp(if is_new { 10 } else { 0 });
            let mut load = MeetingLoad { expected_users: expected, expected_until: until, users: 0 };
            let now = Timestamp(5);
            let start = load.counted_users(now);
            let added: u32 = (0..joins).map(|_| load.add_user(now)).sum();
            prop_assert_eq!(start + added, load.counted_users(now));
            prop_assert_eq!(added, if is_new { joins.saturating_sub(expected) } else { joins });
        }
    }
}
