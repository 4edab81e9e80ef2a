//! Planned drains, behind the same lock as servers and meetings.

use async_trait::async_trait;
use domain::Timestamp;
use domain::drain::PlannedDrain;

use super::pool_store::MemoryPoolStore;
use crate::ports::{DrainAddition, PlannedDrains, StoreError};

#[async_trait]
impl PlannedDrains for MemoryPoolStore {
    async fn add_drain(
        &self,
        drain: &PlannedDrain,
        max: usize,
    ) -> Result<DrainAddition, StoreError> {
        let drains = &mut self.lock().drains;
        let open = || drains.values().filter(|other| !other.phase.is_over());
        if let Some(other) = open().find(|other| other.server == drain.server) {
            return Ok(DrainAddition::ServerHasOne(other.id.clone()));
        }
        if open().count() >= max {
            return Ok(DrainAddition::TooMany);
        }
        drains.insert(drain.id.clone(), drain.clone());
        Ok(DrainAddition::Added)
    }

    async fn list_drains(&self, includes_over: bool) -> Result<Vec<PlannedDrain>, StoreError> {
        let mut drains: Vec<_> = self.lock().drains.values().cloned().collect();
        drains.retain(|drain| includes_over || !drain.phase.is_over());
        drains.sort_by(|a, b| (a.starts_at, &a.id).cmp(&(b.starts_at, &b.id)));
        Ok(drains)
    }

    async fn replace_drain(&self, drain: &PlannedDrain) -> Result<bool, StoreError> {
        let drains = &mut self.lock().drains;
        let Some(known) = drains.get_mut(&drain.id) else { return Ok(false) };
        let is_next = known.revision + 1 == drain.revision && !known.phase.is_over();
        if is_next {
            *known = drain.clone();
        }
        Ok(is_next)
    }

    async fn forget_drains(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        let drains = &mut self.lock().drains;
        drains.retain(|_, drain| drain.ended_at.is_none_or(|at| at >= before));
        let mut over: Vec<_> =
            drains.values().filter_map(|drain| Some((drain.ended_at?, drain.id.clone()))).collect();
        over.sort_by(|a, b| b.cmp(a));
        for (_, id) in over.into_iter().skip(max) {
            drains.remove(&id);
        }
        Ok(())
    }
}
