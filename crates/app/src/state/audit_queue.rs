//! Records of the audit that wait to be written: what the balancer does by itself must not wait for the store. The queue is bounded; what
//! does not fit is counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ports::AuditRecord;

/// Most records that wait.
const MAX_WAITING: usize = 1_000;

/// The queue.
#[derive(Debug, Default)]
pub struct AuditQueue {
    waiting: Mutex<Waiting>,
    /// Numbers the records of this process.
    numbers: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<AuditRecord>,
    lost: u64,
}

impl AuditQueue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that orders records of the same time.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a record, if there is room.
    pub(crate) fn push(&self, record: AuditRecord) {
        let mut waiting = self.lock();
        if waiting.records.len() >= MAX_WAITING {
            waiting.lost += 1;
        } else {
            waiting.records.push_back(record);
        }
    }

    /// Takes records out, `max` at most, and the number of those that were lost since the last time.
    pub(crate) fn take(&self, max: usize) -> (Vec<AuditRecord>, u64) {
        let mut waiting = self.lock();
        let count = waiting.records.len().min(max);
        let taken = waiting.records.drain(..count).collect();
        (taken, std::mem::take(&mut waiting.lost))
    }

    /// Puts back what was not written, before what has come since.
    pub(crate) fn put_back(&self, records: Vec<AuditRecord>, lost: u64) {
        let mut waiting = self.lock();
        waiting.lost += lost;
        for record in records.into_iter().rev() {
            if waiting.records.len() >= MAX_WAITING {
                waiting.lost += 1;
            } else {
                waiting.records.push_front(record);
            }
        }
    }

    /// How many records wait, and how many were lost and not told yet.
    #[must_use]
    pub fn count(&self) -> (usize, u64) {
        let waiting = self.lock();
        (waiting.records.len(), waiting.lost)
    }
}
