//! `check`: one line and an exit code for monitoring systems such as Nagios, Icinga or Checkmk.

use std::cell::RefCell;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use app::admin::monitoring::PoolNumbers;

use crate::config::{Config, Sources};
use crate::output::{print_line, printable};
use crate::wiring::data_dir::Creation;

use super::balancer::{Balancer, RemoteBalancer};
use super::{CommandFailure, build_runtime, run_once};

/// Longest time for which the store is asked: monitoring systems give up after ten seconds.
const MAX_TIME: Duration = Duration::from_secs(8);
/// A poll cycle may begin so much later than its interval, in ms.
const MIN_POLL_AGE_MS: i64 = 10_000;
/// Most host names in the line.
const MAX_NAMES: usize = 5;

/// More enabled servers than this may not be offline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlarmThreshold {
    /// A number of servers.
    Count(u32),
    /// A part of the enabled servers, in percent.
    Percent(f64),
}

impl FromStr for AlarmThreshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_suffix('%') {
            Some(number) => {
                number.parse().ok().filter(|n| (0.0..=100.0).contains(n)).map(Self::Percent)
            }
            None => text.parse().ok().map(Self::Count),
        };
        parsed.ok_or_else(|| format!("{text} is neither a number of servers nor a percentage"))
    }
}

impl AlarmThreshold {
    /// Most servers that may be offline, of so many.
    fn of(self, servers: usize) -> usize {
        match self {
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            // Rounded down: a part of a server cannot be offline.
            Self::Percent(percent) => (servers as f64 * percent / 100.0) as usize,
        }
    }
}

/// The thresholds of a check.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct CheckArgs {
    /// WARNING if more than N enabled servers are offline: a number, or a percentage such as 20%.
    #[arg(long, short, value_name = "N", default_value = "0")]
    pub warning: AlarmThreshold,
    /// CRITICAL if more than N enabled servers are offline: a number, or a percentage.
    #[arg(long, short, value_name = "N", default_value = "50%")]
    pub critical: AlarmThreshold,
}

/// The states of monitoring systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MonitorState {
    Ok,
    Warning,
    Critical,
    /// The check could not be made.
    Unknown,
}

