//! Ends what servers create after the create has been decided without them.

use std::time::Duration;

use domain::ServerId;
use domain::poll::UnwantedMeeting;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::backend::BbbReply;
use crate::context::App;
use crate::duplicate_end::{may_end_copy, send_end};
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
                match reply {
                    Ok(reply) if !is_kept && is_new(&reply) => {
                        end_late_meeting(&app, target, &reply).await;
                    }
                    _ => {}
                }
            }
        };
        let _ = timeout(deadline, end_all).await;
    });
}

fn is_new(reply: &BbbReply) -> bool {
    reply.response.success && reply.response.message_key != ALREADY_EXISTS
}

/// Ends a meeting that a server has made too late, if another server has a different copy of it, which is recorded. Otherwise
/// polls decide about it. Servers know no tenants, so a tenant's meeting is left to polls, which tell tenants apart.
async fn end_late_meeting(app: &App, target: &MeetingOnServer, reply: &BbbReply) {
    let MeetingOnServer { meeting, server } = target;
    if meeting.key.tenant.is_some() {
        return;
    }
    let Ok(Some(record)) = app.pool.find_meeting(&meeting.key).await else { return };
    if record.server.id == server.id || record.meeting.claim.is_some() {
        // Another create has settled on that server, or awaits its reply.
        return;
    }
    let unwanted = UnwantedMeeting {
        server: server.id.clone(),
        key: meeting.key.clone(),
        internal_id: reply.response.internal_id.clone(),
        moderator_pw: meeting.moderator_pw.clone(),
        kept_by: Some(record.server.id.clone()),
    };
    if !may_end_copy(app, server, &unwanted, &record.server, false).await {
        return;
    }
    // If this fails, a poll ends it.
    let ended = send_end(app, server, &unwanted).await;
    tracing::info!(
        server = %server.id,
        host = server.hostname(),
        meeting = meeting.key.id,
        kept_by = %record.server.id,
        ?ended,
        "duplicate meeting ended: its server answered too late"
    );
}

#[cfg(test)]
mod tests {
    use bbb::Response;
    use bbb::response::build_success;

    use super::*;
    use crate::test_app::{meeting_info, test_app, test_meeting, test_server};

    async fn calls_after_late_reply(tenant: Option<&str>) -> Vec<String> {
        let (app, servers) = test_app(&["a", "b"], |(host, call, _)| match call {
            "end" => Some((build_success(&[]), 10)),
            _ => meeting_info(&format!("on-{host}"), 0),
        })
        .await;
        assert!(app.pool.restore_meeting(&test_meeting(tenant, "m", "b")).await.unwrap());
        let body = build_success(&[("internalMeetingID", "on-a"), ("createTime", "5")]);
        let response = Response::read(body.as_bytes()).unwrap();
        let reply = BbbReply { response, body: body.into() };
        let target =
            MeetingOnServer { meeting: test_meeting(tenant, "m", "a"), server: test_server("a") };
        end_late_meeting(&app, &target, &reply).await;
        servers.calls()
    }

    #[tokio::test(start_paused = true)]
    async fn late_meetings_of_tenants_are_left_to_polls() {
        let ended = ["b getMeetingInfo", "a getMeetingInfo", "a end"];
        assert_eq!(calls_after_late_reply(None).await, ended);
        assert_eq!(calls_after_late_reply(Some("t")).await, [] as [&str; 0]);
    }
}
