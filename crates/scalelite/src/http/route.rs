//! The router: finds the handler of a request, limits its time, and logs it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use app::api::ApiError;
use app::origin::{self, Actor, WorkOrigin};
use bbb::ApiCall;
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::access_log::AccessLogLine;
use super::body::IncomingBody;
use super::connections::OpenConnection;
use super::forwarded::Client;
use super::health::HealthQuestion;
use super::host::ServedHost;
use super::message::{ApiRequest, HttpResponse};
use super::peer::ShownAddress;
use super::respond::{self, ResponseBody};
use super::state::HttpState;
use super::{
    admin, analytics, api_v1, bbb_api, challenges, console, dial_in, end_reports, framing, health,
    host, metrics, playback, request_id, upload,
};

/// Longest time that the upload of a recording may take. Long before, a sender that pauses for too
/// long is cut off.
const MAX_UPLOAD_TIME: Duration = Duration::from_secs(24 * 3600);

/// Whom a socket serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Front-ends, BBB servers and browsers.
    Public,
    /// Administrators (`MANAGEMENT_BIND`).
    Management,
    /// Monitoring systems (`METRICS_BIND`).
    Metrics,
}

/// Answers one request.
pub(super) async fn handle(
    state: Arc<HttpState>,
    audience: Audience,
    connection: Arc<OpenConnection>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (mut parts, body) = request.into_parts();
    let id = request_id::find_or_make(&parts.headers, state.app.entropy.as_ref());
    let header = HeaderValue::from_str(&id);
    let head = framing::check_head(&mut parts);
    let client = match head {
        Ok(()) => state.proxies.identify(connection.peer(), &mut parts),
        Err(_) => Client::unread(connection.peer()),
    };
    let actor = Actor::Client(client.address);
    let origin = WorkOrigin { request_id: Some(id), actor };
    // In a box, because the HTTP library reserves room for this function in each connection, whether it has a request or not.
    let request = Request::from_parts(parts, body);
    let answering = Box::pin(answer(state, audience, connection, (client, head), request));
    let mut response = origin::run_from(origin, answering).await;
    if let Ok(header) = header {
        response.headers_mut().insert(request_id::HEADER, header);
    }
    response
}

