//! Moves the files of recordings where their rows say that they belong, and out of sight when they are deleted.
//!
//! The row changes first: from then on a recording is shown, hidden or gone, whatever happens to its files. A
//! crash in between leaves a journey behind, which [`finish_journeys`] ends.

use domain::Timestamp;
use domain::recording::library::Scope;
use domain::recording::{FormatName, RecordId, Recording};

use crate::context::App;
use crate::ports::{
    BlobError, Blobs, Book, Destination, Journey, Moved, Records, Shelf, StoreError,
};

/// Who has been under way for so long is not heard of any more, in ms.
const LOST_MS: i64 = 60_000;
/// Journeys that are finished in one go.
const AT_ONCE: u32 = 50;

/// Why files are not where they belong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TravelError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files.
    #[error(transparent)]
    Files(#[from] BlobError),
    /// A format of the recording is on no shelf, or has a name that cannot be one of a directory.
    #[error("{format} of {record_id} has no files")]
    NoFiles {
        /// The recording.
        record_id: String,
        /// The format.
        format: String,
    },
}

impl From<Shelf> for Destination {
    fn from(shelf: Shelf) -> Self {
        match shelf {
            Shelf::Published => Self::Published,
            Shelf::Unpublished => Self::Unpublished,
            Shelf::Deleted => Self::Trash,
        }
    }
}

/// The files of a format, if its names can be those of directories.
#[must_use]
pub fn book(record_id: &str, format: &str) -> Option<Book> {
    let (record_id, format) = (RecordId::parse(record_id)?, FormatName::parse(format)?);
    Some(Book { format, record_id })
}

/// Puts a recording on a shelf: the row at once, then its files. False if there is no such
/// recording in the scope.
///
/// # Errors
/// When a format has no files: nothing has changed then. When files cannot be moved: then the row says
/// where they belong, and they follow later.
pub async fn place(
    app: &App,
    records: &dyn Records,
    recording: &Recording,
    scope: &Scope,
    shelf: Shelf,
) -> Result<bool, TravelError> {
    for format in &recording.formats {
        let missing = || TravelError::NoFiles {
            record_id: recording.record_id.clone(),
            format: format.format.clone(),
        };
        let book = book(&recording.record_id, &format.format).ok_or_else(missing)?;
        if app.blobs.shelves(&book).await?.is_empty() {
            return Err(missing());
        }
    }
    send(app, records, &recording.record_id, scope, shelf.into()).await
}

/// Deletes a recording: the row at once, then its files, which lie in the trash for as long as the administrator
/// wants. False if there is none in the scope.
///
/// # Errors
/// When files cannot be removed: the row says that it is deleted, and they go later.
pub async fn delete(
    app: &App,
    records: &dyn Records,
    record_id: &str,
    scope: &Scope,
) -> Result<bool, TravelError> {
    let to =
        if app.policy.recordings.trash_ms > 0 { Destination::Trash } else { Destination::Gone };
    send(app, records, record_id, scope, to).await
}

/// Deletes a recording and its files at once, also from the trash. False if there is none.
///
/// # Errors
/// When files cannot be removed: the row says that it is deleted, and they go later.
pub async fn erase(app: &App, records: &dyn Records, record_id: &str) -> Result<bool, TravelError> {
    send(app, records, record_id, &Scope::All, Destination::Gone).await
}

/// Brings a recording back from the trash, as it was: the row at once, then its files. False if it is not there.
///
/// # Errors
/// When files cannot be moved: the row says where they belong, and they follow later.
pub async fn restore(
    app: &App,
    records: &dyn Records,
    record_id: &str,
) -> Result<bool, TravelError> {
    let now = app.clock.now();
    let Some(journey) = records.restore_recording(record_id, now).await? else {
        return Ok(false);
    };
    travel(records, app.blobs.as_ref(), &journey).await?;
    Ok(true)
}

