//! Wrong PINs of callers by telephone, so that nobody finds a meeting by guessing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time to which the numbers refer.
const PERIOD: Duration = Duration::from_secs(600);
/// Callers that are remembered; beyond that, the one that began first is forgotten.
const MAX_CALLERS: usize = 10_000;
/// Longest name of a caller that is remembered, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// The wrong PINs that callers have entered lately, as this process saw it.
#[derive(Debug, Default)]
pub struct WrongPins(Mutex<HashMap<String, Counted>>);

#[derive(Clone, Copy, Debug)]
struct Counted {
    since: Instant,
    wrong: u32,
}

impl WrongPins {
    /// Returns whether the caller has entered so many wrong PINs within ten minutes; never if `max` is 0.
    pub(crate) fn are_too_many(&self, caller: &str, max: u32) -> bool {
        let callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = callers.get(shorten(caller));
        max > 0 && counted.is_some_and(|counted| !counted.is_over() && counted.wrong >= max)
    }

    /// Counts a wrong PIN; returns how many there were within ten minutes.
    pub(crate) fn count(&self, caller: &str) -> u32 {
        let caller = shorten(caller);
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= MAX_CALLERS && !callers.contains_key(caller) {
            callers.retain(|_, counted| !counted.is_over());
            if callers.len() >= MAX_CALLERS {
                let first = callers.iter().min_by_key(|(_, counted)| counted.since);
                let first = first.map(|(caller, _)| caller.clone());
                callers.retain(|caller, _| first.as_ref() != Some(caller));
            }
        }
        let new = Counted { since: Instant::now(), wrong: 0 };
        let counted = callers.entry(caller.to_owned()).or_insert(new);
        if counted.is_over() {
            *counted = new;
        }
        counted.wrong = counted.wrong.saturating_add(1);
        counted.wrong
    }
}

impl Counted {
    fn is_over(&self) -> bool {
        self.since.elapsed() >= PERIOD
    }
}

fn shorten(caller: &str) -> &str {
    &caller[..caller.floor_char_boundary(MAX_NAME_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_caller_may_enter_so_many_wrong_pins_within_ten_minutes() {
        let pins = WrongPins::default();
        for expected in 1..=3 {
            assert!(!pins.are_too_many("+49301", 3));
            assert_eq!(pins.count("+49301"), expected);
        }
        assert!(pins.are_too_many("+49301", 3) && !pins.are_too_many("+49302", 3));
        assert!(!pins.are_too_many("+49301", 0), "there is no limit");
        tokio::time::advance(PERIOD).await;
        assert!(!pins.are_too_many("+49301", 3));
        assert_eq!(pins.count("+49301"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_callers_are_remembered() {
        let pins = WrongPins::default();
        for n in 0..MAX_CALLERS + 10 {
            tokio::time::advance(Duration::from_millis(1)).await;
            pins.count(&format!("{n}"));
        }
        assert_eq!(pins.0.lock().unwrap().len(), MAX_CALLERS);
        assert!(!pins.are_too_many("0", 1) && pins.are_too_many("10", 1));
        // A long name is the name of its beginning, whole characters only.
        pins.count(&"ä".repeat(1000));
        assert!(pins.are_too_many(&"ä".repeat(32), 1));
    }
}
