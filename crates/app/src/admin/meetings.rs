//! Meetings, for administrators: list, look into, end. They see those of all tenants.

use std::collections::HashSet;

use bytes::Bytes;
use domain::{Meeting, ServerId};

use crate::api::{ApiError, end_on_server, forget_ended_meeting, forward_reply};
use crate::backend::meeting_query;
use crate::context::App;
use crate::poll;
use crate::ports::{MeetingOnServer, StoreError};

/// Some meetings by their ids, or all.
///
/// # Errors
/// When the store fails.
pub async fn list(app: &App, ids: &[String]) -> Result<Vec<Meeting>, StoreError> {
    let all = app.pool.list_meetings(None).await?;
    Ok(all.into_iter().filter(|one| ids.is_empty() || ids.contains(&one.key.id)).collect())
}

/// The meetings of that id and their servers: one, unless tenants have chosen the same.
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

/// Meetings that run on servers and are neither recorded nor made by a balancer of this pool, with
/// their servers. Servers that do not answer are left out.
///
/// # Errors
/// When the store fails.
pub async fn list_foreign_meetings(app: &App) -> Result<Vec<(ServerId, String)>, StoreError> {
    let recorded: HashSet<(ServerId, String)> = app
        .pool
        .list_meetings(None)
        .await?
        .into_iter()
        .map(|one| (one.server, one.key.id))
        .collect();
    let mut found = Vec::new();
    for server in app.pool.list_servers().await? {
        let Ok(list) = poll::list_reported_meetings(app, &server).await else { continue };
        for one in list.into_iter().filter(|one| !one.is_ours && !one.is_breakout) {
            let place = (server.id.clone(), one.id);
            if !recorded.contains(&place) {
                found.push(place);
            }
        }
    }
    Ok(found)
}

/// What a meeting's server says about it.
///
/// # Errors
/// When it refuses or cannot be asked.
pub async fn fetch_meeting_info(app: &App, located: &MeetingOnServer) -> Result<Bytes, ApiError> {
    let query = meeting_query(&located.meeting.key.id);
    let reply = app.call_server(&located.server, "getMeetingInfo", &query, None).await;
    forward_reply(reply, "Unable to access meeting on server.")
}

/// Ends a meeting with the password that was remembered for it, and forgets it even if its server
/// refuses: this is the administrator's word.
///
/// # Errors
/// When the server cannot be asked (the meeting is forgotten all the same) or the store fails.
pub async fn end(app: &App, meeting: &Meeting) -> Result<(), ApiError> {
    let result = match app.pool.find_meeting(&meeting.key).await? {
        None => return Ok(()),
        Some(located) => {
            let password = located.meeting.moderator_pw.as_deref().unwrap_or_default();
            let ended = end_on_server(app, &located, password).await;
            forget_ended_meeting(app, &located).await?;
            ended
        }
    };
    match result {
        Ok(_) | Err(ApiError::Backend(..)) => Ok(()),
        Err(error) => Err(error),
    }
}
