//! The audit, behind the same lock as servers and meetings.

use async_trait::async_trait;
use domain::Timestamp;

use super::pool_store::MemoryPoolStore;
use crate::ports::{AuditLog, AuditPosition, AuditRecord, StoreError};

#[async_trait]
impl AuditLog for MemoryPoolStore {
    async fn append_audit(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        let audit = &mut self.lock().audit;
        for record in records {
            audit.entry(record.position()).or_insert_with(|| record.clone());
        }
        Ok(())
    }

    async fn list_audit(
        &self,
        since: Timestamp,
        before: Option<&AuditPosition>,
        max: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let state = self.lock();
        let newest_first = state.audit.iter().rev();
        let wanted = newest_first.filter(|(position, _)| {
            position.at >= since && before.is_none_or(|before| *position < before)
        });
        Ok(wanted.map(|(_, record)| record.clone()).take(max).collect())
    }

    async fn forget_audit(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        let audit = &mut self.lock().audit;
        audit.retain(|position, _| position.at >= before);
        while audit.len() > max {
            audit.pop_first();
        }
        Ok(())
    }
}
