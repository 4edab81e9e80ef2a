//! What polls mean, by examples and by laws.

use proptest::prelude::*;

use super::*;
use crate::meeting::Claim;
use crate::server::ServerId;

const POLICY: PollPolicy = PollPolicy {
    thresholds: Thresholds { healthy: 1, unhealthy: 2 },
    load: LoadPolicy { min_user_count: 15, join_buffer_ms: 900_000 },
    grace_ms: 1000,
};
const NOW: Timestamp = Timestamp(10_000_000);

fn server() -> Server {
    let mut server = Server::new(ServerId("a".to_owned()), String::new(), String::new());
    server.state = AdminState::Enabled;
    server.load_multiplier = 2.0;
    server
}

fn meeting(id: &str, claim: bool, placed_at: Timestamp) -> Meeting {
    Meeting {
        key: MeetingKey { tenant: None, id: id.to_owned() },
        server: ServerId("a".to_owned()),
        moderator_pw: None,
        voice_bridge: None,
        claim: claim.then(|| Claim { token: "t".to_owned(), until: placed_at.plus_ms(20_000) }),
        placed_at,
        seen_at: placed_at,
        load: POLICY.load.meeting_load(placed_at, 15, 0),
        ..Meeting::default()
    }
}

fn reported_meeting(id: &str, age_ms: i64, users: u32) -> ReportedMeeting {
    let created_at = NOW.plus_ms(-age_ms);
    ReportedMeeting {
        id: id.to_owned(),
        created_at,
        users,
        videos: 1,
        ..ReportedMeeting::default()
    }
}

/// Nothing but what is recorded there.
fn context_of(here: &[Meeting]) -> PollContext<'_> {
    PollContext { recorded_here: here, ..PollContext::default() }
}

fn observation(result: Result<Vec<ReportedMeeting>, String>) -> PollObservation {
    PollObservation { started_at: NOW.plus_ms(-50), finished_at: NOW, result }
}

#[test]
fn load_and_statistics() {
    let mut server = server();
    let mut breakout = reported_meeting("b", 1000, 4);
    breakout.is_breakout = true;
    let list = vec![
        reported_meeting("old", 3_600_000, 20),
        reported_meeting("young", 60_000, 2),
        breakout,
    ];
    let verdict = apply_poll(&mut server, context_of(&[]), &observation(Ok(list)), &POLICY);
    assert_eq!(verdict.change, Some(HealthChange::WentOnline));
    assert_eq!(server.load, Some(70.0));
    let stats = ServerStats { meetings: 3, users: 26, largest_meeting: 20, videos: 3 };
    assert_eq!(server.stats, stats);
}

#[test]
fn meetings_are_reported_kept_missed_or_forgotten() {
    let mut server = server();
    let known = [
        meeting("there", false, NOW.plus_ms(-5000)),
        meeting("gone", false, NOW.plus_ms(-5000)),
        Meeting { missed_polls: 1, ..meeting("gone-twice", false, NOW.plus_ms(-5000)) },
        Meeting { missed_polls: 1, ..meeting("gone-but-young", false, NOW.plus_ms(-800)) },
        meeting("placed-meanwhile", false, NOW.plus_ms(-10)),
        meeting("being-created", true, NOW.plus_ms(-5000)),
        meeting("never-answered", true, NOW.plus_ms(-30_000)),
    ];
    let list = vec![reported_meeting("there", 4900, 3)];
    let verdict = apply_poll(&mut server, context_of(&known), &observation(Ok(list)), &POLICY);
    let fates: Vec<_> =
        verdict.meeting_updates.iter().map(|(key, fate)| (key.id.as_str(), fate.clone())).collect();
    let seats = POLICY.load.meeting_load(NOW.plus_ms(-4900), 15, 3);
    let course = MeetingUsage { peak_users: 3, busy_until: NOW };
    assert_eq!(
        fates,
        [
            ("there", MeetingUpdate::Reported(seats, course)),
            ("gone", MeetingUpdate::Missed(1)),
            ("gone-twice", MeetingUpdate::Forgotten),
            ("gone-but-young", MeetingUpdate::Missed(2)),
            ("never-answered", MeetingUpdate::Forgotten)
        ]
    );
    assert_eq!(server.load, Some(90.0), "three meetings of 15 seats, twice as heavy");
    assert_eq!(server.placed_since_poll, 2);
}

