//! What goes wrong, where and when: drawn before the run, so that a seed tells a story again.

use super::chance::Chance;
use bbb_sim::{Fault, FaultMode, Latency, Server};
use std::fmt;
use std::time::Duration;

/// How long a well server takes, about as long as real ones do.
pub(super) const WELL: Latency =
    Latency::LogNormal { median: Duration::from_millis(15), sigma: 0.5, seed: 1 };
/// How long the answers of a slow one take.
const SLOW: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));
/// What a mended server is left in peace, and counts as out of service: a poll finds out that it is back.
const REST: Duration = Duration::from_secs(3);
/// No fault is shorter.
const SHORTEST: Duration = Duration::from_millis(300);
/// How often another place for a strike is tried.
const TRIES: usize = 20;

/// What goes wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It dies, and is started again without its meetings.
    Kill,
    /// Requests are read and never answered.
    Hang,
    /// Requests are read, and done and answered when it is over.
    Freeze,
    /// Answers take half a second to four.
    Slow,
    /// The network is away: connecting fails, connections are cut.
    Blip,
    /// A web server answers in its place.
    Page(FaultMode),
    /// Meetings are created, yet nobody is told so.
    Swallow,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(mode) => write!(f, "page {mode:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl Trouble {
    fn draw(chance: &mut Chance) -> Self {
        match chance.below(16) {
            0..=2 => Self::Kill,
            3..=5 => Self::Hang,
            6..=7 => Self::Freeze,
            8..=9 => Self::Slow,
            10..=11 => Self::Blip,
            12..=13 => Self::Swallow,
            _ => Self::Page(match chance.below(4) {
                0 => FaultMode::Garbage,
                1 => FaultMode::Html,
                2 => FaultMode::Empty,
                _ => FaultMode::Error500,
            }),
        }
    }

    /// The shortest and the longest.
    fn lasts(&self) -> (Duration, Duration) {
        let (min, max) = match self {
            Self::Blip => (500, 5_000),
            Self::Freeze => (1_000, 6_000),
            Self::Kill | Self::Hang => (2_000, 12_000),
            Self::Slow | Self::Page(_) | Self::Swallow => (2_000, 8_000),
        };
        (Duration::from_millis(min), Duration::from_millis(max))
    }

    /// How long it has effects after it is over.
    fn echo(&self) -> Duration {
        if *self == Self::Slow { SLOW.1 } else { Duration::ZERO }
    }

    /// Whether meetings are lost by it.
    #[must_use]
    pub(super) fn loses_meetings(&self) -> bool {
        *self == Self::Kill
    }

    /// Whether the server takes creates and does not answer them well for as long as it lasts.
    #[must_use]
    pub(super) fn is_a_trap(&self) -> bool {
        !matches!(self, Self::Slow)
    }

    pub(super) fn strike(&self, server: &Server) {
        match self {
            Self::Kill => server.crash(),
            Self::Hang => server.set_fault(FaultMode::Hang),
            Self::Freeze => server.set_fault(FaultMode::Freeze),
            Self::Slow => server.set_latency(Latency::Uniform { min: SLOW.0, max: SLOW.1 }),
            Self::Blip => server.set_fault(FaultMode::Refuse),
            Self::Page(mode) => server.set_fault(mode.clone()),
            Self::Swallow => server.set_fault(Fault::on(FaultMode::HangAfterEffect, &["create"])),
        }
    }

    pub(super) fn lift(&self, server: &Server) {
        match self {
            Self::Slow => server.set_latency(WELL),
            _ => server.clear_fault(),
        }
    }
}

/// A server in trouble for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Strike {
    /// Its number, from 1.
    pub(super) server: usize,
    /// What goes wrong.
    pub(super) trouble: Trouble,
    /// When, from the beginning of the run.
    pub(super) from: Duration,
    /// When it is over.
    pub(super) to: Duration,
}

impl Strike {
    /// Whether it lasts at any moment between these two.
    #[must_use]
    pub(super) fn meets(&self, from: Duration, to: Duration) -> bool {
        self.from <= to && from <= self.to
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from.as_secs_f64(), self.to.as_secs_f64());
        write!(f, "{} {} {from:.1}-{to:.1} s", self.server, self.trouble)
    }
}

