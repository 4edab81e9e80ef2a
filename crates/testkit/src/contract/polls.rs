//! Polls, which are stored as [`domain::poll::apply_poll`] decides.

use app::ports::{PollReport, PoolStore, ServerChange};
use domain::health::{Health, HealthChange, Thresholds};
use domain::poll::{
    MeetingUpdate, PollContext, PollObservation, PollPolicy, ReportedMeeting, apply_poll,
    list_unrecorded_keys,
};
use domain::server::ServerStats;
use domain::{AdminState, Meeting, MeetingKey, MeetingUsage, Server};

use super::fixtures::{
    CLAIM_MS, EXPECTED_USERS, NOW, POLICY, failed_poll, key, open_server, place_request,
    place_request_at, reported_meeting, server_id, successful_poll, weighted_server, with_placed,
};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        every_poll_is_stored_as_the_domain_decides,
        health_is_counted_over_many_polls,
        a_first_response_brings_a_server_online,
        reported_meetings_get_their_load,
        vanished_meetings_are_forgotten,
        meetings_placed_meanwhile_are_kept,
        a_poll_replaces_the_expected_users,
        a_drained_server_is_disabled,
        other_servers_are_left_alone,
        an_unknown_server_is_not_polled,
    ]
}

/// Servers in all states of health and administration.
fn polled_servers() -> Vec<Server> {
    let mut all = Vec::new();
    for state in [AdminState::Enabled, AdminState::Cordoned, AdminState::Disabled] {
        for (online, unhealthy, healthy) in
            [(true, 0, 0), (true, 1, 0), (false, 0, 0), (false, 0, 1)]
        {
            let mut server = weighted_server("a", 8.0, 1.5);
            server.health.online = online;
            server.health.unhealthy_count = unhealthy;
            server.health.healthy_count = healthy;
            server.load = server.load.filter(|_| online);
            server.set_state(state);
            server.stats = ServerStats { meetings: 3, users: 9, largest_meeting: 5, videos: 2 };
            all.push(server);
        }
    }
    all
}

/// The time of the polls below, in ms: confirmed meetings are past their grace time, claims are
/// still valid.
const POLLED_MS: i64 = 10_000;

fn observations() -> Vec<PollObservation> {
    let at = NOW.plus_ms(POLLED_MS);
    let mut breakout = reported_meeting("m-breakout", NOW, 7);
    breakout.is_breakout = true;
    let all = vec![
        reported_meeting("unknown", NOW.plus_ms(-5_000_000), 60),
        reported_meeting("one", NOW.plus_ms(1), 31),
        reported_meeting("two", NOW.plus_ms(-5_000_000), 2),
        reported_meeting("claimed", NOW.plus_ms(9000), 0),
        breakout,
    ];
    vec![
        failed_poll(at),
        successful_poll(at, vec![]),
        successful_poll(at, vec![reported_meeting("one", NOW, 3), reported_meeting("Two", NOW, 3)]),
        successful_poll(at, all),
        // Started before any meeting was placed, and long after every claim has expired.
        PollObservation { started_at: NOW.plus_ms(-1), ..successful_poll(at, vec![]) },
        successful_poll(NOW.plus_ms(10 * CLAIM_MS), vec![reported_meeting("fresh", NOW, 1)]),
    ]
}

/// A store with this server, meetings of every kind on it, and a meeting on another server.
async fn store_with_meetings(factory: PoolFactory<'_>, server: &Server) -> TestPoolStore {
    let mut ready = server.clone();
    (ready.state, ready.load) = (AdminState::Enabled, Some(8.0));
    ready.health = Health { online: true, ..Health::default() };
    let ready_health = ready.health.clone();
    let store = TestPoolStore::with(factory, &[ready, open_server("b", 900.0)]).await;
    store.place_and_confirm(place_request("one", &["11111"])).await;
    let two = store.place_and_confirm(place_request("two", &["22222"])).await;
    // Meetings of different tenants with the same id on one server, from a store that allowed it.
    let tenants = MeetingKey { tenant: Some("tenant".to_owned()), ..key("two") };
    let other = Meeting { key: tenants, voice_bridge: Some("33333".to_owned()), ..two };
    assert!(store.restore_meeting(&other).await);
    store.place_new_meeting(place_request("claimed", &["44444"])).await;
    let meanwhile = NOW.plus_ms(POLLED_MS - 20);
    store.place_and_confirm(place_request_at(meanwhile, "fresh", &["55555"])).await;
    let meetings = store.list_meetings_on("a").await;
    assert_eq!(meetings.len(), 5);
    store.update_server("a", ServerChange::with_state(AdminState::Cordoned)).await;
    store.place_and_confirm(place_request("other", &["66666"])).await;
    if server.health == ready_health {
        store.update_server("a", ServerChange::with_state(server.state)).await;
    } else {
        // Meetings get to a server that is offline or has failed by a restore only.
        assert!(store.remove_server("a").await.is_some());
        assert!(store.add_server(server).await);
        for meeting in meetings {
            assert!(store.restore_meeting(&meeting).await);
        }
    }
    store
}

