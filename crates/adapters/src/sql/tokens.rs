//! The port [`OneTimeTokens`].

use app::ports::{OneTimeTokens, RecordingFormatId, StoreError};
use async_trait::async_trait;
use domain::Timestamp;

use super::connection::{SqlConnection, values};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> OneTimeTokens for SqlStore<D> {
    async fn put_token(
        &self,
        token: &str,
        format_id: &RecordingFormatId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let (token, format_id) = (token.to_owned(), format_id.clone());
        self.write(move |connection| put_token(connection, &token, &format_id, now, until)).await
    }

    async fn take_token(
        &self,
        token: &str,
        format_id: &RecordingFormatId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (token, format_id) = (token.to_owned(), format_id.clone());
        self.write(move |connection| take_token(connection, &token, &format_id, now)).await
    }
}

fn put_token(
    connection: &mut dyn SqlConnection,
    token: &str,
    format_id: &RecordingFormatId,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO one_time_tokens (token, record_id, format, valid_until) \
        VALUES (?1, ?2, ?3, ?4) ON CONFLICT (token) DO UPDATE SET \
        record_id = excluded.record_id, format = excluded.format, \
        valid_until = excluded.valid_until";
    // Deletes expired tokens, so that the table holds valid ones only.
    connection.execute("DELETE FROM one_time_tokens WHERE valid_until <= ?1", values![now.0])?;
    let values = values![token, format_id.record_id.as_str(), format_id.format.as_str(), until.0];
    connection.execute(PUT, values).map(drop)
}

fn take_token(
    connection: &mut dyn SqlConnection,
    token: &str,
    format_id: &RecordingFormatId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    const TAKE: &str = "DELETE FROM one_time_tokens WHERE token = ?1 AND record_id = ?2 \
        AND format = ?3 RETURNING valid_until";
    let values = values![token, format_id.record_id.as_str(), format_id.format.as_str()];
    let until = connection.query_first(TAKE, values, |row| Ok(Timestamp(row.get(0)?)))?;
    Ok(until.is_some_and(|until| now < until))
}
