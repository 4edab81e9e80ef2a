//! Polls servers that failed lately, between two cycles, so that it is known soon whether they are offline or back.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::ServerId;

use crate::context::App;
use crate::ports::StoreError;

use super::poll_server;

/// The rechecks that are under way, so that no server is polled twice at the same time and none waits for another.
#[derive(Clone, Debug, Default)]
pub struct Rechecks(Arc<Mutex<HashSet<Recheck>>>);

/// A server, and whether it was online when the recheck began. A server that went offline meanwhile is asked with shorter
/// timeouts, and does not wait for the end of a recheck with the longer ones.
type Recheck = (ServerId, bool);

impl Rechecks {
    /// Begins to poll each server that needs a recheck and has none under way.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start_due(&self, app: &App) -> Result<(), StoreError> {
        for server in app.pool.list_servers().await? {
            let is_due = server.health.needs_recheck();
            let recheck = (server.id.clone(), server.is_online());
            if is_due && self.lock().insert(recheck.clone()) {
                let (rechecks, app) = (self.clone(), app.clone());
                tokio::spawn(async move {
                    if let Err(error) = poll_server(&app, server, false, None).await {
                        tracing::error!(%error, "poll not recorded");
                    }
                    rechecks.lock().remove(&recheck);
                });
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Recheck>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
