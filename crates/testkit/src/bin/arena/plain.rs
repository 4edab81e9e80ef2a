//! Simple policies, to see what each idea is worth: chance, reserved seats, learned sizes.

use domain::booking::{Book, BookingPolicy, Newcomer};
use domain::timetable::TimetableLimits;
use domain::{MeetingKey, Timetable};

use crate::chance::Chance;
use crate::day::Day;
use crate::ours;
use crate::play::{Policy, World};
use crate::tie;

/// Any server.
pub(crate) struct Random(pub(crate) Chance);

impl Policy for Random {
    fn choose(&mut self, world: &World<'_>, _session: usize, _back: Option<u32>) -> usize {
        let open: Vec<usize> = (0..world.open.len()).filter(|server| world.open[*server]).collect();
        *self.0.pick(&open)
    }
}

/// Users known, and seats reserved for a quarter of an hour, fewer from minute to minute.
pub(crate) struct Reserve {
    /// Whether sizes are learned, and the new meeting's own seats count: "fit".
    fit: bool,
    keys: Vec<MeetingKey>,
    book: Book,
    timetable: Timetable,
    /// By session: users of the last poll, and joins since.
    users: Vec<u32>,
    expected: Vec<u32>,
}

impl Reserve {
    pub(crate) fn new(day: &Day, fit: bool) -> Self {
        let mut timetable = Timetable::new(TimetableLimits::default());
        if fit {
            ours::sessions(day).for_each(|session| timetable.learn(session));
        }
        Self {
            fit,
            keys: day.sessions.iter().map(|one| ours::key(&one.meeting_id)).collect(),
            book: Book::new(BookingPolicy::default()),
            timetable,
            users: vec![0; day.sessions.len()],
            expected: vec![0; day.sessions.len()],
        }
    }

    fn seats(&self, world: &World<'_>, session: usize) -> f64 {
        let age = (world.now - world.live[session].created) as f64;
        let (users, expected) = (f64::from(self.users[session]), f64::from(self.expected[session]));
        users + (expected - users).max(0.0) * (1.0 - age / 900.0).max(0.0)
    }
}

impl Policy for Reserve {
    fn choose(&mut self, world: &World<'_>, session: usize, back: Option<u32>) -> usize {
        let newcomer = Newcomer { key: &self.keys[session], hint: back, users_max: None };
        self.expected[session] = self.book.expectation(&newcomer, &self.timetable).seats;
        self.users[session] = 0;
        let mut loads = vec![0.0; world.open.len()];
        for one in &world.running {
            if let Some(server) = world.live[*one].server {
                loads[server] += self.seats(world, *one);
            }
        }
        let own = if self.fit { f64::from(self.expected[session]) } else { 0.0 };
        let open = loads.into_iter().enumerate().filter(|(server, _)| world.open[*server]);
        let multiplier = |server: usize| world.day.servers[server].load_multiplier;
        let costs = open.map(|(server, load)| (server, (load + own) * multiplier(server)));
        tie::lowest(&world.day.sessions[session].meeting_id, costs)
    }

    fn join(&mut self, _world: &World<'_>, session: usize) {
        self.users[session] += 1;
    }

    fn tick(&mut self, world: &World<'_>) {
        if world.now % 60 == 0 {
            for session in &world.running {
                self.users[*session] = world.live[*session].users;
            }
        }
    }
}
