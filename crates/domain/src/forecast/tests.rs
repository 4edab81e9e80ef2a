//! Tests of the load forecast, by examples and by properties.

use proptest::prelude::*;

use super::*;
use crate::history::MeetingSession;
use crate::timetable::Timetable;

const MINUTE: i64 = 60_000;
const WEEK: i64 = 7 * 24 * 60 * MINUTE;
/// A Monday, 10:30 UTC: far from any start time.
const NOW: Timestamp = Timestamp(1_767_609_000_000);

fn key(id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: id.to_owned() }
}

fn server(id: &str, load_multiplier: f64) -> ForecastServer {
    ForecastServer { id: ServerId(id.to_owned()), load_multiplier }
}

fn running_meeting(id: &str, server: &str, minutes_ago: i64, users: u32) -> RunningMeeting {
    let server = ServerId(server.to_owned());
    RunningMeeting {
        key: key(id),
        server,
        created_at: NOW.plus_ms(-minutes_ago * MINUTE),
        users,
        expected_users: 15,
    }
}

fn build_forecast(
    servers: &[ForecastServer],
    meetings: &[RunningMeeting],
    timetable: &Timetable,
) -> LoadForecast {
    let mut forecast = LoadForecast::new(ForecastPolicy::default());
    forecast.rebuild(NOW, servers, meetings.to_vec(), timetable);
    forecast
}

fn estimate_cost(forecast: &mut LoadForecast, id: &str, timetable: &Timetable) -> CostEstimate {
    let meeting = NewMeeting { key: &key(id), size_hint: None, max_users: None };
    forecast.estimate_cost(NOW, &meeting, &|_| true, timetable)
}

fn cheapest_server(estimate: &CostEstimate) -> &str {
    let cheapest = estimate.candidates.iter().min_by(|a, b| a.cost.total_cmp(&b.cost));
    &cheapest.unwrap().server.0
}

/// A timetable of meetings that took place in each of the last three weeks.
fn timetable(meetings: &[(&str, i64, u32, i64)]) -> Timetable {
    let mut timetable = Timetable::default();
    for (id, minutes_ahead, peak_users, busy_minutes) in meetings {
        for week in 1..=3 {
            let created_at = NOW.plus_ms(minutes_ahead * MINUTE - week * WEEK);
            let busy_ms = busy_minutes * MINUTE;
            timetable.learn(MeetingSession {
                key: key(id),
                created_at,
                peak_users: *peak_users,
                busy_ms,
            });
        }
    }
    timetable
}

#[test]
fn expected_users_come_from_hint_history_or_default() {
    let known = timetable(&[("known", -500, 40, 60)]);
    let nothing = Timetable::default();
    let forecast = build_forecast(&[], &[], &nothing);
    let known_key = key("known");
    let new_meeting = |hint, max_users| NewMeeting { key: &known_key, size_hint: hint, max_users };
    let (learned, reserve) = (ExpectedUsersSource::Learned(3), ExpectedUsersSource::Reserve);
    for (hint, max_users, timetable, users, source) in [
        (Some(7), None, &known, 7, ExpectedUsersSource::Hint),
        (None, None, &known, 40, learned),
        (None, Some(25), &known, 25, learned),
        (Some(90), Some(25), &known, 25, ExpectedUsersSource::Hint),
        (None, None, &nothing, 15, reserve),
        (None, Some(2), &nothing, 2, reserve),
    ] {
        let expected = ExpectedUsers { users, source };
        assert_eq!(forecast.expected_users(&new_meeting(hint, max_users), timetable), expected);
    }
}

#[test]
fn a_burst_spreads_before_anybody_has_joined() {
    let servers = ["a", "b", "c"].map(|id| server(id, 1.0));
    let nothing = Timetable::default();
    let mut forecast = build_forecast(&servers, &[], &nothing);
    let mut counts = [0; 3];
    for number in 0..30 {
        let id = number.to_string();
        let chosen = cheapest_server(&estimate_cost(&mut forecast, &id, &nothing)).to_owned();
        counts[servers.iter().position(|server| server.id.0 == chosen).unwrap()] += 1;
        forecast.add_meeting(running_meeting(&id, &chosen, 0, 0), &nothing);
    }
    assert_eq!(counts, [10; 3]);
}

