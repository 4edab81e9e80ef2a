//! What the rule promises.

use proptest::prelude::*;

use super::*;
use crate::history::MeetingSession;
use crate::timetable::Timetable;

const MINUTE: i64 = 60_000;
const WEEK: i64 = 7 * 24 * 60 * MINUTE;
/// A Monday, 10:30 UTC: far from the bell.
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

fn forecast(
    servers: &[ForecastServer],
    meetings: &[RunningMeeting],
    timetable: &Timetable,
) -> LoadForecast {
    let mut book = LoadForecast::new(ForecastPolicy::default());
    book.rebuild(NOW, servers, meetings.to_vec(), timetable);
    book
}

fn estimate_cost(book: &mut LoadForecast, newcomer: &str, timetable: &Timetable) -> CostEstimate {
    let newcomer = NewMeeting { key: &key(newcomer), size_hint: None, max_users: None };
    book.estimate_cost(NOW, &newcomer, &|_| true, timetable)
}

fn cheapest_server(quotes: &CostEstimate) -> &str {
    let best = quotes.candidates.iter().min_by(|one, other| one.cost.total_cmp(&other.cost));
    &best.unwrap().server.0
}

/// Meetings that were held in the three weeks before.
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
fn expectations() {
    let known = timetable(&[("known", -500, 40, 60)]);
    let nothing = Timetable::default();
    let book = forecast(&[], &[], &nothing);
    let known_key = key("known");
    let ask =
        |hint, users_max| NewMeeting { key: &known_key, size_hint: hint, max_users: users_max };
    let (learned, reserve) = (ExpectedUsersSource::Learned(3), ExpectedUsersSource::Reserve);
    for (hint, most, timetable, seats, source) in [
        (Some(7), None, &known, 7, ExpectedUsersSource::Hint),
        (None, None, &known, 40, learned),
        (None, Some(25), &known, 25, learned),
        (Some(90), Some(25), &known, 25, ExpectedUsersSource::Hint),
        (None, None, &nothing, 15, reserve),
        (None, Some(2), &nothing, 2, reserve),
    ] {
        let expected = ExpectedUsers { users: seats, source };
        assert_eq!(book.expected_users(&ask(hint, most), timetable), expected);
    }
}

#[test]
fn a_burst_spreads_before_anybody_has_joined() {
    let servers = ["a", "b", "c"].map(|id| server(id, 1.0));
    let nothing = Timetable::default();
    let mut book = forecast(&servers, &[], &nothing);
    let mut counts = [0; 3];
    for number in 0..30 {
        let id = number.to_string();
        let chosen = cheapest_server(&estimate_cost(&mut book, &id, &nothing)).to_owned();
        counts[servers.iter().position(|one| one.id.0 == chosen).unwrap()] += 1;
        book.add_meeting(running_meeting(&id, &chosen, 0, 0), &nothing);
    }
    assert_eq!(counts, [10; 3]);
}

#[test]
fn joins_count_at_once() {
    let servers = [server("a", 1.0), server("b", 1.0)];
    let nothing = Timetable::default();
    let mut book = forecast(
        &servers,
        &[running_meeting("x", "a", 5, 9), running_meeting("y", "b", 5, 10)],
        &nothing,
    );
    assert_eq!(cheapest_server(&estimate_cost(&mut book, "new", &nothing)), "a");
    (0..30).for_each(|_| book.record_join(&key("x")));
    assert_eq!(cheapest_server(&estimate_cost(&mut book, "new", &nothing)), "b");
    book.record_join(&key("stranger"));
}

#[test]
fn a_weak_server_does_not_get_large_meetings() {
    let servers = [server("strong", 1.0), server("weak", 4.0)];
    let nothing = Timetable::default();
    let mut book = forecast(&servers, &[running_meeting("x", "strong", 60, 90)], &nothing);
    let quotes = estimate_cost(&mut book, "new", &nothing);
    assert_eq!(cheapest_server(&quotes), "strong");
    assert!((quotes.candidates[1].caution - 5.5).abs() < 1e-6);
    // With a size that is known there is no need for caution.
    let small = NewMeeting { key: &key("small"), size_hint: Some(10), max_users: None };
    let quotes = book.estimate_cost(NOW, &small, &|_| true, &nothing);
    assert_eq!(cheapest_server(&quotes), "weak");
}

