//! The meetings of one response of a server, and what they say about recorded ones. BBB servers know no
//! tenants: they have one meeting of an id at a time.

use std::collections::HashMap;

use crate::meeting::{Meeting, MeetingKey};
use crate::time::Timestamp;

use super::{PollPolicy, ReportedMeeting, expected_users};

/// The meetings of a response, indexed by their ids.
pub(super) struct ReportedMeetings<'a> {
    meetings: &'a [ReportedMeeting],
    by_id: HashMap<&'a str, Vec<&'a ReportedMeeting>>,
}

impl ReportedMeeting {
    /// Returns whether this may be the meeting with that key. A meeting that names no tenant may
    /// belong to any tenant.
    pub(super) fn has_key(&self, key: &MeetingKey) -> bool {
        self.id == key.id && (self.tenant.is_none() || self.tenant == key.tenant)
    }
}

impl<'a> ReportedMeetings<'a> {
    pub(super) fn new(meetings: &'a [ReportedMeeting]) -> Self {
        let mut by_id: HashMap<&str, Vec<&ReportedMeeting>> = HashMap::new();
        for meeting in meetings {
            by_id.entry(meeting.id.as_str()).or_default().push(meeting);
        }
        Self { meetings, by_id }
    }

    pub(super) fn find(&self, key: &MeetingKey) -> Option<&'a ReportedMeeting> {
        self.by_id.get(key.id.as_str())?.iter().find(|meeting| meeting.has_key(key)).copied()
    }

    /// Returns whether the server has started another meeting with the id of this recorded one, of another
    /// tenant or of none. It has one meeting of an id at a time, so the recorded one is over.
    pub(super) fn has_replaced(&self, record: &Meeting) -> bool {
        let found = self.by_id.get(record.key.id.as_str()).map_or(&[][..], Vec::as_slice);
        let Some(known) = record.origin.identity.as_ref().filter(|_| record.claim.is_none()) else {
            return false;
        };
        let is_another = |meeting: &&ReportedMeeting| {
            meeting.tenant != record.key.tenant
                && meeting.created_at > known.created_at
                && record.origin.is_other_meeting(meeting.identity().as_ref())
        };
        !found.is_empty() && found.iter().all(is_another)
    }

    /// Returns the number of users that all meetings count as. Breakout rooms do not count.
    pub(super) fn counted_users(
        &self,
        here: &[Meeting],
        now: Timestamp,
        policy: &PollPolicy,
    ) -> u64 {
        let records: HashMap<&str, &Meeting> =
            here.iter().map(|meeting| (meeting.key.id.as_str(), meeting)).collect();
        let users = |meeting: &ReportedMeeting| {
            let record =
                records.get(meeting.id.as_str()).filter(|record| meeting.has_key(&record.key));
            let expected =
                record.map_or(policy.load.min_user_count, |record| expected_users(record, policy));
            let placed_at = record.map_or(meeting.created_at, |record| record.placed_at);
            let created_at = meeting.created_at_or(placed_at);
            let load = policy.load.meeting_load(created_at, expected, meeting.users);
            load.counted_users(now)
        };
        let counted = self.meetings.iter().filter(|meeting| !meeting.is_breakout);
        counted.map(|meeting| u64::from(users(meeting))).sum()
    }

    /// Iterates over the meetings that are not recorded on the server. Breakout rooms are never
    /// recorded, so they are left out.
    pub(super) fn list_unrecorded(
        &self,
        here: &[Meeting],
    ) -> impl Iterator<Item = &'a ReportedMeeting> {
        let mut recorded: HashMap<&str, Vec<&MeetingKey>> = HashMap::new();
        for meeting in here {
            recorded.entry(meeting.key.id.as_str()).or_default().push(&meeting.key);
        }
        let is_recorded = |meeting: &ReportedMeeting| {
            recorded
                .get(meeting.id.as_str())
                .is_some_and(|keys| keys.iter().any(|key| meeting.has_key(key)))
        };
        let unrecorded: Vec<&ReportedMeeting> = self
            .meetings
            .iter()
            .filter(|meeting| !meeting.is_breakout && !is_recorded(meeting))
            .collect();
        unrecorded.into_iter()
    }
}