impl MonitorState {
    /// The exit code by which monitoring systems know the state.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// Makes the check, prints its line, and returns the exit code.
pub fn run(sources: Result<Sources, CommandFailure>, args: CheckArgs) -> ExitCode {
    let outcome = RefCell::new(None);
    let checked = sources.and_then(|sources| {
        let (config, _) = Config::read(&sources).map_err(CommandFailure)?;
        run_once(&config, &sources, Creation::Nothing, async |balancer| {
            *outcome.borrow_mut() = Some(check(balancer, args).await);
            Ok(())
        })
    });
    finish(checked, outcome.take())
}

/// Checks another balancer.
pub fn run_there(remote: Result<RemoteBalancer, CommandFailure>, args: CheckArgs) -> ExitCode {
    let checked = remote.and_then(|remote| {
        let balancer = Balancer::There(Box::new(remote));
        Ok(build_runtime(false)?.block_on(check(&balancer, args)))
    });
    match checked {
        Ok(outcome) => finish(Ok(()), Some(outcome)),
        Err(failure) => finish(Err(failure), None),
    }
}

async fn check(balancer: &Balancer, args: CheckArgs) -> (MonitorState, String) {
    match tokio::time::timeout(MAX_TIME, balancer.count_pool()).await {
        Ok(Ok((numbers, interval_ms))) => judge(&numbers, args, interval_ms),
        // No meeting can be created or joined.
        Ok(Err(CommandFailure(reason))) => {
            (MonitorState::Critical, reason.trim_start_matches("ERROR: ").to_owned())
        }
        Err(_) => (MonitorState::Critical, "the store does not answer".to_owned()),
    }
}

/// Prints the line of a check.
fn finish(
    checked: Result<(), CommandFailure>,
    outcome: Option<(MonitorState, String)>,
) -> ExitCode {
    let unknown = match checked {
        Ok(()) => String::new(),
        Err(CommandFailure(reason)) => reason.trim_start_matches("ERROR: ").to_owned(),
    };
    let (state, text) = outcome.unwrap_or((MonitorState::Unknown, unknown));
    print_line(format!("SCALELITE {}: {}", state.name(), printable(&text)));
    ExitCode::from(state.exit_code())
}

/// Returns the state of the pool, and its description with performance data.
fn judge(numbers: &PoolNumbers, args: CheckArgs, interval_ms: i64) -> (MonitorState, String) {
    let enabled = numbers.enabled;
    let (offline, online) = (numbers.offline.len(), enabled - numbers.offline.len());
    let (warning, critical) = (args.warning.of(enabled), args.critical.of(enabled));
    let max_age_ms = interval_ms.saturating_mul(2).max(MIN_POLL_AGE_MS);
    let mut problems = Vec::new();
    let mut state = match offline {
        offline if offline > critical => MonitorState::Critical,
        offline if offline > warning => MonitorState::Warning,
        _ => MonitorState::Ok,
    };
    if enabled == 0 {
        state = MonitorState::Critical;
        problems.push("no server is enabled".to_owned());
    } else if online == 0 {
        state = MonitorState::Critical;
    }
    match numbers.poll_age_ms {
        None => {
            state = MonitorState::Critical;
            problems.push("the servers were never polled".to_owned());
        }
        Some(age_ms) if age_ms > max_age_ms => {
            state = MonitorState::Critical;
            problems.push(format!("the servers were not polled for {} s", age_ms / 1000));
        }
        Some(_) => {}
    }
    if offline > 0 {
        problems.push(format!("offline: {}", name_some(&numbers.offline)));
    }
    let (meetings, users, load) = (numbers.meetings, numbers.users, numbers.load);
    let mut text =
        format!("{online} of {enabled} enabled servers online, {meetings} meetings, {users} users");
    for problem in problems {
        text = format!("{text}, {problem}");
    }
    let age = numbers.poll_age_ms.map_or(String::new(), |age_ms| {
        format!(" poll_age={}s;;{};0", age_ms.max(0) / 1000, max_age_ms / 1000)
    });
    let data = format!(
        "offline={offline};{warning};{critical};0;{enabled} online={online} enabled={enabled} \
         meetings={meetings} users={users} load={load:.1}{age}"
    );
    (state, format!("{text} | {data}"))
}

/// The first names; the character that begins performance data is left out.
fn name_some(names: &[String]) -> String {
    let mut shown: Vec<_> =
        names.iter().take(MAX_NAMES).map(|name| name.replace('|', "?")).collect();
    if names.len() > MAX_NAMES {
        shown.push(format!("and {} more", names.len() - MAX_NAMES));
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(enabled: usize, offline: usize, thresholds: (&str, &str)) -> MonitorState {
        let numbers = PoolNumbers {
            enabled,
            offline: vec!["a|b".to_owned(); offline],
            poll_age_ms: Some(1_000),
            ..PoolNumbers::default()
        };
        let args = CheckArgs {
            warning: thresholds.0.parse().unwrap(),
            critical: thresholds.1.parse().unwrap(),
        };
        judge(&numbers, args, 60_000).0
    }

    #[test]
    fn thresholds_are_numbers_or_parts_of_the_enabled_servers() {
        use MonitorState::{Critical, Ok, Warning};
        let default = ("0", "50%");
        let states = [0, 1, 2, 3, 4].map(|offline| state(4, offline, default));
        assert_eq!(states, [Ok, Warning, Warning, Critical, Critical]);
        assert_eq!([state(3, 1, default), state(3, 2, default)], [Warning, Critical]);
        assert_eq!([state(2, 1, default), state(1, 1, default)], [Warning, Critical]);
        assert_eq!([state(9, 2, ("2", "3")), state(9, 3, ("2", "3"))], [Ok, Warning]);
        assert_eq!([state(9, 4, ("2", "3")), state(10, 2, ("20%", "100%"))], [Critical, Ok]);
        assert_eq!(state(3, 3, ("100%", "100%")), Critical, "no server is left");
        assert_eq!(state(0, 0, ("100%", "100%")), Critical, "no server is enabled");
        for wrong in ["", "-1", "101%", "x", "1.5", "%"] {
            assert!(wrong.parse::<AlarmThreshold>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_poller_that_is_silent_is_critical() {
        let args = CheckArgs {
            warning: AlarmThreshold::Count(0),
            critical: AlarmThreshold::Percent(50.0),
        };
        let judged = |poll_age_ms| {
            let numbers = PoolNumbers { enabled: 2, poll_age_ms, ..PoolNumbers::default() };
            judge(&numbers, args, 60_000)
        };
        assert_eq!(judged(None).0, MonitorState::Critical);
        assert_eq!(judged(Some(120_001)).0, MonitorState::Critical);
        // A clock that was set back.
        assert_eq!(judged(Some(-5_000)).0, MonitorState::Ok);
        let (state, text) = judged(Some(7_000));
        assert_eq!(state, MonitorState::Ok);
        let expected = "2 of 2 enabled servers online, 0 meetings, 0 users | offline=0;0;1;0;2 online=2 enabled=2 \
            meetings=0 users=0 load=0.0 poll_age=7s;;120;0";
        assert_eq!(text, expected);
    }
}
