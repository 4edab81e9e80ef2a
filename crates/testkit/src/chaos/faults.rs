//! The faults of a run: which server has which fault at which time. All of them are drawn from the
//! seed before the run, so a run can be repeated.

use crate::seeded_rng::SeededRng;
use bbb_sim::{BbbServer, Fault, FaultMode, Latency};
use std::fmt;
use std::time::Duration;

/// Latency of a healthy server, about that of real ones.
pub(super) const NORMAL_LATENCY: Latency =
    Latency::LogNormal { median: Duration::from_millis(15), sigma: 0.5, seed: 1 };
/// Shortest and longest latency of a slow server.
const SLOW_LATENCY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));
/// Shortest and longest latency of slow creates: a server fetches slides and plugins first.
const SLOW_CREATES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(8));
/// Time after a fault during which the server still counts as faulty and gets no new fault, since
/// the balancer needs a poll to find out that the server is back.
const RECOVERY_TIME: Duration = Duration::from_secs(3);
/// Shorter faults are not injected.
const MIN_DURATION: Duration = Duration::from_millis(300);
/// How often a fault is drawn anew if it would exceed the limits.
const MAX_TRIES: usize = 20;

/// What goes wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerFault {
    /// The server is killed, and started again without its meetings.
    Kill,
    /// The same, for long: nobody gets back into its meetings unless they are made anew.
    Death,
    /// Requests are read and never answered.
    Hang,
    /// Requests are read, but executed and answered only when the fault is over.
    Freeze,
    /// Responses take half a second to four seconds.
    Slow,
    /// Creates take one to eight seconds, and everything else is as fast as ever.
    SlowCreates,
    /// New connections fail and existing ones are closed.
    NetworkDown,
    /// The reverse proxy answers in place of the server.
    ErrorPage(FaultMode),
    /// Meetings are created, but creates are never answered.
    HangAfterCreate,
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorPage(mode) => write!(f, "ErrorPage {mode:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl ServerFault {
    fn draw_kind(rng: &mut SeededRng) -> Self {
        match rng.draw_index(20) {
            0..=2 => Self::Kill,
            16..=17 => Self::Death,
            18..=19 => Self::SlowCreates,
            3..=5 => Self::Hang,
            6..=7 => Self::Freeze,
            8..=9 => Self::Slow,
            10..=11 => Self::NetworkDown,
            12..=13 => Self::HangAfterCreate,
            _ => Self::ErrorPage(match rng.draw_index(4) {
                0 => FaultMode::InvalidXml,
                1 => FaultMode::Html,
                2 => FaultMode::Empty,
                _ => FaultMode::Error500,
            }),
        }
    }

    /// Returns the shortest and the longest duration.
    fn duration_range(&self) -> (Duration, Duration) {
        let (min, max) = match self {
            Self::NetworkDown => (500, 5_000),
            Self::Freeze => (1_000, 6_000),
            Self::Kill | Self::Hang => (2_000, 12_000),
            Self::Death => (20_000, 30_000),
            Self::Slow | Self::SlowCreates | Self::ErrorPage(_) | Self::HangAfterCreate => {
                (2_000, 8_000)
            }
        };
        (Duration::from_millis(min), Duration::from_millis(max))
    }

    /// Returns for how long the fault has effects after it is over.
    fn after_effect(&self) -> Duration {
        match self {
            Self::Slow => SLOW_LATENCY.1,
            Self::SlowCreates => SLOW_CREATES.1,
            _ => Duration::ZERO,
        }
    }

    /// Returns whether the server loses its meetings.
    #[must_use]
    pub(super) fn loses_meetings(&self) -> bool {
        matches!(self, Self::Kill | Self::Death)
    }

    /// Returns whether the server answers nothing as long as the fault lasts.
    #[must_use]
    pub(super) fn is_death(&self) -> bool {
        matches!(self, Self::Kill | Self::Death | Self::Hang | Self::NetworkDown)
    }

    /// Returns whether creates get no valid response as long as the fault lasts.
    #[must_use]
    pub(super) fn blocks_creates(&self) -> bool {
        !matches!(self, Self::Slow | Self::SlowCreates)
    }

    pub(super) fn apply(&self, server: &BbbServer) {
        match self {
            Self::Kill | Self::Death => server.crash(),
            Self::Hang => server.set_fault(FaultMode::Hang),
            Self::Freeze => server.set_fault(FaultMode::Freeze),
            Self::Slow => {
                server.set_latency(Latency::Uniform { min: SLOW_LATENCY.0, max: SLOW_LATENCY.1 });
            }
            Self::SlowCreates => {
                let (min, max) = SLOW_CREATES;
                server.set_create_latency(Latency::Uniform { min, max });
            }
            Self::NetworkDown => server.set_fault(FaultMode::Refuse),
            Self::ErrorPage(mode) => server.set_fault(mode.clone()),
            Self::HangAfterCreate => {
                server.set_fault(Fault::for_calls(FaultMode::HangAfterEffect, &["create"]));
            }
        }
    }

    pub(super) fn clear(&self, server: &BbbServer) {
        match self {
            Self::Slow => server.set_latency(NORMAL_LATENCY),
            Self::SlowCreates => server.set_create_latency(Latency::None),
            _ => server.clear_fault(),
        }
    }
}

/// A fault of a server, with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScheduledFault {
    /// The number of the server, from 1.
    pub(super) server: usize,
    /// What goes wrong.
    pub(super) kind: ServerFault,
    /// When it begins, since the beginning of the run.
    pub(super) started_at: Duration,
    /// When it is over, since the beginning of the run.
    pub(super) ended_at: Duration,
}

