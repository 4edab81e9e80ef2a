//! `publishRecordings`, `updateRecordings` and `deleteRecordings`.

use bbb::{Query, response};
use bytes::Bytes;
use domain::recording::Recording;
use domain::recording::catalog::{INTERNAL_KEYS, RESERVED_KEYS, RecordingChange};

use super::{parse_metadata, parse_record_ids, recording_store, tenant_scope};
use crate::api::ApiError;
use crate::context::App;
use crate::ports::Visibility;
use crate::recordings::file_moves;
use crate::tenancy::Caller;

/// Longest key of metadata, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// Publishes recordings or hides them. It is enough if there is any of those that are named.
///
/// # Errors
/// When nothing is named, nothing is found, or files are not there or cannot be moved.
pub async fn publish_recordings(
    app: &App,
    caller: &Caller,
    query: &Query,
) -> Result<Bytes, ApiError> {
    let ids = parse_record_ids(query)?;
    let publish = query.get("publish").filter(|text| !text.trim().is_empty());
    let publish = is_true(&publish.ok_or(ApiError::MissingPublish)?);
    let (records, scope) = (recording_store(app)?.as_ref(), tenant_scope(caller));
    let shelf = if publish { Visibility::Published } else { Visibility::Unpublished };
    let mut found = false;
    for id in &ids {
        let recording = records.find_recording(id).await?;
        let is_meant = |one: &Recording| scope.accepts(one) && !one.is_deleted();
        if let Some(recording) = recording.filter(is_meant) {
            found |= file_moves::set_visibility(app, records, &recording, &scope, shelf).await?;
        }
    }
    let published = [("published", if publish { "true" } else { "false" })];
    if found { Ok(response::build_success(&published).into()) } else { Err(ApiError::NoRecordings) }
}

/// BBB takes these for yes.
fn is_true(text: &str) -> bool {
    ["true", "y", "1"].iter().any(|yes| text.trim().eq_ignore_ascii_case(yes))
}

/// Deletes recordings. It is enough if there is any of those that are named.
///
/// # Errors
/// When nothing is named, nothing is found, or files cannot be removed now.
pub async fn delete_recordings(
    app: &App,
    caller: &Caller,
    query: &Query,
) -> Result<Bytes, ApiError> {
    let ids = parse_record_ids(query)?;
    let (records, scope) = (recording_store(app)?.as_ref(), tenant_scope(caller));
    let mut found = false;
    for id in &ids {
        found |= file_moves::delete_recording(app, records, id, &scope).await?;
    }
    let deleted = [("deleted", "true")];
    if found { Ok(response::build_success(&deleted).into()) } else { Err(ApiError::NoRecordings) }
}

/// Changes metadata and protection. Tells whether there was something to change and all of them are the caller's.
///
/// # Errors
/// When nothing is named, or the store fails.
pub async fn update_recordings(
    app: &App,
    caller: &Caller,
    query: &Query,
) -> Result<Bytes, ApiError> {
    let ids = parse_record_ids(query)?;
    let (records, change) = (recording_store(app)?, parse_change(query));
    let mut updated = false;
    // Keys that are not the caller's to change are passed over, not an error.
    if !change.is_empty() || !parse_metadata(query).is_empty() {
        let changed = records.change_recordings(&ids, &tenant_scope(caller), &change).await?;
        updated = changed.len() == ids.len();
    }
    Ok(response::build_success(&[("updated", if updated { "true" } else { "false" })]).into())
}

fn parse_change(query: &Query) -> RecordingChange {
    let kept = |key: &str| {
        let of_bbb = INTERNAL_KEYS.iter().any(|internal| internal.eq_ignore_ascii_case(key));
        !RESERVED_KEYS.contains(&key)
            && !of_bbb
            && key.len() <= MAX_KEY_BYTES
            && !key.contains('\0')
    };
    let pairs =
        parse_metadata(query).into_iter().filter(|(key, value)| kept(key) && !value.contains('\0'));
    let metadata = pairs.map(|(key, value)| (key, (!value.trim().is_empty()).then_some(value)));
    let protect = query.get("protect").filter(|text| !text.trim().is_empty());
    RecordingChange {
        metadata: metadata.collect(),
        protected: protect.map(|text| is_true(&text)),
        tenant: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read() {
        let read = |query: &str| parse_change(&Query::parse(query));
        let changed =
            read("meta_Name=Neu&meta_gone=&meta_tenant-id=x&meta_Tenant-ID=y&protect=TRUE");
        let metadata = [("name".to_owned(), Some("Neu".to_owned())), ("gone".to_owned(), None)];
        assert_eq!((changed.metadata.as_slice(), changed.protected), (&metadata[..], Some(true)));
        assert!(read("meta_tenant-id=x&meta_isBreakout=true&protect=&recordID=r").is_empty());
        assert_eq!(read("protect=no").protected, Some(false));
    }

    #[test]
    fn yes_is_what_bbb_takes_for_yes() {
        assert!(["true", "True", " y", "Y", "1"].into_iter().all(is_true));
        assert!(!["false", "yes", "0", "t", "maybe"].into_iter().any(is_true));
    }
}
