//! *Meeting*: where a meeting is and why, and what the balancer has done with it.

use std::sync::Arc;

use app::admin::placement::{HypotheticalMeeting, explain_placement};
use app::audit::{self, AuditFilter, list_page};
use askama::Template;
use domain::management::Scope;
use domain::{MeetingKey, Timestamp};

use super::super::plot;
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
    candidates: Vec<Candidate>,
    timeline: Vec<(String, String)>,
}

struct Candidate {
    host: String,
    outcome: String,
    bar: String,
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
        candidates: if may_see_pool { list_candidates(state, &key).await? } else { Vec::new() },
        timeline: list_timeline(state, &key, now).await?,
    };
    let tenant = tenant.unwrap_or_default();
    let controls = MeetingActions { tenant: &tenant, id, form_key: &viewer.form_key };
    let may_end = viewer.may(Scope::MeetingsWrite);
    RenderedPage::new(format!("Meeting {id}"), &page, may_end.then_some(&controls as _))
}

/// Where the meeting would be placed now, with the costs of each candidate.
async fn list_candidates(
    state: &Arc<HttpState>,
    key: &MeetingKey,
) -> Result<Vec<Candidate>, PageError> {
    // Without the id: the meeting itself exists already.
    let hypothetical =
        HypotheticalMeeting { tenant: key.tenant.clone(), ..HypotheticalMeeting::default() };
    let explanation = explain_placement(&state.app, &hypothetical).await?;
    let costs = explanation.evaluations.iter().filter_map(|evaluation| evaluation.outcome.ok());
    let highest = costs.fold(0.0, f64::max);
    let candidate = |evaluation: &app::admin::placement::ServerEvaluation| {
        let (outcome, cost) = match &evaluation.outcome {
            Ok(cost) => (format!("{cost:.2}"), *cost),
            Err(reason) => (reason.to_string(), 0.0),
        };
        let bar = plot::draw_bar(cost, cost, highest, None);
        Candidate { host: evaluation.server.hostname().to_owned(), outcome, bar }
    };
    Ok(explanation.evaluations.iter().take(MAX_CANDIDATES).map(candidate).collect())
}

/// What the audit has about a meeting, the newest first.
async fn list_timeline(
    state: &Arc<HttpState>,
    key: &MeetingKey,
    now: Timestamp,
) -> Result<Vec<(String, String)>, PageError> {
    let filter = AuditFilter {
        since: Some(Timestamp(now.0 - TIMELINE_MS)),
        meeting: Some(key.id.clone()),
        ..AuditFilter::default()
    };
    let (records, _) = list_page(&state.app, &filter, None, MAX_RECORDS).await?;
    let about = records.into_iter().filter(|record| record.target.tenant == key.tenant);
    Ok(about.map(|record| (show::time(record.at), audit::describe(&record))).collect())
}
