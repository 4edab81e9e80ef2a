//! Which failures may be, given what was done to the servers.

use super::call_records::{CreateRecord, JoinOutcome, JoinRecord, MeetingLocation};
use super::faults::{ScheduledFault, ServerFault};
use std::collections::HashMap;
use std::time::Duration;

/// For how long after its server is mended a join may still fail: the balancer finds out by a poll, and one that was
/// asked in the midst of the trouble may take all its patience (RESPONSE_TIMEOUT) to fail.
pub(super) const DETECTION_TIME: Duration = Duration::from_secs(10);

/// Why a join could fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Excuse {
    /// Its server was in trouble then.
    ServerFaulty,
    /// Its server had been in trouble just before.
    JustRecovered,
    /// Its server had been killed since the meeting was created.
    MeetingLost,
    /// The meeting moved meanwhile, as it was created again.
    Moved,
}

/// All creates that succeeded, by meeting.
pub(super) type MeetingLocations<'a> = HashMap<&'a str, Vec<(&'a MeetingLocation, Duration)>>;

/// Where each meeting was, and when its creates were answered.
pub(super) fn collect_locations(creates: &[CreateRecord]) -> MeetingLocations<'_> {
    let mut homes = MeetingLocations::new();
    for create in creates {
        if let Ok(home) = &create.result {
            homes.entry(&create.id).or_default().push((home, create.due_at + create.duration));
        }
    }
    homes
}

/// The excuse of a join that failed, if it has one.
pub(super) fn find_excuse(
    join: &JoinRecord,
    strikes: &[ScheduledFault],
    homes: &MeetingLocations<'_>,
) -> Option<Excuse> {
    let home = join.location.as_ref()?;
    let (from, to) = (join.due_at, join.finished_at);
    let led = match join.outcome {
        JoinOutcome::ServerFailed(server, _) | JoinOutcome::ServerRefused(server, _) => {
            Some(server)
        }
        _ => None,
    };
    let all = homes.get(join.id.as_str()).map_or(&[][..], Vec::as_slice);
    // Of a meeting that came to live twice the fuller one stays, which may be an earlier one.
    let settled = |server: usize| {
        led.is_none() && all.iter().any(|(one, _)| one.sent_at <= to && one.server == Some(server))
    };
    let concerned = |strike: &&ScheduledFault| {
        home.server == Some(strike.server) || led == Some(strike.server) || settled(strike.server)
    };
    let mut near = strikes.iter().filter(concerned);
    if near.clone().any(|strike| strike.overlaps(from, to)) {
        return Some(Excuse::ServerFaulty);
    }
    let was_killed = |strike: &ScheduledFault| {
        strike.fault.loses_meetings()
            && (home.sent_at..=to).contains(&strike.started_at)
            && (home.server.is_none_or(|server| server == strike.server) || settled(strike.server))
    };
    if strikes.iter().any(was_killed) {
        return Some(Excuse::MeetingLost);
    }
    if near.any(|strike| strike.overlaps(from.saturating_sub(DETECTION_TIME), to)) {
        return Some(Excuse::JustRecovered);
    }
    let moved = |(other, answered): &(&MeetingLocation, Duration)| {
        other.server != home.server && other.sent_at <= to && *answered >= from
    };
    all.iter().any(moved).then_some(Excuse::Moved)
}

/// Whether a create asked for a meeting whose server answers everything but creates. Nobody can tell
/// it from a slow one, and to create the meeting elsewhere would cut off all who are in it.
pub(super) fn is_excused_create(
    create: &CreateRecord,
    strikes: &[ScheduledFault],
    homes: &MeetingLocations<'_>,
) -> bool {
    let all = homes.get(create.id.as_str()).map_or(&[][..], Vec::as_slice);
    let before = all.iter().filter(|(home, _)| home.sent_at < create.due_at);
    let Some(server) =
        before.max_by_key(|(home, _)| home.sent_at).and_then(|(home, _)| home.server)
    else {
        return false;
    };
    let swallows = |strike: &ScheduledFault| {
        strike.fault == ServerFault::HangAfterCreate
            && strike.server == server
            && strike.overlaps(create.due_at, create.due_at + create.duration)
    };
    strikes.iter().any(swallows)
}