#[test]
fn meetings_that_are_about_to_end_count_less() {
    let known = timetable(&[("ends", -85, 50, 90), ("stays", -20, 50, 90), ("new", 0, 10, 90)]);
    let servers = [server("a", 1.0), server("b", 1.0)];
    let meetings = [running_meeting("ends", "a", 85, 50), running_meeting("stays", "b", 20, 45)];
    let mut book = forecast(&servers, &meetings, &known);
    let quotes = estimate_cost(&mut book, "new", &known);
    let last = |server: usize| quotes.candidates[server].load.points()[6];
    assert!(last(0) < 1.0 && last(1) > 40.0, "{quotes:?}");
}

#[test]
fn larger_upcoming_meetings_are_placed_first() {
    let known = timetable(&[("large", 20, 80, 90), ("small", 20, 3, 90), ("new", 0, 10, 90)]);
    let servers = [server("a", 1.0), server("b", 1.0)];
    let mut book = forecast(&servers, &[running_meeting("x", "b", 120, 5)], &known);
    let quotes = estimate_cost(&mut book, "new", &known);
    assert_eq!((quotes.upcoming_placed, cheapest_server(&quotes)), (1, "b"));
    // Once it is there, it is not promised any more.
    book.add_meeting(running_meeting("large", "b", 0, 0), &known);
    assert_eq!(estimate_cost(&mut book, "new", &known).upcoming_placed, 0);
    // A closed server is promised nothing.
    book.remove_meeting(&key("large"));
    book.rebuild(NOW, &servers, [running_meeting("x", "b", 120, 5)], &known);
    book.close_server(&ServerId("a".to_owned()));
    let quotes = estimate_cost(&mut book, "new", &known);
    assert_eq!((quotes.upcoming_placed, quotes.candidates.len()), (1, 1));
    assert!(quotes.candidates[0].load.points()[8] > 60.0);
}

#[test]
fn forecasts_move_on_with_time() {
    let nothing = Timetable::default();
    let servers = [server("a", 1.0)];
    let announced = RunningMeeting { expected_users: 30, ..running_meeting("x", "a", 0, 0) };
    let mut book = forecast(&servers, &[announced], &nothing);
    let mut load = |minutes: i64| {
        let newcomer = NewMeeting { key: &key("new"), size_hint: None, max_users: None };
        let now = NOW.plus_ms(minutes * MINUTE);
        let quotes = book.estimate_cost(now, &newcomer, &|_| true, &nothing);
        quotes.candidates[0].load.points()[24]
    };
    assert!((load(0) - 30.0).abs() < 0.1);
    assert!((load(10) - 10.0).abs() < 0.1);
    assert!(load(30) < 0.1, "nobody is expected any more");
    assert!((load(0) - 30.0).abs() < 0.1, "clocks may be set back");
}

#[test]
fn guessed_sizes_follow_actual_users() {
    let nothing = Timetable::default();
    let known = timetable(&[("other", 600, 15, 60), ("x", 0, 15, 60)]);
    // Five minutes after its create a third of the users should be there.
    let later = |users: u32, timetable: &Timetable| {
        let book = forecast(&[server("a", 1.0)], &[running_meeting("x", "a", 5, users)], timetable);
        book.load(&ServerId("a".to_owned())).map(|load| load.points()[4])
    };
    assert!(later(0, &nothing) < Some(2.0), "hardly anybody will come");
    assert!(later(20, &nothing) > Some(50.0), "it is larger than guessed");
    assert!(later(20, &known) < Some(20.1), "what was learned is kept to");
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
    let mut book = LoadForecast::new(policy);
    book.rebuild(NOW, &[server("a", f64::NAN), server("b", 0.0)], [], &nothing);
    let quotes = estimate_cost(&mut book, "new", &nothing);
    assert!(quotes.candidates.iter().all(|offer| offer.cost == 0.0), "{quotes:?}");
}

fn any_running() -> impl Strategy<Value = Vec<RunningMeeting>> {
    let one = (0..40u32, 0..6usize, 0..300i64, 0..200u32, 0..200u32);
    let one = one.prop_map(|(id, server, minutes, users, expected)| {
        let server = ["a", "b", "c", "d", "e", "elsewhere"][server];
        RunningMeeting {
            expected_users: expected,
            ..running_meeting(&id.to_string(), server, minutes, users)
        }
    });
    proptest::collection::vec(one, 0..40)
}

fn any_servers() -> impl Strategy<Value = Vec<ForecastServer>> {
    proptest::collection::vec(0.1..5.0, 1..5usize).prop_map(|multipliers| {
        let servers = ["a", "b", "c", "d", "e"].into_iter().zip(multipliers);
        servers.map(|(id, multiplier)| server(id, multiplier)).collect()
    })
}