/// What a store must contain and return after a poll.
struct ExpectedPoll {
    server: Server,
    report: PollReport,
    meetings: Vec<Meeting>,
}

async fn expected_poll(
    store: &TestPoolStore,
    observation: &PollObservation,
    policy: &PollPolicy,
) -> ExpectedPoll {
    let mut server = store.find_server("a").await.expect("a server");
    let meetings = store.list_meetings().await;
    let here: Vec<Meeting> =
        meetings.iter().filter(|meeting| meeting.server == server.id).cloned().collect();
    let mut elsewhere = Vec::new();
    for key in list_unrecorded_keys(observation, &here) {
        let found = store.find_meeting(&key).await;
        elsewhere.extend(found.map(|found| found.into_recorded_elsewhere(&server)));
    }
    let pending_ends = store.list_pending_ends().await;
    let known = PollContext {
        recorded_here: &here,
        recorded_elsewhere: &elsewhere,
        pending_ends: &pending_ends,
    };
    let mut outcome = apply_poll(&mut server, known, observation, policy);
    outcome.meeting_updates.sort_by(|first, second| first.0.cmp(&second.0));
    let update = |key: &MeetingKey| outcome.meeting_updates.iter().find(|update| update.0 == *key);
    let (mut kept, mut forgotten) = (Vec::new(), Vec::new());
    for mut meeting in meetings {
        match update(&meeting.key).filter(|_| meeting.server == server.id) {
            Some((_, MeetingUpdate::Forgotten)) => forgotten.push(meeting),
            Some((_, MeetingUpdate::Reported(load, usage, origin))) => {
                meeting.origin = origin.clone();
                (meeting.load, meeting.usage) = (*load, *usage);
                meeting.claim = None;
                meeting.seen_at = observation.finished_at;
                (meeting.missed_polls, meeting.detached) = (0, false);
                kept.push(meeting);
            }
            Some((_, MeetingUpdate::Missed(times))) => {
                kept.push(Meeting { missed_polls: *times, ..meeting });
            }
            Some((_, MeetingUpdate::Detached)) => kept.push(Meeting { detached: true, ..meeting }),
            None => kept.push(meeting),
        }
    }
    let report = PollReport { server: server.clone(), outcome, forgotten };
    ExpectedPoll { server, report, meetings: kept }
}

async fn assert_polled(store: &TestPoolStore, observation: &PollObservation, policy: &PollPolicy) {
    let before = store.find_server("a").await.expect("a server");
    let others = store.find_server("b").await;
    let expected = expected_poll(store, observation, policy).await;
    let report = store.record_poll_with("a", observation, policy).await;
    let what = format!("{before:?}\n{observation:?}");
    assert_eq!(report, Some(expected.report.clone()), "{what}");
    assert_eq!(store.find_server("a").await, Some(expected.server), "{what}");
    assert_eq!(store.list_meetings().await, expected.meetings, "{what}");
    assert_eq!(store.find_server("b").await, others, "{what}");
    if others.is_some_and(|other| other.accepts_meetings()) {
        for forgotten in &expected.report.forgotten {
            let bridge = forgotten.voice_bridge.as_deref().expect("a number");
            assert!(store.is_bridge_free(bridge).await, "{bridge} is free again");
        }
    }
}

async fn every_poll_is_stored_as_the_domain_decides(factory: PoolFactory<'_>) {
    for server in polled_servers() {
        for observation in observations() {
            let store = store_with_meetings(factory, &server).await;
            assert_polled(&store, &observation, &POLICY).await;
            let later = PollObservation {
                started_at: observation.started_at.plus_ms(5000),
                finished_at: observation.finished_at.plus_ms(5000),
                ..observation
            };
            assert_polled(&store, &later, &POLICY).await;
        }
    }
}