#[test]
fn joins_count_immediately() {
    let servers = [server("a", 1.0), server("b", 1.0)];
    let nothing = Timetable::default();
    let mut forecast = build_forecast(
        &servers,
        &[running_meeting("x", "a", 5, 9), running_meeting("y", "b", 5, 10)],
        &nothing,
    );
    assert_eq!(cheapest_server(&estimate_cost(&mut forecast, "new", &nothing)), "a");
    (0..30).for_each(|_| forecast.record_join(&key("x")));
    assert_eq!(cheapest_server(&estimate_cost(&mut forecast, "new", &nothing)), "b");
    forecast.record_join(&key("unknown"));
}

#[test]
fn a_weak_server_gets_no_meetings_of_unknown_size() {
    let servers = [server("strong", 1.0), server("weak", 4.0)];
    let nothing = Timetable::default();
    let mut forecast =
        build_forecast(&servers, &[running_meeting("x", "strong", 60, 90)], &nothing);
    let estimate = estimate_cost(&mut forecast, "new", &nothing);
    assert_eq!(cheapest_server(&estimate), "strong");
    assert!((estimate.candidates[1].caution - 5.5).abs() < 1e-6);
    // No caution applies to a size that is known.
    let small = NewMeeting { key: &key("small"), size_hint: Some(10), max_users: None };
    let estimate = forecast.estimate_cost(NOW, &small, &|_| true, &nothing);
    assert_eq!(cheapest_server(&estimate), "weak");
}

#[test]
fn meetings_that_are_about_to_end_count_less() {
    let known = timetable(&[("ends", -85, 50, 90), ("stays", -20, 50, 90), ("new", 0, 10, 90)]);
    let servers = [server("a", 1.0), server("b", 1.0)];
    let meetings = [running_meeting("ends", "a", 85, 50), running_meeting("stays", "b", 20, 45)];
    let mut forecast = build_forecast(&servers, &meetings, &known);
    let estimate = estimate_cost(&mut forecast, "new", &known);
    let last = |server: usize| estimate.candidates[server].load.points()[6];
    assert!(last(0) < 1.0 && last(1) > 40.0, "{estimate:?}");
}

#[test]
fn larger_upcoming_meetings_are_placed_first() {
    let known = timetable(&[("large", 20, 80, 90), ("small", 20, 3, 90), ("new", 0, 10, 90)]);
    let servers = [server("a", 1.0), server("b", 1.0)];
    let mut forecast = build_forecast(&servers, &[running_meeting("x", "b", 120, 5)], &known);
    let estimate = estimate_cost(&mut forecast, "new", &known);
    assert_eq!((estimate.upcoming_placed, cheapest_server(&estimate)), (1, "b"));
    // Once it runs, it is not upcoming any more.
    forecast.add_meeting(running_meeting("large", "b", 0, 0), &known);
    assert_eq!(estimate_cost(&mut forecast, "new", &known).upcoming_placed, 0);
    // Upcoming meetings are not placed on a closed server.
    forecast.remove_meeting(&key("large"));
    forecast.rebuild(NOW, &servers, [running_meeting("x", "b", 120, 5)], &known);
    forecast.close_server(&ServerId("a".to_owned()));
    let estimate = estimate_cost(&mut forecast, "new", &known);
    assert_eq!((estimate.upcoming_placed, estimate.candidates.len()), (1, 1));
    assert!(estimate.candidates[0].load.points()[8] > 60.0);
}

