//! Administrative actions on recordings of all tenants: list, publish, assign to a tenant, and
//! check.

use domain::recording::catalog::{RecordingChange, RecordingFilter, TenantScope};
use domain::recording::{Recording, RecordingFormatId};

use crate::context::App;
use crate::origin;
use crate::ports::{Destination, RecordingCursor, RecordingStore, StoreError, Visibility};
use crate::recordings::changes::change_recordings;
use crate::recordings::file_moves::{self, FileMoveError};

/// Number of recordings that are read at once.
const PAGE_SIZE: u32 = 200;
/// Number of stored formats that are listed at once.
const FORMATS_PAGE_SIZE: usize = 500;

/// Returns the next recordings of a list, and the cursor of the following ones; `None` at the end.
///
/// # Errors
/// When the store fails.
pub async fn list_page(
    records: &dyn RecordingStore,
    filter: &RecordingFilter,
    scope: &TenantScope,
    after: Option<&RecordingCursor>,
) -> Result<(Vec<Recording>, Option<RecordingCursor>), StoreError> {
    let found = records.search_recordings(filter, scope, after, PAGE_SIZE).await?;
    let cursor = found.last().map(RecordingCursor::from_recording);
    Ok((found, cursor))
}

/// Publishes or unpublishes a recording; false if it does not exist or is deleted.
///
/// # Errors
/// When files are missing or cannot be moved, or the store fails.
pub async fn set_visibility(
    app: &App,
    records: &dyn RecordingStore,
    record_id: &str,
    visibility: Visibility,
) -> Result<bool, FileMoveError> {
    let recording = records.find_recording(record_id).await?;
    let Some(recording) = recording.filter(|recording| !recording.is_deleted()) else {
        return Ok(false);
    };
    let by = origin::actor();
    tracing::info!(record_id, ?visibility, %by, "recording changed by an administrator");
    file_moves::set_visibility(app, records, &recording, &TenantScope::All, visibility).await
}

/// Assigns recordings to a tenant; returns their number. Without ids, these are all recordings that
/// belong to no tenant.
///
/// # Errors
/// When the store fails.
pub async fn add_to_tenant(
    app: &App,
    records: &dyn RecordingStore,
    tenant: &str,
    record_ids: &[String],
) -> Result<usize, StoreError> {
    let change = RecordingChange { tenant: Some(tenant.to_owned()), ..RecordingChange::default() };
    let change_all = async |ids: &[String]| {
        change_recordings(app, records, ids, &TenantScope::All, &change).await
    };
    if !record_ids.is_empty() {
        return Ok(change_all(record_ids).await?.len());
    }
    let (mut after, mut count) = (None::<String>, 0);
    loop {
        let page = records.list_recordings_after(after.as_deref(), PAGE_SIZE).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(last.record_id.clone());
        let has_no_tenant =
            |recording: &&Recording| recording.tenant().is_none() && !recording.is_deleted();
        let unassigned = page.iter().filter(has_no_tenant);
        let ids: Vec<String> = unassigned.map(|recording| recording.record_id.clone()).collect();
        count += change_all(&ids).await?.len();
    }
}

/// A mismatch between the row of a recording and its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingFault {
    /// A format of the recording has no files.
    NoFiles,
    /// Files are not where they belong, or not only there.
    Misplaced,
    /// The recording was deleted, and files are left.
    Deleted,
    /// Files belong to an unknown recording or format.
    Unknown,
}

/// Returns the symbolic links in the directories of recordings that are not followed, as texts.
///
/// # Errors
/// When the directories cannot be read.
pub async fn list_refused_links(app: &App) -> Result<Vec<String>, FileMoveError> {
    Ok(app.blobs.list_refused_links().await?)
}

/// A fault of a format, and whether it was repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// The recording.
    pub record_id: String,
    /// The format.
    pub format: String,
    /// The fault.
    pub fault: RecordingFault,
    /// Whether the fault was repaired.
    pub repaired: bool,
}