async fn answer(
    state: Arc<HttpState>,
    audience: Audience,
    connection: Arc<OpenConnection>,
    (client, head): (Client, Result<(), &'static str>),
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let started = Instant::now();
    let client_address = ShownAddress(client.address);
    let meters = state.metrics.requests().clone();
    if let Err(reason) = head {
        let line = AccessLogLine::start("-", client_address, meters, started);
        return framing::refuse(reason, line);
    }
    let (parts, body) = request.into_parts();
    connection.set_client(client.address);
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    let route = Route::parse(&target);
    let call = route.call_name();
    let log_line = AccessLogLine::start(call, client_address, meters, started);
    let is_upload = matches!(route, Route::Upload(_));
    // Health checks are answered even if no other request is. A request with a body waits for its turn when it has proven its sender.
    let needs_turn = body.is_end_stream() && !matches!(route, Route::Health { .. });
    // Clients that send `Expect: 100-continue` read the response before they send the body.
    // In HTTP/2 a response may overtake the body.
    let is_http2 = parts.version == Version::HTTP_2;
    let must_discard =
        !body.is_end_stream() && !is_http2 && !parts.headers.contains_key(header::EXPECT);
    let body = IncomingBody::new(body, connection.clone());
    let handling = async {
        if needs_turn {
            connection.take_turn().await;
        }
        dispatch(&state, audience, route, (client, parts), body.clone()).await
    };
    let handling = AssertUnwindSafe(handling).catch_unwind();
    let max_time = if is_upload { MAX_UPLOAD_TIME } else { state.request_timeout };
    let handled = match timeout(max_time, handling).await {
        Ok(Ok(handled)) => handled,
        Ok(Err(_panic)) => HttpResponse::failed(call, &ApiError::Internal),
        Err(_) => HttpResponse::failed(call, &ApiError::Timeout),
    };
    log_line.write(handled.call, &handled.request_log, &handled.summary());
    if must_discard {
        body.discard().await;
    }
    connection.start_response();
    let mut response = handled.response;
    state.https.mark(client, response.headers_mut());
    if !body.is_at_end() && !is_http2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The handler that a target leads to.
enum Route<'a> {
    Health {
        question: HealthQuestion<'a>,
        /// Whether it is answered on hosts other than `URL_HOST`.
        any_host: bool,
    },
    /// Whether it is the path that only monitoring systems have, on a socket of their own.
    Metrics {
        is_own: bool,
    },
    Index,
    Analytics,
    /// Query.
    EndReport(&'a str),
    /// Query.
    DialIn(&'a str),
    /// Name of the call, and query.
    Bbb(&'a str, &'a str),
    /// Name of the call, query, and whether the path is spelled as it is documented.
    Admin(&'a str, &'a str, bool),
    /// The management API, version 1: the whole target, and whether the path is spelled as it is documented.
    ApiV1(&'a str, bool),
    /// Token of a challenge of the authority of certificates, which asks any host.
    Challenge(&'a str),
    /// A page of the console: the whole target.
    Console(&'a str),
    /// Record id.
    Upload(&'a str),
    /// A playback path or an unknown one: the whole target.
    Other(&'a str),
}

impl<'a> Route<'a> {
    fn parse(target: &'a str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments[..] {
            ["health_check"] => Self::Health { question: HealthQuestion::Stores, any_host: true },
            ["livez"] => Self::Health { question: HealthQuestion::Alive, any_host: true },
            ["readyz"] => Self::Health { question: HealthQuestion::Ready(query), any_host: true },
            ["metrics"] => Self::Metrics { is_own: true },
            ["scalelite", "metrics"] => Self::Metrics { is_own: false },
            [] => Self::Health { question: HealthQuestion::Stores, any_host: false },
            // The doubled `api` comes from clients whose configured address ends in /api already.
            ["bigbluebutton"] | ["bigbluebutton", "api"] | ["bigbluebutton", "api", "api"] => {
                Self::Index
            }
            ["bigbluebutton", "api", "analytics_callback"] => Self::Analytics,
            ["bigbluebutton", "api", "end_callback"] => Self::EndReport(query),
            ["bigbluebutton", "api", call] | ["bigbluebutton", "api", "api", call] => {
                Self::Bbb(call, query)
            }
            ["fsapi"] => Self::DialIn(query),
            [".well-known", "acme-challenge", token] => Self::Challenge(token),
            ["scalelite", "api", "v1", ..] => Self::ApiV1(target, !path.contains("//")),
            ["scalelite", "api", call] => Self::Admin(call, query, !path.contains("//")),
            ["scalelite", "recordings", "upload", record_id] => Self::Upload(record_id),
            ["scalelite"]
            | [
                "scalelite",
                "console.css" | "console.js" | "events" | "sign-in" | "sign-out" | "server"
                | "meetings" | "meeting" | "recordings" | "recording" | "archive" | "tenants"
                | "forecast" | "audit" | "doctor",
            ] => Self::Console(target),
            _ => Self::Other(target),
        }
    }

    /// Returns whether it is answered on every host.
    fn is_for_any_host(&self) -> bool {
        matches!(self, Self::Health { any_host: true, .. })
    }

    /// Returns the name of the call for the log: a known name or `-`, never a client's text.
    fn call_name(&self) -> &'static str {
        match self {
            Self::Health { .. } => "health",
            Self::Metrics { .. } => metrics::CALL_NAME,
            Self::Index => "index",
            Self::Challenge(_) => "certificate challenge",
            Self::Analytics => analytics::CALL_NAME,
            Self::EndReport(_) => end_reports::CALL_NAME,
            Self::DialIn(_) => dial_in::CALL_NAME,
            Self::Bbb(call, _) => ApiCall::from_name(call).map_or("-", ApiCall::name),
            Self::Admin(call, ..) => admin::call_name(call),
            Self::Console(_) => console::CALL_NAME,
            Self::ApiV1(..) => api_v1::CALL_NAME,
            Self::Upload(_) => upload::CALL_NAME,
            Self::Other(_) => "-",
        }
    }
}

/// Finds the host that is asked for; `None` if it is not served.
fn find_host(
    state: &HttpState,
    audience: Audience,
    route: &Route<'_>,
    parts: &Parts,
) -> Option<ServedHost> {
    let found = match audience {
        // Administrators name the socket as they reach it.
        Audience::Management | Audience::Metrics => Some(ServedHost::default()),
        Audience::Public => state.hosts.find(host::requested_host(parts)),
    };
    found.or_else(|| route.is_for_any_host().then(ServedHost::default))
}

/// Whether what only administrators use is served here; everything else is.
fn is_open_to(
    state: &HttpState,
    audience: Audience,
    is_playback_host: bool,
    route: &Route<'_>,
) -> bool {
    let rules = &state.management;
    let (for_administrators, for_all) = match route {
        Route::Admin(_, _, is_usual) | Route::ApiV1(_, is_usual) => {
            (true, rules.is_public && *is_usual)
        }
        Route::Console(_) => (rules.has_console, rules.has_public_console),
        _ => return true,
    };
    match audience {
        Audience::Management => for_administrators,
        Audience::Public => for_all && !is_playback_host,
        Audience::Metrics => false,
    }
}

async fn dispatch(
    state: &Arc<HttpState>,
    audience: Audience,
    route: Route<'_>,
    (client, parts): (Client, Parts),
    body: IncomingBody,
) -> HttpResponse {
    if let Route::Challenge(token) = route {
        return challenges::answer(state, token).await;
    }
    let Some(found) = find_host(state, audience, &route, &parts) else {
        return refuse_host(host::requested_host(&parts));
    };
    let host = host::requested_host(&parts).to_owned();
    let to_request = |query: &str, parts: Parts| ApiRequest {
        tenant: found.tenant,
        client,
        host,
        method: parts.method,
        query: query.to_owned(),
        headers: parts.headers,
        body,
    };
    let may_move = audience == Audience::Public && !matches!(route, Route::Health { .. });
    if let Some(moved) = may_move.then(|| state.https.redirect(client, &parts)).flatten() {
        return moved;
    }
    if !is_open_to(state, audience, found.is_playback, &route) {
        return HttpResponse::failed("-", &ApiError::Unsupported);
    }
    match route {
        Route::Health { question, .. } => health::check(state, question, audience).await,
        Route::Metrics { is_own } if !is_own || audience == Audience::Metrics => {
            Box::pin(metrics::answer(state, audience, &parts)).await
        }
        Route::Admin(call, query, _) => {
            Box::pin(admin::handle_call(state, call, to_request(query, parts))).await
        }
        Route::ApiV1(target, _) => {
            Box::pin(api_v1::handle(state, target, to_request("", parts))).await
        }
        Route::Console(target) => {
            Box::pin(console::handle(state, target, to_request("", parts))).await
        }
        _ if audience != Audience::Public => HttpResponse::failed("-", &ApiError::Unsupported),
        Route::Other(target) => {
            Box::pin(handle_other(state, target, found.is_playback, to_request("", parts))).await
        }
        // Pages of recordings must not be of the API's origin.
        _ if found.is_playback => HttpResponse::failed("-", &ApiError::Unsupported),
        Route::Challenge(token) => challenges::answer(state, token).await,
        Route::Metrics { .. } => HttpResponse::failed("-", &ApiError::Unsupported),
        Route::Index => bbb_api::handle_index(state, &parts.method),
        Route::Analytics => Box::pin(analytics::handle_call(state, to_request("", parts))).await,
        Route::EndReport(query) => end_reports::handle_call(state, query).await,
        Route::DialIn(query) => {
            Box::pin(dial_in::handle_call(state, to_request(query, parts))).await
        }
        Route::Bbb(call, query) => {
            bbb_api::handle_call(state, call, to_request(query, parts)).await
        }
        Route::Upload(record_id) => {
            Box::pin(upload::handle_call(state, record_id, to_request("", parts))).await
        }
    }
}

/// Refuses a request for a host that is not served. The log and the answer name it: most often a proxy in front does not pass on what the
/// client asked for.
fn refuse_host(host: &str) -> HttpResponse {
    let host = host::shown_host(host);
    let text = format!(
        "The host name {host} is not served here (URL_HOST). A reverse proxy in front must pass on the host that its client asks for, \
         for example with proxy_set_header Host $host in nginx.\n"
    );
    let mut refusal = HttpResponse::ok("-", respond::text(StatusCode::FORBIDDEN, text));
    let headers = refusal.response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    refusal.result = format!("foreign host {host}");
    refusal
}

async fn handle_other(
    state: &HttpState,
    target: &str,
    is_playback_host: bool,
    request: ApiRequest,
) -> HttpResponse {
    if let Some(service) = &state.playback {
        if let Some(origin) = state.hosts.playback_origin(&request)
            && !is_playback_host
        {
            let found = playback::redirect_to_host(service, target, &request.method, &origin);
            return found.unwrap_or_else(|| HttpResponse::failed("-", &ApiError::Unsupported));
        }
        if let Some(response) = playback::handle_target(&state.app, service, target, &request).await
        {
            return response;
        }
    }
    HttpResponse::failed("-", &ApiError::Unsupported)
}
