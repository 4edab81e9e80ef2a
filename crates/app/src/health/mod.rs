//! Whether this process has what it needs: each part as it was found last. Looking is the work of a background job, so that a
//! question costs nothing and waits for nothing; the log tells when a part fails and when it works again.

mod probes;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::ports::PartHealth;
use crate::state::{FailureLog, FailureNote};

pub use probes::{
    BlockedWorkProbe, MigrationsProbe, POLL_JOB, PollerProbe, RecordingStoreProbe, StateStoreProbe,
};

/// The parts of a process and their health.
#[derive(Debug, Default)]
pub struct HealthBoard {
    parts: Mutex<Vec<Part>>,
    /// The space of those parts that are directories.
    spaces: Mutex<BTreeMap<&'static str, DirectorySpace>>,
}

/// The space of the file system of a directory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectorySpace {
    /// What is free for this process.
    pub free: u64,
    /// All of it.
    pub size: u64,
}

#[derive(Debug)]
struct Part {
    name: &'static str,
    /// `None` until it was looked at.
    health: Option<PartHealth>,
    since: Instant,
    failures: FailureLog,
}

/// What is known of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartReport {
    /// Its name, which anybody may see.
    pub name: &'static str,
    /// Its health; `None` until it was looked at.
    pub health: Option<PartHealth>,
    /// For how long it has been so, in seconds.
    pub since_s: u64,
}

impl PartReport {
    /// Returns whether the process can work as far as this part is concerned.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self.health, Some(PartHealth::Ok | PartHealth::Warning(_)))
    }

    /// Returns `ok`, `warning`, `failed` or, before it was looked at, `unknown`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.health {
            Some(PartHealth::Ok) => "ok",
            Some(PartHealth::Warning(_)) => "warning",
            Some(PartHealth::Failed(_)) => "failed",
            None => "unknown",
        }
    }

    /// Returns what was found, for administrators.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match &self.health {
            Some(PartHealth::Warning(text) | PartHealth::Failed(text)) => Some(text),
            Some(PartHealth::Ok) | None => None,
        }
    }
}

impl HealthBoard {
    /// Sets which parts there are. Those that are new were not looked at yet; of the others is known what was known.
    pub fn set_parts(&self, names: &[&'static str]) {
        self.lock_spaces().retain(|name, _| names.contains(name));
        let mut parts = self.lock();
        parts.retain(|part| names.contains(&part.name));
        for name in names {
            if parts.iter().all(|part| part.name != *name) {
                let (since, failures) = (Instant::now(), FailureLog::default());
                parts.push(Part { name, health: None, since, failures });
            }
        }
    }

    /// Records what was found, and logs what has changed.
    pub fn record(&self, name: &'static str, health: PartHealth) {
        let now = Instant::now();
        let mut parts = self.lock();
        let Some(part) = parts.iter_mut().find(|part| part.name == name) else { return };
        log_change(part, &health, now);
        let kind = |health: &PartHealth| std::mem::discriminant(health);
        if part.health.as_ref().map(kind) != Some(kind(&health)) {
            part.since = now;
        }
        part.health = Some(health);
    }

    /// Returns all parts.
    #[must_use]
    pub fn report(&self) -> Vec<PartReport> {
        let report = |part: &Part| PartReport {
            name: part.name,
            health: part.health.clone(),
            since_s: part.since.elapsed().as_secs(),
        };
        self.lock().iter().map(report).collect()
    }

    /// Records the space of a directory; `None` if it cannot be told.
    pub fn record_space(&self, name: &'static str, space: Option<DirectorySpace>) {
        let mut spaces = self.lock_spaces();
        match space {
            Some(space) => spaces.insert(name, space),
            None => spaces.remove(name),
        };
    }

    /// Returns the space of all directories, by the names of the parts.
    #[must_use]
    pub fn spaces(&self) -> BTreeMap<&'static str, DirectorySpace> {
        self.lock_spaces().clone()
    }

    fn lock_spaces(&self) -> MutexGuard<'_, BTreeMap<&'static str, DirectorySpace>> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log_change(part: &mut Part, health: &PartHealth, now: Instant) {
    let name = part.name;
    match health {
        PartHealth::Failed(reason) => match part.failures.note_failure(now) {
            FailureNote::First => tracing::error!(part = name, reason, "part failed"),
            FailureNote::Reminder(past) => {
                let (lasted_s, times) = (past.lasted.as_secs(), past.count);
                tracing::error!(part = name, reason, lasted_s, times, "part still fails");
            }
            FailureNote::Silent => {}
        },
        PartHealth::Ok | PartHealth::Warning(_) => {
            if let Some(past) = part.failures.note_success(now) {
                let (lasted_s, times) = (past.lasted.as_secs(), past.count);
                tracing::info!(part = name, lasted_s, times, "part works again");
            }
        }
    }
    let was_warned = matches!(part.health, Some(PartHealth::Warning(_)));
    match health {
        PartHealth::Warning(reason) if !was_warned => {
            tracing::warn!(part = name, reason, "part needs attention");
        }
        PartHealth::Ok if was_warned => tracing::info!(part = name, "part needs no more attention"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_is_usable_once_it_was_found_so() {
        let board = HealthBoard::default();
        board.set_parts(&["gone", "store"]);
        board.set_parts(&["store", "spool"]);
        let status = || {
            let usable = board.report().iter().all(PartReport::is_usable);
            let parts = board.report();
            let parts = parts.iter().map(|part| (part.status(), part.since_s)).collect::<Vec<_>>();
            (usable, parts)
        };
        assert_eq!(status(), (false, vec![("unknown", 0), ("unknown", 0)]));
        board.record("store", PartHealth::Ok);
        board.record("spool", PartHealth::Warning("little space".to_owned()));
        board.record("another", PartHealth::Ok);
        assert_eq!(status(), (true, vec![("ok", 0), ("warning", 0)]));
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        board.record("store", PartHealth::Ok);
        board.record("spool", PartHealth::Failed("gone".to_owned()));
        assert_eq!(status(), (false, vec![("ok", 5), ("failed", 0)]));
        assert_eq!(board.report()[1].detail(), Some("gone"));
    }
}
