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
        seats: POLICY.load.seats(placed_at, 15, 0),
        ..Meeting::default()
    }
}

fn seen(id: &str, age_ms: i64, users: u32) -> SeenMeeting {
    let created_at = NOW.plus_ms(-age_ms);
    SeenMeeting { id: id.to_owned(), created_at, users, videos: 1, ..SeenMeeting::default() }
}

/// Nothing but what is recorded there.
fn on(here: &[Meeting]) -> Known<'_> {
    Known { here, ..Known::default() }
}

fn observation(result: Result<Vec<SeenMeeting>, String>) -> Observation {
    Observation { started_at: NOW.plus_ms(-50), finished_at: NOW, result }
}

#[test]
fn load_and_statistics() {
    let mut server = server();
    let mut breakout = seen("b", 1000, 4);
    breakout.is_breakout = true;
    let list = vec![seen("old", 3_600_000, 20), seen("young", 60_000, 2), breakout];
    let verdict = apply(&mut server, on(&[]), &observation(Ok(list)), &POLICY);
    assert_eq!(verdict.change, Some(Change::WentOnline));
    assert_eq!(server.load, Some(70.0));
    let stats = Stats { meetings: 3, users: 26, largest_meeting: 20, videos: 3 };
    assert_eq!(server.stats, stats);
}

#[test]
fn meetings_are_seen_kept_missed_or_forgotten() {
    let mut server = server();
    let known = [
        meeting("there", false, NOW.plus_ms(-5000)),
        meeting("gone", false, NOW.plus_ms(-5000)),
        Meeting { missed: 1, ..meeting("gone-twice", false, NOW.plus_ms(-5000)) },
        Meeting { missed: 1, ..meeting("gone-but-young", false, NOW.plus_ms(-800)) },
        meeting("placed-meanwhile", false, NOW.plus_ms(-10)),
        meeting("being-created", true, NOW.plus_ms(-5000)),
        meeting("never-answered", true, NOW.plus_ms(-30_000)),
    ];
    let list = vec![seen("there", 4900, 3)];
    let verdict = apply(&mut server, on(&known), &observation(Ok(list)), &POLICY);
    let fates: Vec<_> =
        verdict.fates.iter().map(|(key, fate)| (key.id.as_str(), fate.clone())).collect();
    let seats = POLICY.load.seats(NOW.plus_ms(-4900), 15, 3);
    let course = Course { peak_users: 3, busy_until: NOW };
    assert_eq!(
        fates,
        [
            ("there", Fate::Seen(seats, course)),
            ("gone", Fate::Missed(1)),
            ("gone-twice", Fate::Forget),
            ("gone-but-young", Fate::Missed(2)),
            ("never-answered", Fate::Forget)
        ]
    );
    assert_eq!(server.load, Some(90.0), "three meetings of 15 seats, twice as heavy");
    assert_eq!(server.placed, 2);
}

/// A meeting that was made by the balancer.
fn ours(id: &str, age_ms: i64, users: u32) -> SeenMeeting {
    SeenMeeting { ours: true, ..seen(id, age_ms, users) }
}

fn online() -> Server {
    let mut server = server();
    server.health.online = true;
    server
}

/// What is decided about one reported meeting that is recorded elsewhere.
fn settled(one: SeenMeeting, other: Option<Elsewhere>) -> Verdict {
    let elsewhere: Vec<Elsewhere> = other.into_iter().collect();
    let known = Known { elsewhere: &elsewhere, ..Known::default() };
    apply(&mut online(), known, &observation(Ok(vec![one])), &POLICY)
}

fn elsewhere(users: u32, reachable: bool) -> Elsewhere {
    let mut meeting = meeting("m", false, NOW.plus_ms(-9000));
    meeting.server = ServerId("b".to_owned());
    meeting.moderator_pw = Some("pw".to_owned());
    meeting.seats.users = users;
    Elsewhere { meeting, reachable }
}

#[test]
fn what_was_lost_is_adopted_and_what_is_foreign_left_alone() {
    let one = SeenMeeting { voice_bridge: Some("1".to_owned()), ..ours("m", 9000, 4) };
    let verdict = settled(one.clone(), None);
    let [adopted] = &verdict.adopted[..] else { panic!("{verdict:?}") };
    assert_eq!((adopted.key.id.as_str(), adopted.server.0.as_str()), ("m", "a"));
    assert_eq!(adopted.voice_bridge.as_deref(), Some("1"));
    assert_eq!((adopted.placed_at, adopted.seats.users), (NOW.plus_ms(-9000), 4));
    assert_eq!(settled(seen("m", 9000, 4), None).foreign, 1);
    let breakout = settled(SeenMeeting { is_breakout: true, ..one }, None);
    assert_eq!((breakout.adopted, breakout.foreign), (vec![], 0));
    let mut disabled = online();
    disabled.state = AdminState::Disabled;
    let list = observation(Ok(vec![ours("m", 9000, 4)]));
    assert_eq!(apply(&mut disabled, Known::default(), &list, &POLICY).adopted, []);
}

