//! Statistics of meetings with a single session. They serve as the estimate for meetings that are
//! not known.

use super::MINUTE_MS;

/// Longest busy time that is distinguished, in minutes.
const MAX_BUSY_MINUTES: usize = 24 * 60;

/// Sums over the meetings with a single session.
#[derive(Clone, Debug, Default)]
pub(super) struct OneTimeMeetings {
    count: u32,
    users: u64,
    /// For each minute, the number of meetings that were busy for longer; empty until there is a
    /// meeting.
    busy_beyond: Vec<u32>,
}

impl OneTimeMeetings {
    pub(super) fn add(&mut self, peak_users: u32, busy_ms: i64) {
        self.count = self.count.saturating_add(1);
        self.users = self.users.saturating_add(u64::from(peak_users));
        self.busy_beyond.resize(MAX_BUSY_MINUTES, 0);
        for count in self.busy_minutes(busy_ms) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn remove(&mut self, peak_users: u32, busy_ms: i64) {
        self.count = self.count.saturating_sub(1);
        self.users = self.users.saturating_sub(u64::from(peak_users));
        for count in self.busy_minutes(busy_ms) {
            *count = count.saturating_sub(1);
        }
    }

    /// Returns the counters of the minutes, from 0 on, for which a meeting was busy.
    fn busy_minutes(&mut self, busy_ms: i64) -> &mut [u32] {
        let minutes = usize::try_from(busy_ms.max(0) / MINUTE_MS).unwrap_or(MAX_BUSY_MINUTES);
        let end = (minutes + 1).min(self.busy_beyond.len());
        &mut self.busy_beyond[..end]
    }

    pub(super) fn mean_size(&self) -> Option<f64> {
        (self.count > 0).then(|| self.users as f64 / f64::from(self.count))
    }

    pub(super) fn share_beyond(&self, ms: i64) -> Option<f64> {
        let minute = usize::try_from(ms.max(0) / MINUTE_MS).unwrap_or(MAX_BUSY_MINUTES);
        let longer = self.busy_beyond.get(minute).copied().unwrap_or(0);
        (self.count > 0).then(|| f64::from(longer) / f64::from(self.count))
    }
}
