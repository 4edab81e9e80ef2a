//! Which failures of calls are explained by the faults of the servers.

use super::call_records::{CreateRecord, JoinOutcome, JoinRecord, MeetingLocation};
use super::faults::{ScheduledFault, ServerFault};
use std::collections::HashMap;
use std::time::Duration;

/// For how long after a fault of its server a join may still fail: the balancer needs a poll to find
/// out that the server is back, and a poll that was sent during the fault may take until its timeout
/// (RESPONSE_TIMEOUT) to fail.
pub(super) const DETECTION_TIME: Duration = Duration::from_secs(10);

/// So long after the death of its server at the latest a meeting can be joined again.
pub(super) const MAX_OUTAGE: Duration = Duration::from_secs(15);

/// What explains a failed join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FailureCause {
    /// Its server had a fault during the join.
    ServerFaulty,
    /// Its server had a fault shortly before the join.
    JustRecovered,
    /// Its server was killed after the meeting was created.
    MeetingLost,
    /// The meeting was created on another server during the join.
    Moved,
}

/// The locations of each meeting: one for every successful create or join, with the time of its response.
pub(super) type MeetingLocations<'a> = HashMap<&'a str, Vec<(MeetingLocation, Duration)>>;

/// Collects the locations of all meetings. Joins tell where a meeting was made anew.
pub(super) fn collect_locations<'a>(
    creates: &'a [CreateRecord],
    joins: &'a [JoinRecord],
) -> MeetingLocations<'a> {
    let mut locations = MeetingLocations::new();
    for create in creates {
        if let Ok(location) = &create.result {
            let location = (location.clone(), create.finished_at());
            locations.entry(&create.id).or_default().push(location);
        }
    }
    for join in joins {
        if let JoinOutcome::InMeeting(server) = join.outcome {
            let location = MeetingLocation { server: Some(server), sent_at: join.due_at };
            locations.entry(&join.id).or_default().push((location, join.finished_at));
        }
    }
    locations
}

/// Returns whether a failed join was to a meeting whose server had answered nothing for so long that the
/// meeting must have been made anew.
pub(super) fn is_late_failure(
    join: &JoinRecord,
    faults: &[ScheduledFault],
    locations: &MeetingLocations<'_>,
) -> bool {
    let all = locations.get(join.id.as_str()).map_or(&[][..], Vec::as_slice);
    let known = all.iter().filter(|(_, answered_at)| *answered_at < join.due_at);
    let last = known.max_by_key(|(location, _)| location.sent_at);
    let Some((location, _)) = last else { return false };
    let Some(server) = location.server else { return false };
    let on_server = || faults.iter().filter(|fault| fault.server == server);
    // A meeting that its server has lost at an earlier restart is over.
    let was_lost_before = |death: &ScheduledFault| {
        on_server().any(|fault| {
            fault.kind.loses_meetings()
                && fault.started_at > location.sent_at
                && fault.ended_at <= death.started_at
        })
    };
    on_server().any(|fault| {
        fault.kind.is_death()
            && fault.started_at + MAX_OUTAGE < join.due_at
            && fault.ended_at > join.finished_at
            && !was_lost_before(fault)
    })
}

