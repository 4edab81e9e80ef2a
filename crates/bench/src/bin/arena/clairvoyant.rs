//! The clairvoyant: knows how many users each meeting that was placed will have at each moment,
//! and the new one; but not which meetings are still to come.

use crate::attendance::user_changes;
use crate::day::{Day, Second};
use crate::simulation::{PlacementModel, PoolView};
use crate::tie_break;

const STEP_S: Second = 60;
/// Moments count at which a meeting has more than this share of its peak.
const MIN_PEAK_SHARE: f64 = 0.3;

pub(crate) struct Clairvoyant {
    first: Second,
    /// Users of each server at each moment.
    loads: Vec<Vec<f64>>,
}

impl Clairvoyant {
    pub(crate) fn new(day: &Day) -> Self {
        let first = day.sessions.iter().map(|one| one.created_at).min().unwrap_or(0);
        let last = day.sessions.iter().map(|one| one.ended_at).max().unwrap_or(0);
        let moments = usize::try_from((last - first) / STEP_S + 2).unwrap_or(0);
        Self { first, loads: vec![vec![0.0; moments]; day.servers.len()] }
    }

    /// The users of a session from now on: the first moment, and how many there are at each.
    fn future_users(&self, world: &PoolView<'_>, session: usize) -> (usize, Vec<f64>) {
        let planned = &world.day.sessions[session];
        let from = (world.now - self.first + STEP_S - 1).div_euclid(STEP_S).max(0);
        let mut course = user_changes(planned).peekable();
        let mut users = 0;
        let mut future = Vec::new();
        for moment in from..=(planned.ended_at - self.first).div_euclid(STEP_S) {
            while let Some((_, next)) =
                course.next_if(|(at, _)| *at <= self.first + moment * STEP_S)
            {
                users = next;
            }
            future.push(f64::from(users));
        }
        (usize::try_from(from).unwrap_or(0), future)
    }
}

impl PlacementModel for Clairvoyant {
    fn choose_server(&mut self, world: &PoolView<'_>, session: usize, _back: Option<u32>) -> usize {
        let (from, future) = self.future_users(world, session);
        let peak = future.iter().copied().fold(0.0, f64::max);
        let count = future.len().max(1) as f64;
        let cost = |server: usize| {
            let both = self.loads[server].iter().skip(from).zip(&future);
            let counted = both.filter(|(_, own)| **own > MIN_PEAK_SHARE * peak);
            let (fullest, sum) = counted.fold((0.0_f64, 0.0), |(fullest, sum), (load, own)| {
                (fullest.max(load + own), sum + load + own)
            });
            (fullest + 0.01 * sum / count) * world.day.servers[server].load_multiplier
        };
        let open = (0..self.loads.len()).filter(|server| world.is_available[*server]);
        let costs = open.map(|server| (server, cost(server)));
        tie_break::pick_lowest(&world.day.sessions[session].meeting_id, costs)
    }

    fn record_placement(&mut self, world: &PoolView<'_>, session: usize, server: usize) {
        let (from, future) = self.future_users(world, session);
        for (load, users) in self.loads[server].iter_mut().skip(from).zip(future) {
            *load += users;
        }
    }

    fn record_server_loss(&mut self, world: &PoolView<'_>, server: usize) {
        let now = (world.now - self.first).div_euclid(STEP_S);
        for load in self.loads[server].iter_mut().skip(usize::try_from(now).unwrap_or(0)) {
            *load = 0.0;
        }
    }
}
