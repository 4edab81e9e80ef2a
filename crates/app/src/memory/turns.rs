//! Turns behind the same lock as servers and meetings.

use async_trait::async_trait;
use domain::Timestamp;
use domain::turn::next;

use super::MemoryCluster;
use crate::ports::{StoreError, Turn, Turns};

#[async_trait]
impl Turns for MemoryCluster {
    async fn turn(&self, work: &str, now: Timestamp, interval_ms: i64) -> Result<Turn, StoreError> {
        let cycles = &mut self.lock().cycles;
        Ok(match next(cycles.get(work).copied(), now, interval_ms) {
            Ok(cycle) => {
                cycles.insert(work.to_owned(), cycle);
                Turn::Yours(cycle.number)
            }
            Err(due) => Turn::NotBefore(due),
        })
    }
}
