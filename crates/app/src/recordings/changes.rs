//! Changes of recordings that move no files: metadata, protection, tenant.

use domain::recording::catalog::{RecordingChange, TenantScope};
use serde_json::{Map, Value};

use crate::audit::{self, AuditEvent};
use crate::context::App;
use crate::ports::{RecordingStore, StoreError};

/// Changes recordings of a scope; returns the ids of those that exist there.
///
/// # Errors
/// When the store fails.
pub async fn change_recordings(
    app: &App,
    records: &dyn RecordingStore,
    ids: &[String],
    scope: &TenantScope,
    change: &RecordingChange,
) -> Result<Vec<String>, StoreError> {
    let changed = records.change_recordings(ids, scope, change).await?;
    let after = describe(change);
    for id in &changed {
        let event = AuditEvent::new("recording.update").on_recording(id);
        audit::record(app, event.after(after.clone())).await;
    }
    Ok(changed)
}

fn describe(change: &RecordingChange) -> Value {
    let mut fields = Map::new();
    if let Some(protected) = change.protected {
        fields.insert("protected".to_owned(), protected.into());
    }
    if let Some(tenant) = &change.tenant {
        fields.insert("tenant".to_owned(), tenant.clone().into());
    }
    if !change.metadata.is_empty() {
        let metadata: Map<String, Value> = change
            .metadata
            .iter()
            .map(|(key, value)| (key.clone(), value.clone().into()))
            .collect();
        fields.insert("metadata".to_owned(), metadata.into());
    }
    Value::Object(fields)
}
