//! The console: pages at `/scalelite/` that show the pool and let people steer it. It is served where the management API is. Everybody signs in
//! with a management token, whose scopes say what may be seen and done; without scripts everything works but the live update.

mod actions;
mod events;
mod pages;
mod plot;
mod session;
mod show;
mod view;

use std::sync::Arc;

use app::api::ApiError;
use app::origin::{self, Actor};
use app::token_authentication::{TokenRefusal, authenticate_token};
use askama::Template;
use bytes::Bytes;
use domain::management::Scope;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use self::events::LiveStreams;
use self::session::Viewer;
use self::view::{PageError, RenderedPage, View};
use super::body::{self, IncomingBody};
use super::message::{ApiRequest, HttpResponse};
use super::respond::{self, ResponseBody};
use super::state::HttpState;

/// The call as the log names it.
pub(super) const CALL_NAME: &str = "console";
/// Where the console is.
const ROOT: &str = "/scalelite/";
const STYLE: &str = include_str!("../../../templates/console/console.css");
const SCRIPT: &str = include_str!("../../../templates/console/console.js");
/// Longest form, in bytes.
const MAX_FORM_BYTES: u64 = 8 << 10;
/// Everything comes from here, and nobody may show it in a frame.
const SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// The console of a process.
#[derive(Debug, Default)]
pub struct Console {
    streams: LiveStreams,
}

/// The frame of every page.
#[derive(Template)]
#[template(path = "console/frame.html")]
struct FramePage<'a> {
    title: &'a str,
    /// Links of the navigation, and whether each is the present page.
    links: Vec<(&'static str, &'static str, bool)>,
    viewer: Option<&'a Viewer>,
    /// Where changes of the live part come from; empty if the page has none.
    events: String,
    live: &'a str,
    controls: &'a str,
}

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignIn<'a> {
    /// Where to go afterwards.
    next: &'a str,
    problem: &'a str,
}

#[derive(Template)]
#[template(path = "console/message.html")]
struct Message<'a> {
    text: &'a str,
}

/// Pages of the navigation: path below the root, title, and what it needs.
const NAVIGATION: [(&str, &str, Scope); 8] = [
    ("/scalelite/", "Today", Scope::ServersRead),
    ("/scalelite/meetings", "Meetings", Scope::MeetingsRead),
    ("/scalelite/recordings", "Recordings", Scope::RecordingsRead),
    ("/scalelite/tenants", "Tenants", Scope::TenantsRead),
    ("/scalelite/forecast", "Forecast", Scope::ServersRead),
    ("/scalelite/audit", "Audit", Scope::AuditRead),
    ("/scalelite/doctor", "Doctor", Scope::Admin),
    ("/scalelite/sign-out", "Sign out", Scope::Admin),
];

