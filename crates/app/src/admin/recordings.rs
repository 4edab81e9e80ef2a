//! What administrators do with recordings, whosever they are.

use domain::recording::Recording;
use domain::recording::library::{Change, Filter, Scope};

use crate::context::App;
use crate::ports::{Book, Cursor, Destination, Records, Shelf, StoreError};
use crate::recordings::travel::{self, TravelError, book};

/// Recordings that are read at once.
const PAGE: u32 = 200;
/// Files of recordings that are listed at once.
const BOOKS: usize = 500;

/// The next recordings of a list, and where it goes on.
///
/// # Errors
/// When the store fails.
pub async fn next(
    records: &dyn Records,
    filter: &Filter,
    scope: &Scope,
    after: Option<&Cursor>,
) -> Result<(Vec<Recording>, Option<Cursor>), StoreError> {
    let found = records.find_recordings(filter, scope, after, PAGE).await?;
    let cursor = found.last().map(Cursor::after);
    Ok((found, cursor))
}

/// Publishes a recording or hides it; false if there is none.
///
/// # Errors
/// When files are not there or cannot be moved.
pub async fn place(
    app: &App,
    records: &dyn Records,
    record_id: &str,
    shelf: Shelf,
) -> Result<bool, TravelError> {
    match records.recording(record_id).await?.filter(|one| !one.is_deleted()) {
        Some(recording) => travel::place(app, records, &recording, &Scope::All, shelf).await,
        None => Ok(false),
    }
}

/// Gives recordings that belong to no tenant to one; returns how many. Those named, or all.
///
/// # Errors
/// When the store fails.
pub async fn add_to_tenant(
    records: &dyn Records,
    tenant: &str,
    record_ids: &[String],
) -> Result<usize, StoreError> {
    let change = Change { tenant: Some(tenant.to_owned()), ..Change::default() };
    if !record_ids.is_empty() {
        return Ok(records.change_recordings(record_ids, &Scope::All, &change).await?.len());
    }
    let (mut after, mut count) = (None::<String>, 0);
    loop {
        let page = records.recordings_after(after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(last.record_id.clone());
        let nobodys = page.iter().filter(|one| one.tenant().is_none() && !one.is_deleted());
        let ids: Vec<String> = nobodys.map(|one| one.record_id.clone()).collect();
        count += records.change_recordings(&ids, &Scope::All, &change).await?.len();
    }
}

/// What does not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
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
pub struct Found {
    /// The recording.
    pub record_id: String,
    /// The format.
    pub format: String,
    /// What is wrong.
    pub fault: Fault,
    /// Whether it no longer is.
    pub repaired: bool,
}

/// Compares rows and files, both ways. Repairs what can be without a loss: files go to the shelf where they belong, and
/// those of deleted recordings that nobody can bring back go away. What nobody knows stays, and so does what has no files.
///
/// # Errors
/// When the store fails or files cannot be looked at.
pub async fn check(
    app: &App,
    records: &dyn Records,
    repair: bool,
    mut tell: impl FnMut(&Found),
) -> Result<usize, TravelError> {
    let mut count = 0;
    let mut after = None::<String>;
    loop {
        let page = records.recordings_after(after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.record_id.clone());
        for recording in page.iter().filter(|one| !one.is_deleted()) {
            for format in &recording.formats {
                if let Some(found) = check_row(app, recording, &format.format, repair).await? {
                    count += 1;
                    tell(&found);
                }
            }
        }
    }
    for shelf in Shelf::ALL {
        let mut after = None::<Book>;
        loop {
            let books = app.blobs.books(shelf, after.as_ref(), BOOKS).await?;
            let Some(last) = books.last() else { break };
            after = Some(last.clone());
            for one in &books {
                if let Some(found) = check_book(app, records, (one, shelf), repair).await? {
                    count += 1;
                    tell(&found);
                }
            }
        }
    }
    Ok(count)
}

async fn check_row(
    app: &App,
    recording: &Recording,
    format: &str,
    repair: bool,
) -> Result<Option<Found>, TravelError> {
    let found = |fault, repaired| {
        let (record_id, format) = (recording.record_id.clone(), format.to_owned());
        Some(Found { record_id, format, fault, repaired })
    };
    let Some(book) = book(&recording.record_id, format) else {
        return Ok(found(Fault::NoFiles, false));
    };
    let belongs = match Destination::of(recording) {
        Destination::Published => Shelf::Published,
        _ => Shelf::Unpublished,
    };
    let shelves = app.blobs.shelves(&book).await?;
    if shelves.is_empty() {
        return Ok(found(Fault::NoFiles, false));
    }
    if shelves == [belongs] {
        return Ok(None);
    }
    if repair {
        app.blobs.move_to(&book, belongs).await?;
    }
    Ok(found(Fault::Misplaced, repair))
}

async fn check_book(
    app: &App,
    records: &dyn Records,
    (book, shelf): (&Book, Shelf),
    repair: bool,
) -> Result<Option<Found>, TravelError> {
    let recording = records.recording(book.record_id.as_str()).await?;
    let has =
        |one: &Recording| one.formats.iter().any(|format| format.format == book.format.as_str());
    let fault = match recording {
        Some(gone) if gone.is_deleted() => match records.trashed(book.record_id.as_str()).await? {
            Some(_) if shelf == Shelf::Deleted => return Ok(None),
            Some(_) => Fault::Misplaced,
            None => Fault::Deleted,
        },
        Some(known) if has(&known) => return Ok(None),
        _ => Fault::Unknown,
    };
    match fault {
        Fault::Misplaced if repair => drop(app.blobs.move_to(book, Shelf::Deleted).await?),
        Fault::Deleted if repair => drop(app.blobs.remove(book, &[shelf]).await?),
        _ => {}
    }
    let repaired = repair && fault != Fault::Unknown;
    let (record_id, format) = (book.record_id.to_string(), book.format.to_string());
    Ok(Some(Found { record_id, format, fault, repaired }))
}
