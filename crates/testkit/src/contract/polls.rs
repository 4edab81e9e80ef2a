//! Polls: what [`domain::poll::apply`] decides is what is stored.

use app::ports::{Located, PollReport, ServerChange};
use domain::health::{Change, Health, Thresholds};
use domain::poll::{Fate, Known, Observation, PollPolicy, SeenMeeting, apply, reported_keys};
use domain::server::Stats;
use domain::{AdminState, Course, Meeting, MeetingKey, Server};

use super::store::{
    CLAIM_MS, NOW, POLICY, SEATS, Store, answer, holding, key, open, reported, request, request_at,
    server_id, silence, weighing,
};
use super::{Case, Factory};

pub(super) fn cases(factory: Factory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        every_situation_is_stored_as_it_was_decided,
        health_is_counted_over_many_polls,
        a_first_answer_brings_a_server_online,
        seen_meetings_get_their_seats,
        vanished_meetings_are_forgotten,
        meetings_placed_meanwhile_are_kept,
        a_poll_replaces_what_was_promised,
        a_drained_server_is_disabled,
        other_servers_are_left_alone,
        an_unknown_server_is_not_polled,
    ]
}

/// Servers of all kinds of standing.
fn polled_servers() -> Vec<Server> {
    let mut all = Vec::new();
    for state in [AdminState::Enabled, AdminState::Cordoned, AdminState::Disabled] {
        for (online, unhealthy, healthy) in
            [(true, 0, 0), (true, 1, 0), (false, 0, 0), (false, 0, 1)]
        {
            let mut server = weighing("a", 8.0, 1.5);
            server.health.online = online;
            server.health.unhealthy_count = unhealthy;
            server.health.healthy_count = healthy;
            server.load = server.load.filter(|_| online);
            server.set_state(state);
            server.stats = Stats { meetings: 3, users: 9, largest_meeting: 5, videos: 2 };
            all.push(server);
        }
    }
    all
}

/// The moment of the polls below: settled meetings are old by then, the claims still stand.
const POLLED_MS: i64 = 10_000;

fn observations() -> Vec<Observation> {
    let at = NOW.plus_ms(POLLED_MS);
    let mut breakout = reported("m-breakout", NOW, 7);
    breakout.is_breakout = true;
    let all = vec![
        reported("unknown", NOW.plus_ms(-5_000_000), 60),
        reported("one", NOW.plus_ms(1), 31),
        reported("two", NOW.plus_ms(-5_000_000), 2),
        reported("claimed", NOW.plus_ms(9000), 0),
        breakout,
    ];
    vec![
        silence(at),
        answer(at, vec![]),
        answer(at, vec![reported("one", NOW, 3), reported("Two", NOW, 3)]),
        answer(at, all),
        // Asked before anything was placed, and long after every claim is over.
        Observation { started_at: NOW.plus_ms(-1), ..answer(at, vec![]) },
        answer(NOW.plus_ms(10 * CLAIM_MS), vec![reported("fresh", NOW, 1)]),
    ]
}

/// Such a server with meetings of every kind on it, and one on another.
async fn stocked(factory: Factory<'_>, server: &Server) -> Store {
    let mut ready = server.clone();
    (ready.state, ready.load) = (AdminState::Enabled, Some(8.0));
    ready.health = Health { online: true, ..Health::default() };
    let ready_health = ready.health.clone();
    let store = Store::with(factory, &[ready, open("b", 900.0)]).await;
    store.settle(request("one", &["11111"])).await;
    let two = store.settle(request("two", &["22222"])).await;
    // Where they lived side by side before, they still do.
    let tenants = MeetingKey { tenant: Some("tenant".to_owned()), ..key("two") };
    let beside = Meeting { key: tenants, voice_bridge: Some("33333".to_owned()), ..two };
    assert!(store.restore(&beside).await);
    store.win(request("claimed", &["44444"])).await;
    let meanwhile = NOW.plus_ms(POLLED_MS - 20);
    store.settle(request_at(meanwhile, "fresh", &["55555"])).await;
    let meetings = store.meetings_on("a").await;
    assert_eq!(meetings.len(), 5);
    store.update("a", ServerChange::state(AdminState::Cordoned)).await;
    store.settle(request("other", &["66666"])).await;
    if server.health == ready_health {
        store.update("a", ServerChange::state(server.state)).await;
    } else {
        // Only what moves in comes to a server that is offline or failed lately.
        assert!(store.remove("a").await.is_some());
        assert!(store.add(server).await);
        for meeting in meetings {
            assert!(store.restore(&meeting).await);
        }
    }
    store
}

