//! Evaluates one poll of one server: updates its health, load and statistics, and decides about the
//! meetings that it reports and those that are recorded on it.

mod pending_end;
mod reported;
#[cfg(test)]
mod tests;
mod unreadable;
mod unrecorded;

use crate::health::{HealthChange, ServerFailure, Thresholds};
use crate::history::MeetingUsage;
use crate::load::{LoadPolicy, compute_load};
use crate::meeting::{Meeting, MeetingKey, MeetingLoad};
use crate::origin::{CreateWindow, MeetingIdentity, MeetingOrigin};
use crate::server::{AdminState, Server, ServerId, ServerStats};
use crate::time::Timestamp;
use crate::voice_bridge::{VoiceBridgePolicy, generate_candidates};

pub use self::pending_end::PendingEnd;
pub use self::unreadable::UnreadableMeetings;

use self::reported::ReportedMeetings;
use self::unreadable::fill_in_users;

/// Number of consecutive successful polls that do not report a meeting after which it is forgotten.
const MAX_MISSED_POLLS: u32 = 2;

/// A meeting as its server reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportedMeeting {
    /// Its external id.
    pub id: String,
    /// Its tenant, if its metadata names one.
    pub tenant: Option<String>,
    /// Its `internalMeetingID`.
    pub internal_id: Option<String>,
    /// Its `createTime`; 0 if the server gives no usable one.
    pub created_at: Timestamp,
    /// Number of users, moderators included.
    pub users: u32,
    /// Whether the server gives no usable number of users; then the last one that is recorded counts.
    pub has_unknown_users: bool,
    /// Number of cameras.
    pub videos: u32,
    /// Whether it is a breakout room. Breakout rooms do not add to the load.
    pub is_breakout: bool,
    /// Its number in the telephone network.
    pub voice_bridge: Option<String>,
    /// The moderators' password, if the server still sends it.
    pub moderator_pw: Option<String>,
    /// Whether its data look as if a balancer of this pool had created it.
    pub ownership: OwnershipHint,
}

/// Whether the data of a meeting look as if a balancer of this pool had created it. That is no proof: other balancers make the same
/// data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnershipHint {
    /// They do.
    Ours,
    /// They do not.
    #[default]
    NotOurs,
    /// They do if its voice bridge is one that follows from its id, or if front-ends choose voice bridges. To compute them takes
    /// longer than to read the meeting, and is seldom needed.
    ByVoiceBridge(VoiceBridgePolicy),
}

impl ReportedMeeting {
    /// Returns whether its data look as if a balancer of this pool had created it.
    #[must_use]
    pub fn is_likely_ours(&self) -> bool {
        match self.ownership {
            OwnershipHint::Ours => true,
            OwnershipHint::NotOurs => false,
            OwnershipHint::ByVoiceBridge(policy) => {
                self.voice_bridge.as_ref().is_some_and(|number| {
                    policy.use_external
                        || generate_candidates(policy, &self.id, None).contains(number)
                })
            }
        }
    }

    /// Returns its key, as it would be recorded if the balancer created it.
    #[must_use]
    pub fn key(&self) -> MeetingKey {
        MeetingKey { tenant: self.tenant.clone(), id: self.id.clone() }
    }

    /// Returns its identity, if the server tells it.
    #[must_use]
    pub fn identity(&self) -> Option<MeetingIdentity> {
        MeetingIdentity::from_parts(self.internal_id.clone(), self.created_at)
    }

    /// Returns when it was created, or `fallback` if the server gives no usable time.
    fn created_at_or(&self, fallback: Timestamp) -> Timestamp {
        if self.created_at == Timestamp::default() { fallback } else { self.created_at }
    }
}

/// The result of polling a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollObservation {
    /// When the request was sent. The response cannot contain meetings that were placed later.
    pub started_at: Timestamp,
    /// When the response had arrived.
    pub finished_at: Timestamp,
    /// When the server had answered its last poll, as far as was recorded when the request was sent.
    pub known_answer: Timestamp,
    /// The server's meetings, or why there is no usable response.
    pub result: Result<Vec<ReportedMeeting>, String>,
    /// The meetings of a usable response that could not be read.
    pub unreadable: UnreadableMeetings,
}

