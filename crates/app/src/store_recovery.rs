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

/// Recovers the store if it lost everything. Returns whether it did, or another call did at the same time. Takes a limited time.
pub(crate) async fn recover_if_lost(app: &App) -> bool {
    if !app.server_backup.has_servers() {
        return false;
    }
    match tokio::time::timeout(MAX_WAIT, recover(app)).await {
        Ok(Ok(is_recovered)) => is_recovered,
        Ok(Err(error)) => {
            tracing::warn!(%error, "pool store not recovered");
            false
        }
        Err(_) => false,
    }
}

async fn recover(app: &App) -> Result<bool, StoreError> {
    let count = app.server_backup.recoveries.load(Ordering::Acquire);
    let _lock = app.server_backup.recovery.lock().await;
    if app.server_backup.recoveries.load(Ordering::Acquire) != count {
        return Ok(true);
    }
    let Some(saved) = save_unless_lost(app, false).await? else {
        return Ok(false);
    };
    let observations = stream::iter(saved.servers.clone())
        .map(|server| async move {
            let observation = poll::observe_briefly(app, &server).await;
            (server.id, observation)
        })
        .buffer_unordered(app.policy.poll_concurrency.max(1))
        .collect::<Vec<_>>()
        .await;
    restore(app, &saved).await?;
    // Also if another process was faster: until its polls are recorded, no create of this one may go on.
    for (server, observation) in &observations {
        poll::record_observation(app, server, observation, false, None).await?;
    }
    app.server_backup.recoveries.fetch_add(1, Ordering::Release);
    Ok(true)
}