/// Returns what explains a failed join, if anything does.
pub(super) fn find_cause(
    join: &JoinRecord,
    faults: &[ScheduledFault],
    locations: &MeetingLocations<'_>,
) -> Option<FailureCause> {
    let location = join.location.as_ref()?;
    let (from, to) = (join.due_at, join.finished_at);
    let redirected_to = match join.outcome {
        JoinOutcome::ServerFailed(server, _) | JoinOutcome::ServerRefused(server, _) => {
            Some(server)
        }
        _ => None,
    };
    let all = locations.get(join.id.as_str()).map_or(&[][..], Vec::as_slice);
    // Of a meeting that ran on two servers the balancer keeps the one with more users, which may be
    // that of an earlier create.
    let may_have_been_kept = |server: usize| {
        let mut earlier = all.iter().filter(|(location, _)| location.sent_at <= to);
        redirected_to.is_none() && earlier.any(|(location, _)| location.server == Some(server))
    };
    let is_relevant = |fault: &&ScheduledFault| {
        location.server == Some(fault.server)
            || redirected_to == Some(fault.server)
            || may_have_been_kept(fault.server)
    };
    let mut relevant = faults.iter().filter(is_relevant);
    if relevant.clone().any(|fault| fault.overlaps(from, to)) {
        return Some(FailureCause::ServerFaulty);
    }
    let lost_meeting = |fault: &ScheduledFault| {
        let had_meeting = location.server.is_none_or(|server| server == fault.server)
            || may_have_been_kept(fault.server);
        had_meeting
            && fault.kind.loses_meetings()
            && (location.sent_at..=to).contains(&fault.started_at)
    };
    if faults.iter().any(lost_meeting) {
        return Some(FailureCause::MeetingLost);
    }
    if relevant.any(|fault| fault.overlaps(from.saturating_sub(DETECTION_TIME), to)) {
        return Some(FailureCause::JustRecovered);
    }
    let is_moved = |(other, answered_at): &(MeetingLocation, Duration)| {
        other.server != location.server && other.sent_at <= to && *answered_at >= from
    };
    all.iter().any(is_moved).then_some(FailureCause::Moved)
}

/// Returns whether a failed create was for a meeting whose server answered everything but creates.
/// The balancer cannot tell such a server from a slow one, and a new meeting on another server would
/// separate the users from those who are in the meeting already.
pub(super) fn is_create_failure_explained(
    create: &CreateRecord,
    faults: &[ScheduledFault],
    locations: &MeetingLocations<'_>,
) -> bool {
    let all = locations.get(create.id.as_str()).map_or(&[][..], Vec::as_slice);
    let earlier = all.iter().map(|(location, _)| location);
    let earlier = earlier.filter(|location| location.sent_at < create.due_at);
    let last = earlier.max_by_key(|location| location.sent_at);
    let Some(server) = last.and_then(|location| location.server) else { return false };
    faults.iter().any(|fault| {
        fault.kind == ServerFault::HangAfterCreate
            && fault.server == server
            && fault.overlaps(create.due_at, create.finished_at())
    })
}

#[cfg(test)]
mod tests {
    use super::super::call_records::CreateReason;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn join_record(at: Duration, outcome: JoinOutcome) -> JoinRecord {
        let location = MeetingLocation { server: Some(1), sent_at: SECOND };
        JoinRecord {
            id: "a".to_owned(),
            due_at: at,
            duration: SECOND,
            finished_at: at + SECOND,
            after_create: false,
            location: Some(location),
            outcome,
        }
    }

    fn scheduled_fault(
        server: usize,
        kind: ServerFault,
        from: Duration,
        to: Duration,
    ) -> ScheduledFault {
        ScheduledFault { server, kind, started_at: from, ended_at: to }
    }

    #[test]
    fn only_faults_of_its_servers_explain_a_failed_join() {
        let none = MeetingLocations::new();
        let refused = |at| join_record(at, JoinOutcome::Refused(String::new()));
        let hung = [scheduled_fault(1, ServerFault::Hang, 10 * SECOND, 12 * SECOND)];
        assert_eq!(
            find_cause(&refused(11 * SECOND), &hung, &none),
            Some(FailureCause::ServerFaulty)
        );
        assert_eq!(
            find_cause(&refused(14 * SECOND), &hung, &none),
            Some(FailureCause::JustRecovered)
        );
        assert_eq!(find_cause(&refused(23 * SECOND), &hung, &none), None);
        assert_eq!(find_cause(&refused(8 * SECOND), &hung, &none), None);
        let other = [scheduled_fault(2, ServerFault::Hang, 10 * SECOND, 12 * SECOND)];
        assert_eq!(find_cause(&refused(11 * SECOND), &other, &none), None);
        let redirected_there =
            join_record(11 * SECOND, JoinOutcome::ServerFailed(2, String::new()));
        assert_eq!(find_cause(&redirected_there, &other, &none), Some(FailureCause::ServerFaulty));
        let earlier = MeetingLocation { server: Some(2), sent_at: SECOND };
        let twice = MeetingLocations::from([("a", vec![(earlier, SECOND)])]);
        assert_eq!(
            find_cause(&refused(11 * SECOND), &other, &twice),
            Some(FailureCause::ServerFaulty)
        );
        let killed = [scheduled_fault(1, ServerFault::Kill, 10 * SECOND, 12 * SECOND)];
        assert_eq!(
            find_cause(&refused(60 * SECOND), &killed, &none),
            Some(FailureCause::MeetingLost)
        );
    }

