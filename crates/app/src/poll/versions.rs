//! Reads the versions that servers tell in their version documents.

use domain::Server;
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use crate::context::App;
use crate::ports::StoreError;

use super::observe::poll_options;

/// Longer versions are ignored.
const MAX_VERSION_BYTES: usize = 64;

/// Reads and records the version of every server that is online.
///
/// # Errors
/// When the store fails.
pub async fn refresh_versions(app: &App) -> Result<(), StoreError> {
    let servers = app.pool.list_servers().await?;
    let online = servers.iter().filter(|server| server.is_online());
    let reads: Vec<_> = online.map(|server| refresh_version(app, server).boxed()).collect();
    let mut reads = stream::iter(reads).buffer_unordered(app.policy.poll_concurrency.max(1));
    while let Some(result) = reads.next().await {
        result?;
    }
    Ok(())
}

/// Reads the version of a server and records it if it has changed. Returns the version that is known afterwards.
pub(super) async fn refresh_version(
    app: &App,
    server: &Server,
) -> Result<Option<String>, StoreError> {
    let body = match app.fetch_version(server, poll_options(app, server)).await {
        Ok(body) => body,
        Err(error) => {
            let host = server.hostname();
            tracing::debug!(server = %server.id, host, %error, "version document not read");
            return Ok(server.bbb_version.clone());
        }
    };
    let version =
        bbb::response::parse_bbb_version(&body).filter(|text| text.len() <= MAX_VERSION_BYTES);
    match version {
        Some(version) if server.bbb_version.as_ref() != Some(&version) => {
            app.pool.record_version(&server.id, &version).await?;
            Ok(Some(version))
        }
        _ => Ok(server.bbb_version.clone()),
    }
}
