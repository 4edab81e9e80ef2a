//! What forms of the console do. An action that harms people who are in meetings is confirmed first, on a page that says how many they are.

use std::sync::Arc;

use app::App;
use app::admin::servers::{AdminError, PanicOptions};
use app::admin::{meetings, recordings, servers};
use app::drains::{self, DrainError, DrainPlan};
use app::ports::{ServerChange, Visibility};
use askama::Template;
use bbb::Query;
use domain::drain::AfterDrain;
use domain::management::Scope;
use domain::{AdminState, MeetingKey, Server, ServerId};
use http::StatusCode;

use super::pages::server::state_of_action;
use super::session::Viewer;
use super::view::PageError;
use super::{failed, forbidden, message, plain_frame, redirect, render};
use crate::http::message::HttpResponse;
use crate::http::state::HttpState;

/// Asks whether an action is meant, and repeats its form.
#[derive(Template)]
#[template(path = "console/confirm.html")]
struct Confirm<'a> {
    question: &'a str,
    /// The action's path.
    path: &'a str,
    /// What the button says.
    answer: &'static str,
    /// The fields of its form.
    fields: Vec<(&'a str, String)>,
}

/// Runs an action; afterwards its page is shown again.
pub(super) async fn run(
    state: &Arc<HttpState>,
    viewer: &Viewer,
    path: &str,
    form: &Query,
) -> HttpResponse {
    let field = |name: &str| form.get(name).unwrap_or_default().into_owned();
    let needed = match path {
        "/server" => Scope::ServersWrite,
        "/meeting" => Scope::MeetingsWrite,
        "/recording" | "/archive" => Scope::RecordingsWrite,
        _ => return message(StatusCode::NOT_FOUND, Some(viewer), "There is no such page."),
    };
    if !viewer.may(needed) {
        return forbidden(viewer, needed);
    }
    // What was begun is finished, even if the browser goes away.
    let (own_state, own_viewer, path, form) =
        (state.clone(), viewer.clone(), path.to_owned(), form.clone());
    let id = field("id");
    let work = async move {
        match path.as_str() {
            "/server" => change_server(&own_state, &own_viewer, &id, &form).await,
            "/meeting" => end_meeting(&own_state, &own_viewer, &id, &form).await,
            "/recording" => change_recording(&own_state, &own_viewer, &id, &form).await,
            _ => retry_archive(&own_state, &own_viewer, &id).await,
        }
    };
    match state.run_to_completion(work).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => failed(viewer, &error),
        Err(error) => failed(viewer, &PageError::Call(error)),
    }
}

type ActionResult = Result<HttpResponse, PageError>;

fn confirm(form: &Query, path: &str, question: &str, answer: &'static str) -> ActionResult {
    let fields = ["key", "id", "tenant", "action", "begin_min", "deadline_min", "back"].into_iter();
    let fields = fields.filter_map(|name| Some((name, form.get(name)?.into_owned())));
    let confirm = Confirm { question, path, answer, fields: fields.collect() };
    let body = confirm.render()?;
    Ok(render(StatusCode::OK, &plain_frame("Are you sure?", &body)))
}

fn is_confirmed(form: &Query) -> bool {
    form.get("confirmed").as_deref() == Some("yes")
}

async fn change_server(
    state: &Arc<HttpState>,
    viewer: &Viewer,
    id: &str,
    form: &Query,
) -> ActionResult {
    let app = &state.app;
    let server = app.pool.find_server(&ServerId(id.to_owned())).await?;
    let server = server.ok_or(PageError::NotFound("server"))?;
    let (host, users) = (server.hostname(), server.stats.users);
    let action = form.get("action").unwrap_or_default();
    if action.ends_with("-drain") {
        return change_drain(app, viewer, &server, form).await;
    }
    let result = match (state_of_action(&action), &*action) {
        (Some(AdminState::Disabled), _) if users > 0 && !is_confirmed(form) => {
            let question = format!(
                "{users} users are on {host}. If it is disabled, nobody can join their meetings any more; \
                 they go on for those who are inside. To let it empty itself, cordon it."
            );
            return confirm(form, "/scalelite/server", &question, "Disable");
        }
        (Some(new_state), _) => {
            let change = ServerChange::with_state(new_state);
            servers::update(app, id, change).await.map(drop)
        }
        (None, "panic") if !is_confirmed(form) => {
            let question = format!(
                "{} meetings with {users} users on {host} end at once.",
                server.stats.meetings
            );
            return confirm(form, "/scalelite/server", &question, "End all meetings and disable");
        }
        (None, "panic") => servers::panic(app, id, PanicOptions::default()).await.map(drop),
        (None, _) => {
            return Ok(message(StatusCode::BAD_REQUEST, Some(viewer), "There is no such action."));
        }
    };
    match result {
        Ok(()) => Ok(redirect(&super::pages::server_link(id))),
        Err(AdminError::Store(error)) => Err(PageError::Store(error)),
        Err(error) => Ok(message(StatusCode::CONFLICT, Some(viewer), &error.to_string())),
    }
}

