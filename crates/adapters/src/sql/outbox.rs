//! The port [`Outbox`]: messages to front-ends that have not been delivered yet.

use app::ports::{MessageTopic, Outbox, OutboxMessage, StoreError};
use async_trait::async_trait;
use domain::Timestamp;

use super::connection::{SqlConnection, SqlRow, values};
use super::{Database, SqlStore};

/// The columns of a message, in the order that [`read_message`] expects.
macro_rules! columns {
    () => {
        "id, topic, tenant, meeting_id, record_id, url, body, secret_hint, posted_at, attempts, \
         failure, due_at"
    };
}

#[async_trait]
impl<D: Database> Outbox for SqlStore<D> {
    async fn post_message(&self, message: &OutboxMessage) -> Result<(), StoreError> {
        let message = message.clone();
        self.write_keeping_cache(move |connection| post(connection, &message)).await
    }

    async fn take_due_messages(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxMessage>, StoreError> {
        // Mostly no message is due: a read finds that out without waiting for the writer.
        const COUNT_DUE: &str = "SELECT count(*) FROM \
            (SELECT 1 FROM outbox WHERE due_at <= ?1 LIMIT 1) AS due";
        let count = move |connection: &mut dyn SqlConnection| {
            connection.query_first(COUNT_DUE, values![now.0], |row| row.get::<u64>(0))
        };
        if self.database.read(count).await?.is_none_or(|count| count == 0) {
            return Ok(Vec::new());
        }
        self.write_keeping_cache(move |connection| take_due_messages(connection, now, until, limit))
            .await
    }

    async fn remove_message(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        let delete = "DELETE FROM outbox WHERE id = ?1";
        self.write_keeping_cache(move |connection| {
            connection.execute(delete, values![&id]).map(drop)
        })
        .await
    }

    async fn postpone_message(
        &self,
        id: &str,
        failure: &str,
        due_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        const POSTPONE: &str = "UPDATE outbox SET attempts = attempts + 1, failure = ?2, \
            due_at = ?3 WHERE id = ?1";
        let (id, failure) = (id.to_owned(), failure.to_owned());
        let due_at = due_at.map(|at| at.0);
        self.write_keeping_cache(move |connection| {
            connection.execute(POSTPONE, values![&id, &failure, due_at]).map(drop)
        })
        .await
    }

    async fn list_messages(&self, limit: u32) -> Result<Vec<OutboxMessage>, StoreError> {
        const ALL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM outbox ORDER BY posted_at, id COLLATE BINARY LIMIT ?1"
        );
        self.database
            .read(move |connection| connection.query(ALL, values![limit], read_message))
            .await
    }

    async fn list_given_up(&self, limit: u32) -> Result<Vec<OutboxMessage>, StoreError> {
        const GIVEN_UP: &str = "SELECT id, topic, tenant, meeting_id, record_id, url, NULL, secret_hint, \
            posted_at, attempts, failure, due_at FROM outbox WHERE due_at IS NULL \
            ORDER BY posted_at DESC, id COLLATE BINARY DESC LIMIT ?1";
        self.database
            .read(move |connection| connection.query(GIVEN_UP, values![limit], read_message))
            .await
    }

    async fn retry_messages(&self, id: Option<&str>, now: Timestamp) -> Result<u64, StoreError> {
        const RETRY_ONE: &str = "UPDATE outbox SET due_at = ?2 WHERE id = ?1";
        const RETRY_GIVEN_UP: &str = "UPDATE outbox SET due_at = ?1 WHERE due_at IS NULL";
        let id = id.map(str::to_owned);
        self.write_keeping_cache(move |connection| match &id {
            Some(id) => connection.execute(RETRY_ONE, values![id, now.0]),
            None => connection.execute(RETRY_GIVEN_UP, values![now.0]),
        })
        .await
    }

    async fn forget_messages(&self, before: Timestamp) -> Result<u64, StoreError> {
        const FORGET: &str = "DELETE FROM outbox WHERE posted_at < ?1";
        self.write_keeping_cache(move |connection| connection.execute(FORGET, values![before.0]))
            .await
    }
}

fn read_message(row: &dyn SqlRow) -> Result<OutboxMessage, StoreError> {
    let topic: String = row.get(1)?;
    let due_at: Option<i64> = row.get(11)?;
    Ok(OutboxMessage {
        id: row.get(0)?,
        topic: MessageTopic::from_name(&topic)
            .ok_or_else(|| StoreError::Corrupt("a message has an unknown topic".to_owned()))?,
        tenant: row.get(2)?,
        meeting_id: row.get(3)?,
        record_id: row.get(4)?,
        url: row.get(5)?,
        body: row.get(6)?,
        secret_hint: row.get(7)?,
        posted_at: Timestamp(row.get(8)?),
        attempts: row.get(9)?,
        failure: row.get(10)?,
        due_at: due_at.map(Timestamp),
    })
}

/// Stores a message, unless its id exists.
pub(super) fn post(
    connection: &mut dyn SqlConnection,
    message: &OutboxMessage,
) -> Result<(), StoreError> {
    const POST: &str = concat!(
        "INSERT INTO outbox (",
        columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (id) DO NOTHING"
    );
    let values = values![
        &message.id,
        message.topic.name(),
        &message.tenant,
        &message.meeting_id,
        &message.record_id,
        &message.url,
        &message.body,
        &message.secret_hint,
        message.posted_at.0,
        message.attempts,
        &message.failure,
        message.due_at.map(|at| at.0),
    ];
    connection.execute(POST, values).map(drop)
}

fn take_due_messages(
    connection: &mut dyn SqlConnection,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<OutboxMessage>, StoreError> {
    const DUE: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM outbox WHERE due_at <= ?1 ORDER BY posted_at, id COLLATE BINARY LIMIT ?2"
    );
    const TAKE: &str = "UPDATE outbox SET due_at = ?2 WHERE id = ?1";
    let mut due = connection.query(DUE, values![now.0, limit], read_message)?;
    for message in &mut due {
        connection.execute(TAKE, values![&message.id, until.0])?;
        message.due_at = Some(until);
    }
    Ok(due)
}
