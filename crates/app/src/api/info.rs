//! `isMeetingRunning` and `getMeetingInfo`: asked of the meeting's server.

use bbb::{Query, answer};
use bytes::Bytes;

use crate::backend::meeting_query;
use crate::context::App;
use crate::tenancy::Caller;

use super::errors::ApiError;
use super::request::{Trail, locate, pass_on};

const UNANSWERED: &str = "Unable to access meeting on server.";

/// Whether anybody is in a meeting. A meeting that the balancer does not know is not running.
///
/// # Errors
/// Without a meeting ID, or when the server cannot be asked.
pub async fn is_meeting_running(
    app: &App,
    caller: &Caller,
    query: &Query,
    trail: &mut Trail,
) -> Result<Bytes, ApiError> {
    match locate(app, caller, query, trail).await? {
        Some(located) => {
            let query = meeting_query(&located.meeting.key.id);
            pass_on(app.ask(&located.server, "isMeetingRunning", &query, None).await, UNANSWERED)
        }
        None => Ok(answer::success(&[("running", "false")]).into()),
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
    trail: &mut Trail,
) -> Result<Bytes, ApiError> {
    let located = locate(app, caller, query, trail).await?.ok_or(ApiError::NotFound)?;
    let query = meeting_query(&located.meeting.key.id);
    pass_on(app.ask(&located.server, "getMeetingInfo", &query, None).await, UNANSWERED)
}
