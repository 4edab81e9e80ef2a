//! Recordings as they are found, changed and deleted.
//!
//! Files and rows cannot change in one transaction. So a change of a recording's place is a *journey*: the row says at
//! once where the recording belongs, and that its files are on their way; then the files are moved; then the journey
//! ends. Whoever finds a journey that nobody is on finishes it: every step may be repeated.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::library::{Change, Filter, Incoming, Merged, Scope};
use domain::recording::{RecordId, Recording};

use super::StoreError;
use super::recordings::Recordings;

/// Where a page of recordings begins: after the one that ends the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Its beginning; recordings without one come last.
    pub started_at: Option<Timestamp>,
    /// Its id, where several began at the same time.
    pub record_id: String,
}

/// Where the files of a recording are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Among the published ones.
    Published,
    /// Among the unpublished ones.
    Unpublished,
    /// Nowhere: it is deleted.
    Gone,
}

/// A recording whose files are on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// The recording.
    pub record_id: String,
    /// Its formats when it set out: the rows of deleted ones are gone.
    pub formats: Vec<String>,
    /// Where it is going. A later change of mind replaces the destination of a journey under way.
    pub to: Destination,
    /// Since when.
    pub since: Timestamp,
    /// Counts changes of mind: who ends a journey says which one.
    pub number: u64,
}

/// Recordings, by what is known of them.
#[async_trait]
pub trait Library: Recordings {
    /// The next recordings of a search, so many at most; the newest first, then by id. All belong to the
    /// scope.
    async fn find_recordings(
        &self,
        filter: &Filter,
        scope: &Scope,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError>;

    /// The recordings of a search at these places, counted from 0, in the same order; and how many there are in
    /// all.
    async fn page_of_recordings(
        &self,
        filter: &Filter,
        scope: &Scope,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Recording>, u64), StoreError>;

    /// Changes those of the recordings that there are in the scope and that are not deleted, in one
    /// transaction; returns their ids.
    async fn change_recordings(
        &self,
        record_ids: &[String],
        scope: &Scope,
        change: &Change,
    ) -> Result<Vec<String>, StoreError>;

    /// Sends a recording of the scope on a journey: its row says from now on that it is published, unpublished or
    /// deleted (metadata and formats of deleted ones go). `None` if there is none, or it is deleted
    /// and is to go anywhere else.
    async fn begin_journey(
        &self,
        record_id: &str,
        scope: &Scope,
        to: Destination,
        now: Timestamp,
    ) -> Result<Option<Journey>, StoreError>;

    /// The files are where they are to be. False if the destination has changed meanwhile: they must
    /// be moved again.
    async fn end_journey(&self, journey: &Journey) -> Result<bool, StoreError>;

    /// Journeys that began before that time, the oldest first, so many at most.
    async fn journeys(&self, before: Timestamp, limit: u32) -> Result<Vec<Journey>, StoreError>;

    /// Records what an archive brought, by [`domain::recording::library::merge`], in one transaction
    /// with what follows from it: a journey if formats that are there already belong on another shelf now, and
    /// the deliveries that its meeting's callback asks for. Says where the files belong; `None` if the
    /// recording was deleted.
    async fn import_recording(
        &self,
        incoming: &Incoming,
        now: Timestamp,
    ) -> Result<Option<Merged>, StoreError>;

    /// Removes the last trace of deleted recordings that were deleted before that time, so many at most; returns their
    /// ids.
    async fn forget_deleted(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<RecordId>, StoreError>;
}
