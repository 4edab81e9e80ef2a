//! How long deleted recordings can be restored. The store knows: a command that somebody runs in a
//! shell without `RECORDING_TRASH_DAYS` must not erase what the server would have kept.

use crate::context::App;
use crate::ports::{RecordingStore, StoreError};

/// Returns how long deleted recordings are kept, in ms: what the last server said that was started
/// with `RECORDING_TRASH_DAYS`, otherwise what the process itself was told, otherwise not at all.
///
/// # Errors
/// When the store fails.
pub async fn find_trash_ms(
    records: &dyn RecordingStore,
    own_ms: Option<i64>,
) -> Result<i64, StoreError> {
    Ok(records.find_trash_ms().await?.or(own_ms).unwrap_or(0))
}

/// Records how long deleted recordings are kept, if this server was started with
/// `RECORDING_TRASH_DAYS`.
///
/// # Errors
/// When the store fails.
pub async fn record_trash_ms(app: &App) -> Result<(), StoreError> {
    match (&app.recording_store, app.policy.recordings.trash_ms) {
        (Some(records), Some(trash_ms)) => records.set_trash_ms(trash_ms).await,
        _ => Ok(()),
    }
}
