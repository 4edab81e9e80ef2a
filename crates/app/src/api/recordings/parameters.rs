//! What all calls about recordings share: the recording store, and parameters.

use std::collections::HashSet;
use std::sync::Arc;

use bbb::Query;

use crate::api::errors::ApiError;
use crate::context::App;
use crate::ports::RecordingStore;

/// Maximum number of items in a list parameter.
const MAX_LIST_ITEMS: usize = 10_000;

/// Returns the recording store.
///
/// # Errors
/// [`ApiError::NoRecordings`] without a database, since there are no recordings then.
pub(super) fn recording_store(app: &App) -> Result<&Arc<dyn RecordingStore>, ApiError> {
    app.recording_store.as_ref().ok_or(ApiError::NoRecordings)
}

/// Returns the distinct items of a comma-separated parameter. An absent or empty parameter has
/// none.
///
/// # Errors
/// [`ApiError::TooLarge`] above [`MAX_LIST_ITEMS`].
pub(super) fn parse_list(query: &Query, name: &str) -> Result<Vec<String>, ApiError> {
    let text = query.get(name).unwrap_or_default();
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let mut items: Vec<String> = items.take(MAX_LIST_ITEMS + 1).map(str::to_owned).collect();
    if items.len() > MAX_LIST_ITEMS {
        return Err(ApiError::TooLarge);
    }
    let mut seen = HashSet::new();
    items.retain(|item| seen.insert(item.clone()));
    Ok(items)
}

/// Returns the full ids in `recordID`.
///
/// # Errors
/// [`ApiError::MissingRecordId`] if there are none; [`ApiError::TooLarge`] if there are too many.
pub(super) fn parse_record_ids(query: &Query) -> Result<Vec<String>, ApiError> {
    let ids = parse_list(query, "recordID")?;
    if ids.is_empty() { Err(ApiError::MissingRecordId) } else { Ok(ids) }
}

/// Returns the `meta_` parameters: keys in lower case, as BBB stores them, and values.
pub(super) fn parse_metadata(query: &Query) -> Vec<(String, String)> {
    let metadata = query.iter().filter_map(|(name, value)| {
        let key = name.strip_prefix("meta_").filter(|key| !key.is_empty())?;
        Some((key.to_lowercase(), value.into_owned()))
    });
    metadata.collect()
}
