//! A create on its way to one server: its query as that server gets it, and what its failures mean.

use std::borrow::Cow;

use bbb::Query;
use domain::Server;
use domain::parameters::{CreateDecisions as Decided, create_edits};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::backend::{BackendError, BbbReply};
use crate::context::App;
use crate::ports::{CallError, MeetingOnServer};
use crate::replayable_body::ReplayableBody;
use crate::tenancy::Caller;

use super::lrs;
use super::request::apply_edits;

/// A create as it came in.
pub(super) struct Call<'a> {
    pub(super) app: &'a App,
    pub(super) caller: &'a Caller,
    pub(super) query: &'a Query,
    pub(super) body: Option<&'a ReplayableBody>,
    pub(super) access: Option<String>,
    /// When the client's patience ends.
    pub(super) deadline: Instant,
}

/// Asks a server; nothing if the body is gone.
pub(super) fn asking(
    call: &Call<'_>,
    located: &MeetingOnServer,
    is_new: bool,
) -> Option<BoxFuture<'static, Result<BbbReply, BackendError>>> {
    let body = match call.body {
        Some(replay) => Some(replay.body()?),
        None => None,
    };
    let query = forwarded(call, located, is_new);
    let (app, server, access) = (call.app.clone(), located.server.clone(), call.access.clone());
    let deadline = call.deadline;
    let asking = async move {
        let query = with_access(&app, &server, query, access).await;
        let asked = app.call_server(&server, "create", &query, body);
        // Not longer than the claim stands, or the meeting could be placed a second time meanwhile.
        match timeout_at(deadline, asked).await {
            Ok(reply) => reply,
            Err(_) => Err(CallError::Timeout(app.policy.max_create_ms()).into()),
        }
    };
    Some(asking.boxed())
}

async fn with_access(
    app: &App,
    server: &Server,
    mut query: Query,
    access: Option<String>,
) -> Query {
    if let Some(sealed) = lrs::encrypt_lrs_access(app, server, access).await {
        query.set(bbb::lrs::PAYLOAD_PARAMETER, &sealed);
    }
    query
}

/// The query as the server gets it.
fn forwarded(call: &Call<'_>, located: &MeetingOnServer, is_new: bool) -> Query {
    let (policy, caller) = (&call.app.policy, call.caller);
    let mut query = call.query.clone();
    let has_password = query.get("moderatorPW").is_some_and(|password| !password.is_empty());
    let decided = Decided {
        voice_bridge: located.meeting.voice_bridge.as_deref(),
        // Only the first create may bring a password of ours: on a repeat the server would compare.
        moderator_pw: located.meeting.moderator_pw.as_deref().filter(|_| is_new && !has_password),
        server_tag: located.server.tag.as_deref(),
    };
    let duration = query.get("duration").map(Cow::into_owned);
    let edits = create_edits(
        decided,
        caller.tenant(),
        duration.as_deref(),
        policy.max_meeting_duration_min,
        caller.create_rules(policy),
    );
    apply_edits(&mut query, edits);
    query
}

/// Whether the server may have created the meeting although it did not say so.
pub(super) fn may_have_acted(error: &BackendError) -> bool {
    !matches!(
        error,
        BackendError::Occupied
            | BackendError::Call(
                CallError::Unreachable(_)
                    | CallError::UploadTooLarge
                    | CallError::UploadInterrupted(_)
            )
    )
}

/// Whether the failure is the server's, so that another one may do better.
pub(super) fn is_the_servers(error: &BackendError) -> bool {
    !matches!(
        error,
        BackendError::Call(CallError::UploadTooLarge | CallError::UploadInterrupted(_))
    )
}