#[cfg(test)]
mod tests {
    use super::super::call_records::CreateReason;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn join_record(at: Duration, way: JoinOutcome) -> JoinRecord {
        let home = MeetingLocation { server: Some(1), sent_at: SECOND };
        JoinRecord {
            id: "a".to_owned(),
            due_at: at,
            duration: SECOND,
            finished_at: at + SECOND,
            after_create: false,
            location: Some(home),
            outcome: way,
        }
    }

    fn scheduled_fault(
        server: usize,
        trouble: ServerFault,
        from: Duration,
        to: Duration,
    ) -> ScheduledFault {
        ScheduledFault { server, fault: trouble, started_at: from, ended_at: to }
    }

    #[test]
    fn only_what_happened_to_its_servers_excuses_a_join() {
        let none = MeetingLocations::new();
        let refused = |at| join_record(at, JoinOutcome::Refused(String::new()));
        let hung = [scheduled_fault(1, ServerFault::Hang, 10 * SECOND, 12 * SECOND)];
        assert_eq!(find_excuse(&refused(11 * SECOND), &hung, &none), Some(Excuse::ServerFaulty));
        assert_eq!(find_excuse(&refused(14 * SECOND), &hung, &none), Some(Excuse::JustRecovered));
        assert_eq!(find_excuse(&refused(23 * SECOND), &hung, &none), None);
        assert_eq!(find_excuse(&refused(8 * SECOND), &hung, &none), None);
        let other = [scheduled_fault(2, ServerFault::Hang, 10 * SECOND, 12 * SECOND)];
        assert_eq!(find_excuse(&refused(11 * SECOND), &other, &none), None);
        let led_there = join_record(11 * SECOND, JoinOutcome::ServerFailed(2, String::new()));
        assert_eq!(find_excuse(&led_there, &other, &none), Some(Excuse::ServerFaulty));
        let earlier = MeetingLocation { server: Some(2), sent_at: SECOND };
        let twice = MeetingLocations::from([("a", vec![(&earlier, SECOND)])]);
        assert_eq!(find_excuse(&refused(11 * SECOND), &other, &twice), Some(Excuse::ServerFaulty));
        let killed = [scheduled_fault(1, ServerFault::Kill, 10 * SECOND, 12 * SECOND)];
        assert_eq!(find_excuse(&refused(60 * SECOND), &killed, &none), Some(Excuse::MeetingLost));
    }

    #[test]
    fn only_meetings_that_are_there_are_swallowed() {
        let create = |why, at, end| CreateRecord {
            id: "a".to_owned(),
            reason: why,
            due_at: at,
            duration: SECOND,
            result: end,
        };
        let there = Ok(MeetingLocation { server: Some(1), sent_at: SECOND });
        let creates = [
            create(CreateReason::New, SECOND, there),
            create(CreateReason::Repeated, 5 * SECOND, Err(String::new())),
        ];
        let homes = collect_locations(&creates);
        let swallow = |server| {
            [scheduled_fault(server, ServerFault::HangAfterCreate, 4 * SECOND, 6 * SECOND)]
        };
        assert!(is_excused_create(&creates[1], &swallow(1), &homes));
        assert!(!is_excused_create(&creates[1], &swallow(2), &homes));
        assert!(!is_excused_create(
            &creates[1],
            &[scheduled_fault(1, ServerFault::Hang, 4 * SECOND, 6 * SECOND)],
            &homes
        ));
        let new = create(CreateReason::New, SECOND, Err(String::new()));
        assert!(!is_excused_create(
            &new,
            &[scheduled_fault(1, ServerFault::HangAfterCreate, SECOND, 6 * SECOND)],
            &homes
        ));
    }

    #[test]
    fn a_meeting_that_is_created_elsewhere_meanwhile_may_be_missed() {
        let refused = join_record(5 * SECOND, JoinOutcome::Refused(String::new()));
        let created = |server, at| CreateRecord {
            id: "a".to_owned(),
            reason: CreateReason::AfterFailedJoin,
            due_at: at,
            duration: SECOND,
            result: Ok(MeetingLocation { server: Some(server), sent_at: at }),
        };
        let elsewhere = [created(1, SECOND), created(2, 5 * SECOND)];
        assert_eq!(find_excuse(&refused, &[], &collect_locations(&elsewhere)), Some(Excuse::Moved));
        let before = [created(1, SECOND), created(2, 2 * SECOND)];
        assert_eq!(find_excuse(&refused, &[], &collect_locations(&before)), None);
    }
}
