//! `publishRecordings`, `updateRecordings` and `deleteRecordings`.

use bbb::{Query, response};
use bytes::Bytes;
use domain::parameters::name_in_xml;
use domain::recording::Recording;
use domain::recording::catalog::{RESERVED_KEYS, RecordingChange};

use super::parameters::{parse_metadata, parse_record_ids, recording_store};
use crate::api::errors::ApiError;
use crate::context::App;
use crate::playback::caller_scope;
use crate::ports::Visibility;
use crate::recordings::changes::change_recordings;
use crate::recordings::file_moves::{self, FileMoveError};
use crate::tenancy::Caller;

/// Maximum length of a metadata key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// Publishes or unpublishes recordings. The call succeeds if at least one of the named recordings
/// exists, and all that exist were changed.
///
/// # Errors
/// When no recording is named or found, `publish` is missing, or files of some recordings are
/// missing or cannot be moved: the error names these, and the others are changed.
pub async fn publish_recordings(
    app: &App,
    caller: &Caller,
    query: &Query,
) -> Result<Bytes, ApiError> {
    let ids = parse_record_ids(query)?;
    let publish = query.get("publish").filter(|text| !text.trim().is_empty());
    let publish = is_true(&publish.ok_or(ApiError::MissingPublish)?);
    let (records, scope) = (recording_store(app)?.as_ref(), caller_scope(caller));
    let visibility = if publish { Visibility::Published } else { Visibility::Unpublished };
    let mut outcome = ListOutcome::default();
    for id in &ids {
        let recording = records.find_recording(id).await?;
        let may_change =
            |recording: &Recording| scope.accepts(recording) && !recording.is_deleted();
        if let Some(recording) = recording.filter(may_change) {
            let changed =
                file_moves::set_visibility(app, records, &recording, &scope, visibility).await;
            outcome.add(id, changed)?;
        }
    }
    outcome.into_response("published", if publish { "true" } else { "false" })
}

/// What became of the recordings of a list. Files of one that cannot be moved do not keep others from
/// being changed.
#[derive(Default)]
struct ListOutcome {
    found: bool,
    failed_ids: Vec<String>,
}

impl ListOutcome {
    /// Adds the result for one recording.
    ///
    /// # Errors
    /// When the store failed.
    fn add(&mut self, id: &str, result: Result<bool, FileMoveError>) -> Result<(), ApiError> {
        match result {
            Ok(found) => self.found |= found,
            Err(FileMoveError::Store(error)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(record_id = id, %error, "files of recording not moved");
                self.failed_ids.push(id.to_owned());
            }
        }
        Ok(())
    }

    /// The response of a call that succeeds if it changed all recordings that exist, and at least one.
    fn into_response(self, name: &str, value: &str) -> Result<Bytes, ApiError> {
        match self {
            Self { failed_ids, .. } if !failed_ids.is_empty() => Err(ApiError::Files(failed_ids)),
            Self { found: true, .. } => Ok(response::build_success(&[(name, value)]).into()),
            Self { .. } => Err(ApiError::NoRecordings),
        }
    }
}

/// Whether BBB reads the value of a parameter as true.
fn is_true(text: &str) -> bool {
    ["true", "y", "1"].iter().any(|value| text.trim().eq_ignore_ascii_case(value))
}

/// Deletes recordings. The call succeeds if at least one of the named recordings exists.
///
/// # Errors
/// When no recording is named or found, or files cannot be removed now.
pub async fn delete_recordings(
    app: &App,
    caller: &Caller,
    query: &Query,
) -> Result<Bytes, ApiError> {
    let ids = parse_record_ids(query)?;
    let (records, scope) = (recording_store(app)?.as_ref(), caller_scope(caller));
    let mut outcome = ListOutcome::default();
    for id in &ids {
        outcome.add(id, file_moves::delete_recording(app, records, id, &scope).await)?;
    }
    outcome.into_response("deleted", "true")
}

/// Changes metadata and protection. The response says `updated` if the call names a change and all
/// of the named recordings are the caller's.
///
/// # Errors
/// When no recording is named, metadata cannot be stored, or the store fails.
pub async fn update_recordings(
    app: &App,
    caller: &Caller,
    query: &Query,
) -> Result<Bytes, ApiError> {
    let ids = parse_record_ids(query)?;
    let (records, change) = (recording_store(app)?, parse_change(query)?);
    let mut updated = false;
    // Reserved metadata keys are ignored without an error.
    if !change.is_empty() || !parse_metadata(query).is_empty() {
        let changed =
            change_recordings(app, records.as_ref(), &ids, &caller_scope(caller), &change).await?;
        updated = changed.len() == ids.len();
    }
    Ok(response::build_success(&[("updated", if updated { "true" } else { "false" })]).into())
}

/// Reads the changes. Keys that BBB itself uses, such as `meetingName`, are stored in lower case beside BBB's own, as BBB does.
fn parse_change(query: &Query) -> Result<RecordingChange, ApiError> {
    let mut metadata = parse_metadata(query);
    metadata.retain(|(key, _)| !RESERVED_KEYS.contains(&name_in_xml(key)));
    for (key, value) in &metadata {
        if key.len() > MAX_KEY_BYTES || key.contains('\0') || value.contains('\0') {
            return Err(ApiError::InvalidMetadata);
        }
    }
    // A blank value removes the key.
    let metadata =
        metadata.into_iter().map(|(key, value)| (key, (!value.trim().is_empty()).then_some(value)));
    let protect = query.get("protect").filter(|text| !text.trim().is_empty());
    Ok(RecordingChange {
        metadata: metadata.collect(),
        protected: protect.map(|text| is_true(&text)),
        tenant: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_parsed() {
        let parse = |query: &str| parse_change(&Query::parse(query)).unwrap();
        let changed =
            parse("meta_Name=Neu&meta_gone=&meta_tenant-id=x&meta_Tenant-ID=y&protect=TRUE");
        let metadata = [("name".to_owned(), Some("Neu".to_owned())), ("gone".to_owned(), None)];
        assert_eq!((changed.metadata.as_slice(), changed.protected), (&metadata[..], Some(true)));
        assert!(parse("meta_tenant-id=x&protect=&recordID=r").is_empty());
        assert!(parse("meta_tenant-id+=x&meta_Tenant-Id%09y=x&meta_tenant-id%2F=x").is_empty());
        assert_eq!(parse("protect=no").protected, Some(false));
    }

    #[test]
    fn keys_of_bbb_are_kept_in_lower_case() {
        let parsed = parse_change(&Query::parse("meta_meetingName=Neu&meta_isBreakout=")).unwrap();
        let expected =
            [("meetingname".to_owned(), Some("Neu".to_owned())), ("isbreakout".to_owned(), None)];
        assert_eq!(parsed.metadata, expected);
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        let long = format!("meta_{}=x", "k".repeat(256));
        for query in [long.as_str(), "meta_a%00=b", "meta_a=%00"] {
            assert_eq!(
                parse_change(&Query::parse(query)),
                Err(ApiError::InvalidMetadata),
                "{query}"
            );
        }
    }

    #[test]
    fn true_values_are_those_of_bbb() {
        assert!(["true", "True", " y", "Y", "1"].into_iter().all(is_true));
        assert!(!["false", "yes", "0", "t", "maybe"].into_iter().any(is_true));
    }
}
