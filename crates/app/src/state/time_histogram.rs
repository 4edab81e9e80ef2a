//! How often something took how long: numbers that many tasks change at once, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts durations by ranges. It never grows.
#[derive(Debug)]
pub struct TimeHistogram {
    /// The upper bounds of the ranges but the last one, in ms, ascending.
    bounds_ms: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

/// What a [`TimeHistogram`] has counted.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeCounts {
    /// All durations together, in seconds.
    pub sum_s: f64,
    /// The upper bound of each range, in seconds, and how many durations were in it. The last one has no bound: infinity.
    pub ranges: Vec<(f64, u64)>,
}

impl TimeCounts {
    /// Returns how many durations were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.ranges.iter().map(|(_, count)| count).sum()
    }

    /// Returns the mean, in seconds; `None` if nothing was counted.
    #[must_use]
    pub fn mean_s(&self) -> Option<f64> {
        let total = self.total();
        (total > 0).then(|| self.sum_s / total as f64)
    }
}

impl TimeHistogram {
    /// Creates a histogram with these upper bounds, in ms.
    #[must_use]
    pub fn new(bounds_ms: &'static [u64]) -> Self {
        let counts = (0..=bounds_ms.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds_ms, counts, sum_us: AtomicU64::new(0) }
    }

    /// Counts a duration.
    pub fn observe(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let range = self.bounds_ms.iter().position(|bound| took_us <= bound.saturating_mul(1_000));
        let range = range.unwrap_or(self.bounds_ms.len());
        if let Some(count) = self.counts.get(range) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn read(&self) -> TimeCounts {
        let bounds = self.bounds_ms.iter().map(|ms| *ms as f64 / 1e3).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let sum_s = self.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        TimeCounts { sum_s, ranges: bounds.zip(counts).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_by_ranges() {
        let histogram = TimeHistogram::new(&[10, 100]);
        for ms in [0, 10, 11, 100, 101, 5_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        histogram.observe(Duration::from_micros(10_001));
        let counts = histogram.read();
        assert_eq!(counts.ranges, [(0.01, 2), (0.1, 3), (f64::INFINITY, 2)]);
        assert_eq!((counts.total(), (counts.sum_s * 1e6).round()), (7, 5_232_001.0));
    }
}
