//! Recovers a pool store that lost everything, such as an emptied Redis, as fast as it is noticed: by a background job, by a create that
//! finds no server, or by a call of a tenant that is unknown all of a sudden. The servers are asked for their meetings before
//! they are restored, and creates wait meanwhile: otherwise a front-end would get a second room beside its running meeting.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use crate::context::App;
use crate::poll;
use crate::ports::StoreError;
use crate::server_backup::{restore, save_unless_lost};

/// Longest time for which a call waits for the recovery: the time in which servers answer a poll, and some more for the store.
const MAX_WAIT: Duration = Duration::from_secs(8);

/// Saves a copy of what the store has, with the meetings if asked for, or recovers the store if it lost everything.
///
/// # Errors
/// When the store fails.
pub async fn save_or_recover(app: &App, with_meetings: bool) -> Result<(), StoreError> {
    if save_unless_lost(app, with_meetings).await?.is_some() {
        recover(app).await?;
    }
    Ok(())
}

/// Waits until a recovery that is under way has ended, for a limited time.
pub(crate) async fn wait_until_recovered(app: &App) {
    if app.server_backup.recovery.try_lock().is_err() {
        let _ = tokio::time::timeout(MAX_WAIT, app.server_backup.recovery.lock()).await;
    }
}

/// Recovers the store if it lost everything. Returns whether it did since this process saved what it had, so that it is worth to ask it
/// again. Takes a limited time.
pub(crate) async fn recover_if_lost(app: &App) -> bool {
    let saved_id = match app.server_backup.lock().as_ref() {
        Some(saved) if !saved.servers.is_empty() || !saved.tenants.is_empty() => {
            saved.store_id.clone()
        }
        _ => return false,
    };
    let recovery = async {
        // A store that has its id has lost nothing; finding that out must not delay other calls.
        if app.pool.claim_store_id(&app.entropy.generate_uuid()).await? == saved_id {
            return Ok(false);
        }
        recover(app).await.map(|()| true)
    };
    match tokio::time::timeout(MAX_WAIT, recovery).await {
        Ok(Ok(is_recovered)) => is_recovered,
        Ok(Err(error)) => {
            let error: StoreError = error;
            tracing::warn!(%error, "pool store not recovered");
            false
        }
        Err(_) => false,
    }
}

/// Restores the store if it still lacks everything, and records what runs on the servers, also if another process was faster.
async fn recover(app: &App) -> Result<(), StoreError> {
    let count = app.server_backup.recoveries.load(Ordering::Acquire);
    let _lock = app.server_backup.recovery.lock().await;
    if app.server_backup.recoveries.load(Ordering::Acquire) != count {
        return Ok(());
    }
    let lost = save_unless_lost(app, false).await?;
    let servers = match &lost {
        Some(saved) => saved.servers.clone(),
        // Another process has restored it just now, and may not have recorded its polls yet.
        None => app.pool.list_servers().await?,
    };
    let observations = stream::iter(servers)
        .map(|server| async move {
            let observation = poll::observe_briefly(app, &server).await;
            (server.id, observation)
        })
        .buffer_unordered(app.policy.poll_concurrency.max(1))
        .collect::<Vec<_>>()
        .await;
    if let Some(saved) = lost {
        restore(app, &saved).await?;
    }
    for (server, observation) in &observations {
        poll::record_observation(app, server, observation, false, None).await?;
    }
    app.server_backup.recoveries.fetch_add(1, Ordering::Release);
    Ok(())
}
