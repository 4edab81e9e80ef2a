//! What one poll of one server means: its health, load and statistics, and what becomes of the
//! meetings that it has and of those that the balancer believes to be on it.

#[cfg(test)]
mod tests;
mod unrecorded;

use crate::health::{HealthChange, ServerFailure, Thresholds};
use crate::history::MeetingUsage;
use crate::load::{LoadPolicy, compute_load};
use crate::meeting::{Meeting, MeetingKey, MeetingLoad};
use crate::server::{AdminState, Server, ServerId, ServerStats};
use crate::time::Timestamp;

use self::unrecorded::ReportedMeetings;

/// Good polls in a row without a meeting after which it is forgotten.
const MAX_MISSED_POLLS: u32 = 2;

/// A meeting as its server reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportedMeeting {
    /// Its external id.
    pub id: String,
    /// Its tenant, if its metadata names one.
    pub tenant: Option<String>,
    /// Its `createTime`.
    pub created_at: Timestamp,
    /// Users in it; moderators are among them.
    pub users: u32,
    /// Cameras in it.
    pub videos: u32,
    /// Whether it is a breakout room: those weigh nothing of their own.
    pub is_breakout: bool,
    /// Its number in the telephone network.
    pub voice_bridge: Option<String>,
    /// The moderators' password, where the server still tells it.
    pub moderator_pw: Option<String>,
    /// Whether it shows that a balancer of this pool created it.
    pub is_ours: bool,
}

impl ReportedMeeting {
    /// Its name, if the balancer made it.
    #[must_use]
    pub fn key(&self) -> MeetingKey {
        MeetingKey { tenant: self.tenant.clone(), id: self.id.clone() }
    }
}

/// What a poll of a server found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollObservation {
    /// When the question was sent: what was placed later cannot be in the answer.
    pub started_at: Timestamp,
    /// When the answer was there.
    pub finished_at: Timestamp,
    /// The server's meetings, or why there was no usable answer.
    pub result: Result<Vec<ReportedMeeting>, String>,
}

/// How a poll is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollPolicy {
    /// When a server changes between online and offline.
    pub thresholds: Thresholds,
    /// How meetings weigh.
    pub load: LoadPolicy,
    /// For so long after it was placed a meeting is neither forgotten nor taken for a double, in
    /// ms (`MEETING_GRACE`).
    pub grace_ms: i64,
}

/// A meeting that was reported here and is recorded on another server.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedElsewhere {
    /// The record.
    pub meeting: Meeting,
    /// Whether people can get to it there.
    pub reachable: bool,
}

impl RecordedElsewhere {
    /// Whether it is surely there, as far as records tell: a claim that ran out is no meeting, and
    /// one that was not reported lately is probably over.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.reachable && self.meeting.claim.is_none() && self.meeting.missed_polls == 0
    }
}

/// A meeting that is not wanted on a server: its create went unanswered there and was made
/// elsewhere, or it was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingEnd {
    /// The server.
    pub server: ServerId,
    /// The meeting.
    pub key: MeetingKey,
    /// The password that ends it.
    pub moderator_pw: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// When a create asked for it in vain: one that began earlier is another one. 0 if somebody wants
    /// it to end, whenever it began.
    pub create_sent_at: Timestamp,
}

/// How far clocks of replicas and servers may be apart, in ms.
const MAX_CLOCK_SKEW_MS: i64 = 5_000;

impl PendingEnd {
    /// Whether somebody wants the meeting to end, and not only this one of two.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.create_sent_at == Timestamp::default()
    }

    /// Whether a meeting of that name is the one that is not wanted, by the time when it began.
    #[must_use]
    pub fn applies_to(&self, one: &ReportedMeeting) -> bool {
        let (from, to) = (
            self.create_sent_at.plus_ms(-MAX_CLOCK_SKEW_MS),
            self.since.plus_ms(MAX_CLOCK_SKEW_MS),
        );
        from <= one.created_at && one.created_at <= to
    }
}

