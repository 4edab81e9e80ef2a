//! Meetings that a server reports and that are not recorded on it: taken over if they were lost
//! or their server is away, ended if they run elsewhere or are not wanted, left alone if they are
//! not ours.

use std::collections::HashMap;

use crate::history::MeetingUsage;
use crate::meeting::{Meeting, MeetingKey};
use crate::server::{AdminState, Server, ServerId};
use crate::time::Timestamp;

use super::{
    PendingEnd, PollContext, PollObservation, PollOutcome, PollPolicy, RecordedElsewhere,
    ReportedMeeting, UnwantedMeeting, expected_users,
};

/// A server that had no time to create a meeting within this has lost the request, in ms.
const CREATE_LOST_AFTER_MS: i64 = 2 * 60_000;

/// The meetings of an answer by their ids.
pub(super) struct ReportedMeetings<'a> {
    meetings: &'a [ReportedMeeting],
    by_id: HashMap<&'a str, Vec<&'a ReportedMeeting>>,
}

impl ReportedMeeting {
    /// Whether it is that meeting. One that tells no tenant may be anybody's of that id.
    pub(super) fn has_key(&self, key: &MeetingKey) -> bool {
        self.id == key.id && (self.tenant.is_none() || self.tenant == key.tenant)
    }
}

impl<'a> ReportedMeetings<'a> {
    pub(super) fn new(list: &'a [ReportedMeeting]) -> Self {
        let mut by_id: HashMap<&str, Vec<&ReportedMeeting>> = HashMap::new();
        for one in list {
            by_id.entry(one.id.as_str()).or_default().push(one);
        }
        Self { meetings: list, by_id }
    }

    pub(super) fn find(&self, key: &MeetingKey) -> Option<&'a ReportedMeeting> {
        self.by_id.get(key.id.as_str())?.iter().find(|one| one.has_key(key)).copied()
    }

    /// The seats that all of them take up. Breakout rooms weigh nothing of their own.
    pub(super) fn counted_users(
        &self,
        here: &[Meeting],
        now: Timestamp,
        policy: &PollPolicy,
    ) -> u64 {
        let recorded: HashMap<&str, &Meeting> =
            here.iter().map(|meeting| (meeting.key.id.as_str(), meeting)).collect();
        let taken = |one: &ReportedMeeting| {
            let record = recorded.get(one.id.as_str()).filter(|record| one.has_key(&record.key));
            let expected =
                record.map_or(policy.load.min_user_count, |record| expected_users(record, policy));
            policy.load.meeting_load(one.created_at, expected, one.users).counted_users(now)
        };
        let weighed = self.meetings.iter().filter(|one| !one.is_breakout);
        weighed.map(|one| u64::from(taken(one))).sum()
    }

    /// Those that are not recorded here. Breakout rooms are their parents' business.
    pub(super) fn list_unrecorded(
        &self,
        here: &[Meeting],
    ) -> impl Iterator<Item = &'a ReportedMeeting> {
        let mut recorded: HashMap<&str, Vec<&MeetingKey>> = HashMap::new();
        for meeting in here {
            recorded.entry(meeting.key.id.as_str()).or_default().push(&meeting.key);
        }
        let is_recorded = |one: &ReportedMeeting| {
            recorded
                .get(one.id.as_str())
                .is_some_and(|keys| keys.iter().any(|key| one.has_key(key)))
        };
        let found: Vec<&ReportedMeeting> =
            self.meetings.iter().filter(|one| !one.is_breakout && !is_recorded(one)).collect();
        found.into_iter()
    }
}

