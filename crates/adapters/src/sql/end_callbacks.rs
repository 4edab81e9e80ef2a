//! The port [`EndCallbacks`]: where front-ends want to be told that a meeting is over.

use app::ports::{
    EndCallback, EndCallbacks, EndParameter, MeetingPlace, OutboxMessage, StoreError,
};
use async_trait::async_trait;
use domain::{MeetingKey, ServerId, Timestamp};

use super::connection::{SqlConnection, SqlRow, values};
use super::rows::{read_key, tenant_or_empty};
use super::{Database, SqlStore, outbox};

/// The columns of an end callback, in the order that [`read_end_callback`] expects.
macro_rules! columns {
    () => {
        "id, tenant, meeting_id, parameter, url, created_at, create_until, \
         is_confirmed, server_id, internal_id, suspected_at, recording_marks, check_at, open_creates"
    };
}

#[async_trait]
impl<D: Database> EndCallbacks for SqlStore<D> {
    async fn register_end_callbacks(&self, callbacks: &[EndCallback]) -> Result<(), StoreError> {
        let callbacks = callbacks.to_vec();
        self.write_keeping_cache(move |connection| {
            callbacks.iter().try_for_each(|callback| register(connection, callback))
        })
        .await
    }

    async fn close_create(
        &self,
        ids: &[String],
        place: Option<&MeetingPlace>,
        now: Timestamp,
        check_at: Timestamp,
    ) -> Result<(), StoreError> {
        const CLOSE: &str = "UPDATE end_callbacks SET \
            create_until = CASE WHEN open_creates > 1 THEN create_until ELSE 0 END, \
            check_at = CASE WHEN open_creates > 1 THEN check_at \
            WHEN suspected_at IS NULL THEN CAST(?3 AS BIGINT) ELSE CAST(?2 AS BIGINT) END, \
            open_creates = CASE WHEN open_creates > 1 THEN open_creates - 1 ELSE 0 END \
            WHERE id = ?1";
        let (ids, place) = (ids.to_vec(), place.cloned());
        self.write_keeping_cache(move |connection| {
            for id in &ids {
                connection.execute(CLOSE, values![id, now.0, check_at.0])?;
                if let Some(place) = &place {
                    locate(connection, id, place)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn suspect_ends(
        &self,
        keys: &[MeetingKey],
        recording_marks: Option<bool>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SUSPECT: &str = "UPDATE end_callbacks SET suspected_at = ?3, \
            recording_marks = COALESCE(?4, recording_marks), check_at = ?3 \
            WHERE tenant = ?1 AND meeting_id = ?2";
        let keys = keys.to_vec();
        self.write_keeping_cache(move |connection| {
            for key in &keys {
                let values = values![tenant_or_empty(key), &key.id, now.0, recording_marks];
                connection.execute(SUSPECT, values)?;
            }
            Ok(())
        })
        .await
    }

    async fn list_end_callbacks(&self, key: &MeetingKey) -> Result<Vec<EndCallback>, StoreError> {
        const OF_MEETING: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM end_callbacks WHERE tenant = ?1 AND meeting_id = ?2 ORDER BY id COLLATE BINARY"
        );
        let key = key.clone();
        let list = move |connection: &mut dyn SqlConnection| {
            let values = values![tenant_or_empty(&key), &key.id];
            connection.query(OF_MEETING, values, read_end_callback)
        };
        self.database.read(list).await
    }

    async fn take_due_end_callbacks(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<EndCallback>, StoreError> {
        // Mostly nothing is due: a read finds that out without waiting for the writer.
        const COUNT_DUE: &str = "SELECT count(*) FROM \
            (SELECT 1 FROM end_callbacks WHERE check_at <= ?1 LIMIT 1) AS due";
        let count = move |connection: &mut dyn SqlConnection| {
            connection.query_first(COUNT_DUE, values![now.0], |row| row.get::<u64>(0))
        };
        if self.database.read(count).await?.is_none_or(|count| count == 0) {
            return Ok(Vec::new());
        }
        self.write_keeping_cache(move |connection| take_due(connection, now, until, limit)).await
    }

    async fn postpone_end_check(
        &self,
        checked: &EndCallback,
        place: Option<&MeetingPlace>,
        suspected_at: Option<Timestamp>,
        check_at: Timestamp,
    ) -> Result<(), StoreError> {
        const POSTPONE: &str = "UPDATE end_callbacks SET suspected_at = ?4, check_at = ?5 \
            WHERE id = ?1 AND created_at = ?2 AND COALESCE(suspected_at, -1) = ?3";
        let (checked, place) = (checked.clone(), place.cloned());
        self.write_keeping_cache(move |connection| {
            let known_suspicion = checked.suspected_at.map_or(-1, |at| at.0);
            let (id, created_at) = (&checked.id, checked.created_at.0);
            let suspected_at = suspected_at.map(|at| at.0);
            let values = values![id, created_at, known_suspicion, suspected_at, check_at.0];
            if let (1.., Some(place)) = (connection.execute(POSTPONE, values)?, &place) {
                locate(connection, id, place)?;
            }
            Ok(())
        })
        .await
    }

    async fn finish_end_callback(
        &self,
        checked: &EndCallback,
        message: Option<&OutboxMessage>,
    ) -> Result<bool, StoreError> {
        const REMOVE: &str = "DELETE FROM end_callbacks WHERE id = ?1 AND created_at = ?2";
        let (id, created_at) = (checked.id.clone(), checked.created_at.0);
        let message = message.cloned();
        self.write_keeping_cache(move |connection| {
            if connection.execute(REMOVE, values![&id, created_at])? == 0 {
                return Ok(false);
            }
            if let Some(message) = &message {
                outbox::post(connection, message)?;
            }
            Ok(true)
        })
        .await
    }
}

fn read_end_callback(row: &dyn SqlRow) -> Result<EndCallback, StoreError> {
    let suspected_at: Option<i64> = row.get(10)?;
    let server: Option<String> = row.get(8)?;
    let parameter: String = row.get(3)?;
    Ok(EndCallback {
        id: row.get(0)?,
        key: read_key(row, 1)?,
        parameter: EndParameter::from_name(&parameter).ok_or_else(|| {
            StoreError::Corrupt("an end callback has an unknown parameter".to_owned())
        })?,
        url: row.get(4)?,
        created_at: Timestamp(row.get(5)?),
        create_until: Timestamp(row.get(6)?),
        is_confirmed: row.get(7)?,
        server: server.map(ServerId),
        internal_id: row.get(9)?,
        suspected_at: suspected_at.map(Timestamp),
        recording_marks: row.get(11)?,
        check_at: Timestamp(row.get(12)?),
        open_creates: row.get(13)?,
    })
}

fn register(connection: &mut dyn SqlConnection, callback: &EndCallback) -> Result<(), StoreError> {
    const WITHDRAW: &str = "DELETE FROM outbox WHERE id = ?1";
    const REGISTER: &str = concat!(
        "INSERT INTO end_callbacks (",
        columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
         ON CONFLICT (id) DO UPDATE SET created_at = CASE \
         WHEN excluded.created_at > end_callbacks.created_at THEN excluded.created_at \
         ELSE end_callbacks.created_at + 1 END, \
         open_creates = CASE WHEN excluded.created_at > end_callbacks.create_until THEN 1 \
         ELSE end_callbacks.open_creates + 1 END, \
         create_until = excluded.create_until, check_at = excluded.check_at"
    );
    let is_withdrawn = connection.execute(WITHDRAW, values![&callback.message_id()])? > 0;
    let suspected_at = if is_withdrawn { Some(callback.created_at) } else { callback.suspected_at };
    let values = values![
        &callback.id,
        tenant_or_empty(&callback.key),
        &callback.key.id,
        callback.parameter.name(),
        &callback.url,
        callback.created_at.0,
        callback.create_until.0,
        callback.is_confirmed || is_withdrawn,
        callback.server.as_ref().map(|server| server.0.as_str()),
        &callback.internal_id,
        suspected_at.map(|at| at.0),
        callback.recording_marks,
        callback.check_at.0,
        callback.open_creates,
    ];
    connection.execute(REGISTER, values).map(drop)
}

/// Records that a create has succeeded, and where the meeting is.
fn locate(
    connection: &mut dyn SqlConnection,
    id: &str,
    place: &MeetingPlace,
) -> Result<(), StoreError> {
    const LOCATE: &str = "UPDATE end_callbacks SET is_confirmed = TRUE, server_id = ?2, \
        internal_id = ?3 WHERE id = ?1";
    let values = values![id, &place.server.0, &place.internal_id];
    connection.execute(LOCATE, values).map(drop)
}

fn take_due(
    connection: &mut dyn SqlConnection,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<EndCallback>, StoreError> {
    const DUE: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM end_callbacks WHERE check_at <= ?1 ORDER BY check_at, id COLLATE BINARY LIMIT ?2"
    );
    const TAKE: &str = "UPDATE end_callbacks SET check_at = ?2 WHERE id = ?1";
    let mut due = connection.query(DUE, values![now.0, limit], read_end_callback)?;
    for callback in &mut due {
        connection.execute(TAKE, values![&callback.id, until.0])?;
        callback.check_at = until;
    }
    Ok(due)
}