/// Plans the drain of a server, or cancels it.
async fn change_drain(app: &App, viewer: &Viewer, server: &Server, form: &Query) -> ActionResult {
    let id = server.id.0.as_str();
    if form.get("action").as_deref() == Some("cancel-drain") {
        return drain_result(viewer, id, drains::cancel(app, id).await.map(drop));
    }
    let Some(plan) = read_drain(app, id, form) else {
        let text = "These are no numbers of minutes.";
        return Ok(message(StatusCode::BAD_REQUEST, Some(viewer), text));
    };
    let (users, host) = (server.stats.users, server.hostname());
    if plan.deadline_ms.is_some() && users > 0 && !is_confirmed(form) {
        let question = format!(
            "{users} users are on {host}. Those who are there at the deadline are warned a minute before, and then their meetings end."
        );
        return confirm(form, "/scalelite/server", &question, "Drain");
    }
    drain_result(viewer, id, drains::plan(app, plan).await.map(drop))
}

/// Reads the form of a drain; `None` if a number is none.
fn read_drain(app: &App, id: &str, form: &Query) -> Option<DrainPlan> {
    let read_ms = |name: &str| match form.get(name).as_deref().map(str::trim) {
        None | Some("") => Some(None),
        Some(text) => text.parse::<u32>().ok().map(|minutes| Some(i64::from(minutes) * 60_000)),
    };
    let begin_ms = read_ms("begin_min")?.filter(|ms| *ms > 0);
    let comes_back = form.get("back").as_deref() == Some("yes");
    Some(DrainPlan {
        server: id.to_owned(),
        starts_at: begin_ms.map(|ms| app.clock.now().plus_ms(ms)),
        deadline_ms: read_ms("deadline_min")?,
        warn_ms: drains::DEFAULT_WARN_MS,
        after: if comes_back { AfterDrain::EnableWhenHealthy } else { AfterDrain::Disable },
    })
}

fn drain_result(viewer: &Viewer, id: &str, result: Result<(), DrainError>) -> ActionResult {
    match result {
        Ok(()) => Ok(redirect(&super::pages::server_link(id))),
        Err(DrainError::Store(error)) => Err(PageError::Store(error)),
        Err(error) => Ok(message(StatusCode::CONFLICT, Some(viewer), &error.to_string())),
    }
}

async fn end_meeting(
    state: &Arc<HttpState>,
    viewer: &Viewer,
    id: &str,
    form: &Query,
) -> ActionResult {
    let tenant =
        form.get("tenant").map(|tenant| tenant.into_owned()).filter(|tenant| !tenant.is_empty());
    if !viewer.sees_tenant(tenant.as_deref()) {
        return Err(PageError::NotFound("meeting"));
    }
    let key = MeetingKey { tenant, id: id.to_owned() };
    let found = state.app.pool.find_meeting(&key).await?.ok_or(PageError::NotFound("meeting"))?;
    if !is_confirmed(form) {
        let users = found.meeting.load.users;
        let question = format!("The meeting {id} ends for {users} users.");
        return confirm(form, "/scalelite/meeting", &question, "End the meeting");
    }
    meetings::end(&state.app, &found.meeting).await.map_err(PageError::Call)?;
    Ok(redirect("/scalelite/meetings"))
}

async fn change_recording(
    state: &Arc<HttpState>,
    viewer: &Viewer,
    id: &str,
    form: &Query,
) -> ActionResult {
    let not_found = PageError::NotFound("recording");
    let Some(store) = &state.app.recording_store else { return Err(not_found) };
    let Some(recording) = store.find_recording(id).await? else { return Err(not_found) };
    if !viewer.sees_tenant(recording.tenant()) {
        return Err(not_found);
    }
    let visibility = match form.get("action").as_deref() {
        Some("publish") => Visibility::Published,
        Some("unpublish") => Visibility::Unpublished,
        _ => return Ok(message(StatusCode::BAD_REQUEST, Some(viewer), "There is no such action.")),
    };
    match recordings::set_visibility(&state.app, store.as_ref(), id, visibility).await {
        Ok(true) => Ok(redirect(&super::pages::recordings_link(id))),
        Ok(false) => Err(PageError::NotFound("recording")),
        Err(error) => Ok(message(StatusCode::CONFLICT, Some(viewer), &error.to_string())),
    }
}

async fn retry_archive(state: &Arc<HttpState>, viewer: &Viewer, name: &str) -> ActionResult {
    let not_found = PageError::NotFound("archive");
    // Archives belong to no tenant before they are imported.
    let Some(store) =
        &state.app.recording_store.as_ref().filter(|_| viewer.holder.tenant.is_none())
    else {
        return Err(not_found);
    };
    match store.retry_archive(name, state.app.clock.now()).await? {
        true => Ok(redirect("/scalelite/recordings")),
        false => Err(not_found),
    }
}