#[test]
fn of_a_double_the_fuller_one_stays() {
    let end = |verdict: &Verdict| {
        let servers = verdict.strays.iter().map(|stray| stray.server.0.clone());
        (verdict.adopted.len(), servers.collect::<Vec<_>>())
    };
    for (here, there, reachable, expected) in [
        (9, 2, true, (1, vec!["b".to_owned()])),
        (2, 9, true, (0, vec!["a".to_owned()])),
        (2, 2, true, (0, vec!["a".to_owned()])),
        (1, 9, false, (1, vec![])),
    ] {
        let verdict = settled(ours("m", 9000, here), Some(elsewhere(there, reachable)));
        assert_eq!(end(&verdict), expected, "{here} {there} {reachable}");
    }
    let mut fresh = elsewhere(0, true);
    fresh.meeting.placed_at = NOW.plus_ms(-900);
    assert_eq!(end(&settled(ours("m", 9000, 5), Some(fresh))), (0, vec![]));
    assert_eq!(end(&settled(seen("m", 9000, 5), Some(elsewhere(0, true)))), (0, vec![]));
}

#[test]
fn what_is_not_wanted_is_ended_until_it_is_gone() {
    let ending = |since: i64| Ending {
        server: ServerId("a".to_owned()),
        key: MeetingKey { tenant: None, id: "m".to_owned() },
        moderator_pw: Some("pw".to_owned()),
        since: NOW.plus_ms(since),
        asked_at: Timestamp::default(),
    };
    let judged = |list: Vec<SeenMeeting>, here: &[Meeting], since: i64| {
        let endings = [ending(since)];
        let known = Known { here, endings: &endings, ..Known::default() };
        let verdict = apply(&mut online(), known, &observation(Ok(list)), &POLICY);
        (verdict.strays.len(), verdict.settled.len(), verdict.adopted.len())
    };
    assert_eq!(judged(vec![ours("m", 9000, 3)], &[], -5), (1, 0, 0));
    assert_eq!(judged(vec![seen("m", 900_000, 3)], &[], -500_000), (1, 0, 0));
    assert_eq!(judged(vec![], &[], -5), (0, 0, 0), "its create may still be on its way");
    assert_eq!(judged(vec![], &[], -500_000), (0, 1, 0));
    let again = [meeting("m", false, NOW.plus_ms(-5000))];
    assert_eq!(judged(vec![ours("m", 9, 3)], &again, -5), (0, 1, 0), "placed here again");
}

/// How many are adopted, ended and foreign, of one meeting that is recorded elsewhere and not wanted here.
fn judged(one: SeenMeeting, other: Option<Elsewhere>, ending: Option<Ending>) -> [usize; 3] {
    let elsewhere: Vec<Elsewhere> = other.into_iter().collect();
    let endings: Vec<Ending> = ending.into_iter().collect();
    let known = Known { elsewhere: &elsewhere, endings: &endings, ..Known::default() };
    let verdict = apply(&mut online(), known, &observation(Ok(vec![one])), &POLICY);
    [verdict.adopted.len(), verdict.strays.len(), verdict.foreign]
}

fn asked_in_vain(ms: i64) -> Ending {
    Ending {
        server: ServerId("a".to_owned()),
        key: MeetingKey { tenant: None, id: "m".to_owned() },
        moderator_pw: None,
        since: NOW.plus_ms(ms + 2000),
        asked_at: NOW.plus_ms(ms),
    }
}

#[test]
fn an_ending_is_about_the_meeting_that_was_asked_for() {
    let asked = || Some(asked_in_vain(-60_000));
    assert_eq!(judged(ours("m", 59_000, 0), None, asked()), [0, 1, 0]);
    assert_eq!(judged(ours("m", 64_000, 0), None, asked()), [0, 1, 0], "clocks differ");
    assert_eq!(judged(ours("m", 90_000, 5), None, asked()), [1, 0, 0], "an older one");
    assert_eq!(judged(ours("m", 9_000, 5), None, asked()), [1, 0, 0], "a newer one");
    let away = elsewhere(9, false);
    assert_eq!(
        judged(ours("m", 59_000, 0), Some(away.clone()), asked()),
        [1, 0, 0],
        "the only one"
    );
    let wish = Ending { asked_at: Timestamp::default(), ..asked_in_vain(-60_000) };
    assert_eq!(judged(ours("m", 90_000, 5), Some(away), Some(wish)), [0, 1, 0]);
}

