//! The calls about recordings: what they have in common.

mod change;
mod element;
mod list;
mod wanted;

use std::sync::Arc;

use bbb::Query;
use domain::recording::library::Scope;

use crate::context::App;
use crate::ports::Records;
use crate::tenancy::Caller;

use super::errors::ApiError;

pub use change::{delete_recordings, publish_recordings, update_recordings};
pub use list::{get_recordings, no_recordings};

/// More recordings cannot be named in one call.
const NAMED_MAX: usize = 10_000;

/// What is known of recordings; without a database there are none.
fn records(app: &App) -> Result<&Arc<dyn Records>, ApiError> {
    app.records.as_ref().ok_or(ApiError::NoRecordings)
}

/// Whose recordings a caller sees.
fn scope(caller: &Caller) -> Scope {
    caller.tenant_id().map_or(Scope::All, |tenant| Scope::Tenant(tenant.to_owned()))
}

/// The parts of a list; none of an absent or empty one.
fn list(query: &Query, name: &str) -> Result<Vec<String>, ApiError> {
    let text = query.get(name).unwrap_or_default();
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut parts: Vec<String> = parts.take(NAMED_MAX + 1).map(str::to_owned).collect();
    if parts.len() > NAMED_MAX {
        return Err(ApiError::TooLarge);
    }
    let mut seen = std::collections::HashSet::new();
    parts.retain(|part| seen.insert(part.clone()));
    Ok(parts)
}

/// The recordings that a call is about, by their whole ids.
fn named(query: &Query) -> Result<Vec<String>, ApiError> {
    let ids = list(query, "recordID")?;
    if ids.is_empty() { Err(ApiError::MissingRecordId) } else { Ok(ids) }
}

/// Metadata among the parameters: names in lower case, as BBB keeps them, and values.
fn metadata(query: &Query) -> Vec<(String, String)> {
    let pairs = query.iter();
    let metadata = pairs.filter_map(|(name, value)| {
        let key = name.strip_prefix("meta_").filter(|key| !key.is_empty())?;
        Some((key.to_lowercase(), value.into_owned()))
    });
    metadata.collect()
}
