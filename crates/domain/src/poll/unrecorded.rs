//! Decides about meetings that a server reports and that are not recorded on it. They are adopted
//! if their record is lost or their recorded server is unavailable, ended if they are duplicates or
//! are to be ended, and left alone if this balancer did not create them.

use std::collections::HashMap;

use crate::history::MeetingUsage;
use crate::meeting::{Meeting, MeetingKey};
use crate::server::{AdminState, Server, ServerId};
use crate::time::Timestamp;

use super::{
    PendingEnd, PollContext, PollObservation, PollOutcome, PollPolicy, RecordedElsewhere,
    ReportedMeeting, UnwantedMeeting, expected_users,
};

/// Time after which a create request that has not led to a meeting is considered lost, in ms.
const CREATE_LOST_AFTER_MS: i64 = 2 * 60_000;

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

/// Decides about all meetings that are reported and not recorded on the server, and about its
/// pending ends.
pub(super) fn settle_unrecorded(
    server: &Server,
    context: PollContext<'_>,
    reported: &ReportedMeetings<'_>,
    observation: &PollObservation,
    policy: &PollPolicy,
    outcome: &mut PollOutcome,
) {
    let asked_at = observation.started_at;
    for pending_end in context.pending_ends {
        let is_recorded =
            context.recorded_here.iter().any(|meeting| meeting.key == pending_end.key);
        let is_lost = reported.find(&pending_end.key).is_none()
            && !observation.unreadable.may_include(&pending_end.key.id)
            && asked_at >= pending_end.since.plus_ms(CREATE_LOST_AFTER_MS);
        if is_recorded || is_lost {
            outcome.settled_ends.push(pending_end.key.clone());
        }
    }
    let elsewhere: HashMap<&MeetingKey, &RecordedElsewhere> = context
        .recorded_elsewhere
        .iter()
        .map(|recorded| (&recorded.meeting.key, recorded))
        .collect();
    for meeting in reported.list_unrecorded(context.recorded_here) {
        let key = meeting.key();
        let pending_end = context
            .pending_ends
            .iter()
            .find(|pending_end| pending_end.key == key && pending_end.applies_to(meeting));
        match (elsewhere.get(&key), pending_end) {
            // The create in progress may still succeed on this server.
            (Some(recorded), _) if recorded.meeting.is_being_created(asked_at) => {}
            (_, Some(pending_end)) if pending_end.is_requested() => {
                outcome.unwanted.push(end_unwanted(pending_end, None));
            }
            (Some(recorded), Some(pending_end)) if recorded.is_confirmed() => {
                outcome.unwanted.push(end_unwanted(pending_end, Some(&recorded.meeting.server)));
            }
            (None, Some(pending_end)) => outcome.unwanted.push(end_unwanted(pending_end, None)),
            _ if !meeting.is_ours => outcome.foreign += 1,
            // The meeting is not recorded until the record of the other tenant's meeting is gone.
            _ if is_id_taken(&key, context.recorded_here) => {}
            (recorded, _) => {
                let recorded = recorded.copied();
                settle_ours(server, meeting, recorded, observation, policy, outcome);
            }
        }
    }
}

/// Decides about an unrecorded meeting that this balancer created: adopts it if it has no usable
/// record, or else keeps the duplicate with more users.
fn settle_ours(
    server: &Server,
    meeting: &ReportedMeeting,
    recorded: Option<&RecordedElsewhere>,
    observation: &PollObservation,
    policy: &PollPolicy,
    outcome: &mut PollOutcome,
) {
    let is_usable = server.is_online() && server.state != AdminState::Disabled;
    let Some(recorded) = recorded else {
        if is_usable {
            outcome.adopted.push(adopt_meeting(server, meeting, None, observation, policy));
        }
        return;
    };
    let record = &recorded.meeting;
    if !is_past_grace(record, observation.started_at, policy) {
        return;
    }
    if meeting.has_unknown_users && recorded.is_confirmed() {
        // It is not known which of the two has more users.
        return;
    }
    let stays = is_usable && (meeting.users > record.load.users || !recorded.is_confirmed());
    if stays {
        outcome.adopted.push(adopt_meeting(server, meeting, Some(record), observation, policy));
    }
    if recorded.is_confirmed() {
        outcome.unwanted.push(end_duplicate(record, server, stays));
    }
}

/// Returns whether another tenant's meeting with the same id is recorded on the server. A BBB
/// server has only one meeting with an id.
fn is_id_taken(key: &MeetingKey, here: &[Meeting]) -> bool {
    here.iter().any(|meeting| meeting.key.id == key.id && meeting.key != *key)
}

/// Returns whether a record is old enough that all replicas know of it. A record that was created
/// or moved since the request was sent is not.
fn is_past_grace(record: &Meeting, asked_at: Timestamp, policy: &PollPolicy) -> bool {
    asked_at >= record.placed_at.plus_ms(policy.grace_ms)
}

fn end_unwanted(pending_end: &PendingEnd, kept_by: Option<&ServerId>) -> UnwantedMeeting {
    UnwantedMeeting {
        server: pending_end.server.clone(),
        key: pending_end.key.clone(),
        moderator_pw: pending_end.moderator_pw.clone(),
        kept_by: kept_by.cloned(),
    }
}

/// Returns the duplicate to end: the one on the recorded server if the one on the polled server
/// stays, and otherwise the one on the polled server.
fn end_duplicate(record: &Meeting, polled: &Server, polled_stays: bool) -> UnwantedMeeting {
    let (recorded, polled) = (record.server.clone(), polled.id.clone());
    let (server, kept_by) = if polled_stays { (recorded, polled) } else { (polled, recorded) };
    UnwantedMeeting {
        server,
        key: record.key.clone(),
        moderator_pw: record.moderator_pw.clone(),
        kept_by: Some(kept_by),
    }
}

/// Returns the record of a reported meeting on the polled server.
fn adopt_meeting(
    server: &Server,
    meeting: &ReportedMeeting,
    record: Option<&Meeting>,
    observation: &PollObservation,
    policy: &PollPolicy,
) -> Meeting {
    let now = observation.finished_at;
    let mut usage = MeetingUsage::default();
    usage.record_users(meeting.users, now);
    let password = record.and_then(|record| record.moderator_pw.clone());
    let min_users = policy.load.min_user_count;
    let created_at = meeting.created_at_or(now);
    Meeting {
        key: meeting.key(),
        server: server.id.clone(),
        moderator_pw: password.or_else(|| meeting.moderator_pw.clone()),
        voice_bridge: meeting.voice_bridge.clone(),
        claim: None,
        // For a meeting that moves this is the current time, so that a poll of the other server
        // whose request was sent earlier does not move it back.
        placed_at: record.map_or(created_at, |_| now),
        seen_at: now,
        load: policy.load.meeting_load(created_at, min_users, meeting.users),
        usage,
        missed_polls: 0,
        detached: false,
        placement_reason: "adopted: the server already had it".to_owned(),
    }
}
