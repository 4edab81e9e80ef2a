//! Copies management tokens, the audit and planned drains.

use std::collections::HashSet;

use domain::Timestamp;

use super::copier::{CopyAction, StoreCopier, to_u64};
use super::counts::{MigratedKind, MigrationCounts};
use crate::admin::tokens::MAX_TOKENS;
use crate::audit::MAX_RECORDS;
use crate::drains::MAX_OPEN;
use crate::ports::{AuditPosition, AuditRecord, DrainAddition, StateStore, StoreError};

/// Records of the audit that are written at once.
const WRITTEN_AT_ONCE: usize = 500;

impl StoreCopier<'_> {
    pub(super) async fn copy_management_tokens(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::ManagementTokens);
        let tokens = self.source.state.list_management_tokens().await?;
        let target = self.target.state.clone();
        for token in &tokens {
            let existing = target.list_management_tokens().await?;
            let existing = existing.iter().find(|other| other.id == token.id);
            // A token never changes; when it was used last does not matter.
            let known = existing.map(|other| other.digest.as_str());
            let action = CopyAction::compare(&token.digest.as_str(), known.as_ref());
            if self.count_entry(&mut counts, action, to_u64(tokens.len())) {
                if action == CopyAction::Replace {
                    target.remove_management_token(&token.id).await?;
                }
                target.add_management_token(token, MAX_TOKENS).await?;
                let written = target.list_management_tokens().await?;
                let is_there = written.iter().any(|other| other.digest == token.digest);
                counts.count_verified(is_there, || token.name.clone());
            }
        }
        Ok(counts)
    }

    pub(super) async fn copy_audit(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::Audit);
        let records = read_audit(self.source.state.as_ref()).await?;
        let existing = read_positions(self.target.state.as_ref()).await?;
        let total = to_u64(records.len());
        let mut to_write = Vec::new();
        for record in records {
            let known = existing.contains(&(record.at, record.id.clone()));
            let action = CopyAction::compare(&true, Some(&known).filter(|known| **known));
            if self.count_entry(&mut counts, action, total) {
                to_write.push(record);
            }
        }
        for part in to_write.chunks(WRITTEN_AT_ONCE) {
            self.target.state.append_audit(part).await?;
        }
        if !to_write.is_empty() {
            let written = read_positions(self.target.state.as_ref()).await?;
            for record in &to_write {
                let is_there = written.contains(&(record.at, record.id.clone()));
                counts.count_verified(is_there, || record.id.clone());
            }
        }
        Ok(counts)
    }

    /// Copies drains that are not over; of the others the audit tells.
    pub(super) async fn copy_drains(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::PlannedDrains);
        let drains = self.source.state.list_drains(false).await?;
        let target = self.target.state.clone();
        for drain in &drains {
            let existing = target.list_drains(true).await?;
            let is_known = existing.iter().any(|other| other.id == drain.id);
            let action = CopyAction::compare(&true, Some(&is_known).filter(|known| **known));
            if self.count_entry(&mut counts, action, to_u64(drains.len())) {
                let added = target.add_drain(drain, MAX_OPEN).await?;
                counts.count_verified(added == DrainAddition::Added, || drain.id.clone());
            }
        }
        Ok(counts)
    }
}

async fn read_audit(store: &dyn StateStore) -> Result<Vec<AuditRecord>, StoreError> {
    let mut found: Vec<AuditRecord> = Vec::new();
    let mut last: Option<AuditPosition> = None;
    while found.len() < MAX_RECORDS {
        let page = store.list_audit(Timestamp::default(), last.as_ref(), WRITTEN_AT_ONCE).await?;
        let Some(end) = page.last() else { break };
        last = Some(end.position());
        found.extend(page);
    }
    Ok(found)
}

async fn read_positions(
    store: &dyn StateStore,
) -> Result<HashSet<(Timestamp, String)>, StoreError> {
    let records = read_audit(store).await?;
    Ok(records.into_iter().map(|record| (record.at, record.id)).collect())
}
