//! Finds the server that a curve costs least, among many, without looking at most of them closely.

use super::load_curve::{LoadCurve, PADDED_POINTS, POINTS};
use super::policy::ForecastPolicy;

/// Partial sums: as many as are added at a time.
const LANES: usize = 8;
/// Stands where a moment does not count. Infinity times a caution of zero would be no number.
const NOT_COUNTED: f32 = -1e30;

/// A curve that looks for a server.
#[derive(Clone, Debug)]
pub(super) struct LoadProbe {
    pub(super) own_load: LoadCurve,
    /// Zero where a moment counts.
    mask: LoadCurve,
    /// The share of the mean that a moment has.
    weights: LoadCurve,
    own_mean: f32,
}

impl LoadProbe {
    pub(super) fn new(policy: &ForecastPolicy, own: LoadCurve) -> Self {
        let enough = own.peak() * policy.counted_share;
        let counted = |point: usize| point < POINTS && own.0[point] >= enough;
        let count = (0..POINTS).filter(|point| counted(*point)).count().max(1);
        let weight = policy.mean_share / count as f32;
        let mut probe =
            Self { own_load: own, mask: LoadCurve::ZERO, weights: LoadCurve::ZERO, own_mean: 0.0 };
        for point in 0..PADDED_POINTS {
            if counted(point) {
                probe.weights.0[point] = weight;
                probe.own_mean += own.0[point] * weight;
            } else {
                probe.mask.0[point] = NOT_COUNTED;
            }
        }
        probe
    }

    /// What it costs on a server with such a load: its fullest moment, and a little of its mean.
    ///
    /// The curve counts that many times; for one that is known well, once.
    pub(super) fn cost(&self, load: &LoadCurve, multiplier: f32, caution: f32) -> f32 {
        let mut fullest = [NOT_COUNTED; LANES];
        let mut mean = [0.0_f32; LANES];
        for at in (0..PADDED_POINTS).step_by(LANES) {
            for lane in 0..LANES {
                let point = at + lane;
                let users = load.0[point] + caution * self.own_load.0[point] + self.mask.0[point];
                fullest[lane] = if users > fullest[lane] { users } else { fullest[lane] };
                mean[lane] += load.0[point] * self.weights.0[point];
            }
        }
        let fullest = fullest.into_iter().fold(NOT_COUNTED, f32::max);
        let mean: f32 = mean.into_iter().sum::<f32>() + caution * self.own_mean;
        (fullest + mean) * multiplier
    }
}

/// Servers on which curves are being placed.
pub(super) struct ProbePool<'a> {
    loads: &'a mut [LoadCurve],
    multipliers: &'a [f32],
    closed: &'a [bool],
    total: LoadCurve,
    /// What a curve costs at least, by server.
    lower_bounds: Vec<f32>,
}

impl<'a> ProbePool<'a> {
    pub(super) fn new(loads: &'a mut [LoadCurve], powers: &'a [f32], closed: &'a [bool]) -> Self {
        let mut total = LoadCurve::ZERO;
        for load in loads.iter() {
            total.add(load);
        }
        Self {
            loads,
            multipliers: powers,
            closed,
            total,
            lower_bounds: Vec::with_capacity(powers.len()),
        }
    }

    /// Puts a curve where it costs least; false if there is no server.
    pub(super) fn place_probe(&mut self, probe: &LoadProbe) -> bool {
        let Some(server) = self.find_cheapest(probe) else { return false };
        self.loads[server].add(&probe.own_load);
        self.total.add(&probe.own_load);
        true
    }

    /// The server that it costs least; of equals, the first.
    fn find_cheapest(&mut self, probe: &LoadProbe) -> Option<usize> {
        // At the moment when the pool is fullest most servers show that they are out.
        let moment = self.fullest_moment(probe);
        let own = probe.own_load.0[moment] + probe.own_mean;
        let servers = self.loads.iter().zip(self.multipliers).zip(self.closed);
        let least =
            servers.map(
                |((load, power), closed)| {
                    if *closed { f32::INFINITY } else { (load.0[moment] + own) * power }
                },
            );
        self.lower_bounds.clear();
        self.lower_bounds.extend(least);
        let first = find_lowest(&self.lower_bounds)?;
        let cost = |server: usize| probe.cost(&self.loads[server], self.multipliers[server], 1.0);
        let mut best = (cost(first), first);
        for (server, least) in self.lower_bounds.iter().enumerate() {
            // Rounding must not hide one that is as good.
            if *least <= best.0 * 1.000_01 && server != first {
                let cost = cost(server);
                if cost < best.0 || (cost <= best.0 && server < best.1) {
                    best = (cost, server);
                }
            }
        }
        Some(best.1)
    }

    fn fullest_moment(&self, probe: &LoadProbe) -> usize {
        let share = 1.0 / self.loads.len().max(1) as f32;
        let users = |point: usize| {
            self.total.0[point] * share + probe.own_load.0[point] + probe.mask.0[point]
        };
        (0..POINTS).max_by(|one, other| users(*one).total_cmp(&users(*other))).unwrap_or(0)
    }
}

/// Where the lowest number is; none if there is none below infinity.
fn find_lowest(numbers: &[f32]) -> Option<usize> {
    let least =
        numbers.iter().fold(f32::INFINITY, |least, one| if *one < least { *one } else { least });
    if least < f32::INFINITY { numbers.iter().position(|one| *one <= least) } else { None }
}
