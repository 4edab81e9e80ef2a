//! Which recordings are deleted because of their age.

use super::Recording;
use super::catalog::{RecordingFilter, TenantScope};
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
    /// Whether a recording that the filter and the scope accept is kept for too long. Its age
    /// counts from the end of the meeting, or from its beginning if the end is unknown. Recordings
    /// without timestamps never expire.
    #[must_use]
    pub fn is_expired(&self, recording: &Recording, now: Timestamp) -> bool {
        let age_from = recording.ended_at.or(recording.started_at);
        age_from.is_some_and(|age_from| age_from < now.plus_ms(-self.keep_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_counts_from_the_end_or_else_from_the_beginning() {
        let rule = Retention {
            filter: RecordingFilter::default(),
            scope: TenantScope::All,
            keep_ms: 1_000,
        };
        let is_expired = |started_at: Option<i64>, ended_at: Option<i64>| {
            let recording = Recording {
                started_at: started_at.map(Timestamp),
                ended_at: ended_at.map(Timestamp),
                ..Recording::default()
            };
            rule.is_expired(&recording, Timestamp(10_000))
        };
        assert!(is_expired(Some(1), Some(8_999)));
        assert!(!is_expired(Some(1), Some(9_000)), "it has ended later than it began");
        assert!(is_expired(Some(8_999), None));
        assert!(!is_expired(Some(9_000), None));
        assert!(!is_expired(None, None));
    }
}
