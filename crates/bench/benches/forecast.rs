//! Run times of the load forecast of the placement policy `forecast`, which each create waits for:
//! `cargo bench -p bench --bench forecast`.
//!
//! The largest pool has 500 servers, 5,000 running meetings, and 20,000 known meetings, of which
//! several hundred are expected soon. No existing pool is known to be larger.

use divan::Bencher;
use domain::forecast::{ForecastPolicy, ForecastServer, LoadForecast, NewMeeting, RunningMeeting};
use domain::{MeetingKey, MeetingSession, ServerId, Timestamp, Timetable};

const MINUTE_MS: i64 = 60_000;
const WEEK_MS: i64 = 7 * 24 * 60 * MINUTE_MS;
/// A Monday, 9:50 UTC.
const NOW: Timestamp = Timestamp(1_767_606_600_000);

fn main() {
    divan::main();
}

struct PoolFixture {
    load_forecast: LoadForecast,
    timetable: Timetable,
    servers: Vec<ForecastServer>,
    running: Vec<RunningMeeting>,
}

fn key(id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: id.to_owned() }
}

/// Builds a pool with this number of servers, 10 running meetings and 40 known meetings for each.
fn build_pool(servers: i64) -> PoolFixture {
    let mut timetable = Timetable::default();
    for number in 0..servers * 40 {
        for week in 1..=4 {
            // One of forty meetings is in this hour; a week has about forty hours with meetings.
            let ahead = (number % 40) * 60 + number * 7 % 35 - 10;
            let created_at = NOW.plus_ms(ahead * MINUTE_MS - week * WEEK_MS);
            let peak_users = u32::try_from(2 + number * 31 % 61).unwrap_or(0);
            let key = key(&format!("known-{number}"));
            timetable.learn(MeetingSession {
                key,
                created_at,
                peak_users,
                busy_ms: 85 * MINUTE_MS,
            });
        }
    }
    let id = |number: i64| ServerId(format!("server-{number:03}"));
    let multiplier = |number: i64| [1.0, 1.0, 0.5, 2.0][usize::try_from(number % 4).unwrap_or(0)];
    let list = (0..servers).map(|n| ForecastServer { id: id(n), load_multiplier: multiplier(n) });
    let running = (0..servers * 10).map(|number| RunningMeeting {
        key: key(&format!("running-{number}")),
        server: id(number % servers),
        created_at: NOW.plus_ms(-(number % 100) * MINUTE_MS),
        users: u32::try_from(number * 17 % 40).unwrap_or(0),
        expected_users: 15,
    });
    let (servers, running): (Vec<_>, Vec<_>) = (list.collect(), running.collect());
    let mut load_forecast = LoadForecast::new(ForecastPolicy::default());
    load_forecast.rebuild(NOW, &servers, running.clone(), &timetable);
    PoolFixture { load_forecast, timetable, servers, running }
}

/// The usual case: the forecasts of the expected meetings are up to date. A small meeting is placed
/// after all larger expected meetings.
#[divan::bench(args = [10, 100, 500])]
fn estimate_costs_of_a_small_meeting(bencher: Bencher<'_, '_>, servers: i64) {
    let mut pool = build_pool(servers);
    let key = key("new");
    let new_meeting = NewMeeting { key: &key, size_hint: Some(3), max_users: None };
    let (forecast, timetable) = (&mut pool.load_forecast, &pool.timetable);
    bencher.bench_local(|| forecast.estimate_cost(NOW, &new_meeting, &|_| true, timetable));
}

#[divan::bench(args = [10, 100, 500])]
fn estimate_costs_of_a_large_meeting(bencher: Bencher<'_, '_>, servers: i64) {
    let mut pool = build_pool(servers);
    let key = key("new");
    let new_meeting = NewMeeting { key: &key, size_hint: Some(50), max_users: None };
    let (forecast, timetable) = (&mut pool.load_forecast, &pool.timetable);
    bencher.bench_local(|| forecast.estimate_cost(NOW, &new_meeting, &|_| true, timetable));
}

/// The worst case: the forecasts are more than five seconds old and are made anew.
#[divan::bench(args = [10, 100, 500])]
fn estimate_costs_with_new_forecasts(bencher: Bencher<'_, '_>, servers: i64) {
    let mut pool = build_pool(servers);
    let key = key("new");
    let new_meeting = NewMeeting { key: &key, size_hint: Some(15), max_users: None };
    let (forecast, timetable) = (&mut pool.load_forecast, &pool.timetable);
    let mut offset_ms = 0;
    bencher.bench_local(|| {
        offset_ms = 6_000 - offset_ms;
        forecast.estimate_cost(NOW.plus_ms(offset_ms), &new_meeting, &|_| true, timetable)
    });
}

#[divan::bench(args = [10, 100, 500])]
fn record_join(bencher: Bencher<'_, '_>, servers: i64) {
    let mut pool = build_pool(servers);
    let key = key("running-40");
    bencher.bench_local(|| pool.load_forecast.record_join(&key));
}

#[divan::bench(args = [10, 100, 500])]
fn rebuild_from_history(bencher: Bencher<'_, '_>, servers: i64) {
    let pool = build_pool(servers);
    let mut forecast = pool.load_forecast.clone();
    bencher.with_inputs(|| pool.running.clone()).bench_local_values(|running| {
        forecast.rebuild(NOW, &pool.servers, running, &pool.timetable);
    });
}
