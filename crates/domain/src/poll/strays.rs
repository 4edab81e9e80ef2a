//! Meetings that a server reports and that are not recorded on it: taken over if they were lost
//! or their server is away, ended if they run elsewhere or are not wanted, left alone if they are
//! not ours.

use std::collections::HashMap;

use crate::history::Course;
use crate::meeting::{Meeting, MeetingKey};
use crate::server::{AdminState, Server, ServerId};
use crate::time::Timestamp;

use super::{
    Elsewhere, Ending, Known, Observation, PollPolicy, SeenMeeting, Stray, Verdict, expected_seats,
};

/// A server that had no time to create a meeting within this has lost the request, in ms.
const ENDING_MS: i64 = 2 * 60_000;

/// The meetings of an answer by their ids.
pub(super) struct Seen<'a> {
    list: &'a [SeenMeeting],
    by_id: HashMap<&'a str, Vec<&'a SeenMeeting>>,
}

impl SeenMeeting {
    /// Whether it is that meeting. One that tells no tenant may be anybody's of that id.
    pub(super) fn is(&self, key: &MeetingKey) -> bool {
        self.id == key.id && (self.tenant.is_none() || self.tenant == key.tenant)
    }
}

impl<'a> Seen<'a> {
    pub(super) fn new(list: &'a [SeenMeeting]) -> Self {
        let mut by_id: HashMap<&str, Vec<&SeenMeeting>> = HashMap::new();
        for one in list {
            by_id.entry(one.id.as_str()).or_default().push(one);
        }
        Self { list, by_id }
    }

    pub(super) fn find(&self, key: &MeetingKey) -> Option<&'a SeenMeeting> {
        self.by_id.get(key.id.as_str())?.iter().find(|one| one.is(key)).copied()
    }

    /// The seats that all of them take up. Breakout rooms weigh nothing of their own.
    pub(super) fn seats(&self, here: &[Meeting], now: Timestamp, policy: &PollPolicy) -> u64 {
        let recorded: HashMap<&str, &Meeting> =
            here.iter().map(|meeting| (meeting.key.id.as_str(), meeting)).collect();
        let taken = |one: &SeenMeeting| {
            let record = recorded.get(one.id.as_str()).filter(|record| one.is(&record.key));
            let expected =
                record.map_or(policy.load.min_user_count, |record| expected_seats(record, policy));
            policy.load.seats(one.created_at, expected, one.users).taken(now)
        };
        let weighed = self.list.iter().filter(|one| !one.is_breakout);
        weighed.map(|one| u64::from(taken(one))).sum()
    }

    /// Those that are not recorded here. Breakout rooms are their parents' business.
    pub(super) fn unrecorded(&self, here: &[Meeting]) -> impl Iterator<Item = &'a SeenMeeting> {
        let mut recorded: HashMap<&str, Vec<&MeetingKey>> = HashMap::new();
        for meeting in here {
            recorded.entry(meeting.key.id.as_str()).or_default().push(&meeting.key);
        }
        let is_recorded = |one: &SeenMeeting| {
            recorded.get(one.id.as_str()).is_some_and(|keys| keys.iter().any(|key| one.is(key)))
        };
        let found: Vec<&SeenMeeting> =
            self.list.iter().filter(|one| !one.is_breakout && !is_recorded(one)).collect();
        found.into_iter()
    }
}

/// Decides about all meetings that are reported and not recorded here.
pub(super) fn settle(
    server: &Server,
    known: Known<'_>,
    seen: &Seen<'_>,
    observation: &Observation,
    policy: &PollPolicy,
    verdict: &mut Verdict,
) {
    let asked_at = observation.started_at;
    for ending in known.endings {
        let is_here = known.here.iter().any(|meeting| meeting.key == ending.key);
        let lost = seen.find(&ending.key).is_none() && asked_at >= ending.since.plus_ms(ENDING_MS);
        if is_here || lost {
            verdict.settled.push(ending.key.clone());
        }
    }
    let usable = server.online() && server.state != AdminState::Disabled;
    let elsewhere: HashMap<&MeetingKey, &Elsewhere> =
        known.elsewhere.iter().map(|one| (&one.meeting.key, one)).collect();
    for one in seen.unrecorded(known.here) {
        let key = one.key();
        let ending = known.endings.iter().find(|ending| ending.key == key && ending.is_about(one));
        match (elsewhere.get(&key), ending) {
            // Whoever creates it may get its answer from here.
            (Some(other), _) if other.meeting.is_being_created(asked_at) => {}
            (_, Some(ending)) if ending.is_wish() => verdict.strays.push(abandoned(ending, None)),
            (Some(other), Some(ending)) if other.is_there() => {
                verdict.strays.push(abandoned(ending, Some(&other.meeting.server)));
            }
            (None, Some(ending)) => verdict.strays.push(abandoned(ending, None)),
            _ if !one.ours => verdict.foreign += 1,
            // Its record waits until that of the other one is gone.
            _ if has_twin(&key, known.here) => {}
            (None, None) if usable => {
                verdict.adopted.push(adopted(server, one, None, observation, policy));
            }
            (Some(other), _) if is_settled(&other.meeting, asked_at, policy) => {
                let stays = usable && (one.users > other.meeting.seats.users || !other.is_there());
                if stays {
                    let record = Some(&other.meeting);
                    verdict.adopted.push(adopted(server, one, record, observation, policy));
                }
                if other.is_there() {
                    verdict.strays.push(double(&other.meeting, server, stays));
                }
            }
            _ => {}
        }
    }
}

/// Whether another tenant's meeting of that id is recorded here. A BBB server has one of an id.
fn has_twin(key: &MeetingKey, here: &[Meeting]) -> bool {
    here.iter().any(|one| one.key.id == key.id && one.key != *key)
}

/// Not until everybody has had time to notice that it was created, or moved since the question was
/// asked.
fn is_settled(other: &Meeting, asked_at: Timestamp, policy: &PollPolicy) -> bool {
    asked_at >= other.placed_at.plus_ms(policy.grace_ms)
}

fn abandoned(ending: &Ending, kept_by: Option<&ServerId>) -> Stray {
    Stray {
        server: ending.server.clone(),
        key: ending.key.clone(),
        moderator_pw: ending.moderator_pw.clone(),
        kept_by: kept_by.cloned(),
    }
}

/// One of two: the one that is recorded elsewhere if the other one stays.
fn double(recorded: &Meeting, here: &Server, stays: bool) -> Stray {
    let (there, here) = (recorded.server.clone(), here.id.clone());
    let (server, keeper) = if stays { (there, here) } else { (here, there) };
    Stray {
        server,
        key: recorded.key.clone(),
        moderator_pw: recorded.moderator_pw.clone(),
        kept_by: Some(keeper),
    }
}

/// The record of a meeting that runs here.
fn adopted(
    server: &Server,
    one: &SeenMeeting,
    record: Option<&Meeting>,
    observation: &Observation,
    policy: &PollPolicy,
) -> Meeting {
    let now = observation.finished_at;
    let mut course = Course::default();
    course.observe(one.users, now);
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
        seats: policy.load.seats(one.created_at, policy.load.min_user_count, one.users),
        course,
        missed: 0,
        detached: false,
        reason: "adopted: it was running there".to_owned(),
    }
}
