//! Which recordings are deleted because of their age.

use super::Recording;
use super::catalog::{RecordingFilter, TenantScope};
use super::times::{EARLIEST, time_in_id};
use crate::time::Timestamp;

/// A rule by which recordings are deleted some time after their meetings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Which recordings the rule applies to.
    pub filter: RecordingFilter,
    /// Whose recordings the rule applies to.
    pub scope: TenantScope,
    /// How long recordings are kept after their meetings ended, in ms.
    pub keep_ms: i64,
}

impl Retention {
    /// Whether a recording that the filter and the scope accept is kept for too long. Its age counts
    /// from the latest of its times that can be true: the end and the beginning of the meeting, and
    /// the time in its id. A time in the future keeps it as well, since some clock was wrong. Without
    /// any time it never expires.
    #[must_use]
    pub fn is_expired(&self, recording: &Recording, now: Timestamp) -> bool {
        let times = [recording.ended_at, recording.started_at, time_in_id(&recording.record_id)];
        let latest = times.into_iter().flatten().filter(|time| *time >= EARLIEST).max();
        latest.is_some_and(|latest| latest < now.plus_ms(-self.keep_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn the_latest_time_that_can_be_true_decides() {
        let rule = Retention {
            filter: RecordingFilter::default(),
            scope: TenantScope::All,
            keep_ms: 10 * DAY_MS,
        };
        let is_expired = |id: &str, started: Option<i64>, ended: Option<i64>| {
            let recording = Recording {
                record_id: id.to_owned(),
                started_at: started.map(Timestamp),
                ended_at: ended.map(Timestamp),
                ..Recording::default()
            };
            rule.is_expired(&recording, NOW)
        };
        let days_ago = |days: i64| Some(NOW.0 - days * DAY_MS);
        assert!(is_expired("r", days_ago(12), days_ago(11)));
        assert!(!is_expired("r", days_ago(12), days_ago(9)));
        assert!(!is_expired("r", days_ago(9), Some(0)), "an end of 0 counts for nothing");
        assert!(!is_expired("r", days_ago(9), days_ago(12)), "an end before the beginning");
        assert!(!is_expired("r", days_ago(11), days_ago(-400)), "an end in the future");
        assert!(is_expired("r", days_ago(11), None));
        for nothing_known in [None, Some(0), Some(-1), Some(1_000_000_000_000), Some(i64::MAX)] {
            assert!(!is_expired("r", nothing_known, nothing_known), "{nothing_known:?}");
        }
        let recent = format!("0aa9d7c1-{}", NOW.0 - DAY_MS);
        assert!(!is_expired(&recent, Some(0), days_ago(11)), "the id is younger");
    }
}
