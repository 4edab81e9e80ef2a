//! Watching recordings: who gets in, by which pass, and to which files.

mod passes;
pub mod tracks;

use std::sync::Arc;

use domain::recording::FilePath;
use domain::recording::library::Scope;
use domain::recording::watching::{Entry, Permit, Wish};

use crate::context::App;
use crate::ports::{
    BlobBytes, BlobError, BlobInfo, Blobs, Book, Recordings, Shelf, Span, StoreError, Tokens,
};
use crate::tenancy::Caller;

pub use passes::Passes;

/// What watching needs besides the rest of the application.
#[derive(Clone)]
pub struct Playback {
    /// What is known of recordings.
    pub recordings: Arc<dyn Recordings>,
    /// One-time tokens.
    pub tokens: Arc<dyn Tokens>,
    /// Files.
    pub blobs: Arc<dyn Blobs>,
    /// `PROTECTED_RECORDINGS_ENABLED`.
    pub protection: bool,
    /// What those who came with a token show from then on.
    pub passes: Passes,
    /// Held by the one that changes text tracks.
    pub writing_tracks: Arc<tokio::sync::Mutex<()>>,
}

/// Somebody who comes by the link to a recording.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// Whose recordings they may watch.
    pub scope: &'a Scope,
    /// The one-time token of the link.
    pub token: Option<&'a str>,
    /// Whether the token may be used up: not by those who only look where a link leads.
    pub may_use_token: bool,
}

/// What becomes of somebody who comes by the link to a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// In, with a new pass if the files take one.
    In(Permit, Option<String>),
    /// It takes a token, which was not tried.
    NotTried,
    /// Not in.
    Out,
}

impl Playback {
    /// Lets somebody in who comes by a link, and takes the token if there must be one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn arrive(
        &self,
        app: &App,
        wish: Wish,
        visitor: Visitor<'_>,
    ) -> Result<Arrival, StoreError> {
        let lock = match self.find(wish, visitor.scope).await? {
            Entry::Free(permit) => return Ok(Arrival::In(permit, None)),
            Entry::Locked(lock) => lock,
            Entry::Nowhere => return Ok(Arrival::Out),
        };
        let Some(token) = visitor.token else { return Ok(Arrival::Out) };
        if !visitor.may_use_token {
            return Ok(Arrival::NotTried);
        }
        let now = app.clock.now();
        let Some(grant) = self.tokens.take_token(token, now).await? else {
            return Ok(Arrival::Out);
        };
        let subject = Wish::parse(&grant.record_id, &grant.format).map(|wish| wish.subject());
        let permit = subject.and_then(|subject| lock.open(&subject));
        Ok(permit.map_or(Arrival::Out, |permit| {
            let pass = self.passes.make(permit.wish(), now);
            Arrival::In(permit, pass)
        }))
    }

    /// The permit of somebody who wants files and shows these passes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn permit(
        &self,
        app: &App,
        wish: Wish,
        scope: &Scope,
        passes: &[&str],
    ) -> Result<Option<Permit>, StoreError> {
        let now = app.clock.now();
        let subject = wish.subject();
        let shown = passes.iter().any(|pass| self.passes.opens(pass, &subject, now));
        let entry = self.find(wish, scope).await?;
        Ok(entry.with(shown.then_some(subject.as_str())))
    }

    async fn find(&self, wish: Wish, scope: &Scope) -> Result<Entry, StoreError> {
        let recording = self.recordings.recording(wish.record_id.as_str()).await?;
        Ok(Entry::find(wish, recording.as_ref(), scope, self.protection))
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// When files cannot be had.
    pub async fn info(
        &self,
        permit: &Permit,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        self.blobs.info(&book(permit), Shelf::Published, path).await
    }

    /// A file's bytes, or a part of them.
    ///
    /// # Errors
    /// When files cannot be had.
    pub async fn open(
        &self,
        permit: &Permit,
        path: &FilePath,
        span: Option<Span>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        self.blobs.open(&book(permit), Shelf::Published, path, span).await
    }

    /// The files that may be watched, so many at most.
    ///
    /// # Errors
    /// When files cannot be had.
    pub async fn files(
        &self,
        permit: &Permit,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        self.blobs.files(&book(permit), Shelf::Published, limit).await
    }
}

/// Where the files of a permit lie. What may be watched is published.
fn book(permit: &Permit) -> Book {
    let Wish { record_id, format } = permit.wish().clone();
    Book { format, record_id }
}

/// Whose recordings a caller's are.
#[must_use]
pub fn scope_of(caller: &Caller) -> Scope {
    caller.tenant_id().map_or(Scope::All, |id| Scope::Tenant(id.to_owned()))
}