/// The settings by which a poll is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollPolicy {
    /// When a server changes between online and offline.
    pub thresholds: Thresholds,
    /// How meetings add to the load.
    pub load: LoadPolicy,
    /// Time after the placement of a meeting during which it is neither forgotten nor treated as a
    /// duplicate, in ms (`MEETING_GRACE`).
    pub grace_ms: i64,
    /// Number of meetings that this poll may adopt.
    pub max_adoptions: usize,
}

/// A meeting that the polled server reports and that is recorded on another server.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedElsewhere {
    /// The record.
    pub meeting: Meeting,
    /// Whether users can join it on the recorded server.
    pub reachable: bool,
    /// Whether the recorded server is enabled and online.
    pub is_in_full_use: bool,
    /// Whether the recorded server has the secret of the polled one, as two entries of one server do.
    /// A server does not know the secrets of others.
    pub has_same_secret: bool,
}

impl RecordedElsewhere {
    /// Returns whether the recorded server has the meeting, as far as the record tells. A record
    /// with a claim was never confirmed, and a meeting that the last poll did not report is
    /// probably over.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.reachable && self.meeting.claim.is_none() && self.meeting.missed_polls == 0
    }
}

/// The records of the store that are needed to evaluate a poll of a server.
#[derive(Clone, Copy, Debug, Default)]
pub struct PollContext<'a> {
    /// Meetings recorded on the server.
    pub recorded_here: &'a [Meeting],
    /// Meetings that the server reports ([`list_unrecorded_keys`]) and that are recorded on others.
    pub recorded_elsewhere: &'a [RecordedElsewhere],
    /// Meetings to end on the server.
    pub pending_ends: &'a [PendingEnd],
}

/// The change of a meeting that is recorded on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeetingUpdate {
    /// The server reported the meeting: a claim on it ends, and it is attached again if it was
    /// detached. Holds its new load, usage and origin.
    Reported(MeetingLoad, MeetingUsage, MeetingOrigin),
    /// The server did not report the meeting. Holds the number of consecutive polls that missed it.
    Missed(u32),
    /// The server is offline.
    Detached,
    /// The server no longer has the meeting.
    Forgotten,
}

/// A meeting to end on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnwantedMeeting {
    /// The server.
    pub server: ServerId,
    /// The meeting.
    pub key: MeetingKey,
    /// Its `internalMeetingID`; `None` if somebody ended whatever has its id there.
    pub internal_id: Option<String>,
    /// The password that ends the meeting.
    pub moderator_pw: Option<String>,
    /// The server that keeps the duplicate; `None` if somebody ended the meeting, or if it is an
    /// empty one that no record leads to.
    pub kept_by: Option<ServerId>,
}

/// The outcome of a poll, apart from the new state of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PollOutcome {
    /// Whether the server went online or offline.
    pub change: Option<HealthChange>,
    /// Whether the server was suspect and answers again.
    pub answers_again: bool,
    /// Whether a cordoned server has no meetings any more and was disabled.
    pub drained: bool,
    /// Changes of recorded meetings. All other meetings stay as they are.
    pub meeting_updates: Vec<(MeetingKey, MeetingUpdate)>,
    /// Meetings to record on this server. They replace existing records.
    pub adopted: Vec<Meeting>,
    /// Meetings to end.
    pub unwanted: Vec<UnwantedMeeting>,
    /// Pending ends that are done.
    pub settled_ends: Vec<MeetingKey>,
    /// Pending ends to record: of copies on other servers that lose their records to this one.
    pub new_ends: Vec<PendingEnd>,
    /// Servers on which meetings are recorded that this server reports as well, with the same
    /// identity: they are this very server under another name.
    pub twins: Vec<ServerId>,
    /// Number of meetings that were attached again.
    pub attached: usize,
    /// Number of meetings that are not recorded, because this deployment did not create them.
    pub foreign: usize,
    /// Number of meetings that are not adopted because there are more than a poll may adopt.
    pub refused_adoptions: usize,
    /// Meetings that are recorded on other servers, which have them, and of which this server claims
    /// to have a copy with more users. Nothing is done about them.
    pub contested: Vec<MeetingKey>,
}

