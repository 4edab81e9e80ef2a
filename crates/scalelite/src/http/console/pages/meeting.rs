//! *Meeting*: where a meeting is and why, and what the balancer has done with it.

use std::sync::Arc;

use app::admin::placement::{HypotheticalMeeting, explain_placement};
use app::audit::{self, AuditFilter, list_page};
use app::ports::MeetingOnServer;
use askama::Template;
use domain::management::Scope;
use domain::{MeetingKey, Timestamp};

use super::super::plot::{self, CostBar};
use super::super::session::Viewer;
use super::super::show;
use super::super::view::{PageError, RenderedPage};
use super::{meetings, server_link};
use crate::http::state::HttpState;

/// How far back the timeline goes, in ms.
const TIMELINE_MS: i64 = 48 * 3_600_000;
/// Lines of the timeline.
const MAX_RECORDS: usize = 100;
/// Candidates that are shown.
const MAX_CANDIDATES: usize = 12;

#[derive(Template)]
#[template(path = "console/meeting.html")]
struct MeetingPage {
    facts: Vec<(&'static str, String)>,
    host: String,
    host_link: String,
    reason: String,
    candidates: Option<CandidatePicture>,
    users: String,
    timeline: Vec<(String, String)>,
}

/// Where the next meeting would go.
struct CandidatePicture {
    svg: String,
    reason: String,
    /// Candidates that are not drawn.
    left_out: usize,
}

#[derive(Template)]
#[template(path = "console/meeting_controls.html")]
struct MeetingActions<'a> {
    tenant: &'a str,
    id: &'a str,
    form_key: &'a str,
}

pub(in super::super) async fn render(
    state: &Arc<HttpState>,
    viewer: &Viewer,
    tenant: Option<String>,
    id: &str,
) -> Result<RenderedPage, PageError> {
    let app = &state.app;
    let now = app.clock.now();
    let not_found = PageError::NotFound("meeting");
    if !viewer.sees_tenant(tenant.as_deref()) {
        return Err(not_found);
    }
    let key = MeetingKey { tenant: tenant.clone(), id: id.to_owned() };
    let found = app.pool.find_meeting(&key).await?.ok_or(not_found)?;
    let (meeting, server) = (&found.meeting, &found.server);
    let identity = meeting.origin.identity.as_ref();
    let internal_id =
        identity.map_or_else(|| "not told".to_owned(), |identity| identity.internal_id.clone());
    let note = match meetings::note_of(meeting, now) {
        "" => "running",
        note => note,
    };
    let facts = vec![
        ("State", note.to_owned()),
        ("Tenant", tenant.clone().unwrap_or_else(|| "none".to_owned())),
        ("Users", meeting.load.users.to_string()),
        ("Users expected at create", meeting.load.expected_users.to_string()),
        (
            "Placed",
            format!("{} ({})", show::time(meeting.placed_at), show::ago(meeting.placed_at, now)),
        ),
        ("Last confirmed by its server", show::ago(meeting.seen_at, now)),
        ("internalMeetingID", internal_id),
        ("voiceBridge", meeting.voice_bridge.clone().unwrap_or_else(|| "none".to_owned())),
    ];
    // Candidates are all tenants' business.
    let may_see_pool = viewer.may(Scope::ServersRead);
    let page = MeetingPage {
        facts,
        host: server.hostname().to_owned(),
        host_link: if may_see_pool { server_link(&server.id.0) } else { String::new() },
        reason: meeting.placement_reason.clone(),
        candidates: if may_see_pool { Some(draw_candidates(state, &key).await?) } else { None },
        users: draw_users(state, &key, now),
        timeline: list_timeline(state, &found, now).await?,
    };
    let tenant = tenant.unwrap_or_default();
    let controls = MeetingActions { tenant: &tenant, id, form_key: &viewer.form_key };
    let may_end = viewer.may(Scope::MeetingsWrite);
    RenderedPage::new(format!("Meeting {id}"), &page, may_end.then_some(&controls as _))
}

/// Draws where the next meeting would be placed, with the costs of each candidate.
async fn draw_candidates(
    state: &Arc<HttpState>,
    key: &MeetingKey,
) -> Result<CandidatePicture, PageError> {
    // Without the id: the meeting itself exists already.
    let hypothetical =
        HypotheticalMeeting { tenant: key.tenant.clone(), ..HypotheticalMeeting::default() };
    let explanation = explain_placement(&state.app, &hypothetical).await?;
    let (chosen, reason) = match &explanation.choice {
        Ok((id, reason)) => (Some(id), reason.clone()),
        Err(_) => (None, "no server accepts it".to_owned()),
    };
    let shown = explanation.evaluations.iter().take(MAX_CANDIDATES);
    let bars: Vec<CostBar<'_>> = shown
        .map(|evaluation| CostBar {
            host: evaluation.server.hostname(),
            cost: evaluation.outcome.as_ref().copied().map_err(ToString::to_string),
            is_chosen: chosen == Some(&evaluation.server.id),
        })
        .collect();
    let svg = plot::draw_costs("Cost of the next meeting on each server", &bars);
    Ok(CandidatePicture { svg, reason, left_out: explanation.evaluations.len() - bars.len() })
}

/// Draws the users of a meeting over the last hours; nothing if they are not known.
fn draw_users(state: &HttpState, key: &MeetingKey, now: Timestamp) -> String {
    let points = state.administration.meeting_curves.read(key);
    let Some((begin, _)) = points.first().filter(|_| points.len() > 1) else {
        return String::new();
    };
    let length = now.ms_since(*begin).max(1);
    let marks = (1..=3).map(|part| begin.plus_ms(length / 4 * part));
    let frame = plot::Frame {
        title: "Users of the meeting",
        x_range: (begin.0 as f64, now.0 as f64),
        x_marks: marks.map(|mark| (mark.0 as f64, show::time_of_day(mark))).collect(),
        gap: 180_000.0,
        limit: None,
    };
    let points = points.iter().map(|(at, users)| (at.0 as f64, f64::from(*users)));
    plot::draw(&frame, &[plot::Line { label: "users", class: "users", points: points.collect() }])
}

/// What is known of the course of a meeting, the newest first: what the audit has, and when it was made.
async fn list_timeline(
    state: &Arc<HttpState>,
    found: &MeetingOnServer,
    now: Timestamp,
) -> Result<Vec<(String, String)>, PageError> {
    let (meeting, key) = (&found.meeting, &found.meeting.key);
    let filter = AuditFilter {
        since: Some(Timestamp(now.0 - TIMELINE_MS)),
        meeting: Some(key.id.clone()),
        ..AuditFilter::default()
    };
    let (records, _) = list_page(&state.app, &filter, None, MAX_RECORDS).await?;
    let about = records.into_iter().filter(|record| record.target.tenant == key.tenant);
    let mut course: Vec<(Timestamp, String)> =
        about.map(|record| (record.at, audit::describe(&record))).collect();
    let host = found.server.hostname();
    let how = match meeting.is_revived() {
        true => "made anew",
        false if meeting.origin.is_adopted => "found",
        false => "placed",
    };
    course.push((meeting.placed_at, format!("{how} on {host}: {}", meeting.placement_reason)));
    if let Some(identity) = &meeting.origin.identity {
        course.push((identity.created_at, format!("created, as {host} tells")));
    }
    course.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    Ok(course.into_iter().map(|(at, text)| (show::time(at), text)).collect())
}
