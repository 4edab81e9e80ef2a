//! Takes up recordings whose files are there and whose rows are not, as after the loss of the
//! database.
//!
//! Everything that `metadata.xml` says comes back. What people have changed since the import does
//! not, apart from the publication, which the place of the files says.

use bbb::metadata::{MAX_BYTES, Metadata};
use domain::recording::{FilePath, Recording, RecordingFormatId};
use futures_util::TryStreamExt as _;

use super::import::{ImportRules, build_incoming, check_identity};
use crate::context::App;
use crate::ports::{BlobError, Blobs, RecordingStore, StoreError, Visibility};

/// Number of stored formats that are listed at once.
const PAGE_SIZE: usize = 500;
const METADATA_FILE: &str = "metadata.xml";

/// What became of a format without a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexOutcome {
    /// Its row was written, or would be in a dry run.
    Indexed,
    /// Its recording was deleted; its files are left.
    Deleted,
    /// Its metadata cannot be used.
    Unusable(String),
}

/// How many formats were looked at, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexCounts {
    /// Formats with files.
    pub found: u64,
    /// Formats that got a row.
    pub indexed: u64,
    /// Formats without a row that did not get one.
    pub left: u64,
}

/// Why an index could not be completed. What was indexed until then stays.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files cannot be read.
    #[error(transparent)]
    Files(#[from] BlobError),
}

/// Writes the rows of formats that have none. `report` is called for each of these, and `progress`
/// after each page with the number of formats seen so far. It may be interrupted and repeated.
///
/// # Errors
/// When the store fails or files cannot be read.
pub async fn index_files(
    app: &App,
    records: &dyn RecordingStore,
    visibilities: &[Visibility],
    dry_run: bool,
    mut report: impl FnMut(&RecordingFormatId, Visibility, &IndexOutcome),
    mut progress: impl FnMut(u64),
) -> Result<IndexCounts, IndexError> {
    let mut counts = IndexCounts::default();
    let rules =
        ImportRules { unpublished: false, protected: app.policy.recordings.protection_enabled };
    for visibility in visibilities {
        let mut after = None::<RecordingFormatId>;
        loop {
            let page = app.blobs.list_formats(*visibility, after.as_ref(), PAGE_SIZE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            for format_id in &page {
                counts.found += 1;
                let place = (format_id, *visibility);
                let outcome = index_format(app, records, place, rules, dry_run).await?;
                let Some(outcome) = outcome else { continue };
                match outcome {
                    IndexOutcome::Indexed => counts.indexed += 1,
                    _ => counts.left += 1,
                }
                report(format_id, *visibility, &outcome);
            }
            progress(counts.found);
        }
    }
    Ok(counts)
}

/// Writes the row of a format; `None` if it has one.
async fn index_format(
    app: &App,
    records: &dyn RecordingStore,
    (format_id, visibility): (&RecordingFormatId, Visibility),
    rules: ImportRules,
    dry_run: bool,
) -> Result<Option<IndexOutcome>, IndexError> {
    let row = records.find_recording(format_id.record_id.as_str()).await?;
    let has_format = |recording: &Recording| {
        recording.formats.iter().any(|format| format.format == format_id.format.as_str())
    };
    match &row {
        Some(row) if row.is_deleted() => return Ok(Some(IndexOutcome::Deleted)),
        Some(row) if has_format(row) => return Ok(None),
        _ => {}
    }
    let metadata = match read_metadata(app.blobs.as_ref(), format_id, visibility).await? {
        Ok(metadata) => metadata,
        Err(reason) => return Ok(Some(IndexOutcome::Unusable(reason))),
    };
    if dry_run {
        return Ok(Some(IndexOutcome::Indexed));
    }
    let mut incoming = build_incoming([&metadata], rules, app.clock.now());
    match row {
        Some(row) => {
            incoming.recording.published = row.published;
            incoming.recording.state = row.state;
        }
        None => place_decides(&mut incoming.recording, visibility),
    }
    let imported = records.import_recording(&incoming, app.clock.now()).await?;
    Ok(Some(imported.map_or(IndexOutcome::Deleted, |_| IndexOutcome::Indexed)))
}

/// Sets what the place of the files says: whether somebody has published or unpublished the
/// recording since its metadata was written.
fn place_decides(recording: &mut Recording, visibility: Visibility) {
    let published = visibility == Visibility::Published;
    if recording.published != published {
        recording.published = published;
        recording.publish_updated = true;
        let state = if published { "published" } else { "unpublished" };
        recording.state = Some(state.to_owned());
    }
}

/// Reads the metadata of a stored format. The inner error says why it cannot be used.
async fn read_metadata(
    blobs: &dyn Blobs,
    format_id: &RecordingFormatId,
    visibility: Visibility,
) -> Result<Result<Metadata, String>, BlobError> {
    let missing = || Ok(Err("it has no metadata.xml".to_owned()));
    let Some(path) = FilePath::parse(METADATA_FILE) else { return missing() };
    let Some((info, bytes)) = blobs.open_file(format_id, visibility, &path, None).await? else {
        return missing();
    };
    if usize::try_from(info.size).is_ok_and(|size| size <= MAX_BYTES) {
        let chunks: Vec<bytes::Bytes> = bytes.try_collect().await?;
        let read = Metadata::read(&chunks.concat()).map_err(|error| error.to_string());
        return Ok(
            read.and_then(|metadata| check_identity(format_id, &metadata).map(|()| metadata))
        );
    }
    Ok(Err("its metadata.xml is too long".to_owned()))
}

#[cfg(test)]
mod tests;
