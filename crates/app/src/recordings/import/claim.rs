//! Claims an archive, so that one process of all replicas imports it.

use std::time::Duration;

use super::importer::Importer;
use crate::ports::{ArchiveRecord, StoreError};

/// How long a claim holds without a renewal, in ms.
pub(super) const CLAIM_MS: i64 = 30_000;
/// How often a claim is renewed, in ms.
const RENEW_INTERVAL_MS: u64 = 10_000;

impl Importer {
    pub(super) async fn claim_archive(
        &self,
        name: &str,
        token: &str,
    ) -> Result<Option<ArchiveRecord>, StoreError> {
        let now = self.clock.now();
        let until = now.plus_ms(CLAIM_MS);
        let claimed = self.records.claim_archive(name, token, now, until).await?;
        // An archive that is kept leaves the spool before that is recorded. If one with its name is
        // in the spool, it was sent again.
        if claimed.is_none() && self.records.retry_archive(name, now).await? {
            return self.records.claim_archive(name, token, now, until).await;
        }
        Ok(claimed)
    }

    /// Renews a claim in intervals; returns when the claim is lost.
    pub(super) async fn renew_claim_until_lost(&self, name: &str, token: &str) {
        loop {
            tokio::time::sleep(Duration::from_millis(RENEW_INTERVAL_MS)).await;
            let until = self.clock.now().plus_ms(CLAIM_MS);
            match self.records.renew_archive_claim(name, token, until).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, archive = name, "import claim not renewed"),
            }
        }
    }
}
