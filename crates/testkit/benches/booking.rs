//! What a create pays for booked seats: `cargo bench -p testkit --bench booking`.
//!
//! The large pool is larger than any we heard of: 500 servers, 5,000 running meetings, 20,000 that
//! are known, of which several hundred are about to come.

use divan::Bencher;
use domain::booking::{Book, BookServer, BookingPolicy, Newcomer, Running};
use domain::{MeetingKey, ServerId, Session, Timestamp, Timetable};

const MINUTE: i64 = 60_000;
const WEEK: i64 = 7 * 24 * 60 * MINUTE;
/// A Monday, 9:50 UTC.
const NOW: Timestamp = Timestamp(1_767_606_600_000);

fn main() {
    divan::main();
}

struct Pool {
    book: Book,
    timetable: Timetable,
    servers: Vec<BookServer>,
    running: Vec<Running>,
}

fn key(id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: id.to_owned() }
}

/// A pool with so many servers, ten times as many meetings, and four times as many known ones.
fn pool(servers: i64) -> Pool {
    let mut timetable = Timetable::default();
    for number in 0..servers * 40 {
        for week in 1..=4 {
            // One of forty is in this hour; the week has about as many hours with meetings.
            let ahead = (number % 40) * 60 + number * 7 % 35 - 10;
            let created_at = NOW.plus_ms(ahead * MINUTE - week * WEEK);
            let peak_users = u32::try_from(2 + number * 31 % 61).unwrap_or(0);
            let key = key(&format!("known-{number}"));
            timetable.learn(Session { key, created_at, peak_users, busy_ms: 85 * MINUTE });
        }
    }
    let id = |number: i64| ServerId(format!("server-{number:03}"));
    let multiplier = |number: i64| [1.0, 1.0, 0.5, 2.0][usize::try_from(number % 4).unwrap_or(0)];
    let list = (0..servers).map(|n| BookServer { id: id(n), load_multiplier: multiplier(n) });
    let running = (0..servers * 10).map(|number| Running {
        key: key(&format!("running-{number}")),
        server: id(number % servers),
        created_at: NOW.plus_ms(-(number % 100) * MINUTE),
        users: u32::try_from(number * 17 % 40).unwrap_or(0),
        expected: 15,
    });
    let (servers, running): (Vec<_>, Vec<_>) = (list.collect(), running.collect());
    let mut book = Book::new(BookingPolicy::default());
    book.rebuild(NOW, &servers, running.clone(), &timetable);
    Pool { book, timetable, servers, running }
}

/// The usual create: forecasts are fresh. Small meetings come after all promised ones.
#[divan::bench(args = [10, 100, 500])]
fn quote_for_a_small_meeting(bencher: Bencher<'_, '_>, servers: i64) {
    let mut pool = pool(servers);
    let new = key("new");
    let newcomer = Newcomer { key: &new, hint: Some(3), users_max: None };
    let (book, timetable) = (&mut pool.book, &pool.timetable);
    bencher.bench_local(|| book.quote(NOW, &newcomer, &|_| true, timetable));
}

#[divan::bench(args = [10, 100, 500])]
fn quote_for_a_large_meeting(bencher: Bencher<'_, '_>, servers: i64) {
    let mut pool = pool(servers);
    let new = key("new");
    let newcomer = Newcomer { key: &new, hint: Some(50), users_max: None };
    let (book, timetable) = (&mut pool.book, &pool.timetable);
    bencher.bench_local(|| book.quote(NOW, &newcomer, &|_| true, timetable));
}

/// The create that comes when forecasts are more than five seconds old.
#[divan::bench(args = [10, 100, 500])]
fn quote_with_new_forecasts(bencher: Bencher<'_, '_>, servers: i64) {
    let mut pool = pool(servers);
    let new = key("new");
    let newcomer = Newcomer { key: &new, hint: Some(15), users_max: None };
    let (book, timetable) = (&mut pool.book, &pool.timetable);
    let mut turn = 0;
    bencher.bench_local(|| {
        turn = 6_000 - turn;
        book.quote(NOW.plus_ms(turn), &newcomer, &|_| true, timetable)
    });
}

#[divan::bench(args = [10, 100, 500])]
fn join(bencher: Bencher<'_, '_>, servers: i64) {
    let mut pool = pool(servers);
    let key = key("running-40");
    bencher.bench_local(|| pool.book.join(&key));
}

#[divan::bench(args = [10, 100, 500])]
fn rebuild_from_facts(bencher: Bencher<'_, '_>, servers: i64) {
    let pool = pool(servers);
    let mut book = pool.book.clone();
    let with = || pool.running.clone();
    bencher
        .with_inputs(with)
        .bench_local_values(|running| book.rebuild(NOW, &pool.servers, running, &pool.timetable));
}
