//! The hourly line about servers that are offline: the log has told when each of them went, perhaps days ago.

use domain::{AdminState, Server};

use crate::context::App;
use crate::ports::StoreError;

/// Most host names in the line.
const MAX_NAMES: usize = 20;

/// Logs which servers are offline that should not be.
///
/// # Errors
/// When the store fails.
pub async fn log_offline_servers(app: &App) -> Result<(), StoreError> {
    let servers = app.pool.list_servers().await?;
    let is_missed = |server: &&Server| server.state != AdminState::Disabled && !server.is_online();
    let missed: Vec<_> = servers.iter().filter(is_missed).collect();
    if missed.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    let describe = |server: &&Server| {
        let minutes = now.ms_since(server.health.answered_at).max(0) / 60_000;
        let was_online = server.health.answered_at > domain::Timestamp::default();
        let since = if was_online { format!("{minutes} min") } else { "never online".to_owned() };
        format!("{} {} ({since})", server.id, server.hostname())
    };
    let names: Vec<_> = missed.iter().take(MAX_NAMES).map(describe).collect();
    let (count, all) = (missed.len(), servers.len());
    tracing::warn!(count, of = all, servers = names.join(", "), "servers are offline");
    Ok(())
}
