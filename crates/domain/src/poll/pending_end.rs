//! Pending ends: meetings that are to be ended on a server as soon as a poll reports them there.

use crate::meeting::{Meeting, MeetingKey};
use crate::origin::{CreateWindow, MeetingIdentity};
use crate::server::ServerId;
use crate::time::Timestamp;

use super::ReportedMeeting;

/// Longest time between two creates of a meeting on one server that count as one, in ms.
const MAX_GAP_MS: i64 = 30_000;

/// A meeting that is to be ended on a server. Either this deployment made it there and it is, or
/// may be, recorded on another server; or somebody ended the meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingEnd {
    /// The server.
    pub server: ServerId,
    /// The meeting.
    pub key: MeetingKey,
    /// The `internalMeetingID` of the meeting, if it is known. Then no other meeting with this key
    /// is meant.
    pub internal_id: Option<String>,
    /// The password that ends the meeting.
    pub moderator_pw: Option<String>,
    /// Since when the end is pending.
    pub since: Timestamp,
    /// When the create of the meeting was sent; a meeting that began before is another one. 0 if
    /// somebody ended the meeting, whenever it began.
    pub create_sent_at: Timestamp,
}

impl PendingEnd {
    /// Returns the pending end of what a create, sent at that time, may have made on the server of this
    /// record without telling its identity; with 0, of whatever has its id there.
    #[must_use]
    pub fn of_unnamed(record: &Meeting, create_sent_at: Timestamp, now: Timestamp) -> Self {
        let (server, key) = (record.server.clone(), record.key.clone());
        let moderator_pw = record.moderator_pw.clone();
        Self { server, key, internal_id: None, moderator_pw, since: now, create_sent_at }
    }

    /// Returns the pending end of a meeting whose record is given up for another server, although
    /// it may still run on its own. `None` if it is not proven that this deployment made it. The
    /// Redis script `prelude.lua` follows the same rule.
    #[must_use]
    pub fn of_replaced_record(record: &Meeting, now: Timestamp) -> Option<Self> {
        let identity = record.origin.identity.as_ref().filter(|_| record.origin.is_proven);
        // An expired claim says that a create was sent and not what became of it. It outlasts its create.
        let (internal_id, create_sent_at, since) = match (identity, &record.claim) {
            (Some(identity), _) => (Some(identity.internal_id.clone()), identity.created_at, now),
            (None, Some(claim)) => (None, record.placed_at, claim.until.min(now)),
            (None, None) => return None,
        };
        let (server, key) = (record.server.clone(), record.key.clone());
        let moderator_pw = record.moderator_pw.clone();
        Some(Self { server, key, internal_id, moderator_pw, since, create_sent_at })
    }

    /// Returns what a store keeps if this pending end is added to `known`, which is one of the same
    /// server and meeting. One that names the meeting is worth more than one that tells when a create
    /// was sent, for that create has found the meeting there, unless it had ended. Two creates that
    /// were sent soon one after the other count as one. The Redis script `prelude.lua` follows the
    /// same rule.
    #[must_use]
    pub fn added_to(&self, known: Option<&Self>) -> Self {
        let Some(known) = known.filter(|known| !known.is_requested() && !self.is_requested())
        else {
            return self.clone();
        };
        match (&known.internal_id, &self.internal_id) {
            (Some(_), None) => known.clone(),
            (None, None) if self.create_sent_at <= known.since.plus_ms(MAX_GAP_MS) => Self {
                create_sent_at: self.create_sent_at.min(known.create_sent_at),
                since: self.since.max(known.since),
                ..self.clone()
            },
            _ => self.clone(),
        }
    }

    /// Returns this pending end after somebody has ended the meeting, on whichever server: then a copy
    /// that this deployment made is to end like the recorded one, whatever runs there besides. `None` if
    /// that changes nothing: what an unanswered create has left is not known well enough. The Redis
    /// script `forget_meeting.lua` follows the same rule.
    #[must_use]
    pub fn after_request(&self, since: Timestamp) -> Option<Self> {
        let is_changed = self.internal_id.is_some() && !self.is_requested();
        is_changed.then(|| Self { since, create_sent_at: Timestamp::default(), ..self.clone() })
    }