/// Compares all rows with the files and all files with the rows, calls `report` for each fault, and
/// returns the number of faults.
///
/// With `repair`, faults are repaired where no data can be lost: misplaced files are moved to where
/// they belong, and files of deleted recordings that cannot be restored are removed. Unknown files
/// stay, and missing files stay missing.
///
/// # Errors
/// When the store fails, or files cannot be listed, moved or removed.
pub async fn check_recording_files(
    app: &App,
    records: &dyn RecordingStore,
    repair: bool,
    mut report: impl FnMut(&FaultReport),
) -> Result<usize, FileMoveError> {
    let mut count = 0;
    let mut after = None::<String>;
    loop {
        let page = records.list_recordings_after(after.as_deref(), PAGE_SIZE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.record_id.clone());
        for recording in page.iter().filter(|recording| !recording.is_deleted()) {
            for format in &recording.formats {
                if let Some(fault) = check_format(app, recording, &format.format, repair).await? {
                    count += 1;
                    report(&fault);
                }
            }
        }
    }
    for visibility in Visibility::ALL {
        let mut after = None::<RecordingFormatId>;
        loop {
            let page =
                app.blobs.list_formats(visibility, after.as_ref(), FORMATS_PAGE_SIZE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            for format_id in &page {
                let stored = (format_id, visibility);
                if let Some(fault) = check_stored_files(app, records, stored, repair).await? {
                    count += 1;
                    report(&fault);
                }
            }
        }
    }
    Ok(count)
}

/// Checks that a format of a recording that is not deleted has files where they belong.
async fn check_format(
    app: &App,
    recording: &Recording,
    format: &str,
    repair: bool,
) -> Result<Option<FaultReport>, FileMoveError> {
    let fault_report = |fault, repaired| {
        let (record_id, format) = (recording.record_id.clone(), format.to_owned());
        Some(FaultReport { record_id, format, fault, repaired })
    };
    let Some(format_id) = RecordingFormatId::parse(&recording.record_id, format) else {
        return Ok(fault_report(RecordingFault::NoFiles, false));
    };
    let expected = match Destination::from_recording(recording) {
        Destination::Published => Visibility::Published,
        _ => Visibility::Unpublished,
    };
    let locations = app.blobs.locate_format(&format_id).await?;
    if locations.is_empty() {
        return Ok(fault_report(RecordingFault::NoFiles, false));
    }
    if locations == [expected] {
        return Ok(None);
    }
    if repair {
        app.blobs.move_format(&format_id, expected).await?;
    }
    Ok(fault_report(RecordingFault::Misplaced, repair))
}

/// Checks that the stored files of a format belong to a recording that has this format, or that is
/// in the trash.
async fn check_stored_files(
    app: &App,
    records: &dyn RecordingStore,
    (format_id, visibility): (&RecordingFormatId, Visibility),
    repair: bool,
) -> Result<Option<FaultReport>, FileMoveError> {
    let RecordingFormatId { record_id, format } = format_id;
    let has_format =
        |recording: &Recording| recording.formats.iter().any(|row| row.format == format.as_str());
    let fault = match records.find_recording(record_id.as_str()).await? {
        Some(recording) if recording.is_deleted() => {
            match records.find_trashed(record_id.as_str()).await? {
                Some(_) if visibility == Visibility::Trash => return Ok(None),
                Some(_) => RecordingFault::Misplaced,
                None => RecordingFault::Deleted,
            }
        }
        Some(recording) if has_format(&recording) => return Ok(None),
        _ => RecordingFault::Unknown,
    };
    match fault {
        RecordingFault::Misplaced if repair => {
            app.blobs.move_format(format_id, Visibility::Trash).await?;
        }
        RecordingFault::Deleted if repair => {
            app.blobs.remove_format(format_id, &[visibility]).await?;
        }
        _ => {}
    }
    let repaired = repair && fault != RecordingFault::Unknown;
    let (record_id, format) = (record_id.to_string(), format.to_string());
    Ok(Some(FaultReport { record_id, format, fault, repaired }))
}
