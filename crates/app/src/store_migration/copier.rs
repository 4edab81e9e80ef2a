//! What the copies of all kinds share: the two stores, and counting.

use std::sync::Arc;

use super::counts::{MigratedKind, MigrationCounts};
use crate::ports::{RecordingStore, StateStore};

/// The stores of one deployment.
#[derive(Clone)]
pub struct Stores {
    /// Servers, meetings, sessions and tenants.
    pub state: Arc<dyn StateStore>,
    /// Recordings and callbacks; `None` if the store does not keep them.
    pub recordings: Option<Arc<dyn RecordingStore>>,
}

/// Called for each entry: its kind, how many entries of the kind were processed, and how many there
/// are.
pub type ProgressCallback<'a> = &'a mut (dyn FnMut(MigratedKind, u64, u64) + Send);

/// What the target needs for one entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyAction {
    Nothing,
    Copy,
    Replace,
}

impl CopyAction {
    pub(super) fn compare<T: PartialEq>(source: &T, target: Option<&T>) -> Self {
        match target {
            Some(target) if target == source => Self::Nothing,
            Some(_) => Self::Replace,
            None => Self::Copy,
        }
    }
}

/// Copies entries from one store to another.
pub(super) struct StoreCopier<'a> {
    pub(super) source: &'a Stores,
    pub(super) target: &'a Stores,
    pub(super) dry_run: bool,
    pub(super) progress: ProgressCallback<'a>,
}

impl StoreCopier<'_> {
    /// Counts an entry; returns whether it has to be written.
    pub(super) fn count_entry(
        &mut self,
        counts: &mut MigrationCounts,
        action: CopyAction,
        total: u64,
    ) -> bool {
        counts.found += 1;
        match action {
            CopyAction::Nothing => {
                counts.unchanged += 1;
                counts.verified += 1;
            }
            CopyAction::Copy => counts.copied += 1,
            CopyAction::Replace => counts.replaced += 1,
        }
        (self.progress)(counts.kind, counts.found, total.max(counts.found));
        action != CopyAction::Nothing && !self.dry_run
    }
}

pub(super) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
