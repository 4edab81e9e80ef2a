//! Whether a server answers, judged by consecutive polls. The states have names; what is stored
//! are the counters from which they follow, in the shape that existing deployments have.

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
pub struct Failure {
    /// When it happened.
    pub at: Timestamp,
    /// What went wrong, without secrets.
    pub reason: String,
}

/// What polls found so far. A new server is offline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The verdict in force.
    pub online: bool,
    /// Good polls in a row that speak against it.
    pub healthy_count: u32,
    /// Failed polls in a row that speak against it.
    pub unhealthy_count: u32,
    /// The last failure, kept after recovery.
    pub last_failure: Option<Failure>,
}

/// A server's health by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It answers.
    Online,
    /// It answered until now; the last poll failed.
    Suspect,
    /// It does not answer.
    Offline,
    /// It answers again, but not for long enough.
    Probation,
}

/// A change of the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was offline and is online.
    WentOnline,
    /// It was online and is offline.
    WentOffline,
}

impl Health {
    /// The state by its name.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.online, self.healthy_count, self.unhealthy_count) {
            (true, _, 0) => Standing::Online,
            (true, _, _) => Standing::Suspect,
            (false, 0, _) => Standing::Offline,
            (false, _, _) => Standing::Probation,
        }
    }

    /// A poll that was answered.
    pub fn succeed(&mut self, thresholds: Thresholds) -> Option<Change> {
        self.unhealthy_count = 0;
        if self.online {
            return None;
        }
        self.healthy_count += 1;
        if self.healthy_count < thresholds.healthy {
            return None;
        }
        (self.online, self.healthy_count) = (true, 0);
        Some(Change::WentOnline)
    }

    /// A poll that failed.
    pub fn fail(&mut self, failure: Failure, thresholds: Thresholds) -> Option<Change> {
        self.last_failure = Some(failure);
        self.healthy_count = 0;
        if !self.online {
            return None;
        }
        self.unhealthy_count += 1;
        if self.unhealthy_count < thresholds.unhealthy {
            return None;
        }
        (self.online, self.unhealthy_count) = (false, 0);
        Some(Change::WentOffline)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failure() -> Failure {
        Failure { at: Timestamp(1), reason: "timeout".to_owned() }
    }

    #[test]
    fn thresholds_count_consecutive_polls() {
        let thresholds = Thresholds { healthy: 2, unhealthy: 2 };
        let mut health = Health::default();
        assert_eq!(health.standing(), Standing::Offline);
        assert_eq!(health.succeed(thresholds), None);
        assert_eq!(health.standing(), Standing::Probation);
        assert_eq!(health.succeed(thresholds), Some(Change::WentOnline));
        assert_eq!(health.fail(failure(), thresholds), None);
        assert_eq!(health.standing(), Standing::Suspect);
        assert_eq!(health.succeed(thresholds), None);
        assert_eq!(health.fail(failure(), thresholds), None);
        assert_eq!(health.fail(failure(), thresholds), Some(Change::WentOffline));
        assert_eq!(health.standing(), Standing::Offline);
        assert_eq!(health.last_failure, Some(failure()));
    }

    proptest! {
        #[test]
        fn the_verdict_changes_only_after_a_run_as_long_as_its_threshold(
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
                let change = if good { health.succeed(thresholds) } else { health.fail(failure(), thresholds) };
                let needed = if good { healthy } else { unhealthy };
                let expected = if before != good && run >= needed { good } else { before };
                prop_assert_eq!(health.online, expected);
                prop_assert_eq!(change.is_some(), before != expected);
            }
        }
    }
}
