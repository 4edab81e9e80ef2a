//! Compares the clock of a store with ours, for `scalelite doctor`.

use app::ports::Finding;

/// The largest acceptable difference in ms. With more, the times that replicas write are
/// inconsistent.
const MAX_SKEW_MS: i64 = 2_000;

/// Judges the time of a store, which was read between two readings of our clock. All times are in
/// ms since 1970.
pub(crate) fn check_clock_skew(check: &str, store_time: i64, before: i64, after: i64) -> Finding {
    let skew = if store_time < before { store_time - before } else { (store_time - after).max(0) };
    let detail = format!("{skew} ms from ours");
    if skew.abs() <= MAX_SKEW_MS {
        return Finding::ok(check, detail);
    }
    Finding::warn(check, detail, "synchronise the clocks of both machines by NTP")
}