async fn send(
    app: &App,
    records: &dyn Records,
    record_id: &str,
    scope: &Scope,
    to: Destination,
) -> Result<bool, TravelError> {
    let now = app.clock.now();
    let Some(journey) = records.begin_journey(record_id, scope, to, now).await? else {
        return Ok(false);
    };
    travel(records, app.blobs.as_ref(), &journey).await?;
    Ok(true)
}

/// Moves the files of a journey, and ends it unless somebody may still be moving them elsewhere.
///
/// # Errors
/// When the files cannot be moved or the store fails: the journey goes on later.
pub async fn travel(
    records: &dyn Records,
    blobs: &dyn Blobs,
    journey: &Journey,
) -> Result<(), TravelError> {
    carry(blobs, journey).await?;
    if !journey.contested {
        // If it is no longer the one, whoever changed the destination looks after the files.
        records.end_journey(journey).await?;
    }
    Ok(())
}

async fn carry(blobs: &dyn Blobs, journey: &Journey) -> Result<(), BlobError> {
    for format in &journey.formats {
        let Some(book) = book(&journey.record_id, format) else { continue };
        let moved = match journey.to {
            Destination::Published => blobs.move_to(&book, Shelf::Published).await?,
            Destination::Unpublished => blobs.move_to(&book, Shelf::Unpublished).await?,
            Destination::Trash => blobs.move_to(&book, Shelf::Deleted).await?,
            Destination::Gone => {
                blobs.remove(&book, &Shelf::ALL).await?;
                Moved::Moved
            }
        };
        if moved == Moved::Missing {
            tracing::warn!(record_id = journey.record_id, format, "a format has no files");
        }
    }
    Ok(())
}

/// Ends journeys whose travellers have not been heard of for a minute; returns how many.
///
/// # Errors
/// When the store fails. Files that cannot be moved stay on their way, and the log says so.
pub async fn finish_journeys(app: &App) -> Result<usize, StoreError> {
    let Some(records) = &app.records else { return Ok(0) };
    finish(records.as_ref(), app.blobs.as_ref(), app.clock.now()).await
}

async fn finish(
    records: &dyn Records,
    blobs: &dyn Blobs,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let lost = records.journeys(now.plus_ms(-LOST_MS), AT_ONCE).await?;
    let mut ended = 0;
    for journey in &lost {
        match carry(blobs, journey).await {
            Ok(()) => ended += usize::from(records.end_journey(journey).await?),
            Err(error) => {
                let record_id = &journey.record_id;
                tracing::warn!(record_id, %error, "the files of a recording are not moved yet");
            }
        }
    }
    Ok(ended)
}

/// Removes the files of recordings that have been in the trash for long enough; returns of how many.
///
/// # Errors
/// When the store fails. Files that cannot be removed go later, and the log says so.
pub async fn empty_trash(app: &App) -> Result<usize, StoreError> {
    let Some(records) = &app.records else { return Ok(0) };
    let now = app.clock.now();
    let before = now.plus_ms(-app.policy.recordings.trash_ms);
    let ended = records.empty_trash(before, now, AT_ONCE).await?;
    for journey in &ended {
        if let Err(error) = travel(records.as_ref(), app.blobs.as_ref(), journey).await {
            let record_id = &journey.record_id;
            tracing::warn!(record_id, %error, "the files of a deleted recording are not removed yet");
        }
    }
    Ok(ended.len())
}

/// Removes the last trace of recordings that were deleted long ago, if an administrator wants that.
///
/// # Errors
/// When the store fails.
pub async fn forget_deleted(app: &App) -> Result<usize, StoreError> {
    let (Some(records), Some(after_ms)) = (&app.records, app.policy.recordings.forget_ms) else {
        return Ok(0);
    };
    let before = app.clock.now().plus_ms(-after_ms);
    Ok(records.forget_deleted(before, AT_ONCE).await?.len())
}

#[cfg(test)]
mod tests;
