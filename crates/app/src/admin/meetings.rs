//! Administrative actions on meetings of all tenants: list, inspect, and end.

use std::collections::HashSet;

use bytes::Bytes;
use domain::{Meeting, ServerId};

use crate::api::{
    ApiError, MEETING_UNREACHABLE, end_on_server, forget_ended_meeting, forward_reply,
};
use crate::backend::meeting_query;
use crate::context::App;
use crate::poll;
use crate::ports::{MeetingOnServer, StoreError};

/// Lists the meetings with one of these ids, or all meetings if there are no ids.
///
/// # Errors
/// When the store fails.
pub async fn list(app: &App, ids: &[String]) -> Result<Vec<Meeting>, StoreError> {
    let is_listed = |meeting: &Meeting| ids.is_empty() || ids.contains(&meeting.key.id);
    let mut meetings = app.pool.list_meetings(None).await?;
    meetings.retain(is_listed);
    Ok(meetings)
}

/// Returns the meetings with this id and their servers. There are several if several tenants use
/// the id.
///
/// # Errors
/// When the store fails.
pub async fn find(app: &App, id: &str) -> Result<Vec<MeetingOnServer>, StoreError> {
    let mut found = Vec::new();
    for meeting in list(app, &[id.to_owned()]).await? {
        found.extend(app.pool.find_meeting(&meeting.key).await?);
    }
    Ok(found)
}

/// Lists foreign meetings: those that run on servers and were neither recorded nor created by a
/// balancer of this pool. Servers that do not respond are left out.
///
/// # Errors
/// When the store fails.
pub async fn list_foreign_meetings(app: &App) -> Result<Vec<(ServerId, String)>, StoreError> {
    let recorded = app.pool.list_meetings(None).await?;
    let recorded: HashSet<(ServerId, String)> =
        recorded.into_iter().map(|meeting| (meeting.server, meeting.key.id)).collect();
    let mut foreign = Vec::new();
    for server in app.pool.list_servers().await? {
        let Ok(reported) = poll::list_reported_meetings(app, &server).await else { continue };
        for meeting in
            reported.into_iter().filter(|meeting| !meeting.is_ours && !meeting.is_breakout)
        {
            let entry = (server.id.clone(), meeting.id);
            if !recorded.contains(&entry) {
                foreign.push(entry);
            }
        }
    }
    Ok(foreign)
}

/// Returns the response of a meeting's server to `getMeetingInfo`.
///
/// # Errors
/// When the server refuses the call or does not respond.
pub async fn fetch_meeting_info(app: &App, meeting: &MeetingOnServer) -> Result<Bytes, ApiError> {
    let query = meeting_query(&meeting.meeting.key.id);
    let reply = app.call_server(&meeting.server, "getMeetingInfo", &query, None).await;
    forward_reply(reply, MEETING_UNREACHABLE)
}

/// Ends a meeting with the stored password, and forgets it even if its server refuses: the
/// administrator has decided.
///
/// # Errors
/// When the server does not respond (the meeting is forgotten all the same), or the store fails.
pub async fn end(app: &App, meeting: &Meeting) -> Result<(), ApiError> {
    let Some(recorded) = app.pool.find_meeting(&meeting.key).await? else {
        return Ok(());
    };
    let password = recorded.meeting.moderator_pw.as_deref().unwrap_or_default();
    let result = end_on_server(app, &recorded, password).await;
    forget_ended_meeting(app, &recorded).await?;
    match result {
        Ok(_) | Err(ApiError::Backend(..)) => Ok(()),
        Err(error) => Err(error),
    }
}
