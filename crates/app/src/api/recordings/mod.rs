//! The calls about recordings: what they have in common.

mod change;
mod element;
mod list;
mod list_filter;

use std::sync::Arc;

use bbb::Query;
use domain::recording::catalog::TenantScope;

use crate::context::App;
use crate::ports::RecordingStore;
use crate::tenancy::Caller;

use super::errors::ApiError;

pub use change::{delete_recordings, publish_recordings, update_recordings};
pub use list::{get_recordings, no_recordings_response};

/// More recordings cannot be named in one call.
const MAX_LIST_ITEMS: usize = 10_000;

/// What is known of recordings; without a database there are none.
fn recording_store(app: &App) -> Result<&Arc<dyn RecordingStore>, ApiError> {
    app.recording_store.as_ref().ok_or(ApiError::NoRecordings)
}

/// Whose recordings a caller sees.
fn tenant_scope(caller: &Caller) -> TenantScope {
    caller.tenant_id().map_or(TenantScope::All, |tenant| TenantScope::Tenant(tenant.to_owned()))
}

/// The parts of a list; none of an absent or empty one.
fn parse_list(query: &Query, name: &str) -> Result<Vec<String>, ApiError> {
    let text = query.get(name).unwrap_or_default();
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut parts: Vec<String> = parts.take(MAX_LIST_ITEMS + 1).map(str::to_owned).collect();
    if parts.len() > MAX_LIST_ITEMS {
        return Err(ApiError::TooLarge);
    }
    let mut seen = std::collections::HashSet::new();
    parts.retain(|part| seen.insert(part.clone()));
    Ok(parts)
}

/// The recordings that a call is about, by their whole ids.
fn parse_record_ids(query: &Query) -> Result<Vec<String>, ApiError> {
    let ids = parse_list(query, "recordID")?;
    if ids.is_empty() { Err(ApiError::MissingRecordId) } else { Ok(ids) }
}

/// Metadata among the parameters: names in lower case, as BBB keeps them, and values.
fn parse_metadata(query: &Query) -> Vec<(String, String)> {
    let pairs = query.iter();
    let metadata = pairs.filter_map(|(name, value)| {
        let key = name.strip_prefix("meta_").filter(|key| !key.is_empty())?;
        Some((key.to_lowercase(), value.into_owned()))
    });
    metadata.collect()
}
