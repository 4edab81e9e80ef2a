//! Notices that the clock was set, so that nothing is deleted by its age because of a wrong clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use tokio::time::Instant;

use crate::ports::Clock;

/// A clock that differs from the time that has passed by no more than this was not set, in ms.
const MAX_DRIFT_MS: i64 = 2 * 60_000;
/// When a process begins, a clock so far ahead of the last thing that is known of any server may be wrong, in ms.
const MAX_START_GAP_MS: i64 = 30 * 60_000;
/// A clock that was set ahead is believed after this time.
const BELIEVED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Compares the clock with the time that has passed in this process, which nobody sets.
#[derive(Debug, Default)]
pub struct ClockWatch(Option<Mutex<Watch>>);

/// A clock that is compared with the time that has passed whenever it is read: what was written while it was
/// wrong looks old or young later on.
pub struct WatchedClock {
    clock: Arc<dyn Clock>,
    watch: Arc<ClockWatch>,
}

impl WatchedClock {
    /// Returns the clock under this watch.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, watch: Arc<ClockWatch>) -> Self {
        Self { clock, watch }
    }
}

impl Clock for WatchedClock {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        self.watch.note(now);
        now
    }
}

#[derive(Debug, Default)]
struct Watch {
    /// Whether it is known when servers were last heard of before the process began.
    knows_start: bool,
    /// The clock when it was last read, and the passing time then.
    last: Option<(Timestamp, Instant)>,
    /// How far ahead the clock was set, and has not been set back since, in ms.
    ahead_ms: i64,
    /// When it was last set.
    set_at: Option<Instant>,
}

impl ClockWatch {
    /// A watch of the clock of a process that runs for long. The default one notices nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(Some(Mutex::default()))
    }

    /// Notes when servers were last heard of, before they are polled. If that is long ago when a process begins, the
    /// deployment was stopped for so long, or the clock is wrong; nobody can tell.
    pub(crate) fn note_last_known(&self, last_known: Option<Timestamp>, now: Timestamp) {
        let Some(watch) = &self.0 else { return };
        let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        let gap_ms = last_known.map_or(0, |last_known| now.ms_since(last_known));
        if !std::mem::replace(&mut watch.knows_start, true) && gap_ms > MAX_START_GAP_MS {
            watch.ahead_ms = watch.ahead_ms.max(gap_ms);
            watch.set_at = Some(Instant::now());
            tracing::warn!(
                gap_ms,
                "servers were heard of long ago: nothing is deleted by age for a day"
            );
        }
        watch.note(now, Instant::now());
    }

    fn note(&self, now: Timestamp) {
        if let Some(watch) = &self.0 {
            watch.lock().unwrap_or_else(PoisonError::into_inner).note(now, Instant::now());
        }
    }

    /// Notes what the clock says, and returns whether things may be deleted because they are old: not
    /// for a day after the clock was set ahead.
    pub(crate) fn may_delete_by_age(&self, now: Timestamp) -> bool {
        let Some(watch) = &self.0 else { return true };
        let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.note(now, Instant::now());
        watch.ahead_ms <= MAX_DRIFT_MS
    }
}

impl Watch {
    fn note(&mut self, now: Timestamp, at: Instant) {
        if let Some((clock, noted_at)) = self.last {
            let passed = at.saturating_duration_since(noted_at).as_millis();
            let passed_ms = i64::try_from(passed).unwrap_or(i64::MAX);
            let step_ms = now.ms_since(clock).saturating_sub(passed_ms);
            if step_ms.saturating_abs() > MAX_DRIFT_MS {
                self.ahead_ms = self.ahead_ms.saturating_add(step_ms).max(0);
                self.set_at = Some(at);
                tracing::warn!(step_ms, "clock was set");
            }
        }
        self.last = Some((now, at));
        let is_believed = |set_at| at.saturating_duration_since(set_at) >= BELIEVED_AFTER;
        if self.set_at.is_some_and(is_believed) {
            (self.ahead_ms, self.set_at) = (0, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const TEN_YEARS_MS: i64 = 10 * 365 * 24 * HOUR_MS;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_deleted_for_a_day_after_the_clock_was_set_ahead() {
        for step_ms in [HOUR_MS, TEN_YEARS_MS] {
            let (watch, start) = (ClockWatch::new(), Timestamp(5 * TEN_YEARS_MS));
            assert!(watch.may_delete_by_age(start));
            tokio::time::advance(Duration::from_secs(60)).await;
            assert!(
                watch.may_delete_by_age(start.plus_ms(90_000)),
                "within what clocks may differ"
            );
            let mut now = start.plus_ms(90_000 + step_ms);
            assert!(!watch.may_delete_by_age(now));
            tokio::time::advance(BELIEVED_AFTER / 2).await;
            now = now.plus_ms(12 * HOUR_MS);
            assert!(!watch.may_delete_by_age(now));
            tokio::time::advance(BELIEVED_AFTER / 2).await;
            assert!(watch.may_delete_by_age(now.plus_ms(12 * HOUR_MS)), "it is believed");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_begins_with_a_clock_far_ahead_deletes_nothing_for_a_day() {
        let known = Timestamp(5 * TEN_YEARS_MS);
        for (gap_ms, expected) in [(60_000, true), (HOUR_MS, false), (-HOUR_MS, true)] {
            let watch = ClockWatch::new();
            watch.note_last_known(Some(known), known.plus_ms(gap_ms));
            assert_eq!(watch.may_delete_by_age(known.plus_ms(gap_ms)), expected, "{gap_ms}");
            // Later it is known that the clock goes on as time passes.
            watch.note_last_known(Some(known), known.plus_ms(gap_ms));
            assert_eq!(watch.may_delete_by_age(known.plus_ms(gap_ms)), expected, "{gap_ms}");
        }
        let watch = ClockWatch::new();
        watch.note_last_known(None, known);
        assert!(watch.may_delete_by_age(known), "there are no servers yet");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_is_watched_from_its_first_reading_on() {
        let clock = Arc::new(crate::memory::ManualClock::starting_at(Timestamp(5 * TEN_YEARS_MS)));
        let watch = Arc::new(ClockWatch::new());
        let watched = WatchedClock::new(clock.clone(), watch.clone());
        // A record is written meanwhile, and no servers are polled.
        clock.advance_ms(-TEN_YEARS_MS);
        let written_at = watched.now();
        clock.advance_ms(TEN_YEARS_MS);
        assert!(!watch.may_delete_by_age(watched.now()), "{written_at:?} is not that long ago");
        // The first poll takes nothing back.
        clock.advance_ms(HOUR_MS);
        let now = watched.now();
        watch.note_last_known(Some(now.plus_ms(-HOUR_MS)), now);
        clock.advance_ms(-2 * HOUR_MS);
        assert!(!watch.may_delete_by_age(watched.now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_back_again_is_right() {
        let (watch, start) = (ClockWatch::new(), Timestamp(5 * TEN_YEARS_MS));
        for (offset_ms, expected) in
            [(0, true), (TEN_YEARS_MS, false), (0, true), (-TEN_YEARS_MS, true), (0, false)]
        {
            assert_eq!(watch.may_delete_by_age(start.plus_ms(offset_ms)), expected);
        }
        assert!(ClockWatch::default().may_delete_by_age(start), "it does not watch");
    }
}
