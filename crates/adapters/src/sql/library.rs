//! The library: recordings found, changed, sent on their way and imported, each in one transaction.

use std::collections::HashSet;

use app::ports::{Cursor, Destination, Imported, Journey, Library, Message, StoreError};
use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::Recording;
use domain::recording::library::{Change, Filter, Incoming, Scope, TENANT, merge};

use super::recordings::{by_keys, clear, one, put, reading};
use super::search::Search;
use super::session::{Session, values};
use super::{Database, SqlStore, callbacks, facts, journeys, outbox, trash};

#[async_trait]
impl<D: Database> Library for SqlStore<D> {
    async fn find_recordings(
        &self,
        filter: &Filter,
        scope: &Scope,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError> {
        let (filter, scope) = (filter.clone(), scope.clone());
        let after = after.map(|cursor| Cursor {
            record_id: self.database.comparable(&cursor.record_id).to_owned(),
            ..cursor.clone()
        });
        let find = move |session: &mut dyn Session| {
            let search = Search::new(&filter, &scope);
            let way = search.way(session)?;
            let keys = search.keys(session, way, after.as_ref(), 0, limit.into())?;
            by_keys(session, &keys)
        };
        self.database.read(move |session| reading(session, &find)).await
    }

    async fn page_of_recordings(
        &self,
        filter: &Filter,
        scope: &Scope,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Recording>, u64), StoreError> {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let (changes, known) = (self.totals.changes(), self.totals.of(filter, scope));
        let is_narrow = Search::new(filter, scope).is_narrow();
        let (wanted, whose) = (filter.clone(), scope.clone());
        let find = move |session: &mut dyn Session| {
            let search = Search::new(&wanted, &whose);
            let count = match known {
                Some(count) => count,
                None => search.count(session)?,
            };
            let mut keys = Vec::new();
            if offset < count {
                let way = search.way(session)?;
                keys = search.keys(session, way, None, offset, limit.into())?;
            }
            Ok((by_keys(session, &keys)?, count))
        };
        let found = self.database.read(move |session| reading(session, &find)).await;
        let (recordings, count) = found?;
        if known.is_none() && !is_narrow {
            self.totals.keep(filter, scope, changes, count);
        }
        Ok((recordings, count.unsigned_abs()))
    }

    async fn change_recordings(
        &self,
        record_ids: &[String],
        scope: &Scope,
        change: &Change,
    ) -> Result<Vec<String>, StoreError> {
        let (ids, scope, change) = (record_ids.to_vec(), scope.clone(), change.clone());
        self.write_recordings(move |session| {
            let mut seen = HashSet::new();
            let mut changed = Vec::new();
            for id in ids.iter().filter(|id| seen.insert(id.as_str())) {
                if change_one(session, id, &scope, &change)? {
                    changed.push(id.clone());
                }
            }
            Ok(changed)
        })
        .await
    }

    async fn begin_journey(
        &self,
        record_id: &str,
        scope: &Scope,
        to: Destination,
        now: Timestamp,
    ) -> Result<Option<Journey>, StoreError> {
        let (id, scope) = (record_id.to_owned(), scope.clone());
        self.write_recordings(move |session| set_out(session, &id, &scope, to, now)).await
    }

    async fn end_journey(&self, journey: &Journey) -> Result<bool, StoreError> {
        let journey = journey.clone();
        self.write_apart(move |session| journeys::end(session, &journey)).await
    }

    async fn journeys(&self, before: Timestamp, limit: u32) -> Result<Vec<Journey>, StoreError> {
        self.database.read(move |session| journeys::old(session, before, limit)).await
    }

    async fn import_recording(
        &self,
        incoming: &Incoming,
        now: Timestamp,
    ) -> Result<Option<Imported>, StoreError> {
        let incoming = incoming.recording.clone();
        self.write_recordings(move |session| import(session, &incoming, now)).await
    }

    async fn forget_deleted(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        const FIND: &str = "SELECT r.record_id FROM recordings r WHERE r.deleted_at < ?1 \
            AND r.state = 'deleted' AND r.record_id IS NOT NULL \
            AND NOT EXISTS (SELECT 1 FROM journeys j WHERE j.record_id = r.record_id) \
            AND NOT EXISTS (SELECT 1 FROM trash t WHERE t.record_id = r.record_id) \
            ORDER BY r.deleted_at, r.record_id COLLATE BINARY LIMIT ?2";
        self.write_recordings(move |session| {
            let ids: Vec<String> = session.query(FIND, values![before, limit], |row| row.get(0))?;
            ids.iter().try_for_each(|id| forget(session, id))?;
            Ok(ids)
        })
        .await
    }
}

/// A recording of a scope that is not deleted, or, `even_deleted`, one that may be.
fn of_scope(
    session: &mut dyn Session,
    record_id: &str,
    scope: &Scope,
    even_deleted: bool,
) -> Result<Option<(i64, Recording)>, StoreError> {
    let is_meant = |one: &Recording| scope.accepts(one) && (even_deleted || !one.is_deleted());
    Ok(one(session, record_id)?.filter(|(_, recording)| is_meant(recording)))
}

fn change_one(
    session: &mut dyn Session,
    record_id: &str,
    scope: &Scope,
    change: &Change,
) -> Result<bool, StoreError> {
    const SET: &str = "INSERT INTO metadata (recording_id, key, value) VALUES (?1, ?2, ?3) \
        ON CONFLICT (recording_id, key) DO UPDATE SET value = excluded.value";
    const REMOVE: &str = "DELETE FROM metadata WHERE recording_id = ?1 AND key = ?2";
    const PROTECT: &str = "UPDATE recordings SET protected = ?2 WHERE id = ?1";
    let Some((key, mut recording)) = of_scope(session, record_id, scope, false)? else {
        return Ok(false);
    };
    change.apply(&mut recording);
    let tenant = change.tenant.iter().map(|tenant| (TENANT, Some(tenant)));
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
    facts::write(session, &recording)?;
    Ok(true)
}

fn set_out(
    session: &mut dyn Session,
    record_id: &str,
    scope: &Scope,
    to: Destination,
    now: Timestamp,
) -> Result<Option<Journey>, StoreError> {
    const ENTER: &str = "UPDATE recordings SET published = ?2, state = ?3, deleted_at = ?4, \
        publish_updated = ?5 WHERE id = ?1";
    let Some((key, mut recording)) = of_scope(session, record_id, scope, to.is_end())? else {
        return Ok(None);
    };
    let mut formats: Vec<String> = recording.formats.iter().map(|one| one.format.clone()).collect();
    let before = Some(&recording).filter(|one| !one.is_deleted());
    formats.extend(trash::enter(session, record_id, before, to, now)?);
    to.enter(&mut recording, now);
    let Recording { published, state, deleted_at, publish_updated, .. } = &recording;
    session.execute(ENTER, values![key, *published, state, *deleted_at, *publish_updated])?;
    if to.is_end() {
        clear(session, key)?;
        facts::forget(session, record_id)?;
    }
    journeys::begin(session, record_id, formats, to, now).map(Some)
}

fn import(
    session: &mut dyn Session,
    incoming: &Recording,
    now: Timestamp,
) -> Result<Option<Imported>, StoreError> {
    let before = one(session, &incoming.record_id)?.map(|(_, recording)| recording);
    let Some(recording) = merge(before.as_ref(), incoming) else { return Ok(None) };
    let key = put(session, &recording)?;
    let moved = Journey::after_import(&recording, before.as_ref(), incoming);
    let journey = match moved {
        Some((to, formats)) => {
            Some(journeys::begin(session, &recording.record_id, formats, to, now)?)
        }
        None => None,
    };
    let meeting_id = recording.meeting_id.as_deref().unwrap_or_default();
    if let Some(callback) =
        callbacks::of_recording(session, recording.tenant(), meeting_id, key, now)?
        && let Some(message) = Message::recording_ready(&callback, &recording, now)
    {
        outbox::post(session, &message)?;
    }
    Ok(Some(Imported { recording, known: before.is_some(), journey }))
}

fn forget(session: &mut dyn Session, record_id: &str) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM recordings WHERE id = ?1";
    if let Some((key, _)) = one(session, record_id)? {
        clear(session, key)?;
        session.execute(FORGET, values![key])?;
    }
    facts::forget(session, record_id)
}