impl ScheduledFault {
    /// Returns whether the server has the fault at any time between these two.
    #[must_use]
    pub(super) fn overlaps(&self, from: Duration, to: Duration) -> bool {
        self.started_at <= to && from <= self.ended_at
    }
}

impl fmt::Display for ScheduledFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.started_at.as_secs_f64(), self.ended_at.as_secs_f64());
        write!(f, "{} {} {from:.1}-{to:.1} s", self.server, self.kind)
    }
}

/// How many faults there are at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultLimits {
    /// The number of servers.
    pub(super) servers: usize,
    /// The greatest number of servers that are faulty at the same time.
    pub(super) max_concurrent: usize,
    /// The mean number of servers that are faulty at the same time.
    pub(super) mean_faulty: f64,
    /// All faults are over by then.
    pub(super) duration: Duration,
}

/// Draws all faults of a run, in order of time: single faults throughout, and one in the middle that
/// hits as many servers at once as the limits allow.
pub(super) fn draw_faults(limits: FaultLimits, seed: u64) -> Vec<ScheduledFault> {
    let mut rng = SeededRng::new(seed ^ 0xFA);
    let mut faults = draw_mass_failure(limits, &mut rng);
    // The mean duration of a fault is about four seconds.
    let per_s = limits.mean_faulty / 4.0;
    let mut at = draw_interval(per_s, &mut rng);
    while at < limits.duration {
        let allowed = (0..MAX_TRIES).find_map(|_| {
            let fault = draw_fault(limits, at, &mut rng)?;
            is_allowed(&fault, &faults, limits.max_concurrent).then_some(fault)
        });
        faults.extend(allowed);
        at += draw_interval(per_s, &mut rng);
    }
    faults.sort_by_key(|fault| fault.started_at);
    faults
}

/// Draws a fault of many servers at once, as after a power failure or with a broken switch.
fn draw_mass_failure(limits: FaultLimits, rng: &mut SeededRng) -> Vec<ScheduledFault> {
    let kind = match rng.draw_index(4) {
        0 => ServerFault::Kill,
        1 => ServerFault::Hang,
        2 => ServerFault::Freeze,
        _ => ServerFault::NetworkDown,
    };
    let first = rng.draw_index(limits.servers);
    let from = limits.duration.mul_f64(0.45);
    let to = from + limits.duration.mul_f64(0.15).min(Duration::from_secs(5));
    let servers = (0..limits.max_concurrent).map(|n| (first + n) % limits.servers + 1);
    let to_fault =
        |server| ScheduledFault { server, kind: kind.clone(), started_at: from, ended_at: to };
    servers.map(to_fault).collect()
}

fn draw_fault(limits: FaultLimits, from: Duration, rng: &mut SeededRng) -> Option<ScheduledFault> {
    let kind = ServerFault::draw_kind(rng);
    let server = rng.draw_index(limits.servers) + 1;
    let (min, max) = kind.duration_range();
    let share = if kind == ServerFault::Death { 0.6 } else { 0.3 };
    let longest = max.min(limits.duration.mul_f64(share));
    let latest = limits.duration.saturating_sub(kind.after_effect());
    let to = (from + draw_duration(min.min(longest), longest, rng)).min(latest);
    (to >= from + MIN_DURATION).then_some(ScheduledFault {
        server,
        kind,
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

/// Returns whether the server has no other fault at the same time, and fewer than `max_concurrent`
/// other servers are faulty at any time of the fault.
fn is_allowed(fault: &ScheduledFault, others: &[ScheduledFault], max_concurrent: usize) -> bool {
    let end = fault.ended_at + RECOVERY_TIME;
    let overlaps = |other: &&ScheduledFault| {
        other.started_at < end && fault.started_at < other.ended_at + RECOVERY_TIME
    };
    let overlapping: Vec<_> = others.iter().filter(overlaps).collect();
    if overlapping.iter().any(|other| other.server == fault.server) {
        return false;
    }
    // The number of faulty servers is greatest at the beginning of one of the faults.
    let begins = overlapping.iter().map(|other| other.started_at.max(fault.started_at));
    begins.chain([fault.started_at]).all(|at| {
        let faulty = overlapping
            .iter()
            .filter(|other| other.started_at <= at && at < other.ended_at + RECOVERY_TIME);
        faulty.count() < max_concurrent
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
    fn a_seed_draws_the_same_faults_again() {
        assert_eq!(draw_faults(LIMITS, 1), draw_faults(LIMITS, 1));
        assert_ne!(draw_faults(LIMITS, 1), draw_faults(LIMITS, 2));
    }

    #[test]
    fn limits_are_kept_and_a_server_has_one_fault_at_a_time() {
        for seed in 0..50 {
            let faults = draw_faults(LIMITS, seed);
            for fault in &faults {
                let at = fault.started_at;
                let faulty = faults
                    .iter()
                    .filter(|other| other.started_at <= at && at < other.ended_at + RECOVERY_TIME);
                let faulty: Vec<_> = faulty.map(|other| other.server).collect();
                assert!(faulty.len() <= 10, "{seed}: {faulty:?}");
                assert_eq!(faulty.iter().collect::<HashSet<_>>().len(), faulty.len(), "{seed}");
            }
            assert!(faults.iter().all(|fault| fault.ended_at <= LIMITS.duration), "{seed}");
        }
    }

    #[test]
    fn all_kinds_of_faults_and_all_servers_are_drawn() {
        let faults: Vec<_> = (0..10).flat_map(|seed| draw_faults(LIMITS, seed)).collect();
        let kinds: HashSet<_> = faults.iter().map(|fault| fault.kind.to_string()).collect();
        assert_eq!(kinds.len(), 12, "{kinds:?}");
        let servers: HashSet<_> = faults.iter().map(|fault| fault.server).collect();
        assert_eq!(servers.len(), 20);
    }
}
