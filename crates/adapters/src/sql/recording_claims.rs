//! The port [`RecordingClaims`]. Only one transaction writes at a time, so a claim cannot be
//! overtaken.

use app::ports::{RecordingClaims, StoreError};
use async_trait::async_trait;
use domain::Timestamp;

use super::connection::values;
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> RecordingClaims for SqlStore<D> {
    async fn claim_recording(
        &self,
        record_id: &str,
        token: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const CLAIM: &str = "INSERT INTO recording_claims (record_id, token, claimed_until) \
            VALUES (?1, ?2, ?4) ON CONFLICT (record_id) DO UPDATE SET token = excluded.token, \
            claimed_until = excluded.claimed_until WHERE recording_claims.claimed_until <= ?3";
        let (record_id, token) = (record_id.to_owned(), token.to_owned());
        self.write_keeping_cache(move |connection| {
            let values = values![&record_id, &token, now.0, until.0];
            Ok(connection.execute(CLAIM, values)? > 0)
        })
        .await
    }

    async fn renew_recording_claim(
        &self,
        record_id: &str,
        token: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const RENEW: &str = "UPDATE recording_claims SET claimed_until = ?3 \
            WHERE record_id = ?1 AND token = ?2";
        let (record_id, token) = (record_id.to_owned(), token.to_owned());
        self.write_keeping_cache(move |connection| {
            Ok(connection.execute(RENEW, values![&record_id, &token, until.0])? > 0)
        })
        .await
    }

    async fn release_recording(&self, record_id: &str, token: &str) -> Result<(), StoreError> {
        const RELEASE: &str = "DELETE FROM recording_claims WHERE record_id = ?1 AND token = ?2";
        let (record_id, token) = (record_id.to_owned(), token.to_owned());
        self.write_keeping_cache(move |connection| {
            connection.execute(RELEASE, values![&record_id, &token]).map(drop)
        })
        .await
    }
}
