//! Puts the servers back if the pool store has lost everything; polls then find the meetings that run on them.

use crate::context::App;
use crate::ports::StoreError;
use crate::state::SavedServers;

/// Saves a copy of the servers, or restores them if the store was emptied: it has lost the id that it was given, and has no
/// servers. A store whose servers were removed one by one keeps its id, and stays empty.
///
/// # Errors
/// When the store fails.
pub async fn save_or_restore(app: &App) -> Result<(), StoreError> {
    let store_id = app.pool.claim_store_id(&app.entropy.generate_uuid()).await?;
    let servers = app.pool.list_servers().await?;
    let saved = app.server_backup.lock().clone();
    if let Some(saved) = saved.filter(|saved| servers.is_empty() && !saved.servers.is_empty()) {
        if saved.store_id != store_id {
            let count = saved.servers.len();
            tracing::error!(servers = count, "pool store lost everything");
            let restored = app.pool.restore_servers(&saved.store_id, &saved.servers).await?;
            tracing::error!(restored, "servers restored, unless another process was faster");
            // They are saved again when they are next read.
            return Ok(());
        }
        if app.pool.claim_store_id(&app.entropy.generate_uuid()).await? != store_id {
            // The store lost its id between the two calls: the next run restores the servers.
            return Ok(());
        }
    }
    *app.server_backup.lock() = Some(SavedServers { store_id, servers });
    Ok(())
}