/// A meeting that was made by the balancer.
fn our_meeting(id: &str, age_ms: i64, users: u32) -> ReportedMeeting {
    ReportedMeeting { is_ours: true, ..reported_meeting(id, age_ms, users) }
}

fn online_server() -> Server {
    let mut server = server();
    server.health.online = true;
    server
}

/// What is decided about one reported meeting that is recorded elsewhere.
fn decide(one: ReportedMeeting, other: Option<RecordedElsewhere>) -> PollOutcome {
    let elsewhere: Vec<RecordedElsewhere> = other.into_iter().collect();
    let known = PollContext { recorded_elsewhere: &elsewhere, ..PollContext::default() };
    apply_poll(&mut online_server(), known, &observation(Ok(vec![one])), &POLICY)
}

fn recorded_elsewhere(users: u32, reachable: bool) -> RecordedElsewhere {
    let mut meeting = meeting("m", false, NOW.plus_ms(-9000));
    meeting.server = ServerId("b".to_owned());
    meeting.moderator_pw = Some("pw".to_owned());
    meeting.load.users = users;
    RecordedElsewhere { meeting, reachable }
}

#[test]
fn lost_meetings_are_adopted_and_foreign_ones_left_alone() {
    let one = ReportedMeeting { voice_bridge: Some("1".to_owned()), ..our_meeting("m", 9000, 4) };
    let verdict = decide(one.clone(), None);
    let [adopted] = &verdict.adopted[..] else { panic!("{verdict:?}") };
    assert_eq!((adopted.key.id.as_str(), adopted.server.0.as_str()), ("m", "a"));
    assert_eq!(adopted.voice_bridge.as_deref(), Some("1"));
    assert_eq!((adopted.placed_at, adopted.load.users), (NOW.plus_ms(-9000), 4));
    assert_eq!(decide(reported_meeting("m", 9000, 4), None).foreign, 1);
    let breakout = decide(ReportedMeeting { is_breakout: true, ..one }, None);
    assert_eq!((breakout.adopted, breakout.foreign), (vec![], 0));
    let mut disabled = online_server();
    disabled.state = AdminState::Disabled;
    let list = observation(Ok(vec![our_meeting("m", 9000, 4)]));
    assert_eq!(apply_poll(&mut disabled, PollContext::default(), &list, &POLICY).adopted, []);
}

#[test]
fn the_fuller_duplicate_stays() {
    let end = |verdict: &PollOutcome| {
        let servers = verdict.unwanted.iter().map(|stray| stray.server.0.clone());
        (verdict.adopted.len(), servers.collect::<Vec<_>>())
    };
    for (here, there, reachable, expected) in [
        (9, 2, true, (1, vec!["b".to_owned()])),
        (2, 9, true, (0, vec!["a".to_owned()])),
        (2, 2, true, (0, vec!["a".to_owned()])),
        (1, 9, false, (1, vec![])),
    ] {
        let verdict =
            decide(our_meeting("m", 9000, here), Some(recorded_elsewhere(there, reachable)));
        assert_eq!(end(&verdict), expected, "{here} {there} {reachable}");
    }
    let mut fresh = recorded_elsewhere(0, true);
    fresh.meeting.placed_at = NOW.plus_ms(-900);
    assert_eq!(end(&decide(our_meeting("m", 9000, 5), Some(fresh))), (0, vec![]));
    assert_eq!(
        end(&decide(reported_meeting("m", 9000, 5), Some(recorded_elsewhere(0, true)))),
        (0, vec![])
    );
}

