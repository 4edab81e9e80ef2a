//! The clairvoyant: knows how many users each meeting that was placed will have at each moment,
//! and the new one; but not which meetings are still to come.

use crate::course::changes;
use crate::day::{Day, Second};
use crate::play::{Policy, World};
use crate::tie;

const STEP: Second = 60;
/// Moments count at which a meeting has more than this share of its peak.
const SHARE: f64 = 0.3;

pub(crate) struct Seer {
    first: Second,
    /// Users of each server at each moment.
    loads: Vec<Vec<f64>>,
}

impl Seer {
    pub(crate) fn new(day: &Day) -> Self {
        let first = day.sessions.iter().map(|one| one.create).min().unwrap_or(0);
        let last = day.sessions.iter().map(|one| one.end).max().unwrap_or(0);
        let moments = usize::try_from((last - first) / STEP + 2).unwrap_or(0);
        Self { first, loads: vec![vec![0.0; moments]; day.servers.len()] }
    }

    /// The users of a session from now on: the first moment, and how many there are at each.
    fn future(&self, world: &World<'_>, session: usize) -> (usize, Vec<f64>) {
        let planned = &world.day.sessions[session];
        let from = (world.now - self.first + STEP - 1).div_euclid(STEP).max(0);
        let mut course = changes(planned).peekable();
        let mut users = 0;
        let mut future = Vec::new();
        for moment in from..=(planned.end - self.first).div_euclid(STEP) {
            while let Some((_, next)) = course.next_if(|(at, _)| *at <= self.first + moment * STEP)
            {
                users = next;
            }
            future.push(f64::from(users));
        }
        (usize::try_from(from).unwrap_or(0), future)
    }
}

impl Policy for Seer {
    fn choose(&mut self, world: &World<'_>, session: usize, _back: Option<u32>) -> usize {
        let (from, future) = self.future(world, session);
        let peak = future.iter().copied().fold(0.0, f64::max);
        let count = future.len().max(1) as f64;
        let cost = |server: usize| {
            let both = self.loads[server].iter().skip(from).zip(&future);
            let counted = both.filter(|(_, own)| **own > SHARE * peak);
            let (fullest, sum) = counted.fold((0.0_f64, 0.0), |(fullest, sum), (load, own)| {
                (fullest.max(load + own), sum + load + own)
            });
            (fullest + 0.01 * sum / count) * world.day.servers[server].load_multiplier
        };
        let open = (0..self.loads.len()).filter(|server| world.open[*server]);
        let costs = open.map(|server| (server, cost(server)));
        tie::lowest(&world.day.sessions[session].meeting_id, costs)
    }

    fn placed(&mut self, world: &World<'_>, session: usize, server: usize) {
        let (from, future) = self.future(world, session);
        for (load, users) in self.loads[server].iter_mut().skip(from).zip(future) {
            *load += users;
        }
    }

    fn lost(&mut self, world: &World<'_>, server: usize) {
        let now = (world.now - self.first).div_euclid(STEP);
        for load in self.loads[server].iter_mut().skip(usize::try_from(now).unwrap_or(0)) {
            *load = 0.0;
        }
    }
}
