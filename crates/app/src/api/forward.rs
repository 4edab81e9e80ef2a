//! `insertDocument` and `sendChatMessage`: calls that are forwarded to the server of the meeting
//! unchanged.

use bbb::Query;
use bytes::Bytes;
use domain::parameters::forward_edits;

use crate::backend::meeting_query;
use crate::context::App;
use crate::ports::BackendBody;
use crate::tenancy::Caller;

use super::errors::ApiError;
use super::request::{MEETING_UNREACHABLE, RequestLog, apply_edits, forward_reply, locate_meeting};

/// Adds slides to a meeting. The body is streamed to the server.
///
/// # Errors
/// When the meeting is unknown, or the server refuses the call or does not respond.
pub async fn insert_document(
    app: &App,
    caller: &Caller,
    query: &Query,
    body: Option<BackendBody>,
    log: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let recorded = locate_meeting(app, caller, query, log).await?.ok_or(ApiError::NotFound)?;
    let query = meeting_query(&recorded.meeting.key.id);
    let reply = app.call_server(&recorded.server, "insertDocument", &query, body).await;
    forward_reply(reply, "Unable to insert document on server.")
}

/// Sends a message to the public chat of a meeting.
///
/// # Errors
/// When the meeting is unknown, or the server refuses the call or does not respond.
pub async fn send_chat_message(
    app: &App,
    caller: &Caller,
    mut query: Query,
    log: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let recorded = locate_meeting(app, caller, &query, log).await?.ok_or(ApiError::NotFound)?;
    apply_edits(&mut query, forward_edits());
    let reply = app.call_server(&recorded.server, "sendChatMessage", &query, None).await;
    forward_reply(reply, MEETING_UNREACHABLE)
}
