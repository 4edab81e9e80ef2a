//! Copies everything from one store to another, and verifies the copy.
//!
//! A migration may be interrupted and started again: entries that are in the target already are
//! only compared. Where the two stores differ, the source wins; entries that only the target has
//! stay.

mod copier;
mod counts;
mod management;
mod recordings;
mod sessions;
mod state;
mod upkeep;

pub use copier::{ProgressCallback, Stores};
pub use counts::{MigratedKind, MigrationCounts};

use crate::ports::StoreError;
use copier::StoreCopier;

/// What a migration does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationPlan {
    /// Only compare the stores.
    pub dry_run: bool,
    /// Copy tenants, servers, meetings, sessions, management tokens, the audit and planned drains.
    pub state: bool,
    /// Copy recordings, callbacks and what is not finished of them, if both stores keep them.
    pub recordings: bool,
}

/// Copies what the plan says, and returns the counts of each kind, in the order of
/// [`MigratedKind`].
///
/// # Errors
/// When one of the stores fails. What was copied until then stays.
pub async fn migrate_stores(
    source: &Stores,
    target: &Stores,
    plan: MigrationPlan,
    progress: ProgressCallback<'_>,
) -> Result<Vec<MigrationCounts>, StoreError> {
    let mut copier = StoreCopier { source, target, dry_run: plan.dry_run, progress };
    let mut counts = Vec::new();
    if plan.state {
        counts.push(copier.copy_tenants().await?);
        counts.push(copier.copy_settings().await?);
        counts.push(copier.copy_servers().await?);
        counts.push(copier.copy_meetings().await?);
        counts.push(copier.copy_sessions().await?);
        counts.push(copier.copy_management_tokens().await?);
        counts.push(copier.copy_audit().await?);
        counts.push(copier.copy_drains().await?);
    }
    let recordings = source.recordings.as_deref().zip(target.recordings.as_deref());
    if let Some((from, to)) = recordings.filter(|_| plan.recordings) {
        counts.push(copier.copy_recordings(from, to).await?);
        counts.push(copier.copy_callbacks(from, to).await?);
        counts.push(copier.copy_trash(from, to).await?);
        counts.push(copier.copy_file_moves(from, to).await?);
        counts.push(copier.copy_archives(from, to).await?);
        counts.push(copier.copy_messages(from, to).await?);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests;
