//! Playback of recordings: who may watch which files, by one-time tokens and access cookies.

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

/// What playback needs.
#[derive(Clone)]
pub struct Playback {
    /// Recordings.
    pub recordings: Arc<dyn Recordings>,
    /// One-time tokens.
    pub tokens: Arc<dyn OneTimeTokens>,
    /// Files.
    pub blobs: Arc<dyn Blobs>,
    /// `PROTECTED_RECORDINGS_ENABLED`.
    pub protection_enabled: bool,
    /// Signs and verifies access cookies.
    pub access_cookies: AccessCookies,
    /// Held while text tracks are changed.
    pub track_write_lock: Arc<tokio::sync::Mutex<()>>,
}

/// A request for the link to a recording.
#[derive(Clone, Copy, Debug)]
pub struct LinkRequest<'a> {
    /// Whose recordings may be watched.
    pub scope: &'a TenantScope,
    /// The one-time token in the link.
    pub token: Option<&'a str>,
    /// Whether the token may be used up. It may not by a request that only asks where the link
    /// leads.
    pub may_use_token: bool,
}

/// The outcome of [`Playback::open_link`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// The visitor may watch; with a new access cookie if the recording is protected.
    Permitted(PlaybackPermit, Option<String>),
    /// The recording needs a token, and the one in the link was not tried.
    TokenNotTried,
    /// The visitor may not watch.
    Denied,
}

impl Playback {
    /// Decides whether a visitor who follows a link may watch, and takes the token if the recording
    /// is protected.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_link(
        &self,
        app: &App,
        format_id: RecordingFormatId,
        request: LinkRequest<'_>,
    ) -> Result<LinkOutcome, StoreError> {
        let protected = match self.find_access(format_id, request.scope).await? {
            PlaybackAccess::Granted(permit) => return Ok(LinkOutcome::Permitted(permit, None)),
            PlaybackAccess::Protected(protected) => protected,
            PlaybackAccess::NotFound => return Ok(LinkOutcome::Denied),
        };
        let Some(token) = request.token else { return Ok(LinkOutcome::Denied) };
        if !request.may_use_token {
            return Ok(LinkOutcome::TokenNotTried);
        }
        let now = app.clock.now();
        let format_id = protected.format_id().clone();
        if !self.tokens.take_token(token, &format_id, now).await? {
            return Ok(LinkOutcome::Denied);
        }
        let permit = protected.authorize(&format_id.subject());
        Ok(permit.map_or(LinkOutcome::Denied, |permit| {
            let cookie = self.access_cookies.sign_cookie(permit.format_id(), now);
            LinkOutcome::Permitted(permit, cookie)
        }))
    }

    /// Returns the permit of a visitor who requests files and has these access cookies; `None` if
    /// the visitor may not watch.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find_permit(
        &self,
        app: &App,
        format_id: RecordingFormatId,
        scope: &TenantScope,
        cookies: &[&str],
    ) -> Result<Option<PlaybackPermit>, StoreError> {
        let now = app.clock.now();
        let subject = format_id.subject();
        let has_valid_cookie =
            cookies.iter().any(|cookie| self.access_cookies.is_valid(cookie, &subject, now));
        let access = self.find_access(format_id, scope).await?;
        Ok(access.authorize(has_valid_cookie.then_some(subject.as_str())))
    }

    async fn find_access(
        &self,
        format_id: RecordingFormatId,
        scope: &TenantScope,
    ) -> Result<PlaybackAccess, StoreError> {
        let recording = self.recordings.find_recording(format_id.record_id.as_str()).await?;
        Ok(PlaybackAccess::evaluate(format_id, recording.as_ref(), scope, self.protection_enabled))
    }

    /// Returns the metadata of a file; `None` if there is no such file. Files that may be watched
    /// are published.
    ///
    /// # Errors
    /// When files cannot be read.
    pub async fn read_file_info(
        &self,
        permit: &PlaybackPermit,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        self.blobs.read_file_info(permit.format_id(), Visibility::Published, path).await
    }

    /// Opens a file, or a part of it; `None` if there is no such file.
    ///
    /// # Errors
    /// When files cannot be read.
    pub async fn open_file(
        &self,
        permit: &PlaybackPermit,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        self.blobs.open_file(permit.format_id(), Visibility::Published, path, span).await
    }

    /// Lists the files of a format and their sizes in bytes, `limit` at most.
    ///
    /// # Errors
    /// When files cannot be read.
    pub async fn list_files(
        &self,
        permit: &PlaybackPermit,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        self.blobs.list_files(permit.format_id(), Visibility::Published, limit).await
    }
}

/// Returns the scope of a caller: the recordings of its tenant, or all recordings without
/// multitenancy.
#[must_use]
pub fn caller_scope(caller: &Caller) -> TenantScope {
    caller.tenant_id().map_or(TenantScope::All, |id| TenantScope::Tenant(id.to_owned()))
}
