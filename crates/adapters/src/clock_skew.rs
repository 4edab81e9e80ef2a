//! How far the clock of a store is from ours, for `scalelite doctor`.

use app::ports::Finding;

/// Clocks that differ by more than this confuse times that replicas write, in ms.
const MAX_SKEW_MS: i64 = 2_000;

/// What a time read elsewhere says, between two of ours; all in ms.
pub(crate) fn check_clock_skew(check: &str, there: i64, before: i64, after: i64) -> Finding {
    let skew = if there < before { there - before } else { (there - after).max(0) };
    let detail = format!("{skew} ms from ours");
    if skew.abs() <= MAX_SKEW_MS {
        return Finding::ok(check, detail);
    }
    Finding::warn(check, detail, "let both machines keep time by NTP")
}
