//! Time and chance as the product sees them: tokio's paused clock with an offset of the replica's
//! own, and dice.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use app::ports::{Clock, Entropy};
use domain::Timestamp;

use super::sim_run::SimRun;
use crate::seeded_rng::SeededRng;

/// One life of a replica, from its start to its crash.
pub(crate) struct ReplicaProcess {
    sim: Arc<SimRun>,
    /// Which replica.
    pub(crate) replica: usize,
    alive: AtomicBool,
    /// How far its clock is ahead, in ms.
    clock_offset_ms: AtomicI64,
    rng: Mutex<SeededRng>,
}

impl ReplicaProcess {
    /// A life that begins.
    #[must_use]
    pub(crate) fn new(world: Arc<SimRun>, replica: usize, offset_ms: i64, dice: SeededRng) -> Self {
        let (alive, offset_ms) = (AtomicBool::new(true), AtomicI64::new(offset_ms));
        Self { sim: world, replica, alive, clock_offset_ms: offset_ms, rng: Mutex::new(dice) }
    }

    /// Whether it has not crashed.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    /// It crashes: what still runs of it can do nothing any more.
    pub(crate) fn kill(&self) {
        self.alive.store(false, Ordering::SeqCst);
    }

    /// Its clock jumps.
    pub(crate) fn set_clock_offset_ms(&self, ms: i64) {
        self.clock_offset_ms.store(ms, Ordering::SeqCst);
    }

    fn next_random(&self) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }
}

impl Clock for ReplicaProcess {
    fn now(&self) -> Timestamp {
        self.sim.now().plus_ms(self.clock_offset_ms.load(Ordering::SeqCst))
    }
}

impl Entropy for ReplicaProcess {
    fn generate_password(&self) -> String {
        format!("pw{:014x}", self.next_random() >> 8)
    }

    fn generate_uuid(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.next_random() >> 16)
    }

    fn generate_bytes(&self) -> [u8; 16] {
        (u128::from(self.next_random()) << 64 | u128::from(self.next_random())).to_be_bytes()
    }

    fn generate_fraction(&self) -> f64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).draw_fraction()
    }
}
