//! Pending ends: meetings that are to be ended on a server as soon as a poll reports them there.

use crate::meeting::{Meeting, MeetingKey};
use crate::origin::{CreateWindow, MeetingIdentity};
use crate::server::ServerId;
use crate::time::Timestamp;

use super::ReportedMeeting;

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
    /// Returns the pending end of a meeting whose record is given up for another server, although
    /// it may still run on its own. `None` if it is not proven that this deployment made it. The
    /// Redis script `prelude.lua` follows the same rule.
    #[must_use]
    pub fn of_replaced_record(record: &Meeting, now: Timestamp) -> Option<Self> {
        let identity = record.origin.identity.as_ref().filter(|_| record.origin.is_proven);
        // An expired claim says that a create was sent and not what became of it.
        let (internal_id, create_sent_at) = match (identity, &record.claim) {
            (Some(identity), _) => (Some(identity.internal_id.clone()), identity.created_at),
            (None, Some(_)) => (None, record.placed_at),
            (None, None) => return None,
        };
        let (server, key) = (record.server.clone(), record.key.clone());
        let moderator_pw = record.moderator_pw.clone();
        Some(Self { server, key, internal_id, moderator_pw, since: now, create_sent_at })
    }

    /// Returns whether somebody ended the meeting, as opposed to an end of one of two duplicates.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.create_sent_at == Timestamp::default()
    }

    /// Returns whether a reported meeting with this key is the one to end, judging by its
    /// `internalMeetingID` or, if that is not known, by when it began.
    #[must_use]
    pub fn applies_to(&self, reported: &ReportedMeeting) -> bool {
        if self.internal_id.is_some() {
            return self.internal_id == reported.internal_id;
        }
        self.window().contains(reported.created_at)
    }

    /// Returns whether a meeting with this key and identity on the server was made by a create of
    /// this deployment. The Redis script `confirm_meeting.lua` follows the same rule.
    #[must_use]
    pub fn proves(&self, identity: &MeetingIdentity) -> bool {
        let is_it = match &self.internal_id {
            Some(internal_id) => *internal_id == identity.internal_id,
            None => self.window().contains(identity.created_at),
        };
        is_it && !self.is_requested()
    }

    fn window(&self) -> CreateWindow {
        CreateWindow { sent_at: self.create_sent_at, until: self.since }
    }
}
