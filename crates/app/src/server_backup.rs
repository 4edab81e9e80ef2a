//! Looks after the hot store: if it has lost everything, the servers are put back as this process
//! knew them, and polls find the meetings that run on them.

use std::sync::{Mutex, PoisonError};

use domain::Server;

use crate::context::App;
use crate::ports::StoreError;

/// The servers as they were last seen, and the mark of the store that held them.
#[derive(Debug, Default)]
pub struct ServerBackup(Mutex<Option<(String, Vec<Server>)>>);

impl ServerBackup {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(String, Vec<Server>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Remembers the servers, or puts them back if the store was emptied: it has lost the mark that it
/// was given, and there is none. Who removes servers one by one leaves the mark.
///
/// # Errors
/// When the store fails.
pub async fn save_or_restore(app: &App) -> Result<(), StoreError> {
    let mark = app.pool.claim_store_id(&app.entropy.generate_uuid()).await?;
    let servers = app.pool.list_servers().await?;
    let known = app.server_backup.lock().clone();
    if let Some((last, known)) = known.filter(|(_, known)| servers.is_empty() && !known.is_empty())
    {
        if last != mark {
            tracing::error!(servers = known.len(), "the store has lost everything");
            let put_back = app.pool.restore_servers(&last, &known).await?;
            tracing::error!(put_back, "servers put back, unless another process was faster");
            // Remembered as they are then, once they are seen.
            return Ok(());
        }
        if app.pool.claim_store_id(&app.entropy.generate_uuid()).await? != mark {
            // It was lost between the two questions.
            return Ok(());
        }
    }
    *app.server_backup.lock() = Some((mark, servers));
    Ok(())
}