#[test]
fn unwanted_meetings_are_ended_until_they_are_gone() {
    let ending = |since: i64| PendingEnd {
        server: ServerId("a".to_owned()),
        key: MeetingKey { tenant: None, id: "m".to_owned() },
        moderator_pw: Some("pw".to_owned()),
        since: NOW.plus_ms(since),
        create_sent_at: Timestamp::default(),
    };
    let judged = |list: Vec<ReportedMeeting>, here: &[Meeting], since: i64| {
        let endings = [ending(since)];
        let known =
            PollContext { recorded_here: here, pending_ends: &endings, ..PollContext::default() };
        let verdict = apply_poll(&mut online_server(), known, &observation(Ok(list)), &POLICY);
        (verdict.unwanted.len(), verdict.settled_ends.len(), verdict.adopted.len())
    };
    assert_eq!(judged(vec![our_meeting("m", 9000, 3)], &[], -5), (1, 0, 0));
    assert_eq!(judged(vec![reported_meeting("m", 900_000, 3)], &[], -500_000), (1, 0, 0));
    assert_eq!(judged(vec![], &[], -5), (0, 0, 0), "its create may still be on its way");
    assert_eq!(judged(vec![], &[], -500_000), (0, 1, 0));
    let again = [meeting("m", false, NOW.plus_ms(-5000))];
    assert_eq!(judged(vec![our_meeting("m", 9, 3)], &again, -5), (0, 1, 0), "placed here again");
}

/// How many are adopted, ended and foreign, of one meeting that is recorded elsewhere and not wanted here.
fn count_decisions(
    one: ReportedMeeting,
    other: Option<RecordedElsewhere>,
    ending: Option<PendingEnd>,
) -> [usize; 3] {
    let elsewhere: Vec<RecordedElsewhere> = other.into_iter().collect();
    let endings: Vec<PendingEnd> = ending.into_iter().collect();
    let known = PollContext {
        recorded_elsewhere: &elsewhere,
        pending_ends: &endings,
        ..PollContext::default()
    };
    let verdict = apply_poll(&mut online_server(), known, &observation(Ok(vec![one])), &POLICY);
    [verdict.adopted.len(), verdict.unwanted.len(), verdict.foreign]
}

fn unanswered_create(ms: i64) -> PendingEnd {
    PendingEnd {
        server: ServerId("a".to_owned()),
        key: MeetingKey { tenant: None, id: "m".to_owned() },
        moderator_pw: None,
        since: NOW.plus_ms(ms + 2000),
        create_sent_at: NOW.plus_ms(ms),
    }
}

#[test]
fn a_pending_end_applies_to_the_meeting_of_its_create() {
    let asked = || Some(unanswered_create(-60_000));
    assert_eq!(count_decisions(our_meeting("m", 59_000, 0), None, asked()), [0, 1, 0]);
    assert_eq!(
        count_decisions(our_meeting("m", 64_000, 0), None, asked()),
        [0, 1, 0],
        "clocks differ"
    );
    assert_eq!(
        count_decisions(our_meeting("m", 90_000, 5), None, asked()),
        [1, 0, 0],
        "an older one"
    );
    assert_eq!(
        count_decisions(our_meeting("m", 9_000, 5), None, asked()),
        [1, 0, 0],
        "a newer one"
    );
    let away = recorded_elsewhere(9, false);
    assert_eq!(
        count_decisions(our_meeting("m", 59_000, 0), Some(away.clone()), asked()),
        [1, 0, 0],
        "the only one"
    );
    let wish = PendingEnd { create_sent_at: Timestamp::default(), ..unanswered_create(-60_000) };
    assert_eq!(count_decisions(our_meeting("m", 90_000, 5), Some(away), Some(wish)), [0, 1, 0]);
}

#[test]
fn meetings_being_created_are_left_alone() {
    let claimed = |ms: i64| {
        let mut other = recorded_elsewhere(15, true);
        other.meeting.claim = Some(Claim { token: "t".to_owned(), until: NOW.plus_ms(ms) });
        Some(other)
    };
    let asked = || Some(unanswered_create(-8000));
    assert_eq!(count_decisions(our_meeting("m", 7000, 0), claimed(5000), asked()), [0, 0, 0]);
    assert_eq!(
        count_decisions(our_meeting("m", 7000, 0), claimed(-500), asked()),
        [1, 0, 0],
        "it ran out"
    );
    assert_eq!(
        count_decisions(our_meeting("m", 7000, 0), claimed(-500), None),
        [1, 0, 0],
        "not a fuller double"
    );
}

#[test]
fn a_missed_record_is_no_duplicate() {
    let mut other = recorded_elsewhere(9, true);
    other.meeting.missed_polls = 1;
    assert_eq!(count_decisions(our_meeting("m", 9000, 2), Some(other), None), [1, 0, 0]);
}

