//! Watching recordings: who gets in, by which pass, and to which files.

mod access_cookies;
pub mod tracks;

use std::sync::Arc;

use domain::recording::catalog::TenantScope;
use domain::recording::playback_access::{PlaybackAccess, PlaybackPermit};
use domain::recording::{FilePath, RecordingFormatId};

use crate::context::App;
use crate::ports::{
    BlobBytes, BlobError, BlobInfo, Blobs, ByteSpan, OneTimeTokens, Recordings, StoreError,
    Visibility,
};
use crate::tenancy::Caller;

pub use access_cookies::AccessCookies;

/// What watching needs besides the rest of the application.
#[derive(Clone)]
pub struct Playback {
    /// What is known of recordings.
    pub recordings: Arc<dyn Recordings>,
    /// One-time tokens.
    pub tokens: Arc<dyn OneTimeTokens>,
    /// Files.
    pub blobs: Arc<dyn Blobs>,
    /// `PROTECTED_RECORDINGS_ENABLED`.
    pub protection_enabled: bool,
    /// What those who came with a token show from then on.
    pub access_cookies: AccessCookies,
    /// Held by the one that changes text tracks.
    pub track_write_lock: Arc<tokio::sync::Mutex<()>>,
}

/// Somebody who comes by the link to a recording.
#[derive(Clone, Copy, Debug)]
pub struct LinkRequest<'a> {
    /// Whose recordings they may watch.
    pub scope: &'a TenantScope,
    /// The one-time token of the link.
    pub token: Option<&'a str>,
    /// Whether the token may be used up: not by those who only look where a link leads.
    pub may_use_token: bool,
}

/// What becomes of somebody who comes by the link to a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// In, with a new pass if the files take one.
    Permitted(PlaybackPermit, Option<String>),
    /// It takes a token, which was not tried.
    TokenNotTried,
    /// Not in.
    Denied,
}

impl Playback {
    /// Lets somebody in who comes by a link, and takes the token if there must be one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_link(
        &self,
        app: &App,
        format_id: RecordingFormatId,
        visitor: LinkRequest<'_>,
    ) -> Result<LinkOutcome, StoreError> {
        let lock = match self.find_access(format_id, visitor.scope).await? {
            PlaybackAccess::Granted(permit) => return Ok(LinkOutcome::Permitted(permit, None)),
            PlaybackAccess::Protected(lock) => lock,
            PlaybackAccess::NotFound => return Ok(LinkOutcome::Denied),
        };
        let Some(token) = visitor.token else { return Ok(LinkOutcome::Denied) };
        if !visitor.may_use_token {
            return Ok(LinkOutcome::TokenNotTried);
        }
        let now = app.clock.now();
        let Some(granted) = self.tokens.take_token(token, now).await? else {
            return Ok(LinkOutcome::Denied);
        };
        let permit = lock.authorize(&granted.subject());
        Ok(permit.map_or(LinkOutcome::Denied, |permit| {
            let pass = self.access_cookies.sign_cookie(permit.format_id(), now);
            LinkOutcome::Permitted(permit, pass)
        }))
    }

    /// The permit of somebody who wants files and shows these passes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find_permit(
        &self,
        app: &App,
        format_id: RecordingFormatId,
        scope: &TenantScope,
        passes: &[&str],
    ) -> Result<Option<PlaybackPermit>, StoreError> {
        let now = app.clock.now();
        let subject = format_id.subject();
        let shown = passes.iter().any(|pass| self.access_cookies.is_valid(pass, &subject, now));
        let entry = self.find_access(format_id, scope).await?;
        Ok(entry.authorize(shown.then_some(subject.as_str())))
    }

    async fn find_access(
        &self,
        format_id: RecordingFormatId,
        scope: &TenantScope,
    ) -> Result<PlaybackAccess, StoreError> {
        let recording = self.recordings.find_recording(format_id.record_id.as_str()).await?;
        Ok(PlaybackAccess::evaluate(format_id, recording.as_ref(), scope, self.protection_enabled))
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// When files cannot be had.
    pub async fn read_file_info(
        &self,
        permit: &PlaybackPermit,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        self.blobs.read_file_info(permit.format_id(), Visibility::Published, path).await
    }

    /// A file's bytes, or a part of them.
    ///
    /// # Errors
    /// When files cannot be had.
    pub async fn open_file(
        &self,
        permit: &PlaybackPermit,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        self.blobs.open_file(permit.format_id(), Visibility::Published, path, span).await
    }

    /// The files that may be watched, so many at most.
    ///
    /// # Errors
    /// When files cannot be had.
    pub async fn list_files(
        &self,
        permit: &PlaybackPermit,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        self.blobs.list_files(permit.format_id(), Visibility::Published, limit).await
    }
}

/// Whose recordings a caller's are.
#[must_use]
pub fn caller_scope(caller: &Caller) -> TenantScope {
    caller.tenant_id().map_or(TenantScope::All, |id| TenantScope::Tenant(id.to_owned()))
}