/// Decides about all meetings that are reported and not recorded here.
pub(super) fn settle_unrecorded(
    server: &Server,
    known: PollContext<'_>,
    seen: &ReportedMeetings<'_>,
    observation: &PollObservation,
    policy: &PollPolicy,
    verdict: &mut PollOutcome,
) {
    let asked_at = observation.started_at;
    for ending in known.pending_ends {
        let is_here = known.recorded_here.iter().any(|meeting| meeting.key == ending.key);
        let lost = seen.find(&ending.key).is_none()
            && asked_at >= ending.since.plus_ms(CREATE_LOST_AFTER_MS);
        if is_here || lost {
            verdict.settled_ends.push(ending.key.clone());
        }
    }
    let usable = server.is_online() && server.state != AdminState::Disabled;
    let elsewhere: HashMap<&MeetingKey, &RecordedElsewhere> =
        known.recorded_elsewhere.iter().map(|one| (&one.meeting.key, one)).collect();
    for one in seen.list_unrecorded(known.recorded_here) {
        let key = one.key();
        let ending =
            known.pending_ends.iter().find(|ending| ending.key == key && ending.applies_to(one));
        match (elsewhere.get(&key), ending) {
            // Whoever creates it may get its answer from here.
            (Some(other), _) if other.meeting.is_being_created(asked_at) => {}
            (_, Some(ending)) if ending.is_requested() => {
                verdict.unwanted.push(end_unwanted(ending, None))
            }
            (Some(other), Some(ending)) if other.is_confirmed() => {
                verdict.unwanted.push(end_unwanted(ending, Some(&other.meeting.server)));
            }
            (None, Some(ending)) => verdict.unwanted.push(end_unwanted(ending, None)),
            _ if !one.is_ours => verdict.foreign += 1,
            // Its record waits until that of the other one is gone.
            _ if is_id_taken(&key, known.recorded_here) => {}
            (None, None) if usable => {
                verdict.adopted.push(adopt_meeting(server, one, None, observation, policy));
            }
            (Some(other), _) if is_settled(&other.meeting, asked_at, policy) => {
                let stays =
                    usable && (one.users > other.meeting.load.users || !other.is_confirmed());
                if stays {
                    let record = Some(&other.meeting);
                    verdict.adopted.push(adopt_meeting(server, one, record, observation, policy));
                }
                if other.is_confirmed() {
                    verdict.unwanted.push(end_duplicate(&other.meeting, server, stays));
                }
            }
            _ => {}
        }
    }
}

/// Whether another tenant's meeting of that id is recorded here. A BBB server has one of an id.
fn is_id_taken(key: &MeetingKey, here: &[Meeting]) -> bool {
    here.iter().any(|one| one.key.id == key.id && one.key != *key)
}

/// Not until everybody has had time to notice that it was created, or moved since the question was
/// asked.
fn is_settled(other: &Meeting, asked_at: Timestamp, policy: &PollPolicy) -> bool {
    asked_at >= other.placed_at.plus_ms(policy.grace_ms)
}

fn end_unwanted(ending: &PendingEnd, kept_by: Option<&ServerId>) -> UnwantedMeeting {
    UnwantedMeeting {
        server: ending.server.clone(),
        key: ending.key.clone(),
        moderator_pw: ending.moderator_pw.clone(),
        kept_by: kept_by.cloned(),
    }
}

/// One of two: the one that is recorded elsewhere if the other one stays.
fn end_duplicate(recorded: &Meeting, here: &Server, stays: bool) -> UnwantedMeeting {
    let (there, here) = (recorded.server.clone(), here.id.clone());
    let (server, keeper) = if stays { (there, here) } else { (here, there) };
    UnwantedMeeting {
        server,
        key: recorded.key.clone(),
        moderator_pw: recorded.moderator_pw.clone(),
        kept_by: Some(keeper),
    }
}

/// The record of a meeting that runs here.
fn adopt_meeting(
    server: &Server,
    one: &ReportedMeeting,
    record: Option<&Meeting>,
    observation: &PollObservation,
    policy: &PollPolicy,
) -> Meeting {
    let now = observation.finished_at;
    let mut course = MeetingUsage::default();
    course.record_users(one.users, now);
    let password = record.and_then(|record| record.moderator_pw.clone());
    Meeting {
        key: one.key(),
        server: server.id.clone(),
        moderator_pw: password.or_else(|| one.moderator_pw.clone()),
        voice_bridge: one.voice_bridge.clone(),
        claim: None,
        // What moves here is not taken back by a poll that asked before.
        placed_at: record.map_or(one.created_at, |_| now),
        seen_at: now,
        load: policy.load.meeting_load(one.created_at, policy.load.min_user_count, one.users),
        usage: course,
        missed_polls: 0,
        detached: false,
        placement_reason: "adopted: it was running there".to_owned(),
    }
}
