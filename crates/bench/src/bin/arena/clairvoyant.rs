//! The clairvoyant policy, to which the others are compared: it knows how many users the new meeting
//! and each placed meeting will have at each moment, but not which meetings are still to come.

use crate::attendance::user_changes;
use crate::day::{Day, Second};
use crate::simulation::{PlacementModel, PoolView};
use crate::tie_break;

/// Time between two moments.
const STEP_S: Second = 60;
/// Only moments at which the new meeting has more than this share of its peak count.
const MIN_PEAK_SHARE: f64 = 0.3;

pub(crate) struct Clairvoyant {
    first: Second,
    /// Users of each server at each moment, the first of which is `first`.
    loads: Vec<Vec<f64>>,
}

impl Clairvoyant {
    pub(crate) fn new(day: &Day) -> Self {
        let first = day.sessions.iter().map(|session| session.created_at).min().unwrap_or(0);
        let last = day.sessions.iter().map(|session| session.ended_at).max().unwrap_or(0);
        let moments = usize::try_from((last - first) / STEP_S + 2).unwrap_or(0);
        Self { first, loads: vec![vec![0.0; moments]; day.servers.len()] }
    }

    /// Returns the next moment, and the users of a session at that moment and at all later ones.
    fn future_users(&self, pool: &PoolView<'_>, session: usize) -> (usize, Vec<f64>) {
        let session = &pool.day.sessions[session];
        let from = (pool.now - self.first + STEP_S - 1).div_euclid(STEP_S).max(0);
        let mut changes = user_changes(session).peekable();
        let mut users = 0;
        let mut future = Vec::new();
        for moment in from..=(session.ended_at - self.first).div_euclid(STEP_S) {
            while let Some((_, next)) =
                changes.next_if(|(at, _)| *at <= self.first + moment * STEP_S)
            {
                users = next;
            }
            future.push(f64::from(users));
        }
        (usize::try_from(from).unwrap_or(0), future)
    }
}

impl PlacementModel for Clairvoyant {
    fn choose_server(
        &mut self,
        pool: &PoolView<'_>,
        session: usize,
        _returning_users: Option<u32>,
    ) -> usize {
        let (from, future) = self.future_users(pool, session);
        let peak = future.iter().copied().fold(0.0, f64::max);
        let count = future.len().max(1) as f64;
        let cost = |server: usize| {
            let moments = self.loads[server].iter().skip(from).zip(&future);
            let counted = moments.filter(|(_, users)| **users > MIN_PEAK_SHARE * peak);
            let (fullest, sum) = counted.fold((0.0_f64, 0.0), |(fullest, sum), (load, users)| {
                (fullest.max(load + users), sum + load + users)
            });
            (fullest + 0.01 * sum / count) * pool.day.servers[server].load_multiplier
        };
        let available = (0..self.loads.len()).filter(|server| pool.is_available[*server]);
        let costs = available.map(|server| (server, cost(server)));
        tie_break::pick_lowest(&pool.day.sessions[session].meeting_id, costs)
    }

    fn record_placement(&mut self, pool: &PoolView<'_>, session: usize, server: usize) {
        let (from, future) = self.future_users(pool, session);
        for (load, users) in self.loads[server].iter_mut().skip(from).zip(future) {
            *load += users;
        }
    }

    fn record_server_loss(&mut self, pool: &PoolView<'_>, server: usize) {
        let now = (pool.now - self.first).div_euclid(STEP_S);
        for load in self.loads[server].iter_mut().skip(usize::try_from(now).unwrap_or(0)) {
            *load = 0.0;
        }
    }
}
