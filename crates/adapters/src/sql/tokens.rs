//! The port [`OneTimeTokens`].

use app::ports::{Grant, OneTimeTokens, StoreError};
use async_trait::async_trait;
use domain::Timestamp;

use super::connection::{SqlConnection, values};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> OneTimeTokens for SqlStore<D> {
    async fn put_token(
        &self,
        token: &str,
        grant: &Grant,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let (token, grant) = (token.to_owned(), grant.clone());
        self.write(move |connection| put_token(connection, &token, &grant, now, until)).await
    }

    async fn take_token(&self, token: &str, now: Timestamp) -> Result<Option<Grant>, StoreError> {
        let token = token.to_owned();
        self.write(move |connection| take_token(connection, &token, now)).await
    }
}

fn put_token(
    connection: &mut dyn SqlConnection,
    token: &str,
    grant: &Grant,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO one_time_tokens (token, record_id, format, valid_until) \
        VALUES (?1, ?2, ?3, ?4) ON CONFLICT (token) DO UPDATE SET \
        record_id = excluded.record_id, format = excluded.format, \
        valid_until = excluded.valid_until";
    // Deletes expired tokens, so that the table holds valid ones only.
    connection.execute("DELETE FROM one_time_tokens WHERE valid_until <= ?1", values![now.0])?;
    let values = values![token, &grant.record_id, &grant.format, until.0];
    connection.execute(PUT, values).map(drop)
}

fn take_token(
    connection: &mut dyn SqlConnection,
    token: &str,
    now: Timestamp,
) -> Result<Option<Grant>, StoreError> {
    const TAKE: &str = "DELETE FROM one_time_tokens WHERE token = ?1 \
        RETURNING record_id, format, valid_until";
    let taken = connection.query_first(TAKE, values![token], |row| {
        let grant = Grant { record_id: row.get(0)?, format: row.get(1)? };
        Ok((grant, Timestamp(row.get(2)?)))
    })?;
    Ok(taken.filter(|(_, until)| now < *until).map(|(grant, _)| grant))
}