/// Returns the keys of reported meetings that are not recorded on the server. The store looks up
/// whether they are recorded on other servers.
#[must_use]
pub fn list_unrecorded_keys(observation: &PollObservation, here: &[Meeting]) -> Vec<MeetingKey> {
    match &observation.result {
        Ok(reported) => ReportedMeetings::new(reported)
            .list_unrecorded(here)
            .map(ReportedMeeting::key)
            .collect(),
        Err(_) => Vec::new(),
    }
}

/// Applies the result of a poll to a server, and decides about its meetings.
#[must_use]
pub fn apply_poll(
    server: &mut Server,
    context: PollContext<'_>,
    observation: &PollObservation,
    policy: &PollPolicy,
) -> PollOutcome {
    match &observation.result {
        Ok(reported) => apply_response(server, context, reported, observation, policy),
        Err(reason) => apply_failure(server, context.recorded_here, observation, policy, reason),
    }
}

fn apply_failure(
    server: &mut Server,
    here: &[Meeting],
    observation: &PollObservation,
    policy: &PollPolicy,
    reason: &str,
) -> PollOutcome {
    if server.health.has_answered_since(observation.started_at, observation.known_answer) {
        // That request was sent later.
        return PollOutcome::default();
    }
    let failure = ServerFailure { at: observation.finished_at, reason: reason.to_owned() };
    let change = server.health.record_failure(failure, policy.thresholds);
    let mut outcome = PollOutcome { change, ..PollOutcome::default() };
    if !server.is_online() {
        server.load = None;
        server.stats = ServerStats::default();
        server.placed_since_poll = 0;
        // This includes meetings that were restored after the server went offline. Meetings that
        // are being created are left out, because their creates may still succeed.
        outcome.meeting_updates = here
            .iter()
            .filter(|meeting| !meeting.is_being_created(observation.started_at))
            .filter(|meeting| !meeting.detached)
            .map(|meeting| (meeting.key.clone(), MeetingUpdate::Detached))
            .collect();
    }
    outcome
}

fn apply_response(
    server: &mut Server,
    context: PollContext<'_>,
    list: &[ReportedMeeting],
    observation: &PollObservation,
    policy: &PollPolicy,
) -> PollOutcome {
    let now = observation.finished_at;
    let answers_again = server.is_online() && server.health.unhealthy_count > 0;
    let change = server.health.record_success(now, policy.thresholds);
    let mut outcome = PollOutcome { change, answers_again, ..PollOutcome::default() };
    let (list, unreadable) =
        (&*fill_in_users(list, context.recorded_here), &observation.unreadable);
    server.stats = count_stats(list);

    let reported = ReportedMeetings::new(list);
    let mut users: u64 = 0;
    let mut placed = 0_u32;
    // The records of a server that is not online yet stay as they are.
    let here = if server.is_online() { context.recorded_here } else { &[] };
    for meeting in here {
        let is_replaced = reported.has_replaced(meeting);
        let may_be_it = |found: &&ReportedMeeting| may_be_claimed(meeting, found, now);
        match reported.find(&meeting.key).filter(may_be_it).filter(|_| !is_replaced) {
            Some(reported) => {
                let update = update_reported(meeting, reported, context.pending_ends, now, policy);
                outcome.attached += usize::from(meeting.detached);
                outcome.meeting_updates.push((meeting.key.clone(), update));
            }
            None if is_replaced && !meeting.was_seen_since(observation.started_at) => {
                outcome.meeting_updates.push((meeting.key.clone(), MeetingUpdate::Forgotten));
            }
            None if unreadable.may_include_record(meeting, observation.started_at) => {
                let update = unreadable.update_record(meeting, now);
                outcome.attached += usize::from(update.is_some() && meeting.detached);
                outcome.meeting_updates.extend(update.map(|update| (meeting.key.clone(), update)));
                server.stats.add_unreadable(meeting);
                users += u64::from(meeting.load.counted_users(now));
            }
            None => match update_unreported(meeting, observation, policy) {
                Some(update) => outcome.meeting_updates.push((meeting.key.clone(), update)),
                None => {
                    placed += 1;
                    users += u64::from(meeting.load.counted_users(now));
                }
            },
        }
    }
    users += reported.counted_users(here, now, policy);
    let has_no_meetings = list.is_empty() && unreadable.is_empty() && placed == 0;
    if server.state == AdminState::Cordoned && has_no_meetings {
        server.state = AdminState::Disabled;
        outcome.drained = true;
    }
    server.placed_since_poll = placed;
    let has_load = server.is_online() && server.state != AdminState::Disabled;
    server.load = has_load.then(|| compute_load(users, server.load_multiplier));
    unrecorded::settle_unrecorded(server, context, &reported, observation, policy, &mut outcome);
    if !list.is_empty() {
        server.twin_of = outcome.twins.first().cloned();
    }
    outcome
}

