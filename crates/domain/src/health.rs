//! The health of a server, determined by consecutive polls and by calls that failed in between.
//! Only counters are stored, in the format of existing deployments; the named states follow from
//! them.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How many consecutive polls change a server between online and offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Successful polls until an offline server is online; at least 1.
    pub healthy: u32,
    /// Failed polls until an online server is offline; at least 1.
    pub unhealthy: u32,
}

/// A failed poll or call of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFailure {
    /// When it happened.
    pub at: Timestamp,
    /// What went wrong, in words for administrators. Contains no secrets.
    pub reason: String,
}

/// The recorded health of a server. A new server is offline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether the server counts as online.
    pub online: bool,
    /// Consecutive successful polls while the server is offline.
    pub healthy_count: u32,
    /// Consecutive failures while the server is online.
    pub unhealthy_count: u32,
    /// The last failure; kept after recovery.
    pub last_failure: Option<ServerFailure>,
    /// Number of consecutive failed polls, including those while offline. Any calls that failed
    /// before the first of these polls count as one.
    pub failures: u32,
    /// How often the server failed after a time without failures. Starts again at 1 if the last
    /// failure is older than [`RELAPSE_MEMORY_MS`].
    pub relapses: u32,
    /// Until when the server is on probation: it answers, but gets no new meetings while other
    /// servers can take them.
    pub probation_until: Timestamp,
    /// When it last answered a poll, by the clock of the process that polled it. Each answer changes
    /// it, so it also tells one answer from the next, whatever clocks do. A failure of a request that
    /// was sent before says nothing new.
    pub answered_at: Timestamp,
}

/// The named state that follows from [`Health`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// The server answers.
    Online,
    /// The last call failed, but the server is not offline yet. It keeps its meetings and gets no
    /// new ones while other servers can take them.
    Suspect,
    /// The server does not answer; its meetings are detached.
    Offline,
    /// The server answers again, but gets no new meetings yet while other servers can take them.
    Probation,
}

impl HealthState {
    /// Returns `online`, `suspect`, `offline` or `probation`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Suspect => "suspect",
            Self::Offline => "offline",
            Self::Probation => "probation",
        }
    }
}

/// A change between online and offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthChange {
    /// The server was offline and is online.
    WentOnline,
    /// The server was online and is offline.
    WentOffline,
}

/// Time without failures after which the next failure counts as the first relapse, in ms.
pub const RELAPSE_MEMORY_MS: i64 = 15 * 60_000;
/// Probation after the second relapse, in ms. Each further relapse doubles it.
const PROBATION_MS: i64 = 15_000;
/// Number of consecutive failures after which a server is no longer polled more often than others.
const MAX_RECHECKS: u32 = 60;
/// Maximum probation, in ms.
const MAX_PROBATION_MS: i64 = 5 * 60_000;

