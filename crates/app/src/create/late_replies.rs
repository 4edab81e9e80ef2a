//! Ends what servers create after the create has been decided without them.

use std::time::Duration;

use domain::ServerId;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::backend::{BbbReply, end_query};
use crate::context::App;
use crate::ports::MeetingOnServer;

use super::attempts::Attempts;
use super::send::ALREADY_EXISTS;

/// Awaits the remaining replies in the background, and ends the meetings that they tell of. `kept_by` is the server that keeps
/// the meeting.
pub(super) fn end_late_meetings(app: &App, attempts: Attempts, kept_by: Option<ServerId>) {
    if attempts.is_idle() {
        return;
    }
    let app = app.clone();
    tokio::spawn(async move {
        let deadline = Duration::from_millis(app.policy.max_create_ms());
        let (targets, mut replies) = attempts.into_parts();
        let end_all = async {
            while let Some((number, reply)) = replies.next().await {
                let target = &targets[number];
                let is_kept = kept_by.as_ref() == Some(&target.server.id);
                if !is_kept && reply.is_ok_and(is_new) && may_be_ended(&app, target).await {
                    end_late_meeting(&app, target).await;
                }
            }
        };
        let _ = timeout(deadline, end_all).await;
    });
}

fn is_new(reply: BbbReply) -> bool {
    reply.response.success && reply.response.message_key != ALREADY_EXISTS
}

/// Whether the meeting is surely not wanted there. Another create may have settled on that server meanwhile, or await its
/// reply. Servers know no tenants, so a tenant's meeting is left to polls, which tell tenants apart.
async fn may_be_ended(app: &App, target: &MeetingOnServer) -> bool {
    if target.meeting.key.tenant.is_some() {
        return false;
    }
    let record = app.pool.find_meeting(&target.meeting.key).await;
    record.is_ok_and(|record| {
        record.is_none_or(|record| {
            record.server.id != target.server.id && record.meeting.claim.is_none()
        })
    })
}

async fn end_late_meeting(app: &App, target: &MeetingOnServer) {
    let MeetingOnServer { meeting, server } = target;
    tracing::info!(
        server = %server.id,
        host = server.hostname(),
        meeting = meeting.key.id,
        "duplicate meeting ended: its server answered too late"
    );
    // If this fails, a poll ends it.
    let _ = app.call_server_briefly(server, "end", &end_query(meeting)).await;
}
