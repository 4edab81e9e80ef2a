//! The probes of what is behind ports: stores, their schemas, and the poller.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::blocking::describe_hanging_work;
use crate::context::App;
use crate::ports::{HealthProbe, PartHealth, RecordingStore, StoreError};

/// The periodic job that polls all servers.
pub const POLL_JOB: &str = "poll";
/// The poller gets at least so long, however short the interval is.
const MIN_SILENCE: Duration = Duration::from_secs(10);

fn health_of(result: Result<(), StoreError>) -> PartHealth {
    match result {
        Ok(()) => PartHealth::Ok,
        Err(error) => PartHealth::Failed(error.to_string()),
    }
}

/// Whether the state store can be read and written.
pub struct StateStoreProbe(pub App);

#[async_trait]
impl HealthProbe for StateStoreProbe {
    fn name(&self) -> &'static str {
        "state-store"
    }

    async fn probe(&self) -> PartHealth {
        health_of(self.0.pool.check_store().await)
    }
}

/// Whether the recording store can be read and written.
pub struct RecordingStoreProbe(pub Arc<dyn RecordingStore>);

#[async_trait]
impl HealthProbe for RecordingStoreProbe {
    fn name(&self) -> &'static str {
        "recording-store"
    }

    async fn probe(&self) -> PartHealth {
        health_of(self.0.check_recording_store().await)
    }
}

/// Whether work hangs that is done by threads of its own, such as reads of a file system that does not answer. Meetings go on.
pub struct BlockedWorkProbe;

#[async_trait]
impl HealthProbe for BlockedWorkProbe {
    fn name(&self) -> &'static str {
        "blocked-work"
    }

    async fn probe(&self) -> PartHealth {
        let hanging = describe_hanging_work();
        if hanging.is_empty() { PartHealth::Ok } else { PartHealth::Warning(hanging.join("; ")) }
    }
}

/// Whether the schemas of all stores are those of this program. A store brings its schema up to date when it is first used; once
/// that is done, it stays so.
pub struct MigrationsProbe {
    app: App,
    is_done: AtomicBool,
}

impl MigrationsProbe {
    /// The probe of an application.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self { app, is_done: AtomicBool::new(false) }
    }
}

#[async_trait]
impl HealthProbe for MigrationsProbe {
    fn name(&self) -> &'static str {
        "migrations"
    }

    async fn probe(&self) -> PartHealth {
        if self.is_done.load(Ordering::Relaxed) {
            return PartHealth::Ok;
        }
        let mut result = self.app.pool.check_store().await;
        if let (Ok(()), Some(recordings)) = (&result, &self.app.recording_store) {
            result = recordings.check_recording_store().await;
        }
        self.is_done.store(result.is_ok(), Ordering::Relaxed);
        health_of(result)
    }
}

/// Whether some process has begun a poll cycle within two intervals. Measured by the clock that nobody sets: a number of the last
/// cycle that changes is a sign of life, whatever time is recorded with it.
pub struct PollerProbe {
    app: App,
    max_silence: Duration,
    /// The number of the last cycle that was heard of, and when it was heard of.
    heard: Mutex<(Option<u64>, Instant)>,
}

impl PollerProbe {
    /// The probe of a poller with that interval, which is taken as heard of now.
    #[must_use]
    pub fn new(app: App, interval: Duration) -> Self {
        let max_silence = interval.saturating_mul(2).max(MIN_SILENCE);
        Self { app, max_silence, heard: Mutex::new((None, Instant::now())) }
    }

    /// Notes the number of the last cycle; returns for how long none was heard of.
    fn note_cycle(&self, number: Option<u64>) -> Duration {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if number != heard.0 {
            *heard = (number, Instant::now());
        }
        heard.1.elapsed()
    }
}

#[async_trait]
impl HealthProbe for PollerProbe {
    fn name(&self) -> &'static str {
        "poller"
    }

    async fn probe(&self) -> PartHealth {
        let last = match self.app.periodic_jobs.find_last_run(POLL_JOB).await {
            Ok(last) => last,
            Err(error) => return PartHealth::Failed(error.to_string()),
        };
        if self.note_cycle(last.map(|run| run.number)) <= self.max_silence {
            return PartHealth::Ok;
        }
        let limit_s = self.max_silence.as_secs();
        PartHealth::Failed(format!("no process has begun a poll cycle for more than {limit_s} s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_app::test_app;

    #[tokio::test(start_paused = true)]
    async fn a_poller_that_is_silent_for_two_intervals_is_missed() {
        let (app, _) = test_app(&[], |_| None).await;
        let probe = PollerProbe::new(app.clone(), Duration::from_secs(60));
        let poll = async || {
            app.periodic_jobs.claim_run(POLL_JOB, app.clock.now(), 1).await.unwrap();
        };
        assert_eq!(probe.probe().await, PartHealth::Ok, "no cycle yet");
        tokio::time::advance(Duration::from_secs(119)).await;
        poll().await;
        assert_eq!(probe.probe().await, PartHealth::Ok);
        tokio::time::advance(Duration::from_secs(119)).await;
        assert_eq!(probe.probe().await, PartHealth::Ok);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(matches!(probe.probe().await, PartHealth::Failed(_)));
        poll().await;
        assert_eq!(probe.probe().await, PartHealth::Ok);
    }
}