#[test]
fn no_second_tenants_meeting_of_an_id_is_taken_over() {
    let here = [meeting("m", false, NOW.plus_ms(-9000))];
    let theirs = ReportedMeeting { tenant: Some("t".to_owned()), ..our_meeting("m", 9000, 2) };
    let verdict = apply_poll(
        &mut online_server(),
        context_of(&here),
        &observation(Ok(vec![theirs])),
        &POLICY,
    );
    assert_eq!((verdict.adopted, verdict.unwanted), (vec![], vec![]));
}

#[test]
fn an_offline_server_keeps_its_meetings_detached() {
    let mut server = online_server();
    server.health.unhealthy_count = 1;
    let known = [
        meeting("m", false, NOW.plus_ms(-5000)),
        Meeting { detached: true, ..meeting("n", false, NOW.plus_ms(-5000)) },
    ];
    let verdict =
        apply_poll(&mut server, context_of(&known), &observation(Err("x".to_owned())), &POLICY);
    assert_eq!(verdict.meeting_updates, [(known[0].key.clone(), MeetingUpdate::Detached)]);
    let list = vec![reported_meeting("m", 5000, 2), reported_meeting("n", 5000, 2)];
    let verdict = apply_poll(&mut server, context_of(&known), &observation(Ok(list)), &POLICY);
    assert!(
        verdict.meeting_updates.iter().all(|(_, fate)| matches!(fate, MeetingUpdate::Reported(..)))
    );
    assert_eq!(verdict.meeting_updates.len(), 2);
}

#[test]
fn one_failure_changes_nothing_and_two_take_it_offline() {
    let mut server = server();
    let known = [meeting("m", false, NOW.plus_ms(-5000))];
    let _ = apply_poll(
        &mut server,
        context_of(&known),
        &observation(Ok(vec![reported_meeting("m", 5000, 3)])),
        &POLICY,
    );
    let late = observation(Err("timeout".to_owned()));
    assert_eq!(apply_poll(&mut server, context_of(&known), &late, &POLICY), PollOutcome::default());
    assert_eq!(server.health.last_failure, None, "it has answered a later question");
    let down = PollObservation { started_at: NOW, ..late };
    assert_eq!(apply_poll(&mut server, context_of(&known), &down, &POLICY), PollOutcome::default());
    assert_eq!((server.load, server.stats.users), (Some(30.0), 3));
    let verdict = apply_poll(&mut server, context_of(&known), &down, &POLICY);
    assert_eq!(verdict.change, Some(HealthChange::WentOffline));
    assert_eq!(verdict.meeting_updates, [(known[0].key.clone(), MeetingUpdate::Detached)]);
    assert_eq!((server.load, server.stats), (None, ServerStats::default()));
}

#[test]
fn cordoned_servers_are_disabled_when_they_have_no_meeting_at_all() {
    let mut server = server();
    server.state = AdminState::Cordoned;
    let empty_room = observation(Ok(vec![reported_meeting("m", 3_600_000, 0)]));
    assert!(!apply_poll(&mut server, context_of(&[]), &empty_room, &POLICY).drained);
    assert_eq!((server.state, server.load), (AdminState::Cordoned, Some(0.0)));
    assert!(apply_poll(&mut server, context_of(&[]), &observation(Ok(vec![])), &POLICY).drained);
    assert_eq!((server.state, server.load), (AdminState::Disabled, None));
}

proptest! {
    #[test]
    fn load_is_never_negative_and_absent_exactly_while_unusable(
        polls in proptest::collection::vec(proptest::option::of(proptest::collection::vec(0u32..300, 0..5)), 1..20),
        state in 0..3usize,
    ) {
        let mut server = server();
        server.set_state([AdminState::Enabled, AdminState::Cordoned, AdminState::Disabled][state]);
        for poll in polls {
            let result = poll
                .map(|users| users.into_iter().enumerate().map(|(n, users)| reported_meeting(&n.to_string(), i64::from(users) * 9000, users)).collect())
                .ok_or_else(|| "down".to_owned());
            let _ = apply_poll(&mut server, context_of(&[]), &observation(result), &POLICY);
            let usable = server.is_online() && server.state != AdminState::Disabled;
            prop_assert_eq!(server.load.is_some(), usable);
            prop_assert!(server.load.is_none_or(|load| load >= 0.0));
        }
    }
}