impl Health {
    /// Returns the named state at this time.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> HealthState {
        match (self.online, self.healthy_count, self.unhealthy_count) {
            (true, _, 0) if self.is_on_probation(now) => HealthState::Probation,
            (true, _, 0) => HealthState::Online,
            (true, _, _) => HealthState::Suspect,
            (false, 0, _) => HealthState::Offline,
            (false, _, _) => HealthState::Probation,
        }
    }

    /// A probation that ends later than any can was begun by a clock that has been set back since.
    fn is_on_probation(&self, now: Timestamp) -> bool {
        (1..=MAX_PROBATION_MS).contains(&self.probation_until.ms_since(now))
    }

    /// Returns whether the server has answered since a request was sent that failed. `known_answer` is
    /// [`Self::answered_at`] as it was when the request was sent at `sent_at`. While it is the same, no
    /// clock can make the failure look old.
    #[must_use]
    pub fn has_answered_since(&self, sent_at: Timestamp, known_answer: Timestamp) -> bool {
        known_answer != self.answered_at && sent_at < self.answered_at
    }

    /// Records a poll that the server answered.
    pub fn record_success(
        &mut self,
        at: Timestamp,
        thresholds: Thresholds,
    ) -> Option<HealthChange> {
        let recovers = !self.online || self.unhealthy_count > 0;
        // Polls may be recorded out of order, and clocks be set back.
        let is_later = at > self.answered_at || self.answered_at.is_from_wrong_clock(at);
        self.answered_at = if is_later { at } else { self.answered_at.plus_ms(1) };
        self.unhealthy_count = 0;
        if !self.online {
            self.healthy_count += 1;
            if self.healthy_count < thresholds.healthy {
                return None;
            }
        }
        let probation_ms = probation_ms(self.relapses);
        if recovers && probation_ms > 0 {
            self.probation_until = at.plus_ms(probation_ms);
        }
        let change = (!self.online).then_some(HealthChange::WentOnline);
        (self.online, self.healthy_count) = (true, 0);
        change
    }

    /// Records a poll that failed.
    pub fn record_failure(
        &mut self,
        failure: ServerFailure,
        thresholds: Thresholds,
    ) -> Option<HealthChange> {
        self.store_failure(failure);
        self.failures = self.failures.saturating_add(1);
        self.healthy_count = 0;
        if !self.online {
            return None;
        }
        self.unhealthy_count += 1;
        if self.unhealthy_count < thresholds.unhealthy {
            return None;
        }
        (self.online, self.unhealthy_count) = (false, 0);
        Some(HealthChange::WentOffline)
    }

    /// Records a failed call that was not a poll. `failure.at` is the time when the call was made.
    /// The server becomes suspect immediately, but only a poll can take it offline.
    pub fn record_live_failure(&mut self, failure: ServerFailure, thresholds: Thresholds) {
        let at = failure.at;
        if at < self.answered_at && !self.answered_at.is_from_wrong_clock(at) {
            return;
        }
        self.store_failure(failure);
        // The number of failures must not depend on the number of clients, so only polls add to it.
        self.failures = self.failures.max(1);
        if !self.online {
            return;
        }
        if thresholds.unhealthy > 1 {
            self.unhealthy_count = self.unhealthy_count.max(1);
        }
        let until = at.plus_ms(PROBATION_MS);
        self.probation_until =
            if self.is_on_probation(at) { self.probation_until.max(until) } else { until };
    }

    /// Returns whether the server should be polled again before the next regular poll. A server
    /// that has failed many times waits for the regular polls.
    #[must_use]
    pub fn needs_recheck(&self) -> bool {
        let failed_lately = (1..=MAX_RECHECKS).contains(&self.failures);
        if self.online { self.unhealthy_count > 0 } else { self.healthy_count > 0 || failed_lately }
    }

    fn store_failure(&mut self, failure: ServerFailure) {
        let was_healthy = self.online && self.unhealthy_count == 0;
        let last = self.last_failure.as_ref();
        let is_first = last.is_none_or(|last| last.at.is_past(RELAPSE_MEMORY_MS + 1, failure.at));
        if was_healthy {
            self.relapses = if is_first { 1 } else { self.relapses.saturating_add(1) };
            self.failures = 0;
        }
        self.last_failure = Some(failure);
    }
}

