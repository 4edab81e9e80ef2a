//! *Server*: one server with its numbers, the last 24 hours, its meetings, and what can be done with it.

use std::sync::Arc;

use app::admin::placement::forecast_servers;
use app::drains;
use app::sampling::server_subject;
use askama::Template;
use domain::drain::{DrainPhase, PlannedDrain};
use domain::management::Scope;
use domain::{AdminState, ServerId, Timestamp};

use super::super::session::Viewer;
use super::super::show;
use super::super::view::{PageError, RenderedPage};
use super::{meeting_link, server_link, today};
use crate::http::state::HttpState;

/// Meetings that are listed at most; the largest ones.
const MAX_MEETINGS: usize = 200;

#[derive(Template)]
#[template(path = "console/server.html")]
struct ServerPage {
    facts: Vec<(&'static str, String)>,
    failure: Option<String>,
    drain: Option<String>,
    twin: Option<(String, String)>,
    plot: String,
    meetings: Vec<HostedMeeting>,
    left_out: usize,
}

struct HostedMeeting {
    id: String,
    link: String,
    users: u32,
    age: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "console/server_controls.html")]
struct ServerActions<'a> {
    id: &'a str,
    form_key: &'a str,
    state: &'static str,
    has_drain: bool,
}

pub(in super::super) async fn render(
    state: &Arc<HttpState>,
    viewer: &Viewer,
    id: &str,
) -> Result<RenderedPage, PageError> {
    let app = &state.app;
    let now = app.clock.now();
    let id = ServerId(id.to_owned());
    let server = app.pool.find_server(&id).await?.ok_or(PageError::NotFound("server"))?;
    let outlook = forecast_servers(app, std::slice::from_ref(&server)).await?;
    let outlook = outlook.first().copied().unwrap_or_default();
    let limits = &server.limits;
    let or_none =
        |limit: Option<u32>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    let facts = vec![
        ("State", server.state.name().to_owned()),
        ("Status", server.health.state(now).name().to_owned()),
        ("URL", server.url.clone()),
        ("Id", server.id.0.clone()),
        ("Users", server.stats.users.to_string()),
        ("Users expected", format!("{:.0}", outlook.expected_users + outlook.upcoming_users)),
        ("Meetings", server.stats.meetings.to_string()),
        ("Load", server.load.map_or_else(|| "none".to_owned(), |load| format!("{load:.1}"))),
        ("Load multiplier", format!("{}", server.load_multiplier)),
        ("Tag", server.tag.clone().unwrap_or_else(|| "none".to_owned())),
        ("Limit of users", or_none(limits.max_users)),
        ("Limit of meetings", or_none(limits.max_meetings)),
        ("Tier", limits.tier.to_string()),
        ("Version of BBB", server.bbb_version.clone().unwrap_or_else(|| "not told".to_owned())),
        ("Last answer", show::ago(server.health.answered_at, now)),
    ];
    let mut meetings = app.pool.list_meetings(Some(&id)).await?;
    meetings.sort_by_key(|meeting| std::cmp::Reverse(meeting.load.users));
    let left_out = meetings.len().saturating_sub(MAX_MEETINGS);
    let row = |meeting: &domain::Meeting| HostedMeeting {
        id: meeting.key.id.clone(),
        link: meeting_link(meeting.key.tenant.as_deref(), &meeting.key.id),
        users: meeting.load.users,
        age: show::duration(now.ms_since(meeting.placed_at)),
        reason: meeting.placement_reason.clone(),
    };
    let drain = drains::list(app, false).await?.into_iter().find(|drain| drain.server == id);
    let title = format!("Users of {} in the last 24 hours", server.hostname());
    let limit = limits.max_users.map(f64::from);
    let page = ServerPage {
        facts,
        failure: server
            .health
            .last_failure
            .as_ref()
            .map(|failure| format!("{}: {}", show::time(failure.at), failure.reason)),
        drain: drain.as_ref().map(|drain| describe_drain(drain, now)),
        twin: server.twin_of.as_ref().map(|twin| (twin.0.clone(), server_link(&twin.0))),
        plot: today::draw_day(app, &server_subject(&id), &title, limit).await?,
        meetings: meetings.iter().take(MAX_MEETINGS).map(row).collect(),
        left_out,
    };
    let controls = ServerActions {
        id: &id.0,
        form_key: &viewer.form_key,
        state: server.state.name(),
        has_drain: drain.is_some(),
    };
    let may_change = viewer.may(Scope::ServersWrite);
    RenderedPage::new(server.hostname(), &page, may_change.then_some(&controls as _))
}

/// Says how far a drain is, and what follows.
fn describe_drain(drain: &PlannedDrain, now: Timestamp) -> String {
    let begins = match drain.phase {
        DrainPhase::Planned => {
            let ahead = show::duration(drain.starts_at.ms_since(now));
            format!("begins at {} (in {ahead})", show::time(drain.starts_at))
        }
        DrainPhase::Away => "the server is empty and is awaited".to_owned(),
        phase => phase.name().to_owned(),
    };
    let is_left = matches!(drain.phase, DrainPhase::Planned | DrainPhase::Draining);
    let end = drain.ends_at().filter(|_| is_left);
    let end = end.map(|at| format!("; meetings that are left are ended at {}", show::time(at)));
    let (end, then, by) = (end.unwrap_or_default(), drain.after.name(), &drain.planned_by);
    format!("{begins}{end}; then: {then}; planned by {by}.")
}

/// Returns the state that an action of a form sets.
pub(in super::super) fn state_of_action(action: &str) -> Option<AdminState> {
    match action {
        "enable" => Some(AdminState::Enabled),
        "cordon" => Some(AdminState::Cordoned),
        "disable" => Some(AdminState::Disabled),
        _ => None,
    }
}
