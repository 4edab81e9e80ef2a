//! The right to upload: servers of the pool that are not disabled may upload recordings with tokens
//! that they sign with their secrets, and replace nothing that another server has sent.

use bbb::token::{TokenAlgorithm, verify};
use domain::recording::RecordId;
use domain::recording::catalog::{may_upload, uploader_mark};
use domain::{AdminState, Meeting, Server, ServerId, Timestamp};

use crate::context::App;
use crate::ports::{StoreError, UploadId};

/// The audience (`aud`) of upload tokens, so that no other token of a server is valid for uploads.
pub const AUDIENCE: &str = "scalelite-upload";
/// Maximum lifetime of a token, in seconds: ten minutes, and one minute for clocks that differ.
const MAX_LIFETIME_S: f64 = 660.0;

/// Why a server may not upload a recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadRightError {
    /// The token is not of a server of the pool, is of another recording, or is not valid now.
    #[error("no valid token of a server of the pool")]
    Forged,
    /// The server is disabled.
    #[error("the server is disabled")]
    Disabled,
    /// Another server has the meeting, or has sent the recording.
    #[error(
        "the recording is there and was not uploaded by this server, or its meeting runs on another \
         one: put the archive into the spool directory, or import it on the balancer"
    )]
    OthersRecording,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Returns the server that signed a token for the upload of this recording, and checks that it may
/// upload it: it is not disabled, and the recording is new or was uploaded by the same server.
///
/// # Errors
/// When it may not, or the store fails.
pub async fn authorize_upload(
    app: &App,
    token: &str,
    record_id: &RecordId,
) -> Result<(ServerId, UploadId), UploadRightError> {
    let servers = app.pool.list_servers().await?;
    let sender = find_sender(&servers, token, record_id, app.clock.now());
    let sender = sender.ok_or(UploadRightError::Forged)?;
    if sender.state == AdminState::Disabled {
        return Err(UploadRightError::Disabled);
    }
    let uploader = uploader_mark(&sender.url);
    if let Some(records) = &app.recording_store {
        let stored = records.find_recording(record_id.as_str()).await?;
        let is_new = stored.is_none();
        let may_upload = may_upload(stored.as_ref(), &uploader);
        if !may_upload || (is_new && runs_elsewhere(app, &servers, sender, record_id).await?) {
            return Err(UploadRightError::OthersRecording);
        }
    }
    Ok((sender.id.clone(), UploadId { record_id: record_id.clone(), uploader }))
}

/// Whether a recorded meeting of this internalMeetingID, which becomes the record id, is on another
/// server. Entries of the pool with the same secret may be one server.
async fn runs_elsewhere(
    app: &App,
    servers: &[Server],
    sender: &Server,
    record_id: &RecordId,
) -> Result<bool, StoreError> {
    let meetings = app.pool.list_meetings(None).await?;
    let is_this = |meeting: &&Meeting| {
        let identity = meeting.origin.identity.as_ref();
        identity.is_some_and(|identity| identity.internal_id == record_id.as_str())
    };
    let is_senders = |meeting: &Meeting| {
        let server = servers.iter().find(|server| server.id == meeting.server);
        server.is_some_and(|server| server.id == sender.id || server.secret == sender.secret)
    };
    let mut found = meetings.iter().filter(is_this).peekable();
    Ok(found.peek().is_some() && !found.any(is_senders))
}

/// Returns the server that signed a token for the upload of this recording; `None` if no server
/// did, or if the token has expired or is valid for too long.
fn find_sender<'a>(
    servers: &'a [Server],
    token: &str,
    record_id: &RecordId,
    now: Timestamp,
) -> Option<&'a Server> {
    servers.iter().find(|server| {
        let claims = verify(token, &server.secret, TokenAlgorithm::Hs256, now.0);
        claims.is_some_and(|claims| {
            let text = |name: &str| claims.get(name).and_then(|value| value.as_str());
            let expires_s = claims.get("exp").and_then(serde_json::Value::as_f64);
            let remaining_s = expires_s.map(|expires_s| expires_s - now.0 as f64 / 1000.0);
            text("aud") == Some(AUDIENCE)
                && text("sub") == Some(record_id.as_str())
                && remaining_s.is_some_and(|remaining_s| remaining_s <= MAX_LIFETIME_S)
        })
    })
}
