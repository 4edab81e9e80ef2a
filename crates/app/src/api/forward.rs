//! Calls that go to the meeting's server as they are: `insertDocument` and `sendChatMessage`.

use bbb::Query;
use bytes::Bytes;
use domain::parameters::forward_edits;

use crate::backend::meeting_query;
use crate::context::App;
use crate::ports::BackendBody;
use crate::tenancy::Caller;

use super::errors::ApiError;
use super::request::{RequestLog, apply_edits, forward_reply, locate_meeting};

/// Adds slides to a meeting; the body is streamed through.
///
/// # Errors
/// When the meeting is unknown, or its server refuses or cannot be asked.
pub async fn insert_document(
    app: &App,
    caller: &Caller,
    query: &Query,
    body: Option<BackendBody>,
    trail: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let located = locate_meeting(app, caller, query, trail).await?.ok_or(ApiError::NotFound)?;
    let call = meeting_query(&located.meeting.key.id);
    let reply = app.call_server(&located.server, "insertDocument", &call, body).await;
    forward_reply(reply, "Unable to insert document on server.")
}

/// Writes into the public chat of a meeting.
///
/// # Errors
/// When the meeting is unknown, or its server refuses or cannot be asked.
pub async fn send_chat_message(
    app: &App,
    caller: &Caller,
    mut query: Query,
    trail: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let located = locate_meeting(app, caller, &query, trail).await?.ok_or(ApiError::NotFound)?;
    apply_edits(&mut query, forward_edits());
    let reply = app.call_server(&located.server, "sendChatMessage", &query, None).await;
    forward_reply(reply, "Unable to access meeting on server.")
}
