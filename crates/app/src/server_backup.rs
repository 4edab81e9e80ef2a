//! Keeps a copy of what the pool store has, and puts it back if the store has lost everything.

use crate::context::App;
use crate::pool_changes;
use crate::ports::StoreError;
use crate::state::SavedPool;

/// Saves a copy of servers and tenants, or restores them if the store was emptied: it has lost the id that it was given, and has no
/// servers. A store whose servers were removed one by one keeps its id, and stays empty. What runs on the servers is left to polls.
///
/// # Errors
/// When the store fails.
pub async fn save_or_restore(app: &App) -> Result<(), StoreError> {
    match save_unless_lost(app, false).await? {
        Some(saved) => restore(app, &saved).await.map(drop),
        None => Ok(()),
    }
}

/// Saves a copy of servers and tenants, with or without the meetings. If the store was emptied, nothing is saved, and the copy that was
/// saved before is returned.
pub(crate) async fn save_unless_lost(
    app: &App,
    with_meetings: bool,
) -> Result<Option<SavedPool>, StoreError> {
    let store_id = app.pool.claim_store_id(&app.entropy.generate_uuid()).await?;
    app.server_backup.begin_reading();
    let servers = app.pool.list_servers().await?;
    let before = app.server_backup.lock().clone().unwrap_or_default();
    let had_any = !before.servers.is_empty() || !before.tenants.is_empty();
    if servers.is_empty() && had_any && before.store_id != store_id {
        return Ok(Some(before));
    }
    let mut saved = SavedPool { store_id, servers, ..SavedPool::default() };
    if app.policy.multitenancy {
        saved.tenants = app.tenants.list_tenants().await?;
        saved.settings = app.tenants.list_tenant_settings(None).await?;
    }
    if with_meetings {
        saved.meetings = app.pool.list_meetings(None).await?;
    } else if before.store_id == saved.store_id {
        saved.meetings = before.meetings;
    }
    // A store that lost its data while it was read has lost its id as well: the next run restores it.
    if app.pool.claim_store_id(&app.entropy.generate_uuid()).await? == saved.store_id {
        let (servers, tenants) = (saved.servers.len(), saved.tenants.len());
        tracing::debug!(servers, tenants, meetings = saved.meetings.len(), "pool saved");
        // Nothing is known of what was there before the process began.
        if let (Some(before), after) = app.server_backup.replace(saved) {
            pool_changes::log_changes(&before.servers, &after);
        }
    }
    Ok(None)
}

/// Puts everything back that was saved: the tenants first, and last the meetings of servers that are there again. Processes that do so at
/// the same time do not disturb each other. Returns whether this one restored the servers.
pub(crate) async fn restore(app: &App, saved: &SavedPool) -> Result<bool, StoreError> {
    let (servers, tenants) = (saved.servers.len(), saved.tenants.len());
    tracing::error!(servers, tenants, "pool store lost everything");
    for tenant in &saved.tenants {
        app.tenants.add_tenant(tenant.clone()).await?;
    }
    for setting in &saved.settings {
        app.tenants.add_tenant_setting(setting.clone()).await?;
    }
    app.tenant_cache.invalidate();
    let restored = !saved.servers.is_empty()
        && app.pool.restore_servers(&saved.store_id, &saved.servers).await?;
    let (now, mut meetings) = (app.clock.now(), 0);
    // A create that was under way has found out by itself that its claim is gone.
    for meeting in saved.meetings.iter().filter(|meeting| !meeting.is_being_created(now)) {
        meetings += usize::from(app.pool.restore_meeting(meeting).await?);
    }
    tracing::error!(restored, meetings, "servers restored, unless another process was faster");
    Ok(restored)
}