/// What a poll must make of a store.
struct Expected {
    server: Server,
    report: PollReport,
    meetings: Vec<Meeting>,
}

async fn expected(store: &Store, observation: &Observation, policy: &PollPolicy) -> Expected {
    let mut server = store.server("a").await.expect("a server");
    let meetings = store.meetings().await;
    let here: Vec<Meeting> =
        meetings.iter().filter(|one| one.server == server.id).cloned().collect();
    let mut elsewhere = Vec::new();
    for key in reported_keys(observation, &here) {
        elsewhere.extend(store.meeting(&key).await.map(Located::elsewhere));
    }
    let endings = store.endings().await;
    let known = Known { here: &here, elsewhere: &elsewhere, endings: &endings };
    let mut verdict = apply(&mut server, known, observation, policy);
    verdict.fates.sort_by(|one, other| one.0.cmp(&other.0));
    let fate = |key: &MeetingKey| verdict.fates.iter().find(|fate| fate.0 == *key);
    let (mut kept, mut forgotten) = (Vec::new(), Vec::new());
    for mut meeting in meetings {
        match fate(&meeting.key).filter(|_| meeting.server == server.id) {
            Some((_, Fate::Forget)) => forgotten.push(meeting),
            Some((_, Fate::Seen(seats, course))) => {
                (meeting.seats, meeting.course) = (*seats, *course);
                meeting.claim = None;
                meeting.seen_at = observation.finished_at;
                (meeting.missed, meeting.detached) = (0, false);
                kept.push(meeting);
            }
            Some((_, Fate::Missed(times))) => kept.push(Meeting { missed: *times, ..meeting }),
            Some((_, Fate::Detach)) => kept.push(Meeting { detached: true, ..meeting }),
            None => kept.push(meeting),
        }
    }
    let report = PollReport { server: server.clone(), verdict, forgotten };
    Expected { server, report, meetings: kept }
}

async fn assert_polled(store: &Store, observation: &Observation, policy: &PollPolicy) {
    let before = store.server("a").await.expect("a server");
    let others = store.server("b").await;
    let wanted = expected(store, observation, policy).await;
    let report = store.poll_by("a", observation, policy).await;
    let what = format!("{before:?}\n{observation:?}");
    assert_eq!(report, Some(wanted.report.clone()), "{what}");
    assert_eq!(store.server("a").await, Some(wanted.server), "{what}");
    assert_eq!(store.meetings().await, wanted.meetings, "{what}");
    assert_eq!(store.server("b").await, others, "{what}");
    if others.is_some_and(|other| other.accepts_meetings()) {
        for gone in &wanted.report.forgotten {
            let bridge = gone.voice_bridge.as_deref().expect("a number");
            assert!(store.is_free(bridge).await, "{bridge} is free again");
        }
    }
}

async fn every_situation_is_stored_as_it_was_decided(factory: Factory<'_>) {
    for server in polled_servers() {
        for observation in observations() {
            let store = stocked(factory, &server).await;
            assert_polled(&store, &observation, &POLICY).await;
            let later = Observation {
                started_at: observation.started_at.plus_ms(5000),
                finished_at: observation.finished_at.plus_ms(5000),
                ..observation
            };
            assert_polled(&store, &later, &POLICY).await;
        }
    }
}

