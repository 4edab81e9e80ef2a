//! Time and chance as the product sees them: tokio's paused clock with an offset of the replica's
//! own, and dice.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use app::ports::{Clock, Entropy};
use domain::Timestamp;

use super::dice::Dice;
use super::world::World;

/// One life of a replica, from its start to its crash.
pub(crate) struct Life {
    world: Arc<World>,
    /// Which replica.
    pub(crate) replica: usize,
    alive: AtomicBool,
    /// How far its clock is ahead, in ms.
    offset_ms: AtomicI64,
    dice: Mutex<Dice>,
}

impl Life {
    /// A life that begins.
    #[must_use]
    pub(crate) fn new(world: Arc<World>, replica: usize, offset_ms: i64, dice: Dice) -> Self {
        let (alive, offset_ms) = (AtomicBool::new(true), AtomicI64::new(offset_ms));
        Self { world, replica, alive, offset_ms, dice: Mutex::new(dice) }
    }

    /// Whether it has not crashed.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    /// It crashes: what still runs of it can do nothing any more.
    pub(crate) fn end(&self) {
        self.alive.store(false, Ordering::SeqCst);
    }

    /// Its clock jumps.
    pub(crate) fn set_offset(&self, ms: i64) {
        self.offset_ms.store(ms, Ordering::SeqCst);
    }

    fn next(&self) -> u64 {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

impl Clock for Life {
    fn now(&self) -> Timestamp {
        self.world.now().plus_ms(self.offset_ms.load(Ordering::SeqCst))
    }
}

impl Entropy for Life {
    fn password(&self) -> String {
        format!("pw{:014x}", self.next() >> 8)
    }

    fn uuid(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.next() >> 16)
    }

    fn noise(&self) -> [u8; 16] {
        (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes()
    }

    fn fraction(&self) -> f64 {
        f64::from(u32::try_from(self.next() >> 33).unwrap_or(0)) / f64::from(u32::MAX >> 1)
    }
}
