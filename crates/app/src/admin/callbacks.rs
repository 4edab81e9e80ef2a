//! Administrative actions on callbacks that have not been delivered.

use crate::audit::{self, AuditEvent};
use crate::context::App;
use crate::ports::{RecordingStore, StoreError};

/// Makes one callback due now, or all that were given up; returns how many.
///
/// # Errors
/// When the store fails.
pub async fn retry(
    app: &App,
    records: &dyn RecordingStore,
    id: Option<&str>,
) -> Result<u64, StoreError> {
    let retried = records.retry_messages(id, app.clock.now()).await?;
    if retried > 0 {
        let event =
            AuditEvent::new("callback.retry").after(serde_json::json!({ "count": retried }));
        let event = id.map_or_else(|| event.clone(), |id| event.clone().named(id));
        audit::record(app, event).await;
    }
    Ok(retried)
}
