//! Whether a server answers, judged by consecutive polls and by calls that failed in between. The
//! states have names; what is stored are the counters from which they follow, in the shape that
//! existing deployments have.

use serde::Serialize;

use crate::time::Timestamp;

/// How many polls in a row it takes to change one's mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Good polls until an offline server is online; at least 1.
    pub healthy: u32,
    /// Failed polls until an online server is offline; at least 1.
    pub unhealthy: u32,
}

/// The last failure of a server, for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerFailure {
    /// When it happened.
    pub at: Timestamp,
    /// What went wrong, without secrets.
    pub reason: String,
}

/// What was found so far. A new server is offline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The verdict in force.
    pub online: bool,
    /// Good polls in a row that speak against it.
    pub healthy_count: u32,
    /// Failures in a row that speak against it.
    pub unhealthy_count: u32,
    /// The last failure, kept after recovery.
    pub last_failure: Option<ServerFailure>,
    /// How many polls in a row failed, those while it was offline among them; calls that failed before the first of
    /// them count as one.
    pub failures: u32,
    /// How often trust was lost lately; forgotten after [`RELAPSE_MEMORY_MS`] without.
    pub relapses: u32,
    /// Not trusted with new meetings before this, although it answers.
    pub probation_until: Timestamp,
    /// When it last answered a poll. What was asked before and failed tells nothing new.
    pub answered_at: Timestamp,
}

/// A server's health by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// It answers.
    Online,
    /// It answered until now; the last call failed. Gets nothing new while another server can
    /// take it, and keeps its meetings.
    Suspect,
    /// It does not answer; its meetings are detached.
    Offline,
    /// It answers again, but is not trusted yet.
    Probation,
}

impl HealthState {
    /// `online`, `suspect`, `offline`, `probation`.
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

/// A change of the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthChange {
    /// It was offline and is online.
    WentOnline,
    /// It was online and is offline.
    WentOffline,
}

/// A relapse after this time counts as the first one, in ms.
pub const RELAPSE_MEMORY_MS: i64 = 15 * 60_000;
/// Probation after the second relapse; each further one doubles it, in ms.
const PROBATION_MS: i64 = 15_000;
/// After so many failures in a row a server is no longer asked more often than others.
const MAX_RECHECKS: u32 = 60;
/// The most that probation takes, in ms.
const MAX_PROBATION_MS: i64 = 5 * 60_000;

impl Health {
    /// The state by its name.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> HealthState {
        match (self.online, self.healthy_count, self.unhealthy_count) {
            (true, _, 0) if now >= self.probation_until => HealthState::Online,
            (true, _, 0) => HealthState::Probation,
            (true, _, _) => HealthState::Suspect,
            (false, 0, _) => HealthState::Offline,
            (false, _, _) => HealthState::Probation,
        }
    }

    /// A poll that was answered.
    pub fn record_success(
        &mut self,
        at: Timestamp,
        thresholds: Thresholds,
    ) -> Option<HealthChange> {
        let recovers = !self.online || self.unhealthy_count > 0;
        self.answered_at = self.answered_at.max(at);
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

    /// A poll that failed.
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

    /// A call of somebody else than the poller that was made then and failed. It makes the server
    /// suspect at once; the verdict is the next poll's.
    pub fn record_live_failure(&mut self, failure: ServerFailure, thresholds: Thresholds) {
        let at = failure.at;
        if at < self.answered_at {
            return;
        }
        self.store_failure(failure);
        // However many clients there are: polls count.
        self.failures = self.failures.max(1);
        if !self.online {
            return;
        }
        if thresholds.unhealthy > 1 {
            self.unhealthy_count = self.unhealthy_count.max(1);
        }
        self.probation_until = self.probation_until.max(at.plus_ms(PROBATION_MS));
    }

    /// Whether it should be polled again soon. One that stays away waits for the regular polls.
    #[must_use]
    pub fn needs_recheck(&self) -> bool {
        let failed_lately = (1..=MAX_RECHECKS).contains(&self.failures);
        if self.online { self.unhealthy_count > 0 } else { self.healthy_count > 0 || failed_lately }
    }

    fn store_failure(&mut self, failure: ServerFailure) {
        let trusted = self.online && self.unhealthy_count == 0;
        let last = self.last_failure.as_ref();
        let calm = last.is_none_or(|last| failure.at.ms_since(last.at) > RELAPSE_MEMORY_MS);
        if trusted {
            self.relapses = if calm { 1 } else { self.relapses.saturating_add(1) };
            self.failures = 0;
        }
        self.last_failure = Some(failure);
    }
}

/// How long a server that recovers is on probation: a first hiccup is forgiven at once, one that
/// comes and goes waits longer each time.
fn probation_ms(relapses: u32) -> i64 {
    match relapses {
        0 | 1 => 0,
        more => (PROBATION_MS << (more - 2).min(10)).min(MAX_PROBATION_MS),
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
        let mut waits = Vec::new();
        for _ in 0..8 {
            now = now.plus_ms(60_000);
            health.record_failure(
                ServerFailure { at: now, reason: "timeout".to_owned() },
                thresholds,
            );
            health.record_success(now, thresholds);
            waits.push(health.probation_until.ms_since(now).max(0) / 1000);
        }
        assert_eq!(waits, [0, 15, 30, 60, 120, 240, 300, 300]);
        assert_eq!(health.state(now), HealthState::Probation);
        now = now.plus_ms(RELAPSE_MEMORY_MS + 1);
        assert_eq!(health.state(now), HealthState::Online);
        health.record_failure(ServerFailure { at: now, reason: "timeout".to_owned() }, thresholds);
        health.record_success(now, thresholds);
        assert_eq!((health.state(now), health.relapses), (HealthState::Online, 1));
    }

    #[test]
    fn failures_of_live_calls_make_suspect_and_never_offline() {
        for unhealthy in [1, 2, 3] {
            let thresholds = Thresholds { healthy: 1, unhealthy };
            let mut health = Health { online: true, ..Health::default() };
            for _ in 0..10 {
                health.record_live_failure(failure(), thresholds);
            }
            assert!(health.online && health.state(NOW) != HealthState::Online);
            assert_eq!(health.failures, 1, "as many as there are clients");
            assert!(health.needs_recheck() || unhealthy == 1);
            let change = health.record_failure(failure(), thresholds);
            assert_eq!(change.is_some(), unhealthy <= 2, "a poll confirms it");
        }
    }

    proptest! {
        #[test]
        fn online_changes_only_after_as_many_polls_as_the_threshold(
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
                let standing = health.state(NOW);
                prop_assert!(health.online || matches!(standing, HealthState::Offline | HealthState::Probation));
                prop_assert!(health.probation_until <= NOW.plus_ms(MAX_PROBATION_MS));
                if !good {
                    prop_assert!(standing != HealthState::Online);
                }
            }
        }
    }
}
