//! `end`: the server ends the meeting, then the balancer forgets it. A server that cannot be
//! reached or refuses keeps it, so that a retry can succeed.

use bbb::Query;
use bytes::Bytes;
use domain::Timestamp;
use domain::poll::PendingEnd;

use crate::backend::meeting_query;
use crate::context::App;
use crate::ports::MeetingOnServer;
use crate::sessions;
use crate::tenancy::Caller;

use super::errors::ApiError;
use super::request::{RequestLog, forward_reply, meeting_key};

/// How often a meeting that was ended may be confirmed meanwhile.
const MAX_FORGET_ATTEMPTS: usize = 3;

/// Ends a meeting.
///
/// # Errors
/// When the meeting is unknown, or its server refuses or cannot be asked.
pub async fn end(
    app: &App,
    caller: &Caller,
    query: &Query,
    trail: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let key = meeting_key(caller, query, trail)?;
    let mut located = app.pool.find_meeting(&key).await?.ok_or(ApiError::NotFound)?;
    trail.server = Some(located.server.id.clone());
    if located.is_detached_or_offline() {
        // If its server comes back with it, it is ended there.
        if forget_ended_meeting(app, &located).await? {
            return Err(ApiError::NotFound);
        }
        // It is back by now.
        located = app.pool.find_meeting(&key).await?.ok_or(ApiError::NotFound)?;
    }
    end_on_server(app, &located, &query.get("password").unwrap_or_default()).await
}

/// Forgets a meeting that was ended; should its server still show it, it is ended again. If it was
/// confirmed since it was looked up, a create may have begun it anew: that one stays, and this is false.
pub(crate) async fn forget_ended_meeting(
    app: &App,
    located: &MeetingOnServer,
) -> Result<bool, ApiError> {
    let since = app.clock.now();
    let mut located = located.clone();
    for _ in 0..MAX_FORGET_ATTEMPTS {
        let MeetingOnServer { meeting, server } = &located;
        let ending = PendingEnd {
            server: server.id.clone(),
            key: meeting.key.clone(),
            moderator_pw: meeting.moderator_pw.clone(),
            since,
            // Whenever it began.
            create_sent_at: Timestamp::default(),
        };
        let seen_at = Some(meeting.seen_at);
        if app.pool.forget_meeting(&meeting.key, &server.id, seen_at, Some(&ending)).await? {
            sessions::record_ended_meeting(app, meeting, Some(since)).await;
            return Ok(true);
        }
        let record = app.pool.find_meeting(&meeting.key).await?;
        let Some(record) = record.filter(|record| record.server.id == server.id) else {
            return Ok(true);
        };
        let query = meeting_query(&meeting.key.id);
        let shown = app.call_server_briefly(&record.server, "getMeetingInfo", &query).await;
        // If it does not answer, polls find out.
        if shown.map_or(true, |reply| reply.response.success) {
            return Ok(false);
        }
        located = record;
    }
    Ok(true)
}

/// The same, once it is found.
pub(crate) async fn end_on_server(
    app: &App,
    located: &MeetingOnServer,
    password: &str,
) -> Result<Bytes, ApiError> {
    let mut call = meeting_query(&located.meeting.key.id);
    // Always sent, as the original does: old servers refuse a call without it.
    call.set("password", password);
    let reply = app.call_server(&located.server, "end", &call, None).await;
    let result = forward_reply(reply, "Unable to access meeting on server.");
    let gone = match &result {
        Ok(_) => true,
        Err(error) => matches!(error, ApiError::Backend(key, _) if key == "notFound"),
    };
    if gone {
        forget_ended_meeting(app, located).await?;
    }
    result
}
