//! The port [`RecordingCatalog`]: searching, changing, moving and importing recordings, each in one
//! transaction.

use std::collections::HashSet;

use app::ports::{
    Destination, FileMove, ImportedRecording, OutboxMessage, RecordingCatalog, RecordingCursor,
    StoreError,
};
use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::Recording;
use domain::recording::catalog::{
    IncomingRecording, RecordingChange, RecordingFilter, TENANT_KEY, TenantScope, merge_recording,
};

use super::connection::{SqlConnection, values};
use super::recordings::{delete_parts, find_recording, list_by_keys, put_recording, read_snapshot};
use super::search::SqlSearch;
use super::{
    Database, SqlStore, callbacks, deletions, file_moves, outbox, recording_details, trash,
};

#[async_trait]
impl<D: Database> RecordingCatalog for SqlStore<D> {
    async fn search_recordings(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        after: Option<&RecordingCursor>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError> {
        let (filter, scope) = (filter.clone(), scope.clone());
        let after = after.map(|cursor| RecordingCursor {
            record_id: self.database.to_comparable(&cursor.record_id).to_owned(),
            ..cursor.clone()
        });
        let find = move |connection: &mut dyn SqlConnection| {
            let search = SqlSearch::new(&filter, &scope);
            let plan = search.choose_plan(connection)?;
            let keys = search.find_keys(connection, plan, after.as_ref(), 0, limit.into())?;
            list_by_keys(connection, &keys)
        };
        self.database.read(move |connection| read_snapshot(connection, &find)).await
    }

    async fn search_recordings_page(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Recording>, u64), StoreError> {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let changes = self.count_cache.changes();
        let cached_count = self.count_cache.find(filter, scope);
        let is_narrow = SqlSearch::new(filter, scope).is_narrow();
        let (owned_filter, owned_scope) = (filter.clone(), scope.clone());
        let find = move |connection: &mut dyn SqlConnection| {
            let search = SqlSearch::new(&owned_filter, &owned_scope);
            let count = match cached_count {
                Some(count) => count,
                None => search.count(connection)?,
            };
            let mut keys = Vec::new();
            if offset < count {
                let plan = search.choose_plan(connection)?;
                keys = search.find_keys(connection, plan, None, offset, limit.into())?;
            }
            Ok((list_by_keys(connection, &keys)?, count))
        };
        let found = self.database.read(move |connection| read_snapshot(connection, &find)).await;
        let (recordings, count) = found?;
        if cached_count.is_none() && !is_narrow {
            self.count_cache.put(filter, scope, changes, count);
        }
        Ok((recordings, count.unsigned_abs()))
    }

    async fn change_recordings(
        &self,
        record_ids: &[String],
        scope: &TenantScope,
        change: &RecordingChange,
    ) -> Result<Vec<String>, StoreError> {
        let (ids, scope, change) = (record_ids.to_vec(), scope.clone(), change.clone());
        self.write_recordings(move |connection| {
            let mut seen = HashSet::new();
            let mut changed = Vec::new();
            for id in ids.iter().filter(|id| seen.insert(id.as_str())) {
                if change_recording(connection, id, &scope, &change)? {
                    changed.push(id.clone());
                }
            }
            Ok(changed)
        })
        .await
    }

    async fn begin_file_move(
        &self,
        record_id: &str,
        scope: &TenantScope,
        destination: Destination,
        now: Timestamp,
    ) -> Result<Option<FileMove>, StoreError> {
        let (id, scope) = (record_id.to_owned(), scope.clone());
        self.write_recordings(move |connection| {
            begin_file_move(connection, &id, &scope, destination, now)
        })
        .await
    }

    async fn end_file_move(&self, file_move: &FileMove) -> Result<bool, StoreError> {
        let file_move = file_move.clone();
        self.write_keeping_cache(move |connection| file_moves::end(connection, &file_move)).await
    }

    async fn postpone_file_move(
        &self,
        file_move: &FileMove,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let file_move = file_move.clone();
        self.write_keeping_cache(move |connection| {
            file_moves::postpone(connection, &file_move, now)
        })
        .await
    }

    async fn list_file_moves(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError> {
        self.database
            .read(move |connection| file_moves::list_tried_before(connection, before, limit))
            .await
    }

    async fn import_recording(
        &self,
        incoming: &IncomingRecording,
        now: Timestamp,
    ) -> Result<Option<ImportedRecording>, StoreError> {
        let incoming = incoming.recording.clone();
        self.write_recordings(move |connection| import_recording(connection, &incoming, now)).await
    }

    async fn forget_tombstone(&self, record_id: &str) -> Result<bool, StoreError> {
        const IS_FREE: &str = "SELECT NOT EXISTS (SELECT 1 FROM file_moves WHERE record_id = ?1) \
            AND NOT EXISTS (SELECT 1 FROM trash WHERE record_id = ?1)";
        let id = record_id.to_owned();
        self.write_recordings(move |connection| {
            let found = find_recording(connection, &id)?;
            let is_deleted = found.is_some_and(|(_, recording)| recording.is_deleted());
            let is_free: Option<bool> =
                connection.query_first(IS_FREE, values![&id], |row| row.get(0))?;
            if !is_deleted || is_free != Some(true) {
                return Ok(false);
            }
            forget_recording(connection, &id).map(|()| true)
        })
        .await
    }

    async fn forget_deleted_recordings(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        const FIND: &str = "SELECT d.record_id FROM deletions d \
            JOIN recordings r ON r.record_id = d.record_id \
            WHERE d.deleted_at < ?1 AND r.state = 'deleted' \
            AND NOT EXISTS (SELECT 1 FROM file_moves f WHERE f.record_id = r.record_id) \
            AND NOT EXISTS (SELECT 1 FROM trash t WHERE t.record_id = r.record_id) \
            ORDER BY d.deleted_at, d.record_id COLLATE BINARY LIMIT ?2";
        self.write_recordings(move |connection| {
            let ids: Vec<String> =
                connection.query(FIND, values![before.0, limit], |row| row.get(0))?;
            ids.iter().try_for_each(|id| forget_recording(connection, id))?;
            Ok(ids)
        })
        .await
    }
}

/// Returns a recording of this scope and the key of its row. With `or_deleted` the recording may be
/// deleted.
fn find_in_scope(
    connection: &mut dyn SqlConnection,
    record_id: &str,
    scope: &TenantScope,
    or_deleted: bool,
) -> Result<Option<(i64, Recording)>, StoreError> {
    let is_accepted =
        |recording: &Recording| scope.accepts(recording) && (or_deleted || !recording.is_deleted());
    Ok(find_recording(connection, record_id)?.filter(|(_, recording)| is_accepted(recording)))
}

fn change_recording(
    connection: &mut dyn SqlConnection,
    record_id: &str,
    scope: &TenantScope,
    change: &RecordingChange,
) -> Result<bool, StoreError> {
    const SET: &str = "INSERT INTO metadata (recording_id, key, value) VALUES (?1, ?2, ?3) \
        ON CONFLICT (recording_id, key) DO UPDATE SET value = excluded.value";
    const REMOVE: &str = "DELETE FROM metadata WHERE recording_id = ?1 AND key = ?2";
    const PROTECT: &str = "UPDATE recordings SET protected = ?2 WHERE id = ?1";
    let Some((key, mut recording)) = find_in_scope(connection, record_id, scope, false)? else {
        return Ok(false);
    };
    change.apply(&mut recording);
    let tenant = change.tenant.iter().map(|tenant| (TENANT_KEY, Some(tenant)));
    let metadata = change.metadata.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
    for (name, value) in metadata.chain(tenant) {
        match value {
            Some(value) => connection.execute(SET, values![key, name, value])?,
            None => connection.execute(REMOVE, values![key, name])?,
        };
    }
    if let Some(protected) = change.protected {
        connection.execute(PROTECT, values![key, protected])?;
    }
    recording_details::write(connection, &recording)?;
    Ok(true)
}

fn begin_file_move(
    connection: &mut dyn SqlConnection,
    record_id: &str,
    scope: &TenantScope,
    destination: Destination,
    now: Timestamp,
) -> Result<Option<FileMove>, StoreError> {
    const UPDATE: &str = "UPDATE recordings SET published = ?2, state = ?3, \
        publish_updated = ?4 WHERE id = ?1";
    let Some((key, mut recording)) =
        find_in_scope(connection, record_id, scope, destination.is_deletion())?
    else {
        return Ok(None);
    };
    let mut formats: Vec<String> =
        recording.formats.iter().map(|format| format.format.clone()).collect();
    let undeleted = Some(&recording).filter(|recording| !recording.is_deleted());
    formats.extend(trash::update_for_move(connection, record_id, undeleted, destination, now)?);
    destination.apply_to(&mut recording, now);
    let Recording { published, state, deleted_at, publish_updated, .. } = &recording;
    connection.execute(UPDATE, values![key, *published, state, *publish_updated])?;
    deletions::write_time(connection, record_id, *deleted_at)?;
    if destination.is_deletion() {
        delete_parts(connection, key)?;
        recording_details::forget(connection, record_id)?;
    }
    file_moves::begin(connection, record_id, formats, destination, now).map(Some)
}

fn import_recording(
    connection: &mut dyn SqlConnection,
    incoming: &Recording,
    now: Timestamp,
) -> Result<Option<ImportedRecording>, StoreError> {
    let existing = find_recording(connection, &incoming.record_id)?.map(|(_, recording)| recording);
    let Some(recording) = merge_recording(existing.as_ref(), incoming) else { return Ok(None) };
    let key = put_recording(connection, &recording)?;
    let needed_move = FileMove::needed_after_import(&recording, existing.as_ref(), incoming);
    let begin = |(destination, formats)| {
        file_moves::begin(connection, &recording.record_id, formats, destination, now)
    };
    let file_move = needed_move.map(begin).transpose()?;
    let meeting_id = recording.meeting_id.as_deref().unwrap_or_default();
    if let Some(callback) =
        callbacks::link_recording(connection, recording.tenant(), meeting_id, key, now)?
        && let Some(message) = OutboxMessage::recording_ready(&callback, &recording, now)
    {
        outbox::post(connection, &message)?;
    }
    Ok(Some(ImportedRecording { recording, existed_before: existing.is_some(), file_move }))
}

fn forget_recording(connection: &mut dyn SqlConnection, record_id: &str) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM recordings WHERE id = ?1";
    if let Some((key, _)) = find_recording(connection, record_id)? {
        delete_parts(connection, key)?;
        connection.execute(FORGET, values![key])?;
    }
    deletions::write_time(connection, record_id, None)?;
    recording_details::forget(connection, record_id)
}
