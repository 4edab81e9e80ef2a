//! What goes wrong, where and when: drawn before the run, so that a seed tells a story again.

use crate::seeded_rng::SeededRng;
use bbb_sim::{BbbServer, Fault, FaultMode, Latency};
use std::fmt;
use std::time::Duration;

/// How long a well server takes, about as long as real ones do.
pub(super) const NORMAL_LATENCY: Latency =
    Latency::LogNormal { median: Duration::from_millis(15), sigma: 0.5, seed: 1 };
/// How long the answers of a slow one take.
const SLOW_LATENCY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));
/// What a mended server is left in peace, and counts as out of service: a poll finds out that it is back.
const RECOVERY_TIME: Duration = Duration::from_secs(3);
/// No fault is shorter.
const MIN_DURATION: Duration = Duration::from_millis(300);
/// How often another place for a strike is tried.
const MAX_TRIES: usize = 20;

/// What goes wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerFault {
    /// It dies, and is started again without its meetings.
    Kill,
    /// Requests are read and never answered.
    Hang,
    /// Requests are read, and done and answered when it is over.
    Freeze,
    /// Answers take half a second to four.
    Slow,
    /// The network is away: connecting fails, connections are cut.
    NetworkDown,
    /// A web server answers in its place.
    ErrorPage(FaultMode),
    /// Meetings are created, yet nobody is told so.
    HangAfterCreate,
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorPage(mode) => write!(f, "page {mode:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl ServerFault {
    fn draw_kind(chance: &mut SeededRng) -> Self {
        match chance.draw_index(16) {
            0..=2 => Self::Kill,
            3..=5 => Self::Hang,
            6..=7 => Self::Freeze,
            8..=9 => Self::Slow,
            10..=11 => Self::NetworkDown,
            12..=13 => Self::HangAfterCreate,
            _ => Self::ErrorPage(match chance.draw_index(4) {
                0 => FaultMode::InvalidXml,
                1 => FaultMode::Html,
                2 => FaultMode::Empty,
                _ => FaultMode::Error500,
            }),
        }
    }

    /// The shortest and the longest.
    fn duration_range(&self) -> (Duration, Duration) {
        let (min, max) = match self {
            Self::NetworkDown => (500, 5_000),
            Self::Freeze => (1_000, 6_000),
            Self::Kill | Self::Hang => (2_000, 12_000),
            Self::Slow | Self::ErrorPage(_) | Self::HangAfterCreate => (2_000, 8_000),
        };
        (Duration::from_millis(min), Duration::from_millis(max))
    }

    /// How long it has effects after it is over.
    fn after_effect(&self) -> Duration {
        if *self == Self::Slow { SLOW_LATENCY.1 } else { Duration::ZERO }
    }

    /// Whether meetings are lost by it.
    #[must_use]
    pub(super) fn loses_meetings(&self) -> bool {
        *self == Self::Kill
    }

    /// Whether the server takes creates and does not answer them well for as long as it lasts.
    #[must_use]
    pub(super) fn blocks_creates(&self) -> bool {
        !matches!(self, Self::Slow)
    }

    pub(super) fn apply(&self, server: &BbbServer) {
        match self {
            Self::Kill => server.crash(),
            Self::Hang => server.set_fault(FaultMode::Hang),
            Self::Freeze => server.set_fault(FaultMode::Freeze),
            Self::Slow => {
                server.set_latency(Latency::Uniform { min: SLOW_LATENCY.0, max: SLOW_LATENCY.1 })
            }
            Self::NetworkDown => server.set_fault(FaultMode::Refuse),
            Self::ErrorPage(mode) => server.set_fault(mode.clone()),
            Self::HangAfterCreate => {
                server.set_fault(Fault::for_calls(FaultMode::HangAfterEffect, &["create"]))
            }
        }
    }

    pub(super) fn clear(&self, server: &BbbServer) {
        match self {
            Self::Slow => server.set_latency(NORMAL_LATENCY),
            _ => server.clear_fault(),
        }
    }
}

/// A server in trouble for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScheduledFault {
    /// Its number, from 1.
    pub(super) server: usize,
    /// What goes wrong.
    pub(super) fault: ServerFault,
    /// When, from the beginning of the run.
    pub(super) started_at: Duration,
    /// When it is over.
    pub(super) ended_at: Duration,
}

impl ScheduledFault {
    /// Whether it lasts at any moment between these two.
    #[must_use]
    pub(super) fn overlaps(&self, from: Duration, to: Duration) -> bool {
        self.started_at <= to && from <= self.ended_at
    }
}

impl fmt::Display for ScheduledFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.started_at.as_secs_f64(), self.ended_at.as_secs_f64());
        write!(f, "{} {} {from:.1}-{to:.1} s", self.server, self.fault)
    }
}

/// How bad it may get.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultLimits {
    pub(super) servers: usize,
    /// Servers out of service at the same time, at most.
    pub(super) max_concurrent: usize,
    /// Servers in trouble on average.
    pub(super) mean_faulty: f64,
    /// All is over by then.
    pub(super) duration: Duration,
}

