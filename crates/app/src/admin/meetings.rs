//! Administrative actions on meetings of all tenants: list, inspect, and end.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;
use domain::poll::ReportedMeeting;
use domain::{Meeting, ServerId};

use crate::api::{
    ApiError, MEETING_UNREACHABLE, end_on_server, forget_ended_meeting, forward_reply,
};
use crate::audit::{self, AuditEvent};
use crate::backend::meeting_query;
use crate::context::App;
use crate::origin;
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

/// Lists the meetings to end: those with one of these ids, or all that this deployment created.
///
/// # Errors
/// When the store fails.
pub async fn list_to_end(app: &App, ids: &[String]) -> Result<Vec<Meeting>, StoreError> {
    let mut meetings = list(app, ids).await?;
    meetings.retain(|meeting| !ids.is_empty() || !meeting.origin.is_adopted);
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

/// Lists foreign meetings: those that run on servers and that this deployment did not create,
/// adopted or not recorded at all. Of servers that do not respond only adopted ones are known.
///
/// # Errors
/// When the store fails.
pub async fn list_foreign_meetings(app: &App) -> Result<Vec<(ServerId, String)>, StoreError> {
    let recorded = app.pool.list_meetings(None).await?;
    let (adopted, own): (Vec<_>, Vec<_>) =
        recorded.into_iter().partition(|meeting| meeting.origin.is_adopted);
    let identities: HashSet<String> = own
        .iter()
        .filter_map(|own| Some(own.origin.identity.as_ref()?.internal_id.clone()))
        .collect();
    let entry = |meeting: Meeting| (meeting.server, meeting.key.id);
    let own: HashSet<(ServerId, String)> = own.into_iter().map(entry).collect();
    let mut foreign: BTreeSet<(ServerId, String)> = adopted.into_iter().map(entry).collect();
    for server in app.pool.list_servers().await? {
        let Ok(reported) = poll::list_reported_meetings(app, &server).await else { continue };
        // Another entry of the same server reports our meetings as well.
        let is_own_elsewhere = |reported: &ReportedMeeting| {
            reported.internal_id.as_ref().is_some_and(|id| identities.contains(id))
        };
        let meetings = reported.into_iter().filter(|meeting| !meeting.is_breakout);
        for meeting in meetings.filter(|meeting| !is_own_elsewhere(meeting)) {
            let entry = (server.id.clone(), meeting.id);
            if !own.contains(&entry) {
                foreign.insert(entry);
            }
        }
    }
    Ok(foreign.into_iter().collect())
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
    let (server, host) = (&recorded.server.id, recorded.server.hostname());
    let by = origin::actor();
    tracing::info!(meeting = meeting.key.id, %server, host, %by, "meeting ended by an administrator");
    let event = AuditEvent::new("meeting.end").on_meeting(&meeting.key).on_server(&recorded.server);
    let users = serde_json::json!({ "users": recorded.meeting.load.users });
    audit::record(app, event.before(users)).await;
    let result = end_on_server(app, &recorded, password).await;
    forget_ended_meeting(app, &recorded, result.is_ok()).await?;
    match result {
        Ok(_) | Err(ApiError::Backend(..)) => Ok(()),
        Err(error) => Err(error),
    }
}