fn costs(quotes: &CostEstimate) -> Vec<f64> {
    quotes.candidates.iter().map(|offer| offer.cost).collect()
}

fn are_close(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| (one - other).abs() <= 0.05 + one * 1e-4)
}

proptest! {
    #[test]
    fn more_load_never_lowers_a_cost(
        servers in any_servers(), meetings in any_running(), more in 0..200u32, place in 0..5usize,
    ) {
        let nothing = Timetable::default();
        let mut book = forecast(&servers, &meetings, &nothing);
        let before = costs(&estimate_cost(&mut book, "new", &nothing));
        let place = place % servers.len();
        book.add_meeting(running_meeting("more", &servers[place].id.0, 3, more), &nothing);
        let after = costs(&estimate_cost(&mut book, "new", &nothing));
        for (server, (before, after)) in before.iter().zip(&after).enumerate() {
            prop_assert!(after + 0.05 >= *before);
            prop_assert!(server == place || (after - before).abs() < 0.05);
        }
    }

    #[test]
    fn costs_are_numbers(
        servers in any_servers(), meetings in any_running(), hint in proptest::option::of(any::<u32>()),
        ahead in 0..1_000_000_000i64,
    ) {
        let known = timetable(&[("1", 5, 50, 80), ("2", 10, 30, 0), ("3", -30, 20, 40)]);
        let mut book = forecast(&servers, &meetings, &known);
        let newcomer = NewMeeting { key: &key("3"), size_hint: hint, max_users: None };
        let quotes = book.estimate_cost(NOW.plus_ms(ahead), &newcomer, &|_| true, &known);
        prop_assert!(quotes.candidates.len() == servers.len());
        for offer in quotes.candidates {
            prop_assert!(offer.cost.is_finite() && offer.cost >= 0.0);
            prop_assert!(offer.load.points().iter().all(|users| users.is_finite() && *users >= 0.0));
        }
    }

    #[test]
    fn the_order_of_servers_and_meetings_does_not_matter(
        mut servers in any_servers(), mut meetings in any_running(),
    ) {
        // Of two that have the same name the last one counts.
        meetings.sort_by(|one, other| one.key.cmp(&other.key));
        meetings.dedup_by(|one, other| one.key == other.key);
        let known = timetable(&[("1", 5, 50, 80), ("2", 10, 30, 60), ("new", 0, 20, 40)]);
        let before = estimate_cost(&mut forecast(&servers, &meetings, &known), "new", &known);
        servers.reverse();
        meetings.reverse();
        let after = estimate_cost(&mut forecast(&servers, &meetings, &known), "new", &known);
        prop_assert_eq!(before, after);
    }

    #[test]
    fn incremental_changes_equal_a_rebuild(
        servers in any_servers(), meetings in any_running(), joins in 0..40u32,
    ) {
        let known = timetable(&[("1", -20, 50, 80), ("2", 10, 30, 60), ("new", 0, 20, 40)]);
        let mut one = forecast(&servers, &meetings, &known);
        let before = costs(&estimate_cost(&mut one, "new", &known));
        one.add_meeting(running_meeting("guest", "a", 1, 0), &known);
        (0..joins).for_each(|_| one.record_join(&key("guest")));
        let with_guest = [meetings, vec![running_meeting("guest", "a", 1, joins)]].concat();
        let mut other = forecast(&servers, &with_guest, &known);
        let (with, facts) = (estimate_cost(&mut one, "new", &known), estimate_cost(&mut other, "new", &known));
        prop_assert!(are_close(&costs(&with), &costs(&facts)), "{with:?} {facts:?}");
        one.remove_meeting(&key("guest"));
        prop_assert!(are_close(&before, &costs(&estimate_cost(&mut one, "new", &known))));
    }

    #[test]
    fn only_open_servers_are_candidates(servers in any_servers(), open in any::<[bool; 5]>()) {
        let nothing = Timetable::default();
        let mut book = forecast(&servers, &[], &nothing);
        let is_open = |id: &ServerId| open[usize::from(id.0.as_bytes()[0] - b'a')];
        let newcomer = NewMeeting { key: &key("new"), size_hint: None, max_users: None };
        let quotes = book.estimate_cost(NOW, &newcomer, &is_open, &nothing);
        prop_assert!(quotes.candidates.iter().all(|offer| is_open(&offer.server)));
        prop_assert_eq!(quotes.candidates.len(), servers.iter().filter(|one| is_open(&one.id)).count());
    }
}
