//! The port [`RememberedRequests`].

use app::ports::{KeyedRequest, RememberedRequests, RequestClaim, StoreError};
use async_trait::async_trait;
use domain::Timestamp;

use super::connection::{SqlConnection, values};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> RememberedRequests for SqlStore<D> {
    async fn claim_request(
        &self,
        request: &KeyedRequest,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<RequestClaim, StoreError> {
        let request = request.clone();
        self.write_keeping_cache(move |connection| claim(connection, &request, (now, until), max))
            .await
    }

    async fn remember_answer(
        &self,
        request: &KeyedRequest,
        answer: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        const REMEMBER: &str = "UPDATE remembered_requests SET answer = ?3, valid_until = ?4 \
            WHERE key = ?1 AND fingerprint = ?2";
        let (request, answer) = (request.clone(), answer.to_owned());
        self.write_keeping_cache(move |connection| {
            let values = values![&request.key, &request.fingerprint, &answer, until.0];
            connection.execute(REMEMBER, values).map(drop)
        })
        .await
    }

    async fn forget_request(&self, request: &KeyedRequest) -> Result<(), StoreError> {
        const FORGET: &str = "DELETE FROM remembered_requests \
            WHERE key = ?1 AND fingerprint = ?2 AND answer IS NULL";
        let request = request.clone();
        self.write_keeping_cache(move |connection| {
            connection.execute(FORGET, values![&request.key, &request.fingerprint]).map(drop)
        })
        .await
    }
}

fn claim(
    connection: &mut dyn SqlConnection,
    request: &KeyedRequest,
    (now, until): (Timestamp, Timestamp),
    max: usize,
) -> Result<RequestClaim, StoreError> {
    const FIND: &str = "SELECT fingerprint, answer FROM remembered_requests WHERE key = ?1";
    const CLAIM: &str = "INSERT INTO remembered_requests (key, fingerprint, valid_until) \
        VALUES (?1, ?2, ?3)";
    const COUNT: &str = "SELECT count(*) FROM remembered_requests";
    const FORGET_FIRST: &str = "DELETE FROM remembered_requests WHERE key IN \
        (SELECT key FROM remembered_requests ORDER BY valid_until, key LIMIT ?1)";
    connection
        .execute("DELETE FROM remembered_requests WHERE valid_until <= ?1", values![now.0])?;
    let found = connection.query_first(FIND, values![&request.key], |row| {
        Ok((row.get::<String>(0)?, row.get::<Option<String>>(1)?))
    })?;
    match found {
        Some((fingerprint, _)) if fingerprint != request.fingerprint => {
            return Ok(RequestClaim::OtherRequest);
        }
        Some((_, Some(answer))) => return Ok(RequestClaim::Answered(answer)),
        Some((_, None)) => return Ok(RequestClaim::UnderWay),
        None => {}
    }
    connection.execute(CLAIM, values![&request.key, &request.fingerprint, until.0])?;
    let count: i64 = connection.query_first(COUNT, &[], |row| row.get(0))?.unwrap_or(0);
    let excess = count.saturating_sub(i64::try_from(max).unwrap_or(i64::MAX));
    if excess > 0 {
        connection.execute(FORGET_FIRST, values![excess])?;
    }
    Ok(RequestClaim::Claimed)
}
