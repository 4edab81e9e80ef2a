//! `isMeetingRunning` and `getMeetingInfo`: asked of the meeting's server.

use bbb::{Query, response};
use bytes::Bytes;

use crate::backend::meeting_query;
use crate::context::App;
use crate::tenancy::Caller;

use super::errors::ApiError;
use super::request::{RequestLog, forward_reply, locate_meeting};

const NO_RESPONSE_MESSAGE: &str = "Unable to access meeting on server.";

/// Whether anybody is in a meeting. A meeting that the balancer does not know is not running.
///
/// # Errors
/// Without a meeting ID, or when the server cannot be asked.
pub async fn is_meeting_running(
    app: &App,
    caller: &Caller,
    query: &Query,
    trail: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    match locate_meeting(app, caller, query, trail).await? {
        Some(located) => {
            let query = meeting_query(&located.meeting.key.id);
            forward_reply(
                app.call_server(&located.server, "isMeetingRunning", &query, None).await,
                NO_RESPONSE_MESSAGE,
            )
        }
        None => Ok(response::build_success(&[("running", "false")]).into()),
    }
}

/// All about a meeting.
///
/// # Errors
/// When the meeting is unknown or its server cannot be asked.
pub async fn get_meeting_info(
    app: &App,
    caller: &Caller,
    query: &Query,
    trail: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let located = locate_meeting(app, caller, query, trail).await?.ok_or(ApiError::NotFound)?;
    let query = meeting_query(&located.meeting.key.id);
    forward_reply(
        app.call_server(&located.server, "getMeetingInfo", &query, None).await,
        NO_RESPONSE_MESSAGE,
    )
}