/// What the store knows that bears on a poll of one server.
#[derive(Clone, Copy, Debug, Default)]
pub struct PollContext<'a> {
    /// Meetings recorded on it.
    pub recorded_here: &'a [Meeting],
    /// Meetings that it reported ([`list_unrecorded_keys`]) and that are recorded on others.
    pub recorded_elsewhere: &'a [RecordedElsewhere],
    /// Meetings that are not wanted on it.
    pub pending_ends: &'a [PendingEnd],
}

/// What happens to a meeting that is recorded on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeetingUpdate {
    /// Its server reported it: whatever became of its create, it is there, and a claim on it
    /// ends. It is attached if it was not. This is what it takes up now.
    Reported(MeetingLoad, MeetingUsage),
    /// Its server did not report it, so many times in a row.
    Missed(u32),
    /// Its server is offline.
    Detached,
    /// Its server no longer has it.
    Forgotten,
}

/// A meeting to end on a server, where it is not wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnwantedMeeting {
    /// The server.
    pub server: ServerId,
    /// The meeting.
    pub key: MeetingKey,
    /// The password that ends it.
    pub moderator_pw: Option<String>,
    /// The server that has it as well, as far as is known, and keeps it.
    pub kept_by: Option<ServerId>,
}

/// The outcome of a poll, beyond the new state of the server itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PollOutcome {
    /// Whether the server went online or offline.
    pub change: Option<HealthChange>,
    /// Whether a cordoned server ran empty and was disabled.
    pub drained: bool,
    /// Recorded meetings that change. All others stay as they are.
    pub meeting_updates: Vec<(MeetingKey, MeetingUpdate)>,
    /// Meetings to record on this server, instead of what is recorded of them, if anything.
    pub adopted: Vec<Meeting>,
    /// Meetings to end.
    pub unwanted: Vec<UnwantedMeeting>,
    /// Endings that are settled.
    pub settled_ends: Vec<MeetingKey>,
    /// How many meetings came back with their server.
    pub attached: usize,
    /// How many meetings it has that are nobody's.
    pub foreign: usize,
}

/// The meetings that an answer reports and that are not recorded here: the store looks up whether
/// they are recorded elsewhere.
#[must_use]
pub fn list_unrecorded_keys(observation: &PollObservation, here: &[Meeting]) -> Vec<MeetingKey> {
    match &observation.result {
        Ok(list) => {
            ReportedMeetings::new(list).list_unrecorded(here).map(ReportedMeeting::key).collect()
        }
        Err(_) => Vec::new(),
    }
}

/// Applies an observation to a server, given what is known of its meetings.
#[must_use]
pub fn apply_poll(
    server: &mut Server,
    known: PollContext<'_>,
    observation: &PollObservation,
    policy: &PollPolicy,
) -> PollOutcome {
    match &observation.result {
        Ok(seen) => apply_response(server, known, seen, observation, policy),
        Err(reason) => apply_failure(server, known.recorded_here, observation, policy, reason),
    }
}

fn apply_failure(
    server: &mut Server,
    here: &[Meeting],
    observation: &PollObservation,
    policy: &PollPolicy,
    reason: &str,
) -> PollOutcome {
    if observation.started_at < server.health.answered_at {
        // It has answered a later question meanwhile.
        return PollOutcome::default();
    }
    let failure = ServerFailure { at: observation.finished_at, reason: reason.to_owned() };
    let change = server.health.record_failure(failure, policy.thresholds);
    let mut verdict = PollOutcome { change, ..PollOutcome::default() };
    if !server.is_online() {
        server.load = None;
        server.stats = ServerStats::default();
        server.placed_since_poll = 0;
        // Also what was put back after it went offline; a create under way may still succeed.
        let lost = here.iter().filter(|one| !one.is_being_created(observation.started_at));
        let attached = lost.filter(|one| !one.detached);
        verdict.meeting_updates =
            attached.map(|meeting| (meeting.key.clone(), MeetingUpdate::Detached)).collect();
    }
    verdict
}

