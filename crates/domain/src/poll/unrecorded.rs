//! Decides about meetings that a server reports and that are not recorded on it. One that is
//! recorded nowhere is recorded if it looks like ours. One that is recorded elsewhere is ended, or
//! takes the place of the recorded copy, only if a pending end proves that this deployment made it.
//! What a server claims is no proof: a meeting that another server has, and in which users are, is
//! neither moved nor ended because of it. The same meeting under another entry of the same server is
//! no copy.

use std::collections::HashMap;

use crate::meeting::{Meeting, MeetingKey};
use crate::origin::MeetingOrigin;
use crate::server::{AdminState, Server, ServerId};
use crate::time::Timestamp;

use super::reported::ReportedMeetings;
use super::{
    PendingEnd, PollContext, PollObservation, PollOutcome, PollPolicy, RecordedElsewhere,
    ReportedMeeting, UnwantedMeeting, expected_users,
};

/// Time after which a create request that has not led to a meeting is considered lost, in ms.
const CREATE_LOST_AFTER_MS: i64 = 2 * 60_000;

/// What the decisions about the meetings of one response are based on.
struct Situation<'a> {
    server: &'a Server,
    context: PollContext<'a>,
    observation: &'a PollObservation,
    policy: &'a PollPolicy,
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
    let situation = Situation { server, context, observation, policy };
    let mut ends: HashMap<&MeetingKey, Vec<&PendingEnd>> = HashMap::new();
    for pending_end in context.pending_ends {
        ends.entry(&pending_end.key).or_default().push(pending_end);
        if situation.is_settled(pending_end, reported) {
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
        let mut applicable = ends.get(&key).into_iter().flatten();
        let pending_end = applicable.find(|end| end.applies_to(meeting)).copied();
        situation.settle(meeting, elsewhere.get(&key).copied(), pending_end, outcome);
    }
}