async fn health_is_counted_over_many_polls(factory: Factory<'_>) {
    let slow = PollPolicy { thresholds: Thresholds { healthy: 3, unhealthy: 2 }, ..POLICY };
    let mut new = Server::new(server_id("a"), String::new(), "s".to_owned());
    new.state = AdminState::Enabled;
    let store = Store::with(factory, &[new, open("b", 0.0)]).await;
    let polls = [true, true, false, true, true, true, true, false, true, false, false, false, true];
    for (at, good) in (0..).zip(polls) {
        let at = NOW.plus_ms(at * 60_000);
        let observation = if good { answer(at, vec![reported("x", NOW, 1)]) } else { silence(at) };
        assert_polled(&store, &observation, &slow).await;
    }
    let health = store.server("a").await.expect("a server").health;
    assert_eq!((health.online, health.healthy_count), (false, 1));
    let failure = health.last_failure.expect("it is kept");
    assert_eq!(failure.at, NOW.plus_ms(11 * 60_000));
    assert_eq!(failure.reason, "no answer within 1.5 s – «timeout»");
}

async fn a_first_answer_brings_a_server_online(factory: Factory<'_>) {
    let mut new = Server::new(server_id("a"), String::new(), "s".to_owned());
    new.state = AdminState::Enabled;
    new.load_multiplier = 2.0;
    let store = Store::with(factory, &[new]).await;
    let list = vec![reported("x", NOW.plus_ms(-5_000_000), 20), reported("y", NOW, 2)];
    let report = store.poll("a", &answer(NOW, list)).await.expect("a server");
    assert_eq!(report.verdict.change, Some(Change::WentOnline));
    assert_eq!(store.load("a").await, Some(70.0));
    let stats = Stats { meetings: 2, users: 22, largest_meeting: 20, videos: 2 };
    assert_eq!(store.server("a").await.expect("a server").stats, stats);
    assert_eq!(store.meetings().await, [], "what others made there is not ours");
    let won = store.win(request("m", &["11111"])).await;
    assert_eq!(won.server.load, Some(100.0));
}

async fn seen_meetings_get_their_seats(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let meeting = store.settle(request("m", &["11111"])).await;
    for _ in 0..3 {
        store.join(&key("m"), NOW).await;
    }
    let (created, at) = (NOW.plus_ms(120), NOW.plus_ms(60_000));
    store.poll("a", &answer(at, vec![reported("m", created, 21)])).await;
    let seats = POLICY.load.seats(created, SEATS, 21);
    let course = Course { peak_users: 21, busy_until: at };
    let expected = Meeting { seats, course, seen_at: at, ..meeting };
    assert_eq!(store.meetings().await, [expected]);
    assert_eq!(store.load("a").await, Some(21.0));
    store.join(&key("m"), at).await;
    assert_eq!(store.load("a").await, Some(22.0));
}

async fn vanished_meetings_are_forgotten(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let gone = store.settle(request("gone", &["11111"])).await;
    store.settle(request("there", &["22222"])).await;
    let dead = store.win(request("never confirmed", &["33333"])).await.meeting;
    let at = NOW.plus_ms(2 * CLAIM_MS);
    let report = store.poll("a", &answer(at, vec![reported("there", NOW, 1)])).await;
    assert_eq!(report.expect("a server").forgotten, [dead], "nobody ever said that it was there");
    let missed = Meeting { missed: 1, ..gone };
    assert_eq!(store.meetings().await[0], missed, "one poll may be wrong");
    let next = answer(at.plus_ms(1), vec![reported("there", NOW, 1)]);
    assert_eq!(store.poll("a", &next).await.expect("a server").forgotten, [missed]);
    assert_eq!(store.load("a").await, Some(15.0));
    assert_eq!(store.meetings().await.len(), 1);
    assert!(store.is_free("11111").await && store.is_free("33333").await);
    assert!(!store.is_free("22222").await);
}