fn apply_response(
    server: &mut Server,
    known: PollContext<'_>,
    list: &[ReportedMeeting],
    observation: &PollObservation,
    policy: &PollPolicy,
) -> PollOutcome {
    let now = observation.finished_at;
    let change = server.health.record_success(now, policy.thresholds);
    let mut verdict = PollOutcome { change, ..PollOutcome::default() };
    server.stats = count_stats(list);

    let seen = ReportedMeetings::new(list);
    let mut taken: u64 = 0;
    let mut placed = 0_u32;
    // While it is on probation its meetings stay as they are.
    let here = if server.is_online() { known.recorded_here } else { &[] };
    for meeting in here {
        match seen.find(&meeting.key) {
            Some(one) => {
                let fate = update_reported(meeting, one, now, policy);
                verdict.attached += usize::from(meeting.detached);
                verdict.meeting_updates.push((meeting.key.clone(), fate));
            }
            None => match update_unreported(meeting, observation, policy) {
                Some(fate) => verdict.meeting_updates.push((meeting.key.clone(), fate)),
                None => {
                    placed += 1;
                    taken += u64::from(meeting.load.counted_users(now));
                }
            },
        }
    }
    taken += seen.counted_users(here, now, policy);
    if server.state == AdminState::Cordoned && list.is_empty() && placed == 0 {
        server.state = AdminState::Disabled;
        verdict.drained = true;
    }
    server.placed_since_poll = placed;
    let loaded = server.is_online() && server.state != AdminState::Disabled;
    server.load = loaded.then(|| compute_load(taken, server.load_multiplier));
    unrecorded::settle_unrecorded(server, known, &seen, observation, policy, &mut verdict);
    verdict
}

/// Seats that were expected of a recorded meeting.
fn expected_users(meeting: &Meeting, policy: &PollPolicy) -> u32 {
    // The original keeps none.
    if meeting.load.expected_users == 0 {
        policy.load.min_user_count
    } else {
        meeting.load.expected_users
    }
}

fn update_reported(
    meeting: &Meeting,
    one: &ReportedMeeting,
    now: Timestamp,
    policy: &PollPolicy,
) -> MeetingUpdate {
    let mut course = meeting.usage;
    course.record_users(one.users, now);
    let seats =
        policy.load.meeting_load(one.created_at, expected_users(meeting, policy), one.users);
    MeetingUpdate::Reported(seats, course)
}

/// What becomes of a meeting that was not reported: nothing if it was placed after the question was
/// asked or its create is still under way.
fn update_unreported(
    meeting: &Meeting,
    observation: &PollObservation,
    policy: &PollPolicy,
) -> Option<MeetingUpdate> {
    let asked_at = observation.started_at;
    if meeting.is_being_created(asked_at) || meeting.seen_at >= asked_at {
        return None;
    }
    // A claim that ran out was never confirmed: there is nothing to wait for.
    let missed = meeting.missed_polls.saturating_add(1);
    let is_old = asked_at >= meeting.placed_at.plus_ms(policy.grace_ms);
    let gone = meeting.claim.is_some() || (missed >= MAX_MISSED_POLLS && is_old);
    Some(if gone { MeetingUpdate::Forgotten } else { MeetingUpdate::Missed(missed) })
}

fn count_stats(seen: &[ReportedMeeting]) -> ServerStats {
    ServerStats {
        meetings: u32::try_from(seen.len()).unwrap_or(u32::MAX),
        users: seen.iter().fold(0, |sum, one| sum.saturating_add(one.users)),
        largest_meeting: seen.iter().map(|one| one.users).max().unwrap_or(0),
        videos: seen.iter().fold(0, |sum, one| sum.saturating_add(one.videos)),
    }
}
