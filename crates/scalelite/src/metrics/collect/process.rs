//! Memory, processor time and open files of the process, by the names that all programs use for them.

use std::path::Path;

use crate::metrics::definitions::MetricId;
use crate::metrics::service::MetricsSource;
use crate::metrics::values::MetricValues;
use crate::telemetry::count_logged_lines;

/// Linux tells processor times in hundredths of a second, on every machine that this program is built for.
const TICKS_PER_S: f64 = 100.0;

/// Reads what the system tells. What it does not tell is left out.
pub(super) fn collect(source: &MetricsSource, values: &mut MetricValues) {
    values.set(MetricId::BuildInfo, &[env!("CARGO_PKG_VERSION")], 1.0);
    for (level, count) in count_logged_lines() {
        values.count(MetricId::LogLines, &[level], count);
    }
    let started_at = source.requests.started_at.0;
    values.set(MetricId::ProcessStart, &[], (started_at / 1000) as f64);
    let proc = Path::new("/proc/self");
    let status = std::fs::read_to_string(proc.join("status")).unwrap_or_default();
    if let Some(kib) = read_number(&status, "VmRSS:") {
        values.set(MetricId::ProcessMemory, &[], kib * 1024.0);
    }
    if let Some(threads) = read_number(&status, "Threads:") {
        values.set(MetricId::ProcessThreads, &[], threads);
    }
    let stat = std::fs::read_to_string(proc.join("stat")).unwrap_or_default();
    if let Some(seconds) = read_processor_time(&stat) {
        values.count_fraction(MetricId::ProcessCpu, &[], seconds);
    }
    if let Ok(files) = std::fs::read_dir(proc.join("fd")) {
        values.set(MetricId::ProcessFds, &[], files.count() as f64);
    }
    if let Ok((soft, _)) = rlimit::Resource::NOFILE.get() {
        values.set(MetricId::ProcessMaxFds, &[], soft as f64);
    }
}

/// The number on the line that begins so.
fn read_number(status: &str, start: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(start))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Processor time in user and system mode, in seconds.
fn read_processor_time(stat: &str) -> Option<f64> {
    // The name of the program, in parentheses, may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_tells_is_read() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 100 0 0 0 250 150 0 0 20 0 4 0 100 0 0";
        assert_eq!(read_processor_time(stat), Some(4.0));
        assert_eq!(read_number("VmRSS:\t  2048 kB\nThreads:\t4\n", "VmRSS:"), Some(2048.0));
        assert_eq!((read_processor_time(""), read_number("", "VmRSS:")), (None, None));
    }
}
