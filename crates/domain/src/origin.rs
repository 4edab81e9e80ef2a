//! Where a meeting comes from: how its server identifies it, and what shows that this deployment
//! created it. The Redis script `confirm_meeting.lua` follows the same rules.

use serde::{Deserialize, Serialize};

use crate::meeting::Meeting;
use crate::poll::PendingEnd;
use crate::time::Timestamp;

/// Maximum difference between the clocks of replicas and servers, in ms.
const MAX_CLOCK_SKEW_MS: i64 = 5_000;

/// How a server identifies a meeting that runs on it. A later meeting with the same meeting id has
/// another identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MeetingIdentity {
    /// `internalMeetingID`.
    pub internal_id: String,
    /// `createTime`.
    pub created_at: Timestamp,
}

impl MeetingIdentity {
    /// Returns the identity that a server tells; `None` if it is incomplete.
    #[must_use]
    pub fn from_parts(internal_id: Option<String>, created_at: Timestamp) -> Option<Self> {
        let internal_id = internal_id.filter(|id| !id.is_empty() && created_at.0 > 0)?;
        Some(Self { internal_id, created_at })
    }
}

/// The time during which a create was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateWindow {
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it was answered, or until when nothing had been heard of it.
    pub until: Timestamp,
}

impl CreateWindow {
    /// Returns whether the create may have made a meeting that began at this time by the clock of
    /// its server.
    #[must_use]
    pub fn contains(self, created_at: Timestamp) -> bool {
        let earliest = self.sent_at.plus_ms(-MAX_CLOCK_SKEW_MS);
        let latest = self.until.plus_ms(MAX_CLOCK_SKEW_MS);
        (earliest..=latest).contains(&created_at)
    }
}

/// What is known of where a recorded meeting comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeetingOrigin {
    /// The identity of the running meeting; `None` until its server has told it.
    pub identity: Option<MeetingIdentity>,
    /// Whether it is proven that a create of this deployment made the meeting. Only such a meeting
    /// is ever ended automatically.
    pub is_proven: bool,
    /// Whether the meeting was found running and nothing shows that this deployment created it. It
    /// is recorded so that users can join it.
    pub is_adopted: bool,
}

impl MeetingOrigin {
    /// Returns the origin of a meeting with this identity that this deployment made.
    #[must_use]
    pub fn proven(identity: Option<MeetingIdentity>) -> Self {
        Self { identity, is_proven: true, is_adopted: false }
    }

    /// Returns the origin of a meeting with this identity that was found running.
    #[must_use]
    pub fn adopted(identity: Option<MeetingIdentity>) -> Self {
        Self { identity, is_proven: false, is_adopted: true }
    }

    /// Returns what a server's reply to a create says about the meeting. `is_new` tells that the
    /// server has made the meeting for this very call. A meeting that was there before is ours only
    /// if it began during `window`, the time of earlier creates that got no answer.
    #[must_use]
    pub fn of_reply(identity: MeetingIdentity, is_new: bool, window: Option<CreateWindow>) -> Self {
        let began_within = window.is_some_and(|window| window.contains(identity.created_at));
        if is_new || began_within {
            Self::proven(Some(identity))
        } else {
            Self::adopted(Some(identity))
        }
    }

    /// Returns the `internalMeetingID` of a meeting that this deployment made.
    #[must_use]
    pub fn proven_id(&self) -> Option<&str> {
        let identity = self.identity.as_ref().filter(|_| self.is_proven && !self.is_adopted);
        identity.map(|identity| identity.internal_id.as_str())
    }

    /// Returns whether the server tells the same running meeting as this one. Unknown if one of the
    /// identities is not known; then the result is false.
    #[must_use]
    pub fn is_same_meeting(&self, other: Option<&MeetingIdentity>) -> bool {
        let ids = self.identity.as_ref().zip(other);
        ids.is_some_and(|(known, other)| known.internal_id == other.internal_id)
    }

    /// Returns whether the server tells another running meeting than this one. Unknown if one of
    /// the identities is not known; then the result is false.
    #[must_use]
    pub fn is_other_meeting(&self, other: Option<&MeetingIdentity>) -> bool {
        let ids = self.identity.as_ref().zip(other);
        ids.is_some_and(|(known, other)| known.internal_id != other.internal_id)
    }

