//! Copies what is not finished: the trash, file moves under way, archives, and messages.

use std::collections::HashMap;

use domain::Timestamp;

use super::copier::{CopyAction, StoreCopier, to_u64};
use super::counts::{MigratedKind, MigrationCounts};
use crate::ports::{
    ArchiveRecord, FileMove, ImportStage, OutboxMessage, RecordingStore, StoreError, TrashEntry,
};

/// Number of entries of the trash that are held in memory at a time.
const PAGE_SIZE: u32 = 200;
/// Maximum number of file moves, archives and messages each.
const MAX_ENTRIES: u32 = 1_000_000;

impl StoreCopier<'_> {
    /// Copies how long deleted recordings are kept, and those that are kept.
    pub(super) async fn copy_trash(
        &mut self,
        source: &dyn RecordingStore,
        target: &dyn RecordingStore,
    ) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::Trash);
        if let Some(trash_ms) = source.find_trash_ms().await?.filter(|_| !self.dry_run) {
            target.set_trash_ms(trash_ms).await?;
        }
        let mut after: Option<String> = None;
        loop {
            let page = source.list_trash_entries(after.as_deref(), PAGE_SIZE).await?;
            let Some(last) = page.last() else { return Ok(counts) };
            let existing = find_trash_entries(target, after.as_deref(), &page).await?;
            let page_start = after.replace(last.recording.record_id.clone());
            let mut copied = Vec::new();
            for entry in &page {
                let id = entry.recording.record_id.as_str();
                let action = CopyAction::compare(entry, existing.get(id));
                if self.count_entry(&mut counts, action, 0) {
                    target.put_trash_entry(entry).await?;
                    copied.push(entry);
                }
            }
            let written = find_trash_entries(target, page_start.as_deref(), &page).await?;
            for entry in copied {
                let id = &entry.recording.record_id;
                counts.count_verified(written.get(id) == Some(entry), || id.clone());
            }
        }
    }

    pub(super) async fn copy_file_moves(
        &mut self,
        source: &dyn RecordingStore,
        target: &dyn RecordingStore,
    ) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::FileMoves);
        let list = async |store: &dyn RecordingStore| {
            let moves = store.list_file_moves(Timestamp(i64::MAX), MAX_ENTRIES).await?;
            Ok::<_, StoreError>(by_name(moves, |file_move: &FileMove| &file_move.record_id))
        };
        let (wanted, existing) = (list(source).await?, list(target).await?);
        for (id, file_move) in &wanted {
            let action = CopyAction::compare(file_move, existing.get(id));
            if self.count_entry(&mut counts, action, to_u64(wanted.len())) {
                target.put_file_move(file_move).await?;
            }
        }
        self.verify(&mut counts, &wanted, &existing, &list(target).await?);
        Ok(counts)
    }

    pub(super) async fn copy_archives(
        &mut self,
        source: &dyn RecordingStore,
        target: &dyn RecordingStore,
    ) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::Archives);
        let list = async |store: &dyn RecordingStore| {
            let mut archives = store.list_archives(MAX_ENTRIES).await?;
            // The claim of a process on one store counts for nothing on the other.
            for archive in &mut archives {
                if archive.stage == ImportStage::Importing {
                    archive.stage = ImportStage::Received;
                }
            }
            Ok::<_, StoreError>(by_name(archives, |archive: &ArchiveRecord| &archive.name))
        };
        let (wanted, existing) = (list(source).await?, list(target).await?);
        for (name, archive) in &wanted {
            let action = CopyAction::compare(archive, existing.get(name));
            if self.count_entry(&mut counts, action, to_u64(wanted.len())) {
                target.put_archive(archive).await?;
            }
        }
        self.verify(&mut counts, &wanted, &existing, &list(target).await?);
        Ok(counts)
    }

    pub(super) async fn copy_messages(
        &mut self,
        source: &dyn RecordingStore,
        target: &dyn RecordingStore,
    ) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::Messages);
        let list = async |store: &dyn RecordingStore| {
            let messages = store.list_messages(MAX_ENTRIES).await?;
            Ok::<_, StoreError>(by_name(messages, |message: &OutboxMessage| &message.id))
        };
        let (wanted, existing) = (list(source).await?, list(target).await?);
        for (id, message) in &wanted {
            let action = CopyAction::compare(message, existing.get(id));
            if self.count_entry(&mut counts, action, to_u64(wanted.len())) {
                target.put_message(message).await?;
            }
        }
        self.verify(&mut counts, &wanted, &existing, &list(target).await?);
        Ok(counts)
    }

    /// Counts those entries as verified that were copied and are equal in both stores now.
    fn verify<T: PartialEq>(
        &self,
        counts: &mut MigrationCounts,
        wanted: &HashMap<String, T>,
        existing: &HashMap<String, T>,
        written: &HashMap<String, T>,
    ) {
        if self.dry_run {
            return;
        }
        for (name, entry) in
            wanted.iter().filter(|(name, entry)| existing.get(*name) != Some(*entry))
        {
            counts.count_verified(written.get(name) == Some(entry), || name.clone());
        }
    }
}

fn by_name<T>(entries: Vec<T>, name: impl Fn(&T) -> &String) -> HashMap<String, T> {
    entries.into_iter().map(|entry| (name(&entry).clone(), entry)).collect()
}

/// Returns the entries of a store with the ids of a page of another one, which begins after `after`.
async fn find_trash_entries(
    store: &dyn RecordingStore,
    after: Option<&str>,
    page: &[TrashEntry],
) -> Result<HashMap<String, TrashEntry>, StoreError> {
    let last = page.last().map_or("", |entry| entry.recording.record_id.as_str());
    let (mut found, mut after) = (HashMap::new(), after.map(str::to_owned));
    loop {
        let next = store.list_trash_entries(after.as_deref(), PAGE_SIZE).await?;
        let Some(reached) = next.last().map(|entry| entry.recording.record_id.clone()) else {
            return Ok(found);
        };
        found.extend(next.into_iter().map(|entry| (entry.recording.record_id.clone(), entry)));
        if reached.as_str() >= last {
            return Ok(found);
        }
        after = Some(reached);
    }
}
