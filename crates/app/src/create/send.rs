//! Sends a create to one server: the query as that server gets it, and what its failures mean.

use std::borrow::Cow;
use std::time::Duration;

use bbb::Query;
use domain::Server;
use domain::parameters::{CreateDecisions, create_edits};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::api::{apply_edits, encrypt_lrs_access};
use crate::backend::{BackendError, BbbReply};
use crate::context::App;
use crate::ports::{CallError, MeetingOnServer};

use super::request::CreateRequest;

/// The message key of BBB's answer to a create whose meeting was there already.
pub(super) const ALREADY_EXISTS: &str = "duplicateWarning";
/// What a client is told if no server answers.
pub(super) const NO_RESPONSE_MESSAGE: &str = "Unable to create meeting on server.";

/// A server's reply to a create, or why there is none.
pub(super) type CreateReply = Result<BbbReply, BackendError>;
/// A call whose reply is awaited.
pub(super) type PendingReply = BoxFuture<'static, CreateReply>;

/// Whether the server is asked to create the meeting for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendMode {
    /// It gets the moderators' password that the balancer made, if the front-end gave none.
    First,
    /// BBB compares the password with that of the running meeting, so it gets the front-end's or none.
    Repeated,
}

/// Sends the create to the meeting's server. Returns `None` if the request's body was used up by an earlier attempt.
pub(super) fn send_create(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
    mode: SendMode,
) -> Option<PendingReply> {
    let body = match &request.body {
        Some(replayable) => Some(replayable.body()?),
        None => None,
    };
    let query = build_query(request, target, mode);
    let (app, server) = (request.app.clone(), target.server.clone());
    let (access, deadline) = (request.lrs_access.clone(), request.deadline);
    let reply = async move {
        let query = add_lrs_access(&app, &server, query, access).await;
        let sent_at = Instant::now();
        let call = app.call_server(&server, "create", &query, body);
        // Not longer than the claim stands, or the meeting could be placed a second time meanwhile.
        match timeout_at(deadline, call).await {
            Ok(reply) => {
                if reply.is_ok() {
                    app.meters.server(&server.id).creates.observe(sent_at.elapsed());
                }
                reply
            }
            Err(_) => Err(timeout_error(app.policy.max_attempt_ms(), sent_at.elapsed())),
        }
    };
    Some(reply.boxed())
}

/// Returns why a create was not answered in the time that it had left. A server that had less than its full time has not failed.
fn timeout_error(full_ms: u64, waited: Duration) -> BackendError {
    if waited < Duration::from_millis(full_ms) {
        BackendError::CutShort
    } else {
        CallError::Timeout(full_ms).into()
    }
}

async fn add_lrs_access(
    app: &App,
    server: &Server,
    mut query: Query,
    access: Option<String>,
) -> Query {
    if let Some(payload) = encrypt_lrs_access(app, server, access).await {
        query.set(bbb::lrs::PAYLOAD_PARAMETER, &payload);
    }
    query
}

/// The query as the server gets it.
fn build_query(request: &CreateRequest<'_>, target: &MeetingOnServer, mode: SendMode) -> Query {
    let (policy, caller) = (&request.app.policy, request.caller);
    let sends_own_password = mode == SendMode::First && request.moderator_pw().is_none();
    let decisions = CreateDecisions {
        voice_bridge: target.meeting.voice_bridge.as_deref(),
        moderator_pw: target.meeting.moderator_pw.as_deref().filter(|_| sends_own_password),
        server_tag: target.server.tag.as_deref(),
    };
    let mut query = request.query.clone();
    let duration = query.get("duration").map(Cow::into_owned);
    let edits = create_edits(
        decisions,
        caller.tenant(),
        duration.as_deref(),
        policy.max_meeting_duration_min,
        caller.create_rules(policy),
    );
    apply_edits(&mut query, edits);
    query
}

/// Whether the server may have created the meeting although it did not say so.
pub(super) fn may_have_created(error: &BackendError) -> bool {
    !matches!(
        error,
        BackendError::Occupied
            | BackendError::Refused(_)
            | BackendError::Call(
                CallError::Unreachable(_)
                    | CallError::UploadTooLarge
                    | CallError::UploadInterrupted(_)
            )
    )
}

/// Whether the failure is the server's, so that another server may do better.
pub(super) fn is_server_failure(error: &BackendError) -> bool {
    !matches!(
        error,
        BackendError::Refused(_)
            | BackendError::NotThere
            | BackendError::CutShort
            | BackendError::Call(CallError::UploadTooLarge | CallError::UploadInterrupted(_))
    )
}

/// Whether the server did not answer in time. It may be slow.
pub(super) fn is_timeout(error: &BackendError) -> bool {
    matches!(error, BackendError::Call(CallError::Timeout(_)) | BackendError::CutShort)
}