async fn health_is_counted_over_many_polls(factory: PoolFactory<'_>) {
    let slow = PollPolicy { thresholds: Thresholds { healthy: 3, unhealthy: 2 }, ..POLICY };
    let mut new = Server::new(server_id("a"), String::new(), "s".to_owned());
    new.state = AdminState::Enabled;
    let store = TestPoolStore::with(factory, &[new, open_server("b", 0.0)]).await;
    let polls = [true, true, false, true, true, true, true, false, true, false, false, false, true];
    for (at, good) in (0..).zip(polls) {
        let at = NOW.plus_ms(at * 60_000);
        let observation = if good {
            successful_poll(at, vec![reported_meeting("x", NOW, 1)])
        } else {
            failed_poll(at)
        };
        assert_polled(&store, &observation, &slow).await;
    }
    let health = store.find_server("a").await.expect("a server").health;
    assert_eq!((health.online, health.healthy_count), (false, 1));
    let failure = health.last_failure.expect("it is kept");
    assert_eq!(failure.at, NOW.plus_ms(11 * 60_000));
    assert_eq!(failure.reason, "no answer within 1.5 s – «timeout»");
}

async fn a_first_response_brings_a_server_online(factory: PoolFactory<'_>) {
    let mut new = Server::new(server_id("a"), String::new(), "s".to_owned());
    new.state = AdminState::Enabled;
    new.load_multiplier = 2.0;
    let store = TestPoolStore::with(factory, &[new]).await;
    let list =
        vec![reported_meeting("x", NOW.plus_ms(-5_000_000), 20), reported_meeting("y", NOW, 2)];
    let report = store.record_poll("a", &successful_poll(NOW, list)).await.expect("a server");
    assert_eq!(report.outcome.change, Some(HealthChange::WentOnline));
    assert_eq!(store.find_load("a").await, Some(70.0));
    let stats = ServerStats { meetings: 2, users: 22, largest_meeting: 20, videos: 2 };
    assert_eq!(store.find_server("a").await.expect("a server").stats, stats);
    assert_eq!(store.list_meetings().await, [], "what others made there is not ours");
    let claimed = store.place_new_meeting(place_request("m", &["11111"])).await;
    assert_eq!(claimed.server.load, Some(100.0));
}

async fn reported_meetings_get_their_load(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let meeting = store.place_and_confirm(place_request("m", &["11111"])).await;
    for _ in 0..3 {
        store.record_join(&key("m"), NOW).await;
    }
    let (created, at) = (NOW.plus_ms(120), NOW.plus_ms(60_000));
    store.record_poll("a", &successful_poll(at, vec![reported_meeting("m", created, 21)])).await;
    let load = POLICY.load.meeting_load(created, EXPECTED_USERS, 21);
    let usage = MeetingUsage { peak_users: 21, busy_until: at };
    let expected = Meeting { load, usage, seen_at: at, ..meeting };
    assert_eq!(store.list_meetings().await, [expected]);
    assert_eq!(store.find_load("a").await, Some(21.0));
    store.record_join(&key("m"), at).await;
    assert_eq!(store.find_load("a").await, Some(22.0));
}

async fn vanished_meetings_are_forgotten(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let gone = store.place_and_confirm(place_request("gone", &["11111"])).await;
    store.place_and_confirm(place_request("there", &["22222"])).await;
    let unconfirmed =
        store.place_new_meeting(place_request("never confirmed", &["33333"])).await.meeting;
    let at = NOW.plus_ms(2 * CLAIM_MS);
    let report =
        store.record_poll("a", &successful_poll(at, vec![reported_meeting("there", NOW, 1)])).await;
    assert_eq!(
        report.expect("a server").forgotten,
        [unconfirmed],
        "nobody ever said that it was there"
    );
    let missed = Meeting { missed_polls: 1, ..gone };
    assert_eq!(store.list_meetings().await[0], missed, "one poll may be wrong");
    let next = successful_poll(at.plus_ms(1), vec![reported_meeting("there", NOW, 1)]);
    assert_eq!(store.record_poll("a", &next).await.expect("a server").forgotten, [missed]);
    assert_eq!(store.find_load("a").await, Some(15.0));
    assert_eq!(store.list_meetings().await.len(), 1);
    assert!(store.is_bridge_free("11111").await && store.is_bridge_free("33333").await);
    assert!(!store.is_bridge_free("22222").await);
}