/// How bad it may get.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) servers: usize,
    /// Servers out of service at the same time, at most.
    pub(super) at_once: usize,
    /// Servers in trouble on average.
    pub(super) mean: f64,
    /// All is over by then.
    pub(super) length: Duration,
}

/// All strikes of a run, in order of time: single ones throughout, and one that takes half of the
/// servers at once in the middle.
pub(super) fn drawn(measure: Measure, seed: u64) -> Vec<Strike> {
    let mut chance = Chance::new(seed ^ 0xFA);
    let mut strikes = storm(measure, &mut chance);
    // Some four seconds each.
    let per_s = measure.mean / 4.0;
    let mut at = chance.pause(per_s);
    while at < measure.length {
        let tried = (0..TRIES).find_map(|_| {
            let strike = one(measure, at, &mut chance)?;
            fits(&strike, &strikes, measure.at_once).then_some(strike)
        });
        strikes.extend(tried);
        at += chance.pause(per_s);
    }
    strikes.sort_by_key(|strike| strike.from);
    strikes
}

/// A power failure, a broken switch: as many as may be, in the same way.
fn storm(measure: Measure, chance: &mut Chance) -> Vec<Strike> {
    let trouble = match chance.below(4) {
        0 => Trouble::Kill,
        1 => Trouble::Hang,
        2 => Trouble::Freeze,
        _ => Trouble::Blip,
    };
    let first = chance.below(measure.servers);
    let from = measure.length.mul_f64(0.45);
    let to = from + measure.length.mul_f64(0.15).min(Duration::from_secs(5));
    let struck = (0..measure.at_once).map(|n| (first + n) % measure.servers + 1);
    struck.map(|server| Strike { server, trouble: trouble.clone(), from, to }).collect()
}

fn one(measure: Measure, from: Duration, chance: &mut Chance) -> Option<Strike> {
    let trouble = Trouble::draw(chance);
    let server = chance.below(measure.servers) + 1;
    let (min, max) = trouble.lasts();
    let longest = max.min(measure.length.mul_f64(0.3));
    let over = measure.length.saturating_sub(trouble.echo());
    let to = (from + chance.between(min.min(longest), longest)).min(over);
    (to >= from + SHORTEST).then_some(Strike { server, trouble, from, to })
}

/// Whether there is room for one strike more at every moment of it.
fn fits(strike: &Strike, others: &[Strike], at_once: usize) -> bool {
    let end = strike.to + REST;
    let near = |other: &&Strike| other.from < end && strike.from < other.to + REST;
    let near: Vec<_> = others.iter().filter(near).collect();
    if near.iter().any(|other| other.server == strike.server) {
        return false;
    }
    // The most are out at the beginning of one of them.
    let begins = near.iter().map(|other| other.from.max(strike.from));
    begins.chain([strike.from]).all(|at| {
        let out = |other: &&&Strike| other.from <= at && at < other.to + REST;
        near.iter().filter(out).count() < at_once
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const MEASURE: Measure =
        Measure { servers: 20, at_once: 10, mean: 5.0, length: Duration::from_secs(60) };

    #[test]
    fn a_seed_tells_its_story_again() {
        assert_eq!(drawn(MEASURE, 1), drawn(MEASURE, 1));
        assert_ne!(drawn(MEASURE, 1), drawn(MEASURE, 2));
    }

    #[test]
    fn never_are_too_many_out_and_each_only_once_at_a_time() {
        for seed in 0..50 {
            let strikes = drawn(MEASURE, seed);
            for strike in &strikes {
                let at = strike.from;
                let out = strikes.iter().filter(|other| other.from <= at && at < other.to + REST);
                let out: Vec<_> = out.map(|other| other.server).collect();
                assert!(out.len() <= 10, "{seed}: {out:?}");
                assert_eq!(out.iter().collect::<HashSet<_>>().len(), out.len(), "{seed}");
            }
            assert!(strikes.iter().all(|strike| strike.to <= MEASURE.length), "{seed}");
        }
    }

    #[test]
    fn there_is_some_of_everything() {
        let strikes: Vec<_> = (0..10).flat_map(|seed| drawn(MEASURE, seed)).collect();
        let kinds: HashSet<_> = strikes.iter().map(|one| one.trouble.to_string()).collect();
        assert_eq!(kinds.len(), 10, "{kinds:?}");
        let servers: HashSet<_> = strikes.iter().map(|one| one.server).collect();
        assert_eq!(servers.len(), 20);
    }
}