#[test]
fn what_a_create_may_be_answered_with_is_left_alone() {
    let claimed = |ms: i64| {
        let mut other = elsewhere(15, true);
        other.meeting.claim = Some(Claim { token: "t".to_owned(), until: NOW.plus_ms(ms) });
        Some(other)
    };
    let asked = || Some(asked_in_vain(-8000));
    assert_eq!(judged(ours("m", 7000, 0), claimed(5000), asked()), [0, 0, 0]);
    assert_eq!(judged(ours("m", 7000, 0), claimed(-500), asked()), [1, 0, 0], "it ran out");
    assert_eq!(judged(ours("m", 7000, 0), claimed(-500), None), [1, 0, 0], "not a fuller double");
}

#[test]
fn a_record_that_was_missed_is_no_double() {
    let mut other = elsewhere(9, true);
    other.meeting.missed = 1;
    assert_eq!(judged(ours("m", 9000, 2), Some(other), None), [1, 0, 0]);
}

#[test]
fn no_second_tenants_meeting_of_an_id_is_taken_over() {
    let here = [meeting("m", false, NOW.plus_ms(-9000))];
    let theirs = SeenMeeting { tenant: Some("t".to_owned()), ..ours("m", 9000, 2) };
    let verdict = apply(&mut online(), on(&here), &observation(Ok(vec![theirs])), &POLICY);
    assert_eq!((verdict.adopted, verdict.strays), (vec![], vec![]));
}

#[test]
fn an_offline_server_keeps_its_meetings_detached() {
    let mut server = online();
    server.health.unhealthy_count = 1;
    let known = [
        meeting("m", false, NOW.plus_ms(-5000)),
        Meeting { detached: true, ..meeting("n", false, NOW.plus_ms(-5000)) },
    ];
    let verdict = apply(&mut server, on(&known), &observation(Err("x".to_owned())), &POLICY);
    assert_eq!(verdict.fates, [(known[0].key.clone(), Fate::Detach)]);
    let list = vec![seen("m", 5000, 2), seen("n", 5000, 2)];
    let verdict = apply(&mut server, on(&known), &observation(Ok(list)), &POLICY);
    assert!(verdict.fates.iter().all(|(_, fate)| matches!(fate, Fate::Seen(..))));
    assert_eq!(verdict.fates.len(), 2);
}

#[test]
fn one_failure_changes_nothing_and_two_take_it_offline() {
    let mut server = server();
    let known = [meeting("m", false, NOW.plus_ms(-5000))];
    let _ = apply(&mut server, on(&known), &observation(Ok(vec![seen("m", 5000, 3)])), &POLICY);
    let late = observation(Err("timeout".to_owned()));
    assert_eq!(apply(&mut server, on(&known), &late, &POLICY), Verdict::default());
    assert_eq!(server.health.last_failure, None, "it has answered a later question");
    let down = Observation { started_at: NOW, ..late };
    assert_eq!(apply(&mut server, on(&known), &down, &POLICY), Verdict::default());
    assert_eq!((server.load, server.stats.users), (Some(30.0), 3));
    let verdict = apply(&mut server, on(&known), &down, &POLICY);
    assert_eq!(verdict.change, Some(Change::WentOffline));
    assert_eq!(verdict.fates, [(known[0].key.clone(), Fate::Detach)]);
    assert_eq!((server.load, server.stats), (None, Stats::default()));
}

#[test]
fn cordoned_servers_are_disabled_when_they_have_no_meeting_at_all() {
    let mut server = server();
    server.state = AdminState::Cordoned;
    let empty_room = observation(Ok(vec![seen("m", 3_600_000, 0)]));
    assert!(!apply(&mut server, on(&[]), &empty_room, &POLICY).drained);
    assert_eq!((server.state, server.load), (AdminState::Cordoned, Some(0.0)));
    assert!(apply(&mut server, on(&[]), &observation(Ok(vec![])), &POLICY).drained);
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
                .map(|users| users.into_iter().enumerate().map(|(n, users)| seen(&n.to_string(), i64::from(users) * 9000, users)).collect())
                .ok_or_else(|| "down".to_owned());
            let _ = apply(&mut server, on(&[]), &observation(result), &POLICY);
            let usable = server.online() && server.state != AdminState::Disabled;
            prop_assert_eq!(server.load.is_some(), usable);
            prop_assert!(server.load.is_none_or(|load| load >= 0.0));
        }
    }
}
