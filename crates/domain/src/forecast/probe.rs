//! Finds the server on which a meeting's curve costs least, without computing the exact cost for
//! most of the servers.

use super::load_curve::{LoadCurve, PADDED_POINTS, POINTS};
use super::policy::ForecastPolicy;

/// Number of partial sums: as many as processors add at a time.
const LANES: usize = 8;
/// Mask value of points that do not count. It is not infinity, because infinity times a caution of
/// zero is not a number.
const NOT_COUNTED: f32 = -1e30;

/// The curve of a meeting that is to be placed.
#[derive(Clone, Debug)]
pub(super) struct LoadProbe {
    pub(super) own_load: LoadCurve,
    /// Zero at points that count, [`NOT_COUNTED`] at others.
    mask: LoadCurve,
    /// The weight of each point in the mean.
    weights: LoadCurve,
    own_mean: f32,
}

impl LoadProbe {
    pub(super) fn new(policy: &ForecastPolicy, own_load: LoadCurve) -> Self {
        let min_users = own_load.peak() * policy.counted_share;
        let is_counted = |point: usize| point < POINTS && own_load.0[point] >= min_users;
        let count = (0..POINTS).filter(|point| is_counted(*point)).count().max(1);
        let weight = policy.mean_share / count as f32;
        let mut probe =
            Self { own_load, mask: LoadCurve::ZERO, weights: LoadCurve::ZERO, own_mean: 0.0 };
        for point in 0..PADDED_POINTS {
            if is_counted(point) {
                probe.weights.0[point] = weight;
                probe.own_mean += own_load.0[point] * weight;
            } else {
                probe.mask.0[point] = NOT_COUNTED;
            }
        }
        probe
    }

    /// Computes the cost of the meeting on a server with this load: the highest number of users
    /// plus a small share of the mean, times the multiplier.
    ///
    /// The meeting's own users count `caution` times; 1 for a meeting whose size is known.
    pub(super) fn cost(&self, load: &LoadCurve, multiplier: f32, caution: f32) -> f32 {
        let mut highest = [NOT_COUNTED; LANES];
        let mut mean = [0.0_f32; LANES];
        for first in (0..PADDED_POINTS).step_by(LANES) {
            for lane in 0..LANES {
                let point = first + lane;
                let users = load.0[point] + caution * self.own_load.0[point] + self.mask.0[point];
                highest[lane] = if users > highest[lane] { users } else { highest[lane] };
                mean[lane] += load.0[point] * self.weights.0[point];
            }
        }
        let highest = highest.into_iter().fold(NOT_COUNTED, f32::max);
        let mean: f32 = mean.into_iter().sum::<f32>() + caution * self.own_mean;
        (highest + mean) * multiplier
    }
}

/// The servers on which upcoming meetings are placed.
pub(super) struct ProbePool<'a> {
    loads: &'a mut [LoadCurve],
    multipliers: &'a [f32],
    closed: &'a [bool],
    total: LoadCurve,
    /// A lower bound of the cost on each server; reused between searches.
    lower_bounds: Vec<f32>,
}

impl<'a> ProbePool<'a> {
    pub(super) fn new(
        loads: &'a mut [LoadCurve],
        multipliers: &'a [f32],
        closed: &'a [bool],
    ) -> Self {
        let mut total = LoadCurve::ZERO;
        for load in loads.iter() {
            total.add(load);
        }
        let lower_bounds = Vec::with_capacity(multipliers.len());
        Self { loads, multipliers, closed, total, lower_bounds }
    }

    /// Adds a meeting to the server on which it costs least. Returns false if there is no server.
    pub(super) fn place_probe(&mut self, probe: &LoadProbe) -> bool {
        let Some(server) = self.find_cheapest(probe) else { return false };
        self.loads[server].add(&probe.own_load);
        self.total.add(&probe.own_load);
        true
    }

    /// Finds the server on which the meeting costs least; of equal ones, the first.
    fn find_cheapest(&mut self, probe: &LoadProbe) -> Option<usize> {
        // The cost at one point is a lower bound of the cost. The point at which the pool has the
        // most users rules out most servers.
        let busiest = self.busiest_point(probe);
        let own_users = probe.own_load.0[busiest] + probe.own_mean;
        let servers = self.loads.iter().zip(self.multipliers).zip(self.closed);
        let bounds = servers.map(|((load, multiplier), closed)| {
            if *closed { f32::INFINITY } else { (load.0[busiest] + own_users) * multiplier }
        });
        self.lower_bounds.clear();
        self.lower_bounds.extend(bounds);
        let first = find_lowest(&self.lower_bounds)?;
        let cost_on =
            |server: usize| probe.cost(&self.loads[server], self.multipliers[server], 1.0);
        let (mut best_cost, mut best_server) = (cost_on(first), first);
        for (server, bound) in self.lower_bounds.iter().enumerate() {
            // The factor keeps rounding errors from hiding a server that is as good.
            if *bound <= best_cost * 1.000_01 && server != first {
                let cost = cost_on(server);
                if cost < best_cost || (cost <= best_cost && server < best_server) {
                    (best_cost, best_server) = (cost, server);
                }
            }
        }
        Some(best_server)
    }

    /// Finds the counted point at which the pool will have the most users.
    fn busiest_point(&self, probe: &LoadProbe) -> usize {
        let share = 1.0 / self.loads.len().max(1) as f32;
        let users = |point: usize| {
            self.total.0[point] * share + probe.own_load.0[point] + probe.mask.0[point]
        };
        (0..POINTS).max_by(|a, b| users(*a).total_cmp(&users(*b))).unwrap_or(0)
    }
}

/// Returns the position of the lowest number, or `None` if none is below infinity.
fn find_lowest(numbers: &[f32]) -> Option<usize> {
    let lowest = numbers
        .iter()
        .fold(f32::INFINITY, |lowest, number| if *number < lowest { *number } else { lowest });
    if lowest < f32::INFINITY { numbers.iter().position(|number| *number <= lowest) } else { None }
}