    /// Returns the origin after a create of this deployment was answered by the recorded server.
    /// `has_claim` tells whether the record was made for that create. A reply about a meeting that began
    /// before the known one was overtaken by another reply: that meeting is over.
    #[must_use]
    pub fn with_reply(&self, reply: &Self, has_claim: bool) -> Self {
        let began_at = |origin: &Self| origin.identity.as_ref().map(|it| it.created_at);
        let is_overtaken =
            began_at(reply) < began_at(self) && self.is_other_meeting(reply.identity.as_ref());
        if reply.identity.is_none() || is_overtaken {
            return self.clone();
        }
        let is_same = self.is_same_meeting(reply.identity.as_ref());
        let tells_nothing_new = is_same || (self.identity.is_none() && !has_claim);
        let is_proven = reply.is_proven || (is_same && self.is_proven);
        let is_adopted = reply.is_adopted && (self.is_adopted || !tells_nothing_new);
        Self { identity: reply.identity.clone(), is_proven, is_adopted: is_adopted && !is_proven }
    }
}

impl MeetingOrigin {
    /// Returns this origin, proven if one of these pending ends proves it. They belong to the key
    /// and the server of the meeting.
    #[must_use]
    pub fn with_proof<'a>(self, mut pending_ends: impl Iterator<Item = &'a PendingEnd>) -> Self {
        match &self.identity {
            Some(identity) if pending_ends.any(|end| end.proves(identity)) => {
                Self::proven(self.identity)
            }
            _ => self,
        }
    }
}

impl Meeting {
    /// Returns the origin of this recorded meeting after its server has reported it with this
    /// identity. A first identity is proven if the meeting began while its create was under way. If
    /// it has another identity than before, it was started anew, and not by a create that has been
    /// answered. A server starts no two meetings with one id at the same time: one that began when
    /// the known one did is that one, and its `internalMeetingID` was odd once.
    #[must_use]
    pub fn origin_after_report(
        &self,
        reported: Option<&MeetingIdentity>,
        now: Timestamp,
    ) -> MeetingOrigin {
        let began_with = |found: &MeetingIdentity| {
            self.origin.identity.as_ref().is_some_and(|known| known.created_at == found.created_at)
        };
        let is_new =
            |found: &&MeetingIdentity| !self.origin.is_same_meeting(reported) && !began_with(found);
        let Some(found) = reported.filter(is_new) else { return self.origin.clone() };
        let is_first = self.origin.identity.is_none();
        let is_proven =
            self.create_window(now).is_some_and(|window| window.contains(found.created_at));
        let is_adopted = self.origin.is_adopted || !is_first || self.claim.is_some();
        MeetingOrigin {
            identity: Some(found.clone()),
            is_proven,
            is_adopted: is_adopted && !is_proven,
        }
    }

