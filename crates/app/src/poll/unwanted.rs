//! Ends meetings on servers where they are unwanted.

use domain::poll::{PendingEnd, UnwantedMeeting};
use domain::{Meeting, Server};
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use crate::audit::{self, AuditEvent};
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

/// Whether another meeting runs under that id than the one that is recorded: one with another identity, or one that was there
/// before the create that was recorded and has got no answer yet. Without an answer of the server, that create proves nothing.
async fn was_replaced(app: &App, server: &Server, meeting: &Meeting) -> bool {
    if meeting.origin.identity.is_none() && meeting.claim.is_none() {
        return false;
    }
    let query = meeting_query(&meeting.key.id);
    let info = app.call_server_briefly(server, "getMeetingInfo", &query).await;
    let Ok(info) = info else { return meeting.origin.identity.is_none() };
    let found = Some(info).filter(|info| info.response.success).and_then(|info| info.identity());
    let Some(found) = found else { return false };
    let window = meeting.create_window(app.clock.now());
    let was_there_before = meeting.origin.identity.is_none()
        && window.is_some_and(|window| !window.contains(found.created_at));
    was_there_before || meeting.origin.is_other_meeting(Some(&found))
}

/// Ends the meetings that a poll found unwanted, unless that has changed meanwhile.
pub(super) async fn end_unwanted_meetings(app: &App, report: &PollReport) {
    for unwanted in report.outcome.unwanted.iter().take(MAX_UNWANTED_ENDS) {
        let server = match &unwanted.server {
            id if *id == report.server.id => Some(report.server.clone()),
            id => app.pool.find_server(id).await.ok().flatten(),
        };
        let Some(server) = server else { continue };
        if !is_still_unwanted(app, report, &server, unwanted).await
            || is_other_tenants(app, unwanted).await
        {
            continue;
        }
        let (polled, max) = (&report.server.id, app.policy.max_duplicate_ends_per_hour);
        if unwanted.kept_by.is_some() && !app.change_budgets.take_end(polled, max) {
            if app.change_budgets.begin_alarm(polled) {
                let host = report.server.hostname();
                tracing::error!(server = %polled, host, max, "too many duplicates, no more ended this hour");
            }
            continue;
        }
        let ended = send_end(app, &server, unwanted).await;
        let (host, meeting) = (server.hostname(), &unwanted.key.id);
        match &unwanted.kept_by {
            Some(_) => app.meters.duplicates_ended.add(usize::from(ended == Ok(true))),
            None => app.meters.late_ends.add(usize::from(ended == Ok(true))),
        }
        match &unwanted.kept_by {
            Some(kept_by) => {
                tracing::warn!(server = %server.id, host, meeting, %kept_by, ?ended, "duplicate meeting ended");
                let event = AuditEvent::new("meeting.end_duplicate").on_meeting(&unwanted.key);
                let after = serde_json::json!({ "kept_by": kept_by.0 });
                audit::note_automatic(app, "poll", event.on_server(&server).after(after));
            }
            None => {
                tracing::info!(server = %server.id, host, meeting, ?ended, "meeting ended late");
                let event = AuditEvent::new("meeting.end_late").on_meeting(&unwanted.key);
                audit::note_automatic(app, "poll", event.on_server(&server));
            }
        }
    }
}

/// Whether the meeting is still unwanted there. A create may have settled on that server meanwhile, or await its reply. A
/// duplicate is only ended after a last look at both copies. The copy of a server that was not polled is only
/// ended if nobody is in it, whatever the polled one says.
async fn is_still_unwanted(
    app: &App,
    report: &PollReport,
    server: &Server,
    unwanted: &UnwantedMeeting,
) -> bool {
    let record = find_record_location(app, unwanted).await;
    let Some(kept_by) = &unwanted.kept_by else {
        return match record {
            RecordLocation::NotRecorded => !was_recorded(app, unwanted).await,
            // Somebody ended whatever is there. Otherwise polls decide between two copies.
            RecordLocation::OtherServer(_) => unwanted.internal_id.is_none(),
            RecordLocation::Unsure => false,
        };
    };
    let RecordLocation::OtherServer(recorded) = record else { return false };
    // The record is read again, since it may have changed during the calls.
    recorded.id == *kept_by
        && may_end_copy(app, server, unwanted, &recorded, server.id != report.server.id).await
        && matches!(
            find_record_location(app, unwanted).await,
            RecordLocation::OtherServer(server) if server.id == *kept_by
        )
}