async fn meetings_placed_meanwhile_are_kept(factory: Factory<'_>) {
    let store = Store::with(factory, &[weighing("a", 0.0, 2.0)]).await;
    let being_created = store.win(request("claimed", &["11111"])).await.meeting;
    let at = NOW.plus_ms(10_000);
    let observation = answer(at, vec![]);
    let asked_at = observation.started_at;
    let fresh = store.settle(request_at(asked_at, "fresh", &["22222"])).await;
    let old = store.settle(request_at(asked_at.plus_ms(-1), "old", &["33333"])).await;
    let report = store.poll("a", &observation).await.expect("a server");
    assert_eq!(report.verdict.fates, [(old.key.clone(), Fate::Missed(1))]);
    let old = Meeting { missed: 1, ..old };
    assert_eq!(store.meetings().await, [being_created, fresh, old]);
    assert_eq!(store.load("a").await, Some(60.0));
    assert!(store.release(&key("claimed"), "claimed").await);
    assert_eq!(store.load("a").await, Some(30.0));
}

async fn a_poll_replaces_what_was_promised(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 333.25)]).await;
    let meeting = store.settle(request("m", &["11111"])).await;
    let heavier = ServerChange { load_multiplier: Some(3.0), ..ServerChange::default() };
    store.update("a", heavier).await;
    assert_eq!(store.load("a").await, Some(348.25));
    let end = meeting.seats.reserved_until;
    store.poll("a", &answer(end.plus_ms(-1), vec![reported("m", NOW, 2)])).await;
    assert_eq!(store.load("a").await, Some(45.0));
    store.poll("a", &answer(end, vec![reported("m", NOW, 2)])).await;
    assert_eq!(store.load("a").await, Some(6.0));
}

async fn a_drained_server_is_disabled(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    store.settle(request("m", &["11111"])).await;
    store.update("a", ServerChange::state(AdminState::Cordoned)).await;
    let at = NOW.plus_ms(1000);
    let rows: [(Vec<SeenMeeting>, AdminState); 2] =
        [(vec![reported("m", NOW, 0)], AdminState::Cordoned), (vec![], AdminState::Disabled)];
    for (n, (list, state)) in (1..).zip(rows) {
        let report = store.poll("a", &answer(at.plus_ms(1000 * n), list)).await;
        let report = report.expect("a server");
        assert_eq!(report.verdict.drained, state == AdminState::Disabled);
        assert_eq!(store.server("a").await, Some(report.server.clone()));
        assert_eq!(report.server.state, state);
    }
    assert_eq!(store.load("a").await, None);
    store.poll("a", &answer(at.plus_ms(9000), vec![])).await;
    assert_eq!(store.meetings().await, []);
}

async fn other_servers_are_left_alone(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 1.0)]).await;
    let mine = store.settle(request("m", &["11111"])).await;
    let mut tenants = request("m", &["22222"]);
    tenants.key.tenant = Some("t".to_owned());
    let other = store.settle(tenants).await;
    assert_eq!((mine.server, other.server.clone()), (server_id("a"), server_id("b")));
    let at = NOW.plus_ms(1000);
    store.poll("a", &answer(at, vec![reported("m", NOW, 40)])).await;
    let located = store.meeting(&other.key).await.expect("a meeting");
    assert_eq!((located.meeting, located.server), (other.clone(), holding(open("b", 16.0), 1)));
    for ms in [1000, 2000] {
        store.poll("a", &answer(at.plus_ms(ms), vec![])).await;
    }
    assert_eq!(store.meetings().await, [other]);
    assert_eq!(store.load("b").await, Some(16.0));
}

async fn an_unknown_server_is_not_polled(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let meeting = store.settle(request("m", &["11111"])).await;
    for observation in [answer(NOW.plus_ms(9000), vec![]), silence(NOW)] {
        assert_eq!(store.poll("A", &observation).await, None);
    }
    assert_eq!(store.servers().await, [holding(open("a", 15.0), 1)]);
    assert_eq!(store.meetings().await, [meeting]);
}