    /// Returns the time during which the create of this record was under way, unless its server has
    /// told since what the create made.
    #[must_use]
    pub fn create_window(&self, now: Timestamp) -> Option<CreateWindow> {
        let is_unknown = self.origin.identity.is_none() || self.claim.is_some();
        // The original does not record when it placed a meeting.
        if self.origin.is_adopted || !is_unknown || self.placed_at == Timestamp::default() {
            return None;
        }
        // A claim outlasts its create.
        let until = self.claim.as_ref().map_or(self.seen_at, |claim| claim.until.min(now));
        Some(CreateWindow { sent_at: self.placed_at, until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meeting::Claim;

    const PLACED_AT: Timestamp = Timestamp(1_000_000);
    const NOW: Timestamp = Timestamp(1_060_000);

    fn identity(internal_id: &str, created_at: i64) -> Option<MeetingIdentity> {
        MeetingIdentity::from_parts(Some(internal_id.to_owned()), Timestamp(created_at))
    }

    fn meeting(origin: MeetingOrigin, has_claim: bool) -> Meeting {
        let claim = has_claim.then(|| Claim { token: "t".to_owned(), until: NOW });
        let seen_at = PLACED_AT.plus_ms(2_000);
        Meeting { origin, claim, placed_at: PLACED_AT, seen_at, ..Meeting::default() }
    }

    #[test]
    fn incomplete_identities_are_none() {
        assert_eq!(identity("", 5), None);
        assert_eq!(identity("i", 0), None);
        assert_eq!(MeetingIdentity::from_parts(None, Timestamp(5)), None);
    }

    #[test]
    fn a_reply_proves_what_it_made_or_what_began_during_the_create() {
        let window = CreateWindow { sent_at: PLACED_AT, until: NOW };
        let of_reply = |created_at, is_new, window| {
            let identity = identity("i", created_at).unwrap();
            let origin = MeetingOrigin::of_reply(identity, is_new, window);
            (origin.is_proven, origin.is_adopted)
        };
        let of = |created_at, is_new| of_reply(created_at, is_new, Some(window));
        assert_eq!(of(5, true), (true, false), "whatever the server's clock says");
        assert_eq!(of(1_000_000, false), (true, false));
        assert_eq!(of(995_000, false), (true, false), "clocks differ");
        assert_eq!(of(994_999, false), (false, true), "it was there before");
        assert_eq!(of(1_065_001, false), (false, true));
        assert_eq!(of_reply(1_000_000, false, None), (false, true), "another balancer was faster");
        assert_eq!(of_reply(1_000_000, true, None), (true, false));
    }

    #[test]
    fn a_reply_about_the_same_meeting_keeps_what_was_known() {
        let proven = MeetingOrigin::proven(identity("i", 5));
        let adopted = MeetingOrigin::adopted(identity("i", 5));
        let other = MeetingOrigin::adopted(identity("j", 6));
        let unknown = MeetingOrigin::default();
        for (known, reply, has_claim, expected) in [
            (&proven, &adopted, false, &proven),
            (&adopted, &proven, false, &proven),
            (&adopted, &adopted, true, &adopted),
            (&adopted, &unknown, true, &adopted),
            (&proven, &other, false, &other),
            (&unknown, &adopted, true, &adopted),
            (&unknown, &proven, false, &proven),
            (&unknown, &other, false, &MeetingOrigin { is_adopted: false, ..other.clone() }),
        ] {
            assert_eq!(known.with_reply(reply, has_claim), *expected, "{known:?} {reply:?}");
        }
    }

    #[test]
    fn an_overtaken_reply_changes_nothing() {
        let known = MeetingOrigin::proven(identity("j", 6));
        let earlier = MeetingOrigin::proven(identity("i", 5));
        assert_eq!(known.with_reply(&earlier, false), known);
        assert_eq!(known.with_reply(&earlier, true), known);
        assert_eq!(earlier.with_reply(&known, false), known);
        let odd = MeetingOrigin::proven(identity("<j", 5));
        assert_eq!(earlier.with_reply(&odd, false), odd, "it is the answer that came last");
    }

    #[test]
    fn a_first_report_is_proven_if_it_began_during_the_create() {
        let report = |has_claim, created_at| {
            let recorded = meeting(MeetingOrigin::default(), has_claim);
            let origin = recorded.origin_after_report(identity("i", created_at).as_ref(), NOW);
            (origin.is_proven, origin.is_adopted)
        };
        assert_eq!(report(false, 1_001_000), (true, false));
        assert_eq!(report(false, 1_007_001), (false, false), "after it was confirmed");
        assert_eq!(report(true, 1_059_000), (true, false), "its create is still under way");
        assert_eq!(report(true, 900_000), (false, true), "it was there before");
        let expired = Claim { token: "t".to_owned(), until: PLACED_AT.plus_ms(33_000) };
        let expired = Meeting { claim: Some(expired), ..meeting(MeetingOrigin::default(), true) };
        let origin = expired.origin_after_report(identity("i", 1_038_001).as_ref(), NOW);
        assert_eq!((origin.is_proven, origin.is_adopted), (false, true), "its create was over");
        let original =
            Meeting { placed_at: Timestamp(0), ..meeting(MeetingOrigin::default(), false) };
        let origin = original.origin_after_report(identity("i", 1_001_000).as_ref(), NOW);
        assert_eq!((origin.is_proven, origin.is_adopted), (false, false), "the original's record");
    }

    #[test]
    fn another_identity_is_not_proven() {
        for origin in [MeetingOrigin::proven(identity("i", 5)), MeetingOrigin::adopted(None)] {
            let recorded = meeting(origin, false);
            let found = identity("j", 1_001_000);
            let changed = recorded.origin_after_report(found.as_ref(), NOW);
            assert_eq!(changed, MeetingOrigin::adopted(found));
        }
        let proven = MeetingOrigin::proven(identity("i", 5));
        let recorded = meeting(proven.clone(), false);
        assert_eq!(recorded.origin_after_report(identity("i", 5).as_ref(), NOW), proven);
        assert_eq!(recorded.origin_after_report(None, NOW), proven);
        let odd = recorded.origin_after_report(identity("<i", 5).as_ref(), NOW);
        assert_eq!(odd, proven, "it began at the same time");
    }
}
