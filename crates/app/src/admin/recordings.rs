//! What administrators do with recordings, whosever they are.

use domain::recording::catalog::{RecordingChange, RecordingFilter, TenantScope};
use domain::recording::{Recording, RecordingFormatId};

use crate::context::App;
use crate::ports::{Destination, RecordingCursor, RecordingStore, StoreError, Visibility};
use crate::recordings::file_moves::{self, FileMoveError};

/// Recordings that are read at once.
const PAGE_SIZE: u32 = 200;
/// Files of recordings that are listed at once.
const FORMATS_PAGE_SIZE: usize = 500;

/// The next recordings of a list, and where it goes on.
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

/// Publishes a recording or hides it; false if there is none.
///
/// # Errors
/// When files are not there or cannot be moved.
pub async fn set_visibility(
    app: &App,
    records: &dyn RecordingStore,
    record_id: &str,
    shelf: Visibility,
) -> Result<bool, FileMoveError> {
    match records.find_recording(record_id).await?.filter(|one| !one.is_deleted()) {
        Some(recording) => {
            file_moves::set_visibility(app, records, &recording, &TenantScope::All, shelf).await
        }
        None => Ok(false),
    }
}

/// Gives recordings that belong to no tenant to one; returns how many. Those named, or all.
///
/// # Errors
/// When the store fails.
pub async fn add_to_tenant(
    records: &dyn RecordingStore,
    tenant: &str,
    record_ids: &[String],
) -> Result<usize, StoreError> {
    let change = RecordingChange { tenant: Some(tenant.to_owned()), ..RecordingChange::default() };
    if !record_ids.is_empty() {
        return Ok(records.change_recordings(record_ids, &TenantScope::All, &change).await?.len());
    }
    let (mut after, mut count) = (None::<String>, 0);
    loop {
        let page = records.list_recordings_after(after.as_deref(), PAGE_SIZE).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(last.record_id.clone());
        let nobodys = page.iter().filter(|one| one.tenant().is_none() && !one.is_deleted());
        let ids: Vec<String> = nobodys.map(|one| one.record_id.clone()).collect();
        count += records.change_recordings(&ids, &TenantScope::All, &change).await?.len();
    }
}

/// What does not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingFault {
    /// A format of a recording has no files.
    NoFiles,
    /// Its files are not where they belong, or not only there.
    Misplaced,
    /// Files of a recording that was deleted.
    Deleted,
    /// Files of a recording or format that nobody knows.
    Unknown,
}

/// A recording's format that does not fit, and whether that was repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// The recording.
    pub record_id: String,
    /// The format.
    pub format: String,
    /// What is wrong.
    pub fault: RecordingFault,
    /// Whether it no longer is.
    pub repaired: bool,
}

/// Compares rows and files, both ways. Repairs what can be without a loss: files go to the shelf where they belong, and
/// those of deleted recordings that nobody can bring back go away. What nobody knows stays, and so does what has no files.
///
/// # Errors
/// When the store fails or files cannot be looked at.
pub async fn check_recording_files(
    app: &App,
    records: &dyn RecordingStore,
    repair: bool,
    mut tell: impl FnMut(&FaultReport),
) -> Result<usize, FileMoveError> {
    let mut count = 0;
    let mut after = None::<String>;
    loop {
        let page = records.list_recordings_after(after.as_deref(), PAGE_SIZE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.record_id.clone());
        for recording in page.iter().filter(|one| !one.is_deleted()) {
            for format in &recording.formats {
                if let Some(found) = check_format(app, recording, &format.format, repair).await? {
                    count += 1;
                    tell(&found);
                }
            }
        }
    }
    for shelf in Visibility::ALL {
        let mut after = None::<RecordingFormatId>;
        loop {
            let books = app.blobs.list_formats(shelf, after.as_ref(), FORMATS_PAGE_SIZE).await?;
            let Some(last) = books.last() else { break };
            after = Some(last.clone());
            for one in &books {
                if let Some(found) = check_stored_files(app, records, (one, shelf), repair).await? {
                    count += 1;
                    tell(&found);
                }
            }
        }
    }
    Ok(count)
}

async fn check_format(
    app: &App,
    recording: &Recording,
    format: &str,
    repair: bool,
) -> Result<Option<FaultReport>, FileMoveError> {
    let found = |fault, repaired| {
        let (record_id, format) = (recording.record_id.clone(), format.to_owned());
        Some(FaultReport { record_id, format, fault, repaired })
    };
    let Some(book) = RecordingFormatId::parse(&recording.record_id, format) else {
        return Ok(found(RecordingFault::NoFiles, false));
    };
    let belongs = match Destination::from_recording(recording) {
        Destination::Published => Visibility::Published,
        _ => Visibility::Unpublished,
    };
    let shelves = app.blobs.locate_format(&book).await?;
    if shelves.is_empty() {
        return Ok(found(RecordingFault::NoFiles, false));
    }
    if shelves == [belongs] {
        return Ok(None);
    }
    if repair {
        app.blobs.move_format(&book, belongs).await?;
    }
    Ok(found(RecordingFault::Misplaced, repair))
}

async fn check_stored_files(
    app: &App,
    records: &dyn RecordingStore,
    (book, shelf): (&RecordingFormatId, Visibility),
    repair: bool,
) -> Result<Option<FaultReport>, FileMoveError> {
    let recording = records.find_recording(book.record_id.as_str()).await?;
    let has =
        |one: &Recording| one.formats.iter().any(|format| format.format == book.format.as_str());
    let fault = match recording {
        Some(gone) if gone.is_deleted() => {
            match records.find_trashed(book.record_id.as_str()).await? {
                Some(_) if shelf == Visibility::Trash => return Ok(None),
                Some(_) => RecordingFault::Misplaced,
                None => RecordingFault::Deleted,
            }
        }
        Some(known) if has(&known) => return Ok(None),
        _ => RecordingFault::Unknown,
    };
    match fault {
        RecordingFault::Misplaced if repair => {
            drop(app.blobs.move_format(book, Visibility::Trash).await?)
        }
        RecordingFault::Deleted if repair => drop(app.blobs.remove_format(book, &[shelf]).await?),
        _ => {}
    }
    let repaired = repair && fault != RecordingFault::Unknown;
    let (record_id, format) = (book.record_id.to_string(), book.format.to_string());
    Ok(Some(FaultReport { record_id, format, fault, repaired }))
}