impl Situation<'_> {
    /// Whether a pending end is done: the meeting is recorded on the server and no longer claimed, or
    /// is not there and will not come any more.
    fn is_settled(&self, pending_end: &PendingEnd, reported: &ReportedMeetings<'_>) -> bool {
        let mut here = self.context.recorded_here.iter();
        let is_recorded =
            here.any(|meeting| meeting.key == pending_end.key && meeting.claim.is_none());
        let is_another = |found: &ReportedMeeting| {
            pending_end.internal_id.is_some() && !pending_end.applies_to(found)
        };
        let is_missing = reported.find(&pending_end.key).is_none_or(is_another)
            && !self.observation.unreadable.may_include(&pending_end.key.id);
        let is_lost = pending_end.since.is_past(CREATE_LOST_AFTER_MS, self.observation.started_at);
        is_recorded || (is_missing && is_lost)
    }

    /// Decides about one reported meeting, its record on another server and its pending end.
    fn settle(
        &self,
        meeting: &ReportedMeeting,
        recorded: Option<&RecordedElsewhere>,
        pending_end: Option<&PendingEnd>,
        outcome: &mut PollOutcome,
    ) {
        let identity = meeting.identity();
        match (recorded, pending_end) {
            // The create in progress may still succeed on this server.
            (Some(recorded), _)
                if recorded.meeting.is_being_created(self.observation.started_at) => {}
            (Some(recorded), _) if is_twin(recorded, meeting) => {
                self.settle_twin(meeting, recorded, outcome);
            }
            // A server that claims another one's meeting has not made it for us.
            (Some(recorded), end)
                if recorded.meeting.origin.is_same_meeting(identity.as_ref())
                    && end.is_none_or(|end| !end.is_requested()) =>
            {
                outcome.foreign += 1;
            }
            // Nobody is in what an unanswered create has left, and no record has ever led to it.
            (None, Some(end))
                if meeting.users == 0
                    && !meeting.has_unknown_users
                    && end.internal_id.is_none()
                    && !end.is_requested() =>
            {
                let internal_id = meeting.internal_id.clone();
                outcome.unwanted.push(UnwantedMeeting { internal_id, ..self.end_pending(end) });
            }
            (_, Some(pending_end)) if pending_end.is_requested() => {
                outcome.unwanted.push(self.end_pending(pending_end));
            }
            (Some(recorded), Some(pending_end)) => {
                self.settle_copy(meeting, recorded, pending_end, outcome);
            }
            // It is another one than the recorded one, and nothing proves that it is ours.
            (Some(_), None) => outcome.foreign += 1,
            (None, None) if !meeting.is_likely_ours() => outcome.foreign += 1,
            (None, pending_end) => {
                let origin = match pending_end {
                    Some(_) => MeetingOrigin::proven(identity),
                    None => MeetingOrigin::adopted(identity),
                };
                let password = pending_end.and_then(|end| end.moderator_pw.clone());
                let record = self.new_record(meeting, None, origin, password);
                self.record_here(record, outcome);
            }
        }
    }

    /// Notes that the recorded server is this one under another name. The record moves here if the
    /// other entry is no longer in full use.
    fn settle_twin(
        &self,
        meeting: &ReportedMeeting,
        recorded: &RecordedElsewhere,
        outcome: &mut PollOutcome,
    ) {
        let record = &recorded.meeting;
        if recorded.has_same_secret && !outcome.twins.contains(&record.server) {
            outcome.twins.push(record.server.clone());
        }
        let is_in_full_use = self.server.is_online() && self.server.state == AdminState::Enabled;
        let is_gone = record.detached || !recorded.is_in_full_use;
        if is_in_full_use && is_gone {
            let (origin, password) = (record.origin.clone(), record.moderator_pw.clone());
            let moved = self.new_record(meeting, Some(record), origin, password);
            if self.record_here(moved, outcome) && !recorded.has_same_secret {
                // It may only claim to be that server, which may come back with the meeting.
                let end = PendingEnd::of_replaced_record(record, self.observation.finished_at);
                outcome.new_ends.extend(end);
            }
        }
    }

    /// Decides about a meeting that is ours by proof and recorded on another server: the record
    /// comes here if there is no copy there, or nobody in it. Otherwise the copy here is ended when it
    /// has no more users than that one. A fuller one is left alone: the number is what this server
    /// says, and users are in the other copy.
    fn settle_copy(
        &self,
        meeting: &ReportedMeeting,
        recorded: &RecordedElsewhere,
        pending_end: &PendingEnd,
        outcome: &mut PollOutcome,
    ) {
        let (record, identity) = (&recorded.meeting, meeting.identity());
        // Nobody is in an empty copy, and no record leads to it.
        let may_decide = meeting.users == 0 && recorded.is_confirmed();
        if !may_decide && !is_past_grace(record, self.observation.started_at, self.policy) {
            return;
        }
        if meeting.has_unknown_users && recorded.is_confirmed() {
            // It is not known which of the two has more users.
            return;
        }
        let is_other = record.origin.is_other_meeting(identity.as_ref());
        let is_emptier = meeting.users <= record.load.users;
        if recorded.is_confirmed() && is_other && is_emptier {
            outcome.unwanted.push(self.end_reported_copy(meeting, pending_end, &record.server));
            return;
        }
        if recorded.is_confirmed() && !(is_other && record.origin.is_proven) {
            return;
        }
        if recorded.is_confirmed() && record.load.users > 0 {
            outcome.contested.push(record.key.clone());
            return;
        }
        let (origin, password) =
            (MeetingOrigin::proven(identity), pending_end.moderator_pw.clone());
        let moved = self.new_record(meeting, Some(record), origin, password);
        if self.record_here(moved, outcome) {
            let end = PendingEnd::of_replaced_record(record, self.observation.finished_at);
            outcome.new_ends.extend(end);
            if recorded.is_confirmed() {
                outcome.unwanted.push(self.end_recorded_copy(record));
            }
        }
    }

    /// Records a reported meeting on this server, if that is possible; returns whether it is.
    fn record_here(&self, record: Meeting, outcome: &mut PollOutcome) -> bool {
        let is_usable = self.server.is_online() && self.server.state != AdminState::Disabled;
        // It is not recorded until the record of the other tenant's meeting is gone.
        let is_possible = is_usable && !is_id_taken(&record.key, self.context.recorded_here);
        if !is_possible {
            return false;
        }
        if record.origin.is_adopted {
            let adopted = outcome.adopted.iter().filter(|other| other.origin.is_adopted).count();
            if adopted >= self.policy.max_adoptions {
                outcome.refused_adoptions += 1;
                return false;
            }
        }
        outcome.adopted.push(record);
        true
    }

    /// Returns the record of a reported meeting on this server, in place of `record`.
    fn new_record(
        &self,
        meeting: &ReportedMeeting,
        record: Option<&Meeting>,
        origin: MeetingOrigin,
        moderator_pw: Option<String>,
    ) -> Meeting {
        let now = self.observation.finished_at;
        let mut usage = record.map(|record| record.usage).unwrap_or_default();
        usage.record_users(meeting.users, now);
        let created_at = meeting.created_at_or(now);
        let (policy, default) = (self.policy, self.policy.load.min_user_count);
        let expected = record.map_or(default, |record| expected_users(record, policy));
        let reason = match record {
            Some(_) => "moved here: its record was on another server",
            None => "adopted: the server already had it",
        };
        Meeting {
            key: meeting.key(),
            server: self.server.id.clone(),
            moderator_pw: moderator_pw.or_else(|| meeting.moderator_pw.clone()),
            voice_bridge: meeting.voice_bridge.clone(),
            claim: None,
            // For a meeting that moves this is the current time, so that a poll of the other server
            // whose request was sent earlier does not move it back.
            placed_at: record.map_or(created_at, |_| now),
            seen_at: now,
            load: policy.load.meeting_load(created_at, expected, meeting.users),
            usage,
            missed_polls: 0,
            detached: false,
            origin,
            placement_reason: reason.to_owned(),
        }
    }

    fn end_pending(&self, pending_end: &PendingEnd) -> UnwantedMeeting {
        UnwantedMeeting {
            server: self.server.id.clone(),
            key: pending_end.key.clone(),
            internal_id: None,
            moderator_pw: pending_end.moderator_pw.clone(),
            kept_by: None,
        }
    }

    fn end_reported_copy(
        &self,
        meeting: &ReportedMeeting,
        pending_end: &PendingEnd,
        kept_by: &ServerId,
    ) -> UnwantedMeeting {
        UnwantedMeeting {
            internal_id: meeting.internal_id.clone(),
            kept_by: Some(kept_by.clone()),
            ..self.end_pending(pending_end)
        }
    }

    fn end_recorded_copy(&self, record: &Meeting) -> UnwantedMeeting {
        let identity = record.origin.identity.as_ref();
        UnwantedMeeting {
            server: record.server.clone(),
            key: record.key.clone(),
            internal_id: identity.map(|identity| identity.internal_id.clone()),
            moderator_pw: record.moderator_pw.clone(),
            kept_by: Some(self.server.id.clone()),
        }
    }
}

/// Returns whether a reported meeting is the recorded one under another entry of its server: the
/// entries share a secret, or the recorded server is offline and the identity is what it told, to
/// the millisecond.
fn is_twin(recorded: &RecordedElsewhere, reported: &ReportedMeeting) -> bool {
    let identity = reported.identity();
    let origin = &recorded.meeting.origin;
    let is_known = recorded.has_same_secret
        || (recorded.meeting.detached && identity.is_some() && origin.identity == identity);
    is_known && origin.is_same_meeting(identity.as_ref())
}

/// Returns whether another tenant's meeting with the same id is recorded on the server. A BBB
/// server has only one meeting with an id.
fn is_id_taken(key: &MeetingKey, here: &[Meeting]) -> bool {
    here.iter().any(|meeting| meeting.key.id == key.id && meeting.key != *key)
}

/// Returns whether a record is old enough that all replicas know of it. A record that was created
/// or moved since the request was sent is not.
fn is_past_grace(record: &Meeting, asked_at: Timestamp, policy: &PollPolicy) -> bool {
    record.placed_at.is_past(policy.grace_ms, asked_at)
}