    #[test]
    fn only_failed_creates_of_existing_meetings_are_explained() {
        let create = |reason, at, end| CreateRecord {
            id: "a".to_owned(),
            reason,
            due_at: at,
            duration: SECOND,
            result: end,
        };
        let there = Ok(MeetingLocation { server: Some(1), sent_at: SECOND });
        let creates = [
            create(CreateReason::New, SECOND, there),
            create(CreateReason::Repeated, 5 * SECOND, Err(String::new())),
        ];
        let locations = collect_locations(&creates, &[]);
        let hang = |server| {
            [scheduled_fault(server, ServerFault::HangAfterCreate, 4 * SECOND, 6 * SECOND)]
        };
        assert!(is_create_failure_explained(&creates[1], &hang(1), &locations));
        assert!(!is_create_failure_explained(&creates[1], &hang(2), &locations));
        assert!(!is_create_failure_explained(
            &creates[1],
            &[scheduled_fault(1, ServerFault::Hang, 4 * SECOND, 6 * SECOND)],
            &locations
        ));
        let new = create(CreateReason::New, SECOND, Err(String::new()));
        assert!(!is_create_failure_explained(
            &new,
            &[scheduled_fault(1, ServerFault::HangAfterCreate, SECOND, 6 * SECOND)],
            &locations
        ));
    }

    #[test]
    fn joins_to_long_dead_servers_must_succeed() {
        let refused = |at| join_record(at, JoinOutcome::Refused(String::new()));
        let dead = [scheduled_fault(1, ServerFault::Death, 10 * SECOND, 60 * SECOND)];
        let there = join_record(5 * SECOND, JoinOutcome::InMeeting(1));
        let locations = collect_locations(&[], std::slice::from_ref(&there));
        assert!(is_late_failure(&refused(26 * SECOND), &dead, &locations));
        assert!(!is_late_failure(&refused(24 * SECOND), &dead, &locations), "not for long");
        assert!(!is_late_failure(&refused(59 * SECOND), &dead, &locations), "it is back");
        let restart = scheduled_fault(1, ServerFault::Kill, 6 * SECOND, 8 * SECOND);
        let restarted = [restart, dead[0].clone()];
        assert!(!is_late_failure(&refused(26 * SECOND), &restarted, &locations), "over before");
        let revived = [there, join_record(20 * SECOND, JoinOutcome::InMeeting(2))];
        let locations = collect_locations(&[], &revived);
        assert!(!is_late_failure(&refused(26 * SECOND), &dead, &locations), "on another server");
    }

    #[test]
    fn a_join_may_fail_while_the_meeting_is_created_on_another_server() {
        let refused = join_record(5 * SECOND, JoinOutcome::Refused(String::new()));
        let created = |server, at| CreateRecord {
            id: "a".to_owned(),
            reason: CreateReason::AfterFailedJoin,
            due_at: at,
            duration: SECOND,
            result: Ok(MeetingLocation { server: Some(server), sent_at: at }),
        };
        let elsewhere = [created(1, SECOND), created(2, 5 * SECOND)];
        assert_eq!(
            find_cause(&refused, &[], &collect_locations(&elsewhere, &[])),
            Some(FailureCause::Moved)
        );
        let before = [created(1, SECOND), created(2, 2 * SECOND)];
        assert_eq!(find_cause(&refused, &[], &collect_locations(&before, &[])), None);
    }
}
