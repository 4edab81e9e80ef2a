//! What is in the product: booked seats, by the code that the product runs.

use domain::booking::{Book, BookServer, BookingPolicy, Newcomer, Running};
use domain::timetable::TimetableLimits;
use domain::{Course, MeetingKey, ServerId, Session, Timestamp, Timetable};

use crate::day::{Day, Second};
use crate::play::{Policy, World};
use crate::tie;

/// A Monday at 0:00.
const MONDAY: i64 = 1_767_571_200_000;
const DAY_S: i64 = 86_400;
/// `POLL_INTERVAL`.
const POLL: Second = 60;

/// What a policy is told of the day beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// The four weeks before.
    History,
    /// Nothing.
    Nothing,
    /// The four weeks before, and the size of each meeting when it is created.
    Hints,
}

/// Booked seats with ends.
pub(crate) struct Booked {
    book: Book,
    timetable: Timetable,
    hints: bool,
    keys: Vec<MeetingKey>,
    /// How many users each session was expected to draw when it was placed.
    expected: Vec<u32>,
    /// What was observed of each session that runs, and when it was created.
    courses: Vec<Option<(Course, Timestamp)>>,
}

impl Booked {
    pub(crate) fn new(day: &Day, knowledge: Knowledge) -> Self {
        Self::with(day, knowledge, BookingPolicy::default())
    }

    pub(crate) fn with(day: &Day, knowledge: Knowledge, policy: BookingPolicy) -> Self {
        let mut timetable = Timetable::new(TimetableLimits::default());
        if knowledge != Knowledge::Nothing {
            sessions(day).for_each(|session| timetable.learn(session));
        }
        let mut book = Book::new(policy);
        let first = day.sessions.first().map_or(0, |one| one.create);
        book.rebuild(time(first), &servers(day, |_| true), [], &timetable);
        let keys = day.sessions.iter().map(|one| key(&one.meeting_id)).collect();
        let courses = vec![None; day.sessions.len()];
        let expected = vec![0; day.sessions.len()];
        let hints = knowledge == Knowledge::Hints;
        Self { book, timetable, hints, keys, expected, courses }
    }

    fn newcomer(&self, world: &World<'_>, session: usize, back: Option<u32>) -> Newcomer<'_> {
        let hint = self.hints.then(|| world.day.sessions[session].size_max);
        Newcomer { key: &self.keys[session], hint: hint.or(back), users_max: None }
    }

    /// Starts anew from what runs, on the servers that are not known to be dead.
    fn rebuild(&mut self, world: &World<'_>) {
        let day = world.day;
        let servers = servers(day, |place| world.open[place]);
        let running = world.running.iter().map(|session| {
            let live = world.live[*session];
            let (key, expected) = (self.keys[*session].clone(), self.expected[*session]);
            let server = live.server.map(|place| id(day, place)).unwrap_or_else(|| id(day, 0));
            Running { key, server, created_at: time(live.created), users: live.users, expected }
        });
        let running: Vec<Running> = running.collect();
        self.book.rebuild(time(world.now), &servers, running, &self.timetable);
    }

    /// The session is over, as far as the balancer knows.
    fn end(&mut self, session: usize) {
        if let Some((course, created)) = self.courses[session].take() {
            self.book.remove(&self.keys[session]);
            if let Some(session) = course.session(&self.keys[session], created) {
                self.timetable.learn(session);
            }
        }
    }
}

impl Policy for Booked {
    fn choose(&mut self, world: &World<'_>, session: usize, back: Option<u32>) -> usize {
        let day = world.day;
        let newcomer = self.newcomer(world, session, back);
        let newcomer = Newcomer { key: &newcomer.key.clone(), ..newcomer };
        let is_open = |server: &ServerId| {
            let place = day.servers.iter().position(|one| one.id == server.0);
            place.is_some_and(|place| world.open[place])
        };
        let quotes = self.book.quote(time(world.now), &newcomer, &is_open, &self.timetable);
        self.expected[session] = quotes.expectation.seats;
        let offers = quotes.offers.iter().filter_map(|offer| {
            let place = day.servers.iter().position(|one| one.id == offer.server.0)?;
            Some((place, offer.cost))
        });
        tie::lowest(&day.sessions[session].meeting_id, offers)
    }

    fn placed(&mut self, world: &World<'_>, session: usize, server: usize) {
        let key = self.keys[session].clone();
        if world.day.sessions[session].server.is_some() {
            let newcomer = self.newcomer(world, session, None);
            self.expected[session] = self.book.expectation(&newcomer, &self.timetable).seats;
        }
        let expected = self.expected[session];
        let created_at = time(world.now);
        let running =
            Running { key, server: id(world.day, server), created_at, users: 0, expected };
        self.book.add(running, &self.timetable);
        self.courses[session] = Some((Course::default(), created_at));
    }

    fn join(&mut self, _world: &World<'_>, session: usize) {
        self.book.join(&self.keys[session]);
    }

    fn tick(&mut self, world: &World<'_>) {
        if world.now % POLL != 0 {
            return;
        }
        for session in 0..self.courses.len() {
            let Some((course, _)) = &mut self.courses[session] else { continue };
            let live = world.live[session];
            if live.server.is_some() {
                course.observe(live.users, time(world.now));
                self.book.users(&self.keys[session], live.users);
            } else {
                self.end(session);
            }
        }
        self.rebuild(world);
    }

    fn lost(&mut self, world: &World<'_>, server: usize) {
        for session in 0..self.courses.len() {
            if world.live[session].server == Some(server) {
                // It is cut short, and tells nothing of its usual course.
                self.courses[session] = None;
                self.book.remove(&self.keys[session]);
            }
        }
        self.book.close(&ServerId(world.day.servers[server].id.clone()));
    }
}

/// The history of a day, as sessions.
pub(crate) fn sessions(day: &Day) -> impl Iterator<Item = Session> {
    day.history.iter().map(|past| Session {
        key: key(&past.meeting_id),
        created_at: time((past.week * 7 + past.weekday) * DAY_S + past.create),
        peak_users: past.size_max,
        busy_ms: past.busy * 1000,
    })
}

pub(crate) fn key(meeting_id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: meeting_id.to_owned() }
}

pub(crate) fn time(at: Second) -> Timestamp {
    Timestamp(MONDAY + at * 1000)
}

fn id(day: &Day, place: usize) -> ServerId {
    ServerId(day.servers[place].id.clone())
}

fn servers(day: &Day, takes: impl Fn(usize) -> bool) -> Vec<BookServer> {
    let servers = day.servers.iter().enumerate().filter(|(place, _)| takes(*place));
    servers
        .map(|(_, one)| BookServer {
            id: ServerId(one.id.clone()),
            load_multiplier: one.load_multiplier,
        })
        .collect()
}