async fn meetings_placed_meanwhile_are_kept(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[weighted_server("a", 0.0, 2.0)]).await;
    let being_created = store.place_new_meeting(place_request("claimed", &["11111"])).await.meeting;
    let at = NOW.plus_ms(10_000);
    let observation = successful_poll(at, vec![]);
    let asked_at = observation.started_at;
    let fresh = store.place_and_confirm(place_request_at(asked_at, "fresh", &["22222"])).await;
    let old =
        store.place_and_confirm(place_request_at(asked_at.plus_ms(-1), "old", &["33333"])).await;
    let report = store.record_poll("a", &observation).await.expect("a server");
    assert_eq!(report.outcome.meeting_updates, [(old.key.clone(), MeetingUpdate::Missed(1))]);
    let old = Meeting { missed_polls: 1, ..old };
    assert_eq!(store.list_meetings().await, [being_created, fresh, old]);
    assert_eq!(store.find_load("a").await, Some(60.0));
    assert!(store.release_claim(&key("claimed"), "claimed").await);
    assert_eq!(store.find_load("a").await, Some(30.0));
}

async fn a_poll_replaces_the_expected_users(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 333.25)]).await;
    let meeting = store.place_and_confirm(place_request("m", &["11111"])).await;
    let heavier = ServerChange { load_multiplier: Some(3.0), ..ServerChange::default() };
    store.update_server("a", heavier).await;
    assert_eq!(store.find_load("a").await, Some(348.25));
    let end = meeting.load.expected_until;
    store
        .record_poll("a", &successful_poll(end.plus_ms(-1), vec![reported_meeting("m", NOW, 2)]))
        .await;
    assert_eq!(store.find_load("a").await, Some(45.0));
    store.record_poll("a", &successful_poll(end, vec![reported_meeting("m", NOW, 2)])).await;
    assert_eq!(store.find_load("a").await, Some(6.0));
}

async fn a_drained_server_is_disabled(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    store.update_server("a", ServerChange::with_state(AdminState::Cordoned)).await;
    let at = NOW.plus_ms(1000);
    let rows: [(Vec<ReportedMeeting>, AdminState); 2] = [
        (vec![reported_meeting("m", NOW, 0)], AdminState::Cordoned),
        (vec![], AdminState::Disabled),
    ];
    for (n, (list, state)) in (1..).zip(rows) {
        let report = store.record_poll("a", &successful_poll(at.plus_ms(1000 * n), list)).await;
        let report = report.expect("a server");
        assert_eq!(report.outcome.drained, state == AdminState::Disabled);
        assert_eq!(store.find_server("a").await, Some(report.server.clone()));
        assert_eq!(report.server.state, state);
    }
    assert_eq!(store.find_load("a").await, None);
    store.record_poll("a", &successful_poll(at.plus_ms(9000), vec![])).await;
    assert_eq!(store.list_meetings().await, []);
}

async fn other_servers_are_left_alone(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 1.0)]).await;
    let mine = store.place_and_confirm(place_request("m", &["11111"])).await;
    let mut tenants = place_request("m", &["22222"]);
    tenants.key.tenant = Some("t".to_owned());
    let other = store.place_and_confirm(tenants).await;
    assert_eq!((mine.server, other.server.clone()), (server_id("a"), server_id("b")));
    let at = NOW.plus_ms(1000);
    store.record_poll("a", &successful_poll(at, vec![reported_meeting("m", NOW, 40)])).await;
    let found = store.find_meeting(&other.key).await.expect("a meeting");
    assert_eq!(
        (found.meeting, found.server),
        (other.clone(), with_placed(open_server("b", 16.0), 1))
    );
    for ms in [1000, 2000] {
        store.record_poll("a", &successful_poll(at.plus_ms(ms), vec![])).await;
    }
    assert_eq!(store.list_meetings().await, [other]);
    assert_eq!(store.find_load("b").await, Some(16.0));
}

async fn an_unknown_server_is_not_polled(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let meeting = store.place_and_confirm(place_request("m", &["11111"])).await;
    for observation in [successful_poll(NOW.plus_ms(9000), vec![]), failed_poll(NOW)] {
        assert_eq!(store.record_poll("A", &observation).await, None);
    }
    assert_eq!(store.list_servers().await, [with_placed(open_server("a", 15.0), 1)]);
    assert_eq!(store.list_meetings().await, [meeting]);
}