#[test]
fn forecasts_change_with_time() {
    let nothing = Timetable::default();
    let servers = [server("a", 1.0)];
    let announced = RunningMeeting { expected_users: 30, ..running_meeting("x", "a", 0, 0) };
    let mut forecast = build_forecast(&servers, &[announced], &nothing);
    let mut load = |minutes: i64| {
        let meeting = NewMeeting { key: &key("new"), size_hint: None, max_users: None };
        let now = NOW.plus_ms(minutes * MINUTE);
        let estimate = forecast.estimate_cost(now, &meeting, &|_| true, &nothing);
        estimate.candidates[0].load.points()[24]
    };
    assert!((load(0) - 30.0).abs() < 0.1);
    assert!((load(10) - 10.0).abs() < 0.1);
    assert!(load(30) < 0.1, "no further users are expected");
    assert!((load(0) - 30.0).abs() < 0.1, "clocks may be set back");
}

#[test]
fn guessed_sizes_follow_the_users_who_have_arrived() {
    let nothing = Timetable::default();
    let known = timetable(&[("other", 600, 15, 60), ("x", 0, 15, 60)]);
    // Five minutes after its create a third of the users should be there.
    let later = |users: u32, timetable: &Timetable| {
        let forecast =
            build_forecast(&[server("a", 1.0)], &[running_meeting("x", "a", 5, users)], timetable);
        forecast.load(&ServerId("a".to_owned())).map(|load| load.points()[4])
    };
    assert!(later(0, &nothing) < Some(2.0), "few users will arrive");
    assert!(later(20, &nothing) > Some(50.0), "it is larger than guessed");
    assert!(later(20, &known) < Some(20.1), "a learned size is not corrected");
}

#[test]
fn empty_and_invalid_input_is_accepted() {
    let nothing = Timetable::default();
    assert_eq!(
        estimate_cost(&mut LoadForecast::new(ForecastPolicy::default()), "new", &nothing)
            .candidates,
        []
    );
    let policy = ForecastPolicy { default_users: 0, ..ForecastPolicy::default() };
    let mut forecast = LoadForecast::new(policy);
    forecast.rebuild(NOW, &[server("a", f64::NAN), server("b", 0.0)], [], &nothing);
    let estimate = estimate_cost(&mut forecast, "new", &nothing);
    assert!(estimate.candidates.iter().all(|candidate| candidate.cost == 0.0), "{estimate:?}");
}

fn any_running() -> impl Strategy<Value = Vec<RunningMeeting>> {
    let meeting = (0..40u32, 0..6usize, 0..300i64, 0..200u32, 0..200u32);
    let meeting = meeting.prop_map(|(id, server, minutes, users, expected)| {
        let server = ["a", "b", "c", "d", "e", "elsewhere"][server];
        RunningMeeting {
            expected_users: expected,
            ..running_meeting(&id.to_string(), server, minutes, users)
        }
    });
    proptest::collection::vec(meeting, 0..40)
}

fn any_servers() -> impl Strategy<Value = Vec<ForecastServer>> {
    proptest::collection::vec(0.1..5.0, 1..5usize).prop_map(|multipliers| {
        let servers = ["a", "b", "c", "d", "e"].into_iter().zip(multipliers);
        servers.map(|(id, multiplier)| server(id, multiplier)).collect()
    })
}

fn costs(estimate: &CostEstimate) -> Vec<f64> {
    estimate.candidates.iter().map(|candidate| candidate.cost).collect()
}

fn are_close(costs: &[f64], other_costs: &[f64]) -> bool {
    costs.len() == other_costs.len()
        && costs.iter().zip(other_costs).all(|(a, b)| (a - b).abs() <= 0.05 + a * 1e-4)
}

