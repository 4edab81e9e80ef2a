//! A create on its way to one server: its query as that server gets it, and what its failures mean.

use std::borrow::Cow;

use bbb::Query;
use domain::Server;
use domain::parameters::{Placed as Decided, create_edits};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::backend::{BackendError, Reply};
use crate::context::App;
use crate::ports::{CallError, Located};
use crate::replay::Replay;
use crate::tenancy::Caller;

use super::lrs;
use super::request::apply;

/// A create as it came in.
pub(super) struct Call<'a> {
    pub(super) app: &'a App,
    pub(super) caller: &'a Caller,
    pub(super) query: &'a Query,
    pub(super) body: Option<&'a Replay>,
    pub(super) access: Option<String>,
    /// When the client's patience ends.
    pub(super) deadline: Instant,
}

/// Asks a server; nothing if the body is gone.
pub(super) fn asking(
    call: &Call<'_>,
    located: &Located,
    is_new: bool,
) -> Option<BoxFuture<'static, Result<Reply, BackendError>>> {
    let body = match call.body {
        Some(replay) => Some(replay.body()?),
        None => None,
    };
    let query = forwarded(call, located, is_new);
    let (app, server, access) = (call.app.clone(), located.server.clone(), call.access.clone());
    let deadline = call.deadline;
    let asking = async move {
        let query = with_access(&app, &server, query, access).await;
        let asked = app.ask(&server, "create", &query, body);
        // Not longer than the claim stands, or the meeting could be placed a second time meanwhile.
        match timeout_at(deadline, asked).await {
            Ok(reply) => reply,
            Err(_) => Err(CallError::Timeout(app.policy.create_ms_max()).into()),
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
    if let Some(sealed) = lrs::sealed(app, server, access).await {
        query.set(bbb::lrs::PARAMETER, &sealed);
    }
    query
}

/// The query as the server gets it.
fn forwarded(call: &Call<'_>, located: &Located, is_new: bool) -> Query {
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
    apply(&mut query, edits);
    query
}

/// Whether the server may have created the meeting although it did not say so.
pub(super) fn may_have_acted(error: &BackendError) -> bool {
    !matches!(
        error,
        BackendError::Occupied
            | BackendError::Call(
                CallError::Unreachable(_) | CallError::UploadTooLarge | CallError::Upload(_)
            )
    )
}

/// Whether the failure is the server's, so that another one may do better.
pub(super) fn is_the_servers(error: &BackendError) -> bool {
    !matches!(error, BackendError::Call(CallError::UploadTooLarge | CallError::Upload(_)))
}