/// Whether the meeting that an unanswered create has left was recorded under another entry of its server: then a pending end
/// there names it.
async fn was_recorded(app: &App, unwanted: &UnwantedMeeting) -> bool {
    if unwanted.internal_id.is_none() {
        return false;
    }
    let is_it = |end: &PendingEnd| {
        end.key == unwanted.key
            && end.internal_id == unwanted.internal_id
            && end.server != unwanted.server
    };
    app.pool.list_pending_ends().await.map_or(true, |ends| ends.iter().any(is_it))
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

#[cfg(test)]
mod tests {
    use bbb::response::{build_failure, build_success};
    use domain::poll::PollOutcome;
    use domain::{Claim, MeetingIdentity, MeetingOrigin, ServerId};

    use super::*;
    use crate::test_app::{
        START, ScriptedAnswer, meeting_info, replace_record, test_app, test_app_with_changes,
        test_meeting, test_server,
    };

    /// A poll of `a` has found a copy of a meeting that is recorded on `b`.
    fn report_of_copy() -> PollReport {
        let unwanted = UnwantedMeeting {
            server: ServerId("a".to_owned()),
            key: test_meeting(None, "m", "a").key,
            internal_id: Some("on-a".to_owned()),
            moderator_pw: None,
            kept_by: Some(ServerId("b".to_owned())),
        };
        let outcome = PollOutcome { unwanted: vec![unwanted], ..PollOutcome::default() };
        PollReport { server: test_server("a"), outcome, forgotten: Vec::new() }
    }

    fn success() -> ScriptedAnswer {
        Some((build_success(&[]), 10))
    }

    async fn is_copy_ended(on_a: ScriptedAnswer, on_b: ScriptedAnswer) -> bool {
        let (app, servers) = test_app(&["a", "b"], move |(host, call, _)| match (host, call) {
            (_, "end") => success(),
            ("a", _) => on_a.clone(),
            _ => on_b.clone(),
        })
        .await;
        assert!(app.pool.restore_meeting(&test_meeting(None, "m", "b")).await.unwrap());
        end_unwanted_meetings(&app, &report_of_copy()).await;
        servers.calls().iter().any(|call| call == "a end")
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_is_ended_only_after_a_look_at_both() {
        assert!(is_copy_ended(meeting_info("on-a", 3), meeting_info("on-b", 3)).await);
        for (on_a, on_b, reason) in [
            (meeting_info("on-a", 4), meeting_info("on-b", 3), "it has more users by now"),
            (meeting_info("new", 0), meeting_info("on-b", 3), "another meeting has its id"),
            (meeting_info("on-a", 3), meeting_info("on-a", 3), "both are one server"),
            (meeting_info("on-a", 0), Some((build_failure("notFound", ""), 10)), "only copy"),
            (meeting_info("on-a", 0), None, "the other server is silent"),
            (None, meeting_info("on-b", 3), "its server is silent"),
        ] {
            assert!(!is_copy_ended(on_a, on_b).await, "{reason}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_create_has_left_stays_if_the_meeting_is_recorded_elsewhere_by_now() {
        for (internal_id, ends) in [(Some("on-a".to_owned()), 0), (None, 1)] {
            let (app, servers) = test_app(&["a", "b"], |_| success()).await;
            let mut report = report_of_copy();
            let unwanted = &mut report.outcome.unwanted[0];
            (unwanted.kept_by, unwanted.internal_id) = (None, internal_id);
            assert!(app.pool.restore_meeting(&test_meeting(None, "m", "b")).await.unwrap());
            end_unwanted_meetings(&app, &report).await;
            let ended = servers.calls().iter().filter(|call| *call == "a end").count();
            assert_eq!(ended, ends);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_recorded_under_another_entry_of_the_server_stays() {
        for (named, ends) in [("on-a", 0), ("another", 1)] {
            let (app, servers) = test_app(&["a", "b"], |_| success()).await;
            let mut report = report_of_copy();
            report.outcome.unwanted[0].kept_by = None;
            let mut replaced = test_meeting(None, "m", "b");
            let identity = MeetingIdentity::from_parts(Some(named.to_owned()), START);
            replaced.origin = MeetingOrigin::proven(identity);
            let end = PendingEnd::of_replaced_record(&replaced, START);
            let forgotten =
                app.pool.forget_meeting(&replaced.key, &replaced.server, None, end.as_ref());
            assert!(!forgotten.await.unwrap());
            end_unwanted_meetings(&app, &report).await;
            let ended = servers.calls().iter().filter(|call| *call == "a end").count();
            assert_eq!(ended, ends, "{named}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_meeting_that_was_there_before_an_unanswered_create_is_left_running() {
        let began_at = |ms: i64| START.plus_ms(ms).0.to_string();
        for (created_at, ends) in [(began_at(-60_000), 0), (began_at(1_000), 1)] {
            let (app, servers) = test_app(&["a"], move |_| {
                let fields = [("internalMeetingID", "i"), ("createTime", &created_at[..])];
                Some((build_success(&fields), 10))
            })
            .await;
            let claim = Claim { token: "t".to_owned(), until: START.plus_ms(30_000) };
            let meeting = Meeting { claim: Some(claim), ..test_meeting(None, "m", "a") };
            end_meetings(&app, &test_server("a"), &[meeting]).await;
            let ended = servers.calls().iter().filter(|call| *call == "a end").count();
            assert_eq!(ended, ends);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_stays_if_the_record_changes_during_the_look() {
        let (app, servers) = test_app_with_changes(&["a", "b"], |app, (host, call, _)| {
            if host == "a" {
                // The meeting ends on `b`, and a create records it here.
                replace_record(app, "b", &test_meeting(None, "m", "a"));
            }
            if call == "end" { success() } else { meeting_info(&format!("on-{host}"), 0) }
        })
        .await;
        assert!(app.pool.restore_meeting(&test_meeting(None, "m", "b")).await.unwrap());
        end_unwanted_meetings(&app, &report_of_copy()).await;
        assert_eq!(servers.calls(), ["b getMeetingInfo", "a getMeetingInfo"]);
    }
}