/// Answers a request for a target below `/scalelite`.
pub(super) async fn handle(
    state: &Arc<HttpState>,
    target: &str,
    request: ApiRequest,
) -> HttpResponse {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.trim_start_matches('/').strip_prefix("scalelite").unwrap_or_default();
    let mut response = match (&request.method, path.trim_end_matches('/')) {
        (&Method::GET, "/console.css") => asset("text/css; charset=utf-8", STYLE),
        (&Method::GET, "/console.js") => asset("text/javascript; charset=utf-8", SCRIPT),
        (&Method::GET, "/sign-in") => show_sign_in(StatusCode::OK, &next_of(query), ""),
        (&Method::POST, "/sign-in") => sign_in(state, request).await,
        (&Method::GET | &Method::POST, "") if target == "/scalelite" => redirect(ROOT),
        _ => handle_signed_in(state, (path, query), request).await,
    };
    let headers = response.response.headers_mut();
    respond::set_security_headers(headers, SECURITY_POLICY);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn handle_signed_in(
    state: &Arc<HttpState>,
    (path, query): (&str, &str),
    request: ApiRequest,
) -> HttpResponse {
    let viewer = match session::find_viewer(&state.app, &request.headers).await {
        Ok(Some(viewer)) => viewer,
        Ok(None) if request.method == Method::GET && path == "/events" => {
            return events::sign_out();
        }
        Ok(None) => {
            let target =
                format!("/scalelite{path}{}{query}", if query.is_empty() { "" } else { "?" });
            let next = if request.method == Method::GET { target } else { ROOT.to_owned() };
            return redirect(&sign_in_link(&next));
        }
        Err(error) => return unavailable(&error),
    };
    let actor = Actor::Token(viewer.holder.name.as_str().into());
    let answering = async {
        match request.method {
            Method::GET if path == "/events" => events::stream(state, query, viewer),
            Method::GET => show(state, &viewer, path, query).await,
            Method::POST => act(state, &viewer, path, request).await,
            _ => message(
                StatusCode::METHOD_NOT_ALLOWED,
                Some(&viewer),
                "This method is not used here.",
            ),
        }
    };
    origin::run_as(actor, answering).await
}

/// Shows a page.
async fn show(state: &Arc<HttpState>, viewer: &Viewer, path: &str, query: &str) -> HttpResponse {
    let Some(view) = View::parse(path, query) else {
        return message(StatusCode::NOT_FOUND, Some(viewer), "There is no such page.");
    };
    if !viewer.may(view.needed_scope()) {
        // Whoever may not see the first page of all is shown the first one that they may.
        let first = NAVIGATION.iter().find(|(_, _, scope)| viewer.may(*scope));
        return match first.filter(|_| view == View::Today) {
            Some((path, ..)) => redirect(path),
            None => forbidden(viewer, view.needed_scope()),
        };
    }
    match view.render(state, viewer).await {
        Ok(page) => {
            let query = if query.is_empty() { String::new() } else { format!("?{query}") };
            let path = if path.is_empty() { "/" } else { path };
            show_page(viewer, &view, &page, &format!("/scalelite{path}{query}"))
        }
        Err(error) => failed(viewer, &error),
    }
}

fn show_page(viewer: &Viewer, view: &View, page: &RenderedPage, target: &str) -> HttpResponse {
    let path = target.split('?').next().unwrap_or_default();
    let links = NAVIGATION
        .iter()
        .filter(|(link, _, scope)| *link != "/scalelite/sign-out" && viewer.may(*scope));
    let frame = FramePage {
        title: &page.title,
        links: links.map(|(link, title, _)| (*link, *title, *link == path)).collect(),
        viewer: Some(viewer),
        events: if view.is_live() { events_link(target) } else { String::new() },
        live: &page.live,
        controls: &page.controls,
    };
    render(StatusCode::OK, &frame)
}

fn events_link(target: &str) -> String {
    let mut query = bbb::Query::default();
    query.push("of", target);
    format!("/scalelite/events?{}", query.to_text())
}

/// Does what a form asks for.
async fn act(
    state: &Arc<HttpState>,
    viewer: &Viewer,
    path: &str,
    request: ApiRequest,
) -> HttpResponse {
    request.body.prove_sender().await;
    let form = match read_form(&request.headers, request.body).await {
        Ok(form) => form,
        Err(error) => return message(StatusCode::BAD_REQUEST, Some(viewer), &error.to_string()),
    };
    // A form of another site has no key.
    if form.get("key").as_deref() != Some(&viewer.form_key) {
        let text = "The form is of another session. Go back, load the page again and repeat it.";
        return message(StatusCode::FORBIDDEN, Some(viewer), text);
    }
    if path == "/sign-out" {
        let mut response = redirect("/scalelite/sign-in");
        if let Some(cookie) = session::sign_out(request.client.is_https) {
            response.response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        return response;
    }
    actions::run(state, viewer, path, &form).await
}

async fn read_form(headers: &HeaderMap, body: IncomingBody) -> Result<bbb::Query, ApiError> {
    let form = body::read_form(headers, body, MAX_FORM_BYTES).await?;
    Ok(form.unwrap_or_default())
}

async fn sign_in(state: &Arc<HttpState>, request: ApiRequest) -> HttpResponse {
    let is_https = request.client.is_https;
    let form = match read_form(&request.headers, request.body).await {
        Ok(form) => form,
        Err(error) => return message(StatusCode::BAD_REQUEST, None, &error.to_string()),
    };
    let token = form.get("token").unwrap_or_default();
    let next = next_in(&form);
    match authenticate_token(&state.app, token.trim()).await {
        Ok(_) => {}
        Err(error @ TokenRefusal::Store(_)) => return unavailable(&error),
        Err(error) => {
            return show_sign_in(StatusCode::FORBIDDEN, &next, &format!("Not signed in: {error}."));
        }
    }
    let Some(cookie) = session::sign_in(&state.app, token.trim(), is_https) else {
        return message(
            StatusCode::SERVICE_UNAVAILABLE,
            None,
            "There is no key to seal the cookie with.",
        );
    };
    let mut response = redirect(&next);
    response.response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

/// Where to go after the sign-in: a page of the console, never another site.
fn next_of(query: &str) -> String {
    next_in(&bbb::Query::parse(query))
}

fn next_in(query: &bbb::Query) -> String {
    let next = query.get("next").unwrap_or_default().into_owned();
    let is_plain = next.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\');
    if next.starts_with(ROOT) && is_plain { next } else { ROOT.to_owned() }
}

fn sign_in_link(next: &str) -> String {
    if next == ROOT {
        return "/scalelite/sign-in".to_owned();
    }
    let mut query = bbb::Query::default();
    query.push("next", next);
    format!("/scalelite/sign-in?{}", query.to_text())
}

fn show_sign_in(status: StatusCode, next: &str, problem: &str) -> HttpResponse {
    match (SignIn { next, problem }).render() {
        Ok(form) => render(status, &plain_frame("Sign in", &form)),
        Err(_) => HttpResponse::failed(CALL_NAME, &ApiError::Internal),
    }
}

fn plain_frame<'a>(title: &'a str, controls: &'a str) -> FramePage<'a> {
    FramePage { title, links: Vec::new(), viewer: None, events: String::new(), live: "", controls }
}

/// Shows a sentence.
fn message(status: StatusCode, viewer: Option<&Viewer>, text: &str) -> HttpResponse {
    let Ok(body) = (Message { text }).render() else {
        return HttpResponse::failed(CALL_NAME, &ApiError::Internal);
    };
    let links = NAVIGATION.iter().filter(|(link, _, scope)| {
        *link != "/scalelite/sign-out" && viewer.is_some_and(|viewer| viewer.may(*scope))
    });
    let links = links.map(|(link, title, _)| (*link, *title, false)).collect();
    render(status, &FramePage { links, viewer, ..plain_frame("Scalelite", &body) })
}

fn forbidden(viewer: &Viewer, scope: Scope) -> HttpResponse {
    let text = format!("Your token does not allow this: it needs the scope {scope}.");
    message(StatusCode::FORBIDDEN, Some(viewer), &text)
}

fn failed(viewer: &Viewer, error: &PageError) -> HttpResponse {
    let (status, text) = match error {
        PageError::NotFound(what) => (StatusCode::NOT_FOUND, format!("There is no such {what}.")),
        PageError::Store(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The store does not answer. The log has the reason.".to_owned(),
        ),
        PageError::Rendering(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "The page cannot be shown.".to_owned())
        }
        PageError::Call(error) => (StatusCode::BAD_GATEWAY, error.to_string()),
    };
    let mut response = message(status, Some(viewer), &text);
    response.detail =
        matches!(error, PageError::Store(_) | PageError::Rendering(_)).then(|| error.to_string());
    response
}

fn unavailable(error: &TokenRefusal) -> HttpResponse {
    let text = "The store does not answer. The log has the reason.";
    let mut response = message(StatusCode::SERVICE_UNAVAILABLE, None, text);
    response.detail = Some(error.to_string());
    response
}

fn render(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(html) => {
            let mut response = HttpResponse::ok(CALL_NAME, no_store(respond::html(status, html)));
            if !status.is_success() {
                response.result = status.canonical_reason().unwrap_or("failed").to_owned();
            }
            response
        }
        Err(_) => HttpResponse::failed(CALL_NAME, &ApiError::Internal),
    }
}

fn no_store(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Leads to another page, by a GET.
fn redirect(location: &str) -> HttpResponse {
    match respond::redirect_with_status(StatusCode::SEE_OTHER, location) {
        Some(response) => HttpResponse::ok(CALL_NAME, no_store(response)),
        None => HttpResponse::failed(CALL_NAME, &ApiError::Internal),
    }
}

fn asset(content_type: &'static str, text: &'static str) -> HttpResponse {
    let mut response = respond::text(StatusCode::OK, Bytes::from_static(text.as_bytes()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    HttpResponse::ok(CALL_NAME, response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_pages_of_the_console_only() {
        let next = |next: &str| next_of(&format!("next={next}"));
        assert_eq!(next("%2Fscalelite%2Fserver%3Fid%3D1"), "/scalelite/server?id=1");
        for other in [
            "",
            "https://evil.test/",
            "//evil.test/",
            "/other",
            "/scalelite/%0d%0aX:1",
            "/scalelite/%5C",
        ] {
            assert_eq!(next(other), ROOT, "{other}");
        }
        assert_eq!(sign_in_link(ROOT), "/scalelite/sign-in");
        assert_eq!(
            next_of(sign_in_link("/scalelite/a?b=c").split_once('?').unwrap().1),
            "/scalelite/a?b=c"
        );
    }
}
