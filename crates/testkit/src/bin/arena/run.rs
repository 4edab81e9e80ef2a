//! All policies on all days, side by side.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, bail};

use crate::campus;
use crate::chance::Chance;
use crate::day::Day;
use crate::ours::{Booked, Knowledge};
use crate::peers::{Peer, Sums};
use crate::plain::{Random, Reserve};
use crate::play::{Policy, play};
use crate::report::Row;
use crate::score::fullness;
use crate::seer::Seer;

type Make = fn(&Day) -> Box<dyn Policy>;

/// All policies but the clairvoyant.
pub(crate) const POLICIES: &[(&str, Make)] = &[
    ("random", |day| Box::new(Random(Chance::new(day.sessions.len() as u64)))),
    ("PILOS", |day| Box::new(Sums::new(day, Peer::Pilos))),
    ("b3scale", |day| Box::new(Sums::new(day, Peer::B3scale))),
    ("Scalelite, polling every 60 s", |day| Box::new(Sums::new(day, Peer::Scalelite))),
    ("bbblb as it is", |day| Box::new(Sums::new(day, Peer::Bbblb))),
    ("b3lb", |day| Box::new(Sums::new(day, Peer::B3lb))),
    ("least users", |day| Box::new(Sums::new(day, Peer::LeastUsers))),
    ("reserve", |day| Box::new(Reserve::new(day, false))),
    ("reserve and learned sizes", |day| Box::new(Reserve::new(day, true))),
    (WITHOUT, |day| Box::new(Booked::new(day, Knowledge::Nothing))),
    (BOOKED, |day| Box::new(Booked::new(day, Knowledge::History))),
    ("booked, with an exact hint", |day| Box::new(Booked::new(day, Knowledge::Hints))),
];
pub(crate) const BOOKED: &str = "**booked**";
pub(crate) const WITHOUT: &str = "booked, without any history";

/// Fullness of each policy relative to the clairvoyant, on one day.
pub(crate) fn compare(day: &Day) -> Result<Vec<f64>> {
    let seer = fullness(day, &play(day, &mut Seer::new(day)).placements);
    POLICIES
        .iter()
        .map(|(name, make)| {
            let outcome = play(day, make(day).as_mut());
            if outcome.to_the_dead > 0 {
                bail!("{name} sent creates to servers known to be dead on {}", day.name);
            }
            Ok(fullness(day, &outcome.placements) / seer)
        })
        .collect()
}

/// So many days of each sort, on all processors.
pub(crate) fn run(days: usize, seed: u64) -> Result<Vec<Row>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= days * 2 {
                return Ok(());
            }
            let unequal = number % 2 == 1;
            let wish = campus::wish(number / 2, unequal);
            let result = compare(&campus::day(wish, seed + number as u64 / 2))?;
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
            Err(_) => bail!("a thread died"),
        })
    })?;
    let Ok(mut done) = done.into_inner() else { bail!("a thread died") };
    done.sort_by_key(|(number, ..)| *number);
    let mut rows: Vec<Row> =
        POLICIES.iter().map(|(name, _)| Row { name, ..Row::default() }).collect();
    for (_, unequal, result) in done {
        for (row, value) in rows.iter_mut().zip(result) {
            if unequal { row.unequal.push(value) } else { row.equal.push(value) }
        }
    }
    Ok(rows)
}
