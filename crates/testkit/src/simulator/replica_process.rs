//! The process of a replica: whether it is alive, its clock, which is tokio's paused clock with an
//! offset of its own, and its random numbers.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use app::ports::{Clock, Entropy};
use domain::Timestamp;

use super::sim_run::SimRun;
use crate::seeded_rng::SeededRng;

/// The process of a replica from its start to its crash.
pub(crate) struct ReplicaProcess {
    sim: Arc<SimRun>,
    /// The number of the replica.
    pub(crate) replica: usize,
    alive: AtomicBool,
    /// How far its clock is ahead of the true time, in ms.
    clock_offset_ms: AtomicI64,
    rng: Mutex<SeededRng>,
}

impl ReplicaProcess {
    /// A process that starts.
    #[must_use]
    pub(crate) fn new(sim: Arc<SimRun>, replica: usize, offset_ms: i64, rng: SeededRng) -> Self {
        let (alive, offset_ms) = (AtomicBool::new(true), AtomicI64::new(offset_ms));
        Self { sim, replica, alive, clock_offset_ms: offset_ms, rng: Mutex::new(rng) }
    }

    /// Returns whether the process has not crashed.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    /// Crashes the process: its tasks that still run cannot reach the store or a server any more.
    pub(crate) fn kill(&self) {
        self.alive.store(false, Ordering::SeqCst);
    }

    /// Sets how far its clock is ahead of the true time.
    pub(crate) fn set_clock_offset_ms(&self, ms: i64) {
        self.clock_offset_ms.store(ms, Ordering::SeqCst);
    }

    fn rng(&self) -> MutexGuard<'_, SeededRng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ReplicaProcess {
    fn now(&self) -> Timestamp {
        let offset_ms = self.clock_offset_ms.load(Ordering::SeqCst);
        self.sim.now().plus_ms(offset_ms).plus_ms(self.sim.clock_step_ms())
    }
}

impl Entropy for ReplicaProcess {
    fn generate_password(&self) -> String {
        format!("pw{:014x}", self.rng().next_u64() >> 8)
    }

    fn generate_uuid(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.rng().next_u64() >> 16)
    }

    fn generate_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.rng().fill_bytes(&mut bytes);
        bytes
    }

    fn generate_fraction(&self) -> f64 {
        self.rng().draw_fraction()
    }
}
