//! The library: recordings found, changed, sent on their way and imported, each in one transaction.

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
use super::{Database, SqlStore, callbacks, file_moves, outbox, recording_details, trash};

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
        let find = move |session: &mut dyn SqlConnection| {
            let search = SqlSearch::new(&filter, &scope);
            let way = search.choose_plan(session)?;
            let keys = search.find_keys(session, way, after.as_ref(), 0, limit.into())?;
            list_by_keys(session, &keys)
        };
        self.database.read(move |session| read_snapshot(session, &find)).await
    }

    async fn search_recordings_page(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Recording>, u64), StoreError> {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let (changes, known) = (self.count_cache.changes(), self.count_cache.find(filter, scope));
        let is_narrow = SqlSearch::new(filter, scope).is_narrow();
        let (wanted, whose) = (filter.clone(), scope.clone());
        let find = move |session: &mut dyn SqlConnection| {
            let search = SqlSearch::new(&wanted, &whose);
            let count = match known {
                Some(count) => count,
                None => search.count(session)?,
            };
            let mut keys = Vec::new();
            if offset < count {
                let way = search.choose_plan(session)?;
                keys = search.find_keys(session, way, None, offset, limit.into())?;
            }
            Ok((list_by_keys(session, &keys)?, count))
        };
        let found = self.database.read(move |session| read_snapshot(session, &find)).await;
        let (recordings, count) = found?;
        if known.is_none() && !is_narrow {
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
        self.write_recordings(move |session| {
            let mut seen = HashSet::new();
            let mut changed = Vec::new();
            for id in ids.iter().filter(|id| seen.insert(id.as_str())) {
                if change_recording(session, id, &scope, &change)? {
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
        to: Destination,
        now: Timestamp,
    ) -> Result<Option<FileMove>, StoreError> {
        let (id, scope) = (record_id.to_owned(), scope.clone());
        self.write_recordings(move |session| begin_file_move(session, &id, &scope, to, now)).await
    }

    async fn end_file_move(&self, journey: &FileMove) -> Result<bool, StoreError> {
        let journey = journey.clone();
        self.write_keeping_cache(move |session| file_moves::end(session, &journey)).await
    }

    async fn list_file_moves(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError> {
        self.database
            .read(move |session| file_moves::list_begun_before(session, before, limit))
            .await
    }

    async fn import_recording(
        &self,
        incoming: &IncomingRecording,
        now: Timestamp,
    ) -> Result<Option<ImportedRecording>, StoreError> {
        let incoming = incoming.recording.clone();
        self.write_recordings(move |session| import_recording(session, &incoming, now)).await
    }

    async fn forget_deleted_recordings(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        const FIND: &str = "SELECT r.record_id FROM recordings r WHERE r.deleted_at < ?1 \
            AND r.state = 'deleted' AND r.record_id IS NOT NULL \
            AND NOT EXISTS (SELECT 1 FROM file_moves f WHERE f.record_id = r.record_id) \
            AND NOT EXISTS (SELECT 1 FROM trash t WHERE t.record_id = r.record_id) \
            ORDER BY r.deleted_at, r.record_id COLLATE BINARY LIMIT ?2";
        self.write_recordings(move |session| {
            let ids: Vec<String> = session.query(FIND, values![before, limit], |row| row.get(0))?;
            ids.iter().try_for_each(|id| forget_recording(session, id))?;
            Ok(ids)
        })
        .await
    }
}

/// A recording of a scope that is not deleted, or, `even_deleted`, one that may be.
fn find_in_scope(
    session: &mut dyn SqlConnection,
    record_id: &str,
    scope: &TenantScope,
    even_deleted: bool,
) -> Result<Option<(i64, Recording)>, StoreError> {
    let is_meant = |one: &Recording| scope.accepts(one) && (even_deleted || !one.is_deleted());
    Ok(find_recording(session, record_id)?.filter(|(_, recording)| is_meant(recording)))
}

fn change_recording(
    session: &mut dyn SqlConnection,
    record_id: &str,
    scope: &TenantScope,
    change: &RecordingChange,
) -> Result<bool, StoreError> {
    const SET: &str = "INSERT INTO metadata (recording_id, key, value) VALUES (?1, ?2, ?3) \
        ON CONFLICT (recording_id, key) DO UPDATE SET value = excluded.value";
    const REMOVE: &str = "DELETE FROM metadata WHERE recording_id = ?1 AND key = ?2";
    const PROTECT: &str = "UPDATE recordings SET protected = ?2 WHERE id = ?1";
    let Some((key, mut recording)) = find_in_scope(session, record_id, scope, false)? else {
        return Ok(false);
    };
    change.apply(&mut recording);
    let tenant = change.tenant.iter().map(|tenant| (TENANT_KEY, Some(tenant)));
    let metadata = change.metadata.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
    for (name, value) in metadata.chain(tenant) {
        match value {
            Some(value) => session.execute(SET, values![key, name, value])?,
            None => session.execute(REMOVE, values![key, name])?,
        };
    }
    if let Some(protected) = change.protected {
        session.execute(PROTECT, values![key, protected])?;
    }
    recording_details::write(session, &recording)?;
    Ok(true)
}

fn begin_file_move(
    session: &mut dyn SqlConnection,
    record_id: &str,
    scope: &TenantScope,
    to: Destination,
    now: Timestamp,
) -> Result<Option<FileMove>, StoreError> {
    const UPDATE: &str = "UPDATE recordings SET published = ?2, state = ?3, deleted_at = ?4, \
        publish_updated = ?5 WHERE id = ?1";
    let Some((key, mut recording)) = find_in_scope(session, record_id, scope, to.is_deletion())?
    else {
        return Ok(None);
    };
    let mut formats: Vec<String> = recording.formats.iter().map(|one| one.format.clone()).collect();
    let before = Some(&recording).filter(|one| !one.is_deleted());
    formats.extend(trash::update_for_move(session, record_id, before, to, now)?);
    to.apply_to(&mut recording, now);
    let Recording { published, state, deleted_at, publish_updated, .. } = &recording;
    session.execute(UPDATE, values![key, *published, state, *deleted_at, *publish_updated])?;
    if to.is_deletion() {
        delete_parts(session, key)?;
        recording_details::forget(session, record_id)?;
    }
    file_moves::begin(session, record_id, formats, to, now).map(Some)
}

fn import_recording(
    session: &mut dyn SqlConnection,
    incoming: &Recording,
    now: Timestamp,
) -> Result<Option<ImportedRecording>, StoreError> {
    let before = find_recording(session, &incoming.record_id)?.map(|(_, recording)| recording);
    let Some(recording) = merge_recording(before.as_ref(), incoming) else { return Ok(None) };
    let key = put_recording(session, &recording)?;
    let moved = FileMove::needed_after_import(&recording, before.as_ref(), incoming);
    let journey = match moved {
        Some((to, formats)) => {
            Some(file_moves::begin(session, &recording.record_id, formats, to, now)?)
        }
        None => None,
    };
    let meeting_id = recording.meeting_id.as_deref().unwrap_or_default();
    if let Some(callback) =
        callbacks::link_recording(session, recording.tenant(), meeting_id, key, now)?
        && let Some(message) = OutboxMessage::recording_ready(&callback, &recording, now)
    {
        outbox::post(session, &message)?;
    }
    Ok(Some(ImportedRecording { recording, existed_before: before.is_some(), file_move: journey }))
}

fn forget_recording(session: &mut dyn SqlConnection, record_id: &str) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM recordings WHERE id = ?1";
    if let Some((key, _)) = find_recording(session, record_id)? {
        delete_parts(session, key)?;
        session.execute(FORGET, values![key])?;
    }
    recording_details::forget(session, record_id)
}
