//! `isMeetingRunning` and `getMeetingInfo`: calls that are forwarded to the server of the meeting.

use bbb::{Query, response};
use bytes::Bytes;

use crate::backend::meeting_query;
use crate::context::App;
use crate::tenancy::Caller;

use super::errors::ApiError;
use super::request::{MEETING_UNREACHABLE, RequestLog, forward_reply, locate_meeting};

/// Answers whether a meeting is running. An unknown meeting is not running.
///
/// # Errors
/// When the meeting ID is missing, or the server refuses the call or does not respond.
pub async fn is_meeting_running(
    app: &App,
    caller: &Caller,
    query: &Query,
    log: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let Some(recorded) = locate_meeting(app, caller, query, log).await? else {
        return Ok(response::build_success(&[("running", "false")]).into());
    };
    let query = meeting_query(&recorded.meeting.key.id);
    let reply = app.call_server(&recorded.server, "isMeetingRunning", &query, None).await;
    forward_reply(reply, MEETING_UNREACHABLE)
}

/// Returns information about a meeting.
///
/// # Errors
/// When the meeting is unknown, or the server refuses the call or does not respond.
pub async fn get_meeting_info(
    app: &App,
    caller: &Caller,
    query: &Query,
    log: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let recorded = locate_meeting(app, caller, query, log).await?.ok_or(ApiError::NotFound)?;
    let query = meeting_query(&recorded.meeting.key.id);
    let reply = app.call_server(&recorded.server, "getMeetingInfo", &query, None).await;
    forward_reply(reply, MEETING_UNREACHABLE)
}