/// Returns whether a reported meeting may be the recorded one. The record of a create that is under
/// way for a tenant is not that of a meeting that names no tenant and was there before: servers know
/// no tenants, and it may be anybody's.
fn may_be_claimed(record: &Meeting, reported: &ReportedMeeting, now: Timestamp) -> bool {
    let is_undecided = record.claim.is_some() && record.key.tenant != reported.tenant;
    let window = CreateWindow { sent_at: record.placed_at, until: now };
    !is_undecided || window.contains(reported.created_at)
}

/// Returns the expected users of a recorded meeting.
fn expected_users(meeting: &Meeting, policy: &PollPolicy) -> u32 {
    // Records of the original Scalelite have none.
    if meeting.load.expected_users == 0 {
        policy.load.min_user_count
    } else {
        meeting.load.expected_users
    }
}

fn update_reported(
    meeting: &Meeting,
    reported: &ReportedMeeting,
    pending_ends: &[PendingEnd],
    now: Timestamp,
    policy: &PollPolicy,
) -> MeetingUpdate {
    let mut usage = meeting.usage;
    usage.record_users(reported.users, now);
    let expected = expected_users(meeting, policy);
    let created_at = reported.created_at_or(meeting.placed_at);
    let load = policy.load.meeting_load(created_at, expected, reported.users);
    let pending_ends = pending_ends.iter().filter(|end| end.key == meeting.key);
    let origin = meeting.origin_after_report(reported.identity().as_ref(), now);
    let origin = origin.with_proof(pending_ends);
    MeetingUpdate::Reported(load, usage, origin)
}

/// Returns the change of a recorded meeting that was not reported, or `None` if it was placed after
/// the request was sent or is still being created.
fn update_unreported(
    meeting: &Meeting,
    observation: &PollObservation,
    policy: &PollPolicy,
) -> Option<MeetingUpdate> {
    let asked_at = observation.started_at;
    if meeting.is_being_created(asked_at) || meeting.was_seen_since(asked_at) {
        return None;
    }
    let missed_polls = meeting.missed_polls.saturating_add(1);
    let is_past_grace = meeting.placed_at.is_past(policy.grace_ms, asked_at);
    // A meeting whose claim ran out was never confirmed, so it is forgotten immediately.
    let is_gone = meeting.claim.is_some() || (missed_polls >= MAX_MISSED_POLLS && is_past_grace);
    Some(if is_gone { MeetingUpdate::Forgotten } else { MeetingUpdate::Missed(missed_polls) })
}

fn count_stats(meetings: &[ReportedMeeting]) -> ServerStats {
    ServerStats {
        meetings: u32::try_from(meetings.len()).unwrap_or(u32::MAX),
        users: meetings.iter().fold(0, |sum, meeting| sum.saturating_add(meeting.users)),
        largest_meeting: meetings.iter().map(|meeting| meeting.users).max().unwrap_or(0),
        videos: meetings.iter().fold(0, |sum, meeting| sum.saturating_add(meeting.videos)),
    }
}
