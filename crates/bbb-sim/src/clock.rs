//! The time that meetings are stamped with: real, or moved by hand so that tests need not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a pool reads the time. Clones of a virtual clock move together.
#[derive(Clone, Debug, Default)]
pub enum SimClock {
    /// The clock of the machine.
    #[default]
    Real,
    /// Milliseconds since 1970 that stand still until moved.
    Virtual(Arc<AtomicI64>),
}

impl SimClock {
    /// A clock that stands at `ms` milliseconds since 1970.
    #[must_use]
    pub fn virtual_at(ms: i64) -> Self {
        Self::Virtual(Arc::new(AtomicI64::new(ms)))
    }

    /// Moves a virtual clock forward; a real one goes its own way.
    pub fn advance_ms(&self, ms: i64) {
        if let Self::Virtual(now) = self {
            now.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Milliseconds since 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the simulator reads time")]
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::Real => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Self::Virtual(now) => now.load(Ordering::SeqCst),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_clock_stands_until_moved_and_its_clones_follow() {
        let clock = SimClock::virtual_at(1_000);
        let twin = clock.clone();
        clock.advance_ms(500);
        assert_eq!(twin.now_ms(), 1_500);
        SimClock::Real.advance_ms(10_000_000);
        assert!(SimClock::Real.now_ms() > 1_700_000_000_000);
    }
}