proptest! {
    #[test]
    fn more_load_never_lowers_a_cost(
        servers in any_servers(), meetings in any_running(), added in 0..200u32, position in 0..5usize,
    ) {
        let nothing = Timetable::default();
        let mut forecast = build_forecast(&servers, &meetings, &nothing);
        let before = costs(&estimate_cost(&mut forecast, "new", &nothing));
        let position = position % servers.len();
        forecast.add_meeting(running_meeting("more", &servers[position].id.0, 3, added), &nothing);
        let after = costs(&estimate_cost(&mut forecast, "new", &nothing));
        for (server, (before, after)) in before.iter().zip(&after).enumerate() {
            prop_assert!(after + 0.05 >= *before);
            prop_assert!(server == position || (after - before).abs() < 0.05);
        }
    }

    #[test]
    fn costs_are_numbers(
        servers in any_servers(), meetings in any_running(), hint in proptest::option::of(any::<u32>()),
        ahead in 0..1_000_000_000i64,
    ) {
        let known = timetable(&[("1", 5, 50, 80), ("2", 10, 30, 0), ("3", -30, 20, 40)]);
        let mut forecast = build_forecast(&servers, &meetings, &known);
        let meeting = NewMeeting { key: &key("3"), size_hint: hint, max_users: None };
        let estimate = forecast.estimate_cost(NOW.plus_ms(ahead), &meeting, &|_| true, &known);
        prop_assert!(estimate.candidates.len() == servers.len());
        for candidate in estimate.candidates {
            prop_assert!(candidate.cost.is_finite() && candidate.cost >= 0.0);
            prop_assert!(candidate.load.points().iter().all(|users| users.is_finite() && *users >= 0.0));
        }
    }

    #[test]
    fn the_order_of_servers_and_meetings_does_not_matter(
        mut servers in any_servers(), mut meetings in any_running(),
    ) {
        // Of two meetings with the same key the last one counts.
        meetings.sort_by(|a, b| a.key.cmp(&b.key));
        meetings.dedup_by(|a, b| a.key == b.key);
        let known = timetable(&[("1", 5, 50, 80), ("2", 10, 30, 60), ("new", 0, 20, 40)]);
        let before = estimate_cost(&mut build_forecast(&servers, &meetings, &known), "new", &known);
        servers.reverse();
        meetings.reverse();
        let after = estimate_cost(&mut build_forecast(&servers, &meetings, &known), "new", &known);
        prop_assert_eq!(before, after);
    }

    #[test]
    fn incremental_changes_equal_a_rebuild(
        servers in any_servers(), meetings in any_running(), joins in 0..40u32,
    ) {
        let known = timetable(&[("1", -20, 50, 80), ("2", 10, 30, 60), ("new", 0, 20, 40)]);
        let mut changed = build_forecast(&servers, &meetings, &known);
        let before = costs(&estimate_cost(&mut changed, "new", &known));
        changed.add_meeting(running_meeting("added", "a", 1, 0), &known);
        (0..joins).for_each(|_| changed.record_join(&key("added")));
        let with_added = [meetings, vec![running_meeting("added", "a", 1, joins)]].concat();
        let mut rebuilt = build_forecast(&servers, &with_added, &known);
        let of_changed = estimate_cost(&mut changed, "new", &known);
        let of_rebuilt = estimate_cost(&mut rebuilt, "new", &known);
        prop_assert!(are_close(&costs(&of_changed), &costs(&of_rebuilt)), "{of_changed:?} {of_rebuilt:?}");
        changed.remove_meeting(&key("added"));
        prop_assert!(are_close(&before, &costs(&estimate_cost(&mut changed, "new", &known))));
    }

    #[test]
    fn only_open_servers_are_candidates(servers in any_servers(), open in any::<[bool; 5]>()) {
        let nothing = Timetable::default();
        let mut forecast = build_forecast(&servers, &[], &nothing);
        let is_open = |id: &ServerId| open[usize::from(id.0.as_bytes()[0] - b'a')];
        let meeting = NewMeeting { key: &key("new"), size_hint: None, max_users: None };
        let estimate = forecast.estimate_cost(NOW, &meeting, &is_open, &nothing);
        prop_assert!(estimate.candidates.iter().all(|candidate| is_open(&candidate.server)));
        prop_assert_eq!(estimate.candidates.len(), servers.iter().filter(|server| is_open(&server.id)).count());
    }
}
