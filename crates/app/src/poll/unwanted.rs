//! Ends meetings on servers where they are unwanted.

use domain::poll::UnwantedMeeting;
use domain::{Meeting, Server};
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use crate::backend::{end_query, meeting_query};
use crate::context::App;
use crate::duplicate_end::{may_end_copy, send_end};
use crate::ports::PollReport;

/// Ends that are under way at the same time.
const MAX_CONCURRENT_ENDS: usize = 16;
/// Meetings that are ended after one poll; the next poll ends more.
const MAX_UNWANTED_ENDS: usize = 64;

/// Tries to end meetings that the balancer no longer counts on. Failures are ignored: mostly the server is broken. A meeting
/// that was replaced by another one since the last poll is left alone.
pub async fn end_meetings(app: &App, server: &Server, meetings: &[Meeting]) {
    let ends: Vec<_> =
        meetings.iter().map(|meeting| end_meeting(app, server, meeting).boxed()).collect();
    stream::iter(ends)
        .buffer_unordered(MAX_CONCURRENT_ENDS)
        .for_each(|()| std::future::ready(()))
        .await;
}

async fn end_meeting(app: &App, server: &Server, meeting: &Meeting) {
    if was_replaced(app, server, meeting).await {
        let host = server.hostname();
        tracing::warn!(server = %server.id, host, meeting = meeting.key.id, "another meeting left running");
        return;
    }
    if let Err(error) = app.call_server_briefly(server, "end", &end_query(meeting)).await {
        let host = server.hostname();
        tracing::debug!(server = %server.id, host, meeting = meeting.key.id, %error, "meeting not ended");
    }
}

/// Whether the server tells that another meeting runs under that id than the one that is recorded.
async fn was_replaced(app: &App, server: &Server, meeting: &Meeting) -> bool {
    if meeting.origin.identity.is_none() {
        return false;
    }
    let query = meeting_query(&meeting.key.id);
    let info = app.call_server_briefly(server, "getMeetingInfo", &query).await;
    info.is_ok_and(|info| {
        info.response.success && meeting.origin.is_other_meeting(info.identity().as_ref())
    })
}

/// Ends the meetings that a poll found unwanted, unless that has changed meanwhile.
pub(super) async fn end_unwanted_meetings(app: &App, report: &PollReport) {
    for unwanted in report.outcome.unwanted.iter().take(MAX_UNWANTED_ENDS) {
        let server = match &unwanted.server {
            id if *id == report.server.id => Some(report.server.clone()),
            id => app.pool.find_server(id).await.ok().flatten(),
        };
        let Some(server) = server else { continue };
        if !is_still_unwanted(app, &server, unwanted).await || is_other_tenants(app, unwanted).await
        {
            continue;
        }
        let ended = send_end(app, &server, unwanted).await;
        let (host, meeting) = (server.hostname(), &unwanted.key.id);
        match &unwanted.kept_by {
            Some(kept_by) => {
                tracing::warn!(server = %server.id, host, meeting, %kept_by, ?ended, "duplicate meeting ended");
            }
            None => {
                tracing::info!(server = %server.id, host, meeting, ?ended, "meeting ended late");
            }
        }
    }
}

/// Whether the meeting is still unwanted there. A create may have settled on that server meanwhile, or await its reply. A
/// duplicate is only ended after a last look at both copies.
async fn is_still_unwanted(app: &App, server: &Server, unwanted: &UnwantedMeeting) -> bool {
    let record = find_record_location(app, unwanted).await;
    let Some(kept_by) = &unwanted.kept_by else {
        return !matches!(record, RecordLocation::Unsure);
    };
    let RecordLocation::OtherServer(recorded) = record else { return false };
    // The record is read again, since it may have changed during the calls.
    recorded.id == *kept_by
        && may_end_copy(app, server, unwanted, &recorded).await
        && matches!(
            find_record_location(app, unwanted).await,
            RecordLocation::OtherServer(server) if server.id == *kept_by
        )
}

/// Whether another tenant's meeting of that id is recorded there. Servers know no tenants, and would end that one.
async fn is_other_tenants(app: &App, unwanted: &UnwantedMeeting) -> bool {
    if unwanted.key.tenant.is_none() {
        return false;
    }
    let recorded = app.pool.list_meetings(Some(&unwanted.server)).await;
    let is_other_tenants = |meeting: &Meeting| {
        meeting.key.id == unwanted.key.id && meeting.key.tenant != unwanted.key.tenant
    };
    recorded.map_or(true, |meetings| meetings.iter().any(is_other_tenants))
}

/// Where an unwanted meeting is recorded.
enum RecordLocation {
    /// On this server, which is not the one where it is unwanted.
    OtherServer(Box<Server>),
    /// Nowhere.
    NotRecorded,
    /// On the server where it is unwanted, or its create is under way, or the store does not say.
    Unsure,
}

async fn find_record_location(app: &App, unwanted: &UnwantedMeeting) -> RecordLocation {
    match app.pool.find_meeting(&unwanted.key).await {
        Ok(None) => RecordLocation::NotRecorded,
        Ok(Some(record))
            if record.server.id != unwanted.server && record.meeting.claim.is_none() =>
        {
            RecordLocation::OtherServer(Box::new(record.server))
        }
        Ok(Some(_)) | Err(_) => RecordLocation::Unsure,
    }
}
