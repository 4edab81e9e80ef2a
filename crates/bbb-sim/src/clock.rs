//! The clock of the simulated servers: the real time, or a time that a test sets so that it need not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The clock of a pool. Clones of a virtual clock share their time.
#[derive(Clone, Debug, Default)]
pub enum SimClock {
    /// The clock of the machine.
    #[default]
    Real,
    /// Milliseconds since 1970 that change only by [`SimClock::advance_ms`].
    Virtual(Arc<AtomicI64>),
}

impl SimClock {
    /// Creates a virtual clock at `ms` milliseconds since 1970.
    #[must_use]
    pub fn virtual_at(ms: i64) -> Self {
        Self::Virtual(Arc::new(AtomicI64::new(ms)))
    }

    /// Moves a virtual clock forward. Has no effect on the real clock.
    pub fn advance_ms(&self, ms: i64) {
        if let Self::Virtual(now) = self {
            now.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Returns the time in milliseconds since 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the simulator reads time")]
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::Real => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)),
            Self::Virtual(now) => now.load(Ordering::SeqCst),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_clock_changes_only_when_advanced_and_clones_share_its_time() {
        let clock = SimClock::virtual_at(1_000);
        let clock_clone = clock.clone();
        clock.advance_ms(500);
        assert_eq!(clock_clone.now_ms(), 1_500);
        SimClock::Real.advance_ms(10_000_000);
        assert!(SimClock::Real.now_ms() > 1_700_000_000_000);
    }
}