/// All strikes of a run, in order of time: single ones throughout, and one that takes half of the
/// servers at once in the middle.
pub(super) fn draw_faults(measure: FaultLimits, seed: u64) -> Vec<ScheduledFault> {
    let mut chance = SeededRng::new(seed ^ 0xFA);
    let mut strikes = draw_mass_failure(measure, &mut chance);
    // Some four seconds each.
    let per_s = measure.mean_faulty / 4.0;
    let mut at = draw_interval(per_s, &mut chance);
    while at < measure.duration {
        let tried = (0..MAX_TRIES).find_map(|_| {
            let strike = draw_fault(measure, at, &mut chance)?;
            is_allowed(&strike, &strikes, measure.max_concurrent).then_some(strike)
        });
        strikes.extend(tried);
        at += draw_interval(per_s, &mut chance);
    }
    strikes.sort_by_key(|strike| strike.started_at);
    strikes
}

/// A power failure, a broken switch: as many as may be, in the same way.
fn draw_mass_failure(measure: FaultLimits, chance: &mut SeededRng) -> Vec<ScheduledFault> {
    let trouble = match chance.draw_index(4) {
        0 => ServerFault::Kill,
        1 => ServerFault::Hang,
        2 => ServerFault::Freeze,
        _ => ServerFault::NetworkDown,
    };
    let first = chance.draw_index(measure.servers);
    let from = measure.duration.mul_f64(0.45);
    let to = from + measure.duration.mul_f64(0.15).min(Duration::from_secs(5));
    let struck = (0..measure.max_concurrent).map(|n| (first + n) % measure.servers + 1);
    struck
        .map(|server| ScheduledFault {
            server,
            fault: trouble.clone(),
            started_at: from,
            ended_at: to,
        })
        .collect()
}

fn draw_fault(
    measure: FaultLimits,
    from: Duration,
    chance: &mut SeededRng,
) -> Option<ScheduledFault> {
    let trouble = ServerFault::draw_kind(chance);
    let server = chance.draw_index(measure.servers) + 1;
    let (min, max) = trouble.duration_range();
    let longest = max.min(measure.duration.mul_f64(0.3));
    let over = measure.duration.saturating_sub(trouble.after_effect());
    let to = (from + draw_duration(min.min(longest), longest, chance)).min(over);
    (to >= from + MIN_DURATION).then_some(ScheduledFault {
        server,
        fault: trouble,
        started_at: from,
        ended_at: to,
    })
}

/// Draws a duration between these two.
fn draw_duration(min: Duration, max: Duration, rng: &mut SeededRng) -> Duration {
    min + max.saturating_sub(min).mul_f64(rng.draw_fraction())
}

/// Draws the time until the next of events that happen `per_s` times a second on average,
/// independently of each other.
pub(super) fn draw_interval(per_s: f64, rng: &mut SeededRng) -> Duration {
    Duration::try_from_secs_f64(rng.draw_exponential(1.0 / per_s)).unwrap_or(Duration::MAX)
}

/// Whether there is room for one strike more at every moment of it.
fn is_allowed(strike: &ScheduledFault, others: &[ScheduledFault], at_once: usize) -> bool {
    let end = strike.ended_at + RECOVERY_TIME;
    let near = |other: &&ScheduledFault| {
        other.started_at < end && strike.started_at < other.ended_at + RECOVERY_TIME
    };
    let near: Vec<_> = others.iter().filter(near).collect();
    if near.iter().any(|other| other.server == strike.server) {
        return false;
    }
    // The most are out at the beginning of one of them.
    let begins = near.iter().map(|other| other.started_at.max(strike.started_at));
    begins.chain([strike.started_at]).all(|at| {
        let out = |other: &&&ScheduledFault| {
            other.started_at <= at && at < other.ended_at + RECOVERY_TIME
        };
        near.iter().filter(out).count() < at_once
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const LIMITS: FaultLimits = FaultLimits {
        servers: 20,
        max_concurrent: 10,
        mean_faulty: 5.0,
        duration: Duration::from_secs(60),
    };

    #[test]
    fn a_seed_tells_its_story_again() {
        assert_eq!(draw_faults(LIMITS, 1), draw_faults(LIMITS, 1));
        assert_ne!(draw_faults(LIMITS, 1), draw_faults(LIMITS, 2));
    }

    #[test]
    fn never_are_too_many_out_and_each_only_once_at_a_time() {
        for seed in 0..50 {
            let strikes = draw_faults(LIMITS, seed);
            for strike in &strikes {
                let at = strike.started_at;
                let out = strikes
                    .iter()
                    .filter(|other| other.started_at <= at && at < other.ended_at + RECOVERY_TIME);
                let out: Vec<_> = out.map(|other| other.server).collect();
                assert!(out.len() <= 10, "{seed}: {out:?}");
                assert_eq!(out.iter().collect::<HashSet<_>>().len(), out.len(), "{seed}");
            }
            assert!(strikes.iter().all(|strike| strike.ended_at <= LIMITS.duration), "{seed}");
        }
    }

    #[test]
    fn there_is_some_of_everything() {
        let strikes: Vec<_> = (0..10).flat_map(|seed| draw_faults(LIMITS, seed)).collect();
        let kinds: HashSet<_> = strikes.iter().map(|one| one.fault.to_string()).collect();
        assert_eq!(kinds.len(), 10, "{kinds:?}");
        let servers: HashSet<_> = strikes.iter().map(|one| one.server).collect();
        assert_eq!(servers.len(), 20);
    }
}