/// Returns how long a server that recovers is on probation, in ms: not at all after the first
/// failure, and longer after each relapse.
fn probation_ms(relapses: u32) -> i64 {
    match relapses {
        0 | 1 => 0,
        _ => (PROBATION_MS << (relapses - 2).min(10)).min(MAX_PROBATION_MS),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn failure() -> ServerFailure {
        ServerFailure { at: NOW, reason: "timeout".to_owned() }
    }

    #[test]
    fn thresholds_count_consecutive_polls() {
        let thresholds = Thresholds { healthy: 2, unhealthy: 2 };
        let mut health = Health::default();
        assert_eq!(health.state(NOW), HealthState::Offline);
        assert_eq!(health.record_success(NOW, thresholds), None);
        assert_eq!(health.state(NOW), HealthState::Probation);
        assert_eq!(health.record_success(NOW, thresholds), Some(HealthChange::WentOnline));
        assert_eq!(health.record_failure(failure(), thresholds), None);
        assert_eq!(health.state(NOW), HealthState::Suspect);
        assert_eq!(health.record_success(NOW, thresholds), None);
        assert_eq!(health.record_failure(failure(), thresholds), None);
        assert_eq!(health.record_failure(failure(), thresholds), Some(HealthChange::WentOffline));
        assert_eq!(health.state(NOW), HealthState::Offline);
        assert_eq!(health.last_failure, Some(failure()));
    }

    #[test]
    fn probation_grows_with_each_relapse() {
        let thresholds = Thresholds { healthy: 1, unhealthy: 2 };
        let mut health = Health { online: true, ..Health::default() };
        let mut now = NOW;
        let mut probations_s = Vec::new();
        for _ in 0..8 {
            now = now.plus_ms(60_000);
            health.record_failure(
                ServerFailure { at: now, reason: "timeout".to_owned() },
                thresholds,
            );
            health.record_success(now, thresholds);
            probations_s.push(health.probation_until.ms_since(now).max(0) / 1000);
        }
        assert_eq!(probations_s, [0, 15, 30, 60, 120, 240, 300, 300]);
        assert_eq!(health.state(now), HealthState::Probation);
        now = now.plus_ms(RELAPSE_MEMORY_MS + 1);
        assert_eq!(health.state(now), HealthState::Online);
        health.record_failure(ServerFailure { at: now, reason: "timeout".to_owned() }, thresholds);
        health.record_success(now, thresholds);
        assert_eq!((health.state(now), health.relapses), (HealthState::Online, 1));
    }

    #[test]
    fn failed_calls_make_a_server_suspect_but_never_offline() {
        for unhealthy in [1, 2, 3] {
            let thresholds = Thresholds { healthy: 1, unhealthy };
            let mut health = Health { online: true, ..Health::default() };
            for _ in 0..10 {
                health.record_live_failure(failure(), thresholds);
            }
            assert!(health.online && health.state(NOW) != HealthState::Online);
            assert_eq!(health.failures, 1, "however many calls failed");
            assert!(health.needs_recheck() || unhealthy == 1);
            let change = health.record_failure(failure(), thresholds);
            assert_eq!(change.is_some(), unhealthy <= 2, "the next poll confirms it");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_hides_no_failure_and_prolongs_no_probation() {
        let thresholds = Thresholds { healthy: 1, unhealthy: 2 };
        for step_ms in [60_000, 3_600_000, 10 * 365 * 86_400_000] {
            let mut health = Health { online: true, ..Health::default() };
            health.record_success(NOW, thresholds);
            health.probation_until = NOW.plus_ms(MAX_PROBATION_MS);
            let now = NOW.plus_ms(-step_ms);
            assert!(!health.has_answered_since(now, NOW), "no answer came since");
            if step_ms > 60_000 {
                assert_eq!(health.state(now), HealthState::Online);
                health.record_success(now, thresholds);
                assert_eq!(health.answered_at, now);
                health.record_live_failure(failure_at(now), thresholds);
                assert_eq!(health.state(now), HealthState::Suspect);
                assert_eq!(health.probation_until, now.plus_ms(PROBATION_MS));
            }
        }
    }

    fn failure_at(at: Timestamp) -> ServerFailure {
        ServerFailure { at, reason: "timeout".to_owned() }
    }

    #[test]
    fn probation_begins_with_recovery_and_is_not_prolonged_by_good_polls() {
        let thresholds = Thresholds { healthy: 1, unhealthy: 1 };
        let mut health = Health { online: true, ..Health::default() };
        // It goes offline and comes back, twice: the second relapse brings probation.
        for n in 0..2 {
            let at = NOW.plus_ms(n * 1_000);
            assert_eq!(
                health.record_failure(failure_at(at), thresholds),
                Some(HealthChange::WentOffline)
            );
            assert_eq!(health.record_success(at, thresholds), Some(HealthChange::WentOnline));
        }
        let until = NOW.plus_ms(1_000 + 15_000);
        assert_eq!(health.probation_until, until);
        health.record_success(NOW.plus_ms(5_000), thresholds);
        assert_eq!(health.probation_until, until, "it has not failed meanwhile");
        assert_eq!(health.state(until.plus_ms(-1)), HealthState::Probation);
        assert_eq!(health.state(until), HealthState::Online);
    }

    #[test]
    fn a_first_failure_brings_no_probation_that_is_already_over() {
        let thresholds = Thresholds { healthy: 1, unhealthy: 2 };
        let mut health = Health { online: true, ..Health::default() };
        health.record_failure(failure(), thresholds);
        health.record_success(NOW, thresholds);
        assert_eq!(health.probation_until, Timestamp::default());
    }

    #[test]
    fn failures_of_calls_that_were_sent_before_the_last_answer_say_nothing() {
        let thresholds = Thresholds { healthy: 1, unhealthy: 2 };
        for (sent_at, is_suspect) in [(NOW.plus_ms(-1), false), (NOW, true)] {
            let mut health = Health { online: true, ..Health::default() };
            health.record_success(NOW, thresholds);
            health.record_live_failure(failure_at(sent_at), thresholds);
            assert_eq!(health.state(NOW) == HealthState::Suspect, is_suspect);
        }
        let mut offline = Health::default();
        offline.record_live_failure(failure(), thresholds);
        assert_eq!((offline.unhealthy_count, offline.failures), (0, 1));
        assert_eq!(offline.probation_until, Timestamp::default());
    }

    #[test]
    fn servers_that_failed_lately_are_rechecked() {
        let online = Health { online: true, ..Health::default() };
        let rechecked = |health: Health| health.needs_recheck();
        assert!(!rechecked(online.clone()));
        assert!(!rechecked(Health { failures: 1, ..online.clone() }), "it has recovered");
        assert!(rechecked(Health { unhealthy_count: 1, ..online }));
        let offline = Health::default();
        assert!(!rechecked(offline.clone()), "it was never polled");
        assert!(rechecked(Health { healthy_count: 1, ..offline.clone() }));
        assert!(rechecked(Health { failures: 1, ..offline.clone() }));
        assert!(rechecked(Health { failures: MAX_RECHECKS, ..offline.clone() }));
        assert!(!rechecked(Health { failures: MAX_RECHECKS + 1, ..offline }));
    }

    #[test]
    fn relapses_count_failures_after_a_time_without() {
        let thresholds = Thresholds { healthy: 1, unhealthy: 3 };
        let mut health = Health { online: true, ..Health::default() };
        health.record_failure(failure(), thresholds);
        health.record_failure(failure(), thresholds);
        assert_eq!((health.relapses, health.failures), (1, 2), "one relapse, however long");
        for (after_ms, relapses) in [(RELAPSE_MEMORY_MS, 2), (2 * RELAPSE_MEMORY_MS + 1, 1)] {
            health.record_success(NOW, thresholds);
            health.record_failure(failure_at(NOW.plus_ms(after_ms)), thresholds);
            assert_eq!((health.relapses, health.failures), (relapses, 1), "{after_ms}");
        }
        let mut offline = Health::default();
        offline.record_failure(failure(), thresholds);
        assert_eq!(offline.relapses, 0, "it has not relapsed");
    }

    #[test]
    fn states_have_their_names() {
        let states = [
            HealthState::Online,
            HealthState::Suspect,
            HealthState::Offline,
            HealthState::Probation,
        ];
        assert_eq!(states.map(HealthState::name), ["online", "suspect", "offline", "probation"]);
    }

    proptest! {
        #[test]
        fn a_server_changes_only_after_as_many_polls_as_the_threshold(
            polls in proptest::collection::vec(any::<bool>(), 0..60),
            healthy in 1u32..5, unhealthy in 1u32..5,
        ) {
            let thresholds = Thresholds { healthy, unhealthy };
            let mut health = Health::default();
            let mut run = 0;
            let mut last = None;
            for good in polls {
                run = if last == Some(good) { run + 1 } else { 1 };
                last = Some(good);
                let before = health.online;
                let change = if good { health.record_success(NOW, thresholds) } else { health.record_failure(failure(), thresholds) };
                let needed = if good { healthy } else { unhealthy };
                let expected = if before != good && run >= needed { good } else { before };
                prop_assert_eq!(health.online, expected);
                prop_assert_eq!(change.is_some(), before != expected);
                let state = health.state(NOW);
                prop_assert!(health.online || matches!(state, HealthState::Offline | HealthState::Probation));
                prop_assert!(health.probation_until <= NOW.plus_ms(MAX_PROBATION_MS));
                if !good {
                    prop_assert!(state != HealthState::Online);
                }
            }
        }
    }
}
