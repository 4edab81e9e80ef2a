//! What a poll does about data that a server reports in an unusable form. The meetings are there, so
//! what is recorded of them stays as it is.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::meeting::Meeting;
use crate::server::ServerStats;
use crate::time::Timestamp;

use super::{MeetingUpdate, ReportedMeeting};

/// Meetings of a response that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadableMeetings {
    /// Their ids, as far as they were recognised.
    pub ids: BTreeSet<String>,
    /// Whether there are, or may be, others whose ids were not recognised.
    pub has_unknown: bool,
}

impl UnreadableMeetings {
    /// Returns whether all meetings were read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && !self.has_unknown
    }

    /// Returns whether the meeting with this id may be among them.
    #[must_use]
    pub fn may_include(&self, id: &str) -> bool {
        self.has_unknown || self.ids.contains(id)
    }

    /// Returns whether a recorded meeting that was not reported may be among them. Meetings that
    /// were placed after the request was sent are not.
    pub(super) fn may_include_record(&self, meeting: &Meeting, asked_at: Timestamp) -> bool {
        let is_new = meeting.is_being_created(asked_at) || meeting.was_seen_since(asked_at);
        !is_new && self.may_include(&meeting.key.id)
    }

    /// Returns the update of such a meeting: a confirmed one counts as reported with its last known
    /// numbers. There is none if it is not certain that the meeting is there, or whose it is.
    pub(super) fn update_record(&self, meeting: &Meeting, now: Timestamp) -> Option<MeetingUpdate> {
        if meeting.claim.is_some() || !self.ids.contains(&meeting.key.id) {
            return None;
        }
        let mut usage = meeting.usage;
        usage.record_users(meeting.load.users, now);
        Some(MeetingUpdate::Reported(meeting.load, usage, meeting.origin.clone()))
    }
}

impl ServerStats {
    /// Adds a meeting with its last known number of users.
    pub(super) fn add_unreadable(&mut self, meeting: &Meeting) {
        let users = meeting.load.users;
        self.meetings = self.meetings.saturating_add(1);
        self.users = self.users.saturating_add(users);
        self.largest_meeting = self.largest_meeting.max(users);
    }
}

/// Fills in the last known number of users of reported meetings for which the server gives no usable
/// number. It is 0 for those that are not recorded on the server.
pub(super) fn fill_in_users<'a>(
    reported: &'a [ReportedMeeting],
    here: &[Meeting],
) -> Cow<'a, [ReportedMeeting]> {
    if !reported.iter().any(|meeting| meeting.has_unknown_users) {
        return Cow::Borrowed(reported);
    }
    let mut filled = reported.to_vec();
    for meeting in filled.iter_mut().filter(|meeting| meeting.has_unknown_users) {
        let record = here.iter().find(|record| meeting.has_key(&record.key));
        meeting.users = record.map_or(0, |record| record.load.users);
    }
    Cow::Owned(filled)
}

#[cfg(test)]
mod tests;
