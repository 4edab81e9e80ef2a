//! The comparison of all policies on generated days.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, bail};

use crate::clairvoyant::Clairvoyant;
use crate::day::Day;
use crate::day_generator;
use crate::forecast_policy::{ForecastModel, Knowledge};
use crate::peers::{Peer, PeerModel};
use crate::report::PolicyRow;
use crate::score::fullness;
use crate::simple_policies::{ExpectedUsersModel, RandomModel};
use crate::simulation::{PlacementModel, simulate_day};
use testkit::seeded_rng::SeededRng;

type ModelFactory = fn(&Day) -> Box<dyn PlacementModel>;

/// All policies except the clairvoyant.
pub(crate) const POLICIES: &[(&str, ModelFactory)] = &[
    ("random", |day| Box::new(RandomModel(SeededRng::new(day.sessions.len() as u64)))),
    ("PILOS", |day| Box::new(PeerModel::new(day, Peer::Pilos))),
    ("b3scale", |day| Box::new(PeerModel::new(day, Peer::B3scale))),
    ("Scalelite, polling every 60 s", |day| Box::new(PeerModel::new(day, Peer::Scalelite))),
    ("bbblb as it is", |day| Box::new(PeerModel::new(day, Peer::Bbblb))),
    ("b3lb", |day| Box::new(PeerModel::new(day, Peer::B3lb))),
    ("least users", |day| Box::new(PeerModel::new(day, Peer::LeastUsers))),
    ("reserve", |day| Box::new(ExpectedUsersModel::new(day, false))),
    ("reserve and learned sizes", |day| Box::new(ExpectedUsersModel::new(day, true))),
    (NO_HISTORY_NAME, |day| Box::new(ForecastModel::new(day, Knowledge::Nothing))),
    (FORECAST_NAME, |day| Box::new(ForecastModel::new(day, Knowledge::History))),
    ("forecast, with an exact hint", |day| Box::new(ForecastModel::new(day, Knowledge::Hints))),
];
pub(crate) const FORECAST_NAME: &str = "**forecast**";
pub(crate) const NO_HISTORY_NAME: &str = "forecast, without any history";

/// Returns the fullness of each policy on one day, relative to the clairvoyant.
pub(crate) fn compare_policies(day: &Day) -> Result<Vec<f64>> {
    let clairvoyant = fullness(day, &simulate_day(day, &mut Clairvoyant::new(day)).placements);
    POLICIES
        .iter()
        .map(|(name, make)| {
            let outcome = simulate_day(day, make(day).as_mut());
            if outcome.creates_to_offline > 0 {
                bail!("{name} sent creates to servers known to be down on {}", day.name);
            }
            Ok(fullness(day, &outcome.placements) / clairvoyant)
        })
        .collect()
}

/// Compares the policies on `days` days, each with equal and with unequal servers. The days are
/// distributed over all cores.
pub(crate) fn compare_days(days: usize, seed: u64) -> Result<Vec<PolicyRow>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= days * 2 {
                return Ok(());
            }
            let unequal = number % 2 == 1;
            let spec = day_generator::day_spec(number / 2, unequal);
            let result =
                compare_policies(&day_generator::generate_day(spec, seed + number as u64 / 2))?;
            if let Ok(mut done) = done.lock() {
                done.push((number, unequal, result));
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(_) => bail!("a thread panicked"),
        })
    })?;
    let Ok(mut done) = done.into_inner() else { bail!("a thread panicked") };
    done.sort_by_key(|(number, ..)| *number);
    let mut rows: Vec<PolicyRow> =
        POLICIES.iter().map(|(name, _)| PolicyRow { name, ..PolicyRow::default() }).collect();
    for (_, unequal, result) in done {
        for (row, value) in rows.iter_mut().zip(result) {
            if unequal { row.unequal.push(value) } else { row.equal.push(value) }
        }
    }
    Ok(rows)
}
