//! One look at the spool, and one archive from claim to end.

use std::time::Duration;

use super::{Brought, CLAIM_MS, Ended, Failure, Importer, PATIENCE_MS, RENEW_MS, TRY_AGAIN_MS};
use crate::ports::{Archive, Arrived, SpoolError, Stage, StoreError};

/// How long archives that are done are listed, in ms.
const REMEMBER_MS: i64 = 30 * 86_400_000;

/// What a look at the spool came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Archives that were imported.
    pub imported: usize,
    /// Whether some may still be growing.
    pub growing: bool,
    /// Whether some wait for another attempt.
    pub waiting: bool,
    /// Why nothing can be imported now: there is no space.
    pub full: Option<String>,
}

impl Importer {
    /// Imports what lies in the spool, one archive after the other, until it is told to stop: what was begun is
    /// finished.
    ///
    /// # Errors
    /// When the spool or the store cannot be used.
    pub async fn look(&self, stop: impl Fn() -> bool) -> Result<Looked, LookError> {
        for (name, token) in self.spool.sweep().await? {
            // Whoever died here need not be waited for.
            let (gone, now) = (Some("its importer was killed"), self.clock.now());
            self.records.settle_archive(&name, &token, Stage::Received, gone, now, now).await?;
        }
        let arrivals = self.spool.arrivals().await?;
        let mut looked = Looked { growing: arrivals.growing, ..Looked::default() };
        for arrived in arrivals.whole {
            if stop() {
                break;
            }
            match self.import(&arrived).await? {
                Ended::Done(..) => looked.imported += 1,
                Ended::Later(_) => looked.waiting = true,
                Ended::Full(why) => {
                    looked.full = Some(why);
                    break;
                }
                Ended::Quarantined(_) => {}
                Ended::NotOurs => looked.waiting = true,
            }
        }
        Ok(looked)
    }

    /// Imports one archive of the spool, if it is free.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn import(&self, arrived: &Arrived) -> Result<Ended, LookError> {
        let now = self.clock.now();
        self.records.receive_archive(&arrived.name, arrived.size, now).await?;
        let token = self.entropy.uuid();
        let Some(archive) = self.claim(&arrived.name, &token).await? else {
            return Ok(Ended::NotOurs);
        };
        tracing::info!(archive = archive.name, attempt = archive.attempts, "import begins");
        let result = tokio::select! {
            result = self.unpack_and_bring_in(&archive, &token) => result,
            () = self.keep_claim(&archive.name, &token) => {
                self.spool.abandon(&token).await?;
                return Ok(Ended::NotOurs);
            }
        };
        let ended = self.end(&archive, &token, result).await;
        match &ended {
            Ok(ended) => tell(&archive.name, ended),
            // What was unpacked would stay as long as this process.
            Err(_) => self.spool.abandon(&token).await?,
        }
        ended
    }

    async fn claim(&self, name: &str, token: &str) -> Result<Option<Archive>, StoreError> {
        let now = self.clock.now();
        let until = now.plus_ms(CLAIM_MS);
        let claimed = self.records.claim_archive(name, token, now, until).await?;
        // What was put aside left the spool before that was written down. So it was sent again.
        if claimed.is_none() && self.records.retry_archive(name, now).await? {
            return self.records.claim_archive(name, token, now, until).await;
        }
        Ok(claimed)
    }

    /// Ends when the claim is lost.
    async fn keep_claim(&self, name: &str, token: &str) {
        loop {
            tokio::time::sleep(Duration::from_millis(RENEW_MS)).await;
            let until = self.clock.now().plus_ms(CLAIM_MS);
            match self.records.renew_archive(name, token, until).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, archive = name, "claim not renewed"),
            }
        }
    }

    async fn unpack_and_bring_in(
        &self,
        archive: &Archive,
        token: &str,
    ) -> Result<Brought, Failure> {
        let found = self.spool.unpack(&archive.name, token).await?;
        self.bring_in(&archive.name, found).await
    }

    async fn end(
        &self,
        archive: &Archive,
        token: &str,
        result: Result<Brought, Failure>,
    ) -> Result<Ended, LookError> {
        match result {
            Ok(result) if result.faults.is_empty() => {
                let note = Some(result.notes.join("; ")).filter(|note| !note.is_empty());
                // Done comes first: what is found in the spool after that is imported again, which
                // changes nothing.
                if self.settle(archive, token, Stage::Done, note.as_deref(), 0).await? {
                    self.spool.finish(&archive.name, token).await?;
                    let long_ago = self.clock.now().plus_ms(-REMEMBER_MS);
                    self.records.forget_archives(long_ago).await?;
                } else {
                    self.spool.abandon(token).await?;
                }
                Ok(Ended::Done(result.record_ids, note))
            }
            // The archive may be the only copy of what was not imported.
            Ok(result) => {
                let reason = format!("the rest was imported; {}", result.faults.join("; "));
                self.put_aside(archive, token, reason).await
            }
            Err(Failure::Bad(reason)) => {
                let attempts = usize::try_from(archive.attempts).unwrap_or(usize::MAX);
                match PATIENCE_MS.get(attempts.saturating_sub(1)) {
                    Some(wait_ms) => {
                        self.later(archive, token, &reason, *wait_ms).await?;
                        Ok(Ended::Later(reason))
                    }
                    None => self.put_aside(archive, token, reason).await,
                }
            }
            Err(Failure::Full(reason)) => {
                self.later(archive, token, &reason, TRY_AGAIN_MS).await?;
                Ok(Ended::Full(reason))
            }
            Err(Failure::MayPass(reason)) => {
                self.later(archive, token, &reason, TRY_AGAIN_MS).await?;
                Ok(Ended::Later(reason))
            }
            Err(Failure::Gone) => {
                self.spool.abandon(token).await?;
                let gone = Some("its file is gone");
                self.settle(archive, token, Stage::Done, gone, 0).await?;
                Ok(Ended::NotOurs)
            }
        }
    }

    async fn later(
        &self,
        archive: &Archive,
        token: &str,
        reason: &str,
        wait_ms: i64,
    ) -> Result<(), LookError> {
        self.spool.abandon(token).await?;
        self.settle(archive, token, Stage::Received, Some(reason), wait_ms).await?;
        Ok(())
    }

    async fn put_aside(
        &self,
        archive: &Archive,
        token: &str,
        reason: String,
    ) -> Result<Ended, LookError> {
        self.spool.quarantine(&archive.name, token, &reason).await?;
        self.settle(archive, token, Stage::Quarantined, Some(&reason), 0).await?;
        Ok(Ended::Quarantined(reason))
    }

    /// Brings an archive back from quarantine, so that it can be imported; `None` if there is none of that name.
    ///
    /// # Errors
    /// When the spool or the store cannot be used.
    pub async fn retry(&self, name: &str) -> Result<Option<Arrived>, LookError> {
        let released = self.spool.release(name).await?;
        if released.is_some() {
            self.records.retry_archive(name, self.clock.now()).await?;
        }
        Ok(released)
    }
}

/// Why nothing was imported.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LookError {
    /// Directories.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn tell(archive: &str, ended: &Ended) {
    match ended {
        Ended::Done(records, note) => {
            tracing::info!(archive, records = records.join(","), note, "imported");
        }
        Ended::Later(reason) => tracing::warn!(archive, reason, "import is tried again"),
        Ended::Full(reason) => {
            tracing::error!(archive, reason, "imports stop until there is space");
        }
        Ended::Quarantined(reason) => tracing::error!(archive, reason, "archive put aside"),
        Ended::NotOurs => {}
    }
}