    /// Returns whether somebody ended the meeting, as opposed to an end of one of two duplicates.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.create_sent_at == Timestamp::default()
    }

    /// Returns whether a reported meeting with this key is the one to end, judging by its
    /// `internalMeetingID` or, if that is not known, by when it began. A server starts no two meetings
    /// with one id at the same time: one that began when the named one did is that one, and one of the
    /// two ids was odd.
    #[must_use]
    pub fn applies_to(&self, reported: &ReportedMeeting) -> bool {
        self.is_about(reported.internal_id.as_deref(), reported.created_at)
    }

    fn is_about(&self, internal_id: Option<&str>, created_at: Timestamp) -> bool {
        let began_then = !self.is_requested() && self.create_sent_at == created_at;
        match &self.internal_id {
            Some(named) => internal_id == Some(named.as_str()) || began_then,
            None => self.window().contains(created_at),
        }
    }

    /// Returns whether a meeting with this key and identity on the server was made by a create of
    /// this deployment. The Redis script `confirm_meeting.lua` follows the same rule.
    #[must_use]
    pub fn proves(&self, identity: &MeetingIdentity) -> bool {
        !self.is_requested() && self.is_about(Some(&identity.internal_id), identity.created_at)
    }

    fn window(&self) -> CreateWindow {
        CreateWindow { sent_at: self.create_sent_at, until: self.since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending_end(internal_id: Option<&str>, create_sent_at: i64, since: i64) -> PendingEnd {
        PendingEnd {
            server: ServerId("a".to_owned()),
            key: MeetingKey::default(),
            internal_id: internal_id.map(str::to_owned),
            moderator_pw: None,
            since: Timestamp(since),
            create_sent_at: Timestamp(create_sent_at),
        }
    }

    #[test]
    fn a_named_meeting_outlasts_a_create_that_was_sent() {
        let named = pending_end(Some("i"), 5, 9);
        let sent = pending_end(None, 7, 9);
        let requested = pending_end(None, 0, 9);
        for (known, added, kept) in [
            (&named, &sent, &named),
            (&sent, &named, &named),
            (&named, &requested, &requested),
            (&requested, &sent, &sent),
            (&sent, &requested, &requested),
        ] {
            assert_eq!(added.added_to(Some(known)), *kept, "{known:?} {added:?}");
        }
        assert_eq!(sent.added_to(None), sent);
        let other = pending_end(Some("j"), 8, 9);
        assert_eq!(other.added_to(Some(&named)), other);
    }

    #[test]
    fn a_request_means_the_copies_that_are_known() {
        let named = pending_end(Some("i"), 5, 9);
        let requested = named.after_request(Timestamp(20)).unwrap();
        assert_eq!(requested, pending_end(Some("i"), 0, 20));
        assert!(requested.is_requested());
        assert_eq!(requested.after_request(Timestamp(30)), None);
        assert_eq!(pending_end(None, 5, 9).after_request(Timestamp(20)), None);
    }

    #[test]
    fn creates_that_follow_each_other_count_as_one() {
        let first = pending_end(None, 5, 1_000);
        let next = pending_end(None, 1_000 + MAX_GAP_MS, 50_000);
        assert_eq!(next.added_to(Some(&first)), pending_end(None, 5, 50_000));
        let within = pending_end(None, 100, 200);
        assert_eq!(within.added_to(Some(&first)), first, "it was under way for as long");
        let later = pending_end(None, 1_001 + MAX_GAP_MS, 50_000);
        assert_eq!(later.added_to(Some(&first)), later);
    }

    #[test]
    fn a_named_meeting_is_known_by_its_time_as_well() {
        let end = pending_end(Some("<<i"), 5_000, 9_000);
        let found = |internal_id: &str, created_at: i64| {
            let internal_id = Some(internal_id.to_owned());
            let created_at = Timestamp(created_at);
            let reported =
                ReportedMeeting { internal_id, created_at, ..ReportedMeeting::default() };
            let identity = reported.identity().unwrap();
            (end.applies_to(&reported), end.proves(&identity))
        };
        assert_eq!(found("<<i", 7_000), (true, true));
        assert_eq!(found("i", 5_000), (true, true), "its id was odd");
        assert_eq!(found("i", 5_001), (false, false));
        let requested = end.after_request(Timestamp(9_000)).unwrap();
        assert!(!requested.applies_to(&ReportedMeeting::default()));
    }

    #[test]
    fn an_expired_claim_says_until_when_its_create_was_under_way() {
        let claim = crate::meeting::Claim { token: "t".to_owned(), until: Timestamp(34_000) };
        let record =
            Meeting { claim: Some(claim), placed_at: Timestamp(1_000), ..Meeting::default() };
        let since = |now: i64| {
            let end = PendingEnd::of_replaced_record(&record, Timestamp(now)).unwrap();
            (end.create_sent_at.0, end.since.0)
        };
        assert_eq!(since(90_000), (1_000, 34_000));
        assert_eq!(since(20_000), (1_000, 20_000), "it was given up");
    }
}
