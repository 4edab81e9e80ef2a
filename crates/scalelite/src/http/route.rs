//! The router: finds the handler of a request, limits its time, and logs it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use app::api::ApiError;
use bbb::ApiCall;
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::access_log::AccessLogLine;
use super::body::IncomingBody;
use super::connections::OpenConnection;
use super::host::ServedHost;
use super::message::{ApiRequest, HttpResponse};
use super::respond::{self, ResponseBody};
use super::state::HttpState;
use super::{admin, analytics, bbb_api, end_reports, framing, health, host, playback, upload};

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
}

/// Answers one request.
pub(super) async fn handle(
    state: Arc<HttpState>,
    audience: Audience,
    connection: Arc<OpenConnection>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let started = Instant::now();
    let (mut parts, body) = request.into_parts();
    if let Err(reason) = framing::check_head(&mut parts) {
        return framing::refuse(reason, started);
    }
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    let route = Route::parse(&target);
    let call = route.call_name();
    let log_line = AccessLogLine::start(call, started);
    let is_upload = matches!(route, Route::Upload(_));
    // Health checks are answered even if no other request is. A request with a body waits for its turn when it has proven its sender.
    let needs_turn = body.is_end_stream() && !matches!(route, Route::Health { .. });
    // Clients that send `Expect: 100-continue` read the response before they send the body.
    let must_discard = !body.is_end_stream() && !parts.headers.contains_key(header::EXPECT);
    let body = IncomingBody::new(body, connection.clone());
    let handling = async {
        if needs_turn {
            connection.take_turn().await;
        }
        dispatch(&state, audience, route, parts, body.clone()).await
    };
    // In a box, because the HTTP library reserves room for this function in each connection, whether it has a request or not.
    let handling = AssertUnwindSafe(Box::pin(handling)).catch_unwind();
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
    if !body.is_at_end() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The handler that a target leads to.
enum Route<'a> {
    Health {
        /// Whether it is answered on hosts other than `URL_HOST`.
        any_host: bool,
    },
    Index,
    Analytics,
    /// Query.
    EndReport(&'a str),
    /// Name of the call, and query.
    Bbb(&'a str, &'a str),
    /// Name of the call, query, and whether the path is spelled as it is documented.
    Admin(&'a str, &'a str, bool),
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
            ["health_check"] => Self::Health { any_host: true },
            [] => Self::Health { any_host: false },
            // The doubled `api` comes from clients whose configured address ends in /api already.
            ["bigbluebutton"] | ["bigbluebutton", "api"] | ["bigbluebutton", "api", "api"] => {
                Self::Index
            }
            ["bigbluebutton", "api", "analytics_callback"] => Self::Analytics,
            ["bigbluebutton", "api", "end_callback"] => Self::EndReport(query),
            ["bigbluebutton", "api", call] | ["bigbluebutton", "api", "api", call] => {
                Self::Bbb(call, query)
            }
            ["scalelite", "api", call] => Self::Admin(call, query, !path.contains("//")),
            ["scalelite", "recordings", "upload", record_id] => Self::Upload(record_id),
            _ => Self::Other(target),
        }
    }

    /// Returns whether it is answered on every host.
    fn is_for_any_host(&self) -> bool {
        matches!(self, Self::Health { any_host: true })
    }

    /// Returns the name of the call for the log: a known name or `-`, never a client's text.
    fn call_name(&self) -> &'static str {
        match self {
            Self::Health { .. } => "health",
            Self::Index => "index",
            Self::Analytics => analytics::CALL_NAME,
            Self::EndReport(_) => end_reports::CALL_NAME,
            Self::Bbb(call, _) => ApiCall::from_name(call).map_or("-", ApiCall::name),
            Self::Admin(call, ..) => admin::call_name(call),
            Self::Upload(_) => upload::CALL_NAME,
            Self::Other(_) => "-",
        }
    }
}

async fn dispatch(
    state: &Arc<HttpState>,
    audience: Audience,
    route: Route<'_>,
    parts: Parts,
    body: IncomingBody,
) -> HttpResponse {
    let found = match audience {
        // Administrators name the socket as they reach it.
        Audience::Management => Some(ServedHost::default()),
        Audience::Public => state.hosts.find(host::requested_host(&parts)),
    };
    let Some(found) = found.or_else(|| route.is_for_any_host().then(ServedHost::default)) else {
        let mut refusal = HttpResponse::ok("-", respond::text(StatusCode::FORBIDDEN, ""));
        refusal.result = "foreign host".to_owned();
        return refusal;
    };
    let host = host::requested_host(&parts).to_owned();
    let to_request = |query: &str, parts: Parts| ApiRequest {
        tenant: found.tenant,
        host,
        method: parts.method,
        query: query.to_owned(),
        headers: parts.headers,
        body,
    };
    match route {
        Route::Health { .. } => health::check(state, audience).await,
        Route::Admin(call, query, is_usual) => {
            let is_reachable = match audience {
                Audience::Management => true,
                Audience::Public => is_usual && !found.is_playback && state.management.is_public,
            };
            if is_reachable {
                return Box::pin(admin::handle_call(state, call, to_request(query, parts))).await;
            }
            HttpResponse::failed("-", &ApiError::Unsupported)
        }
        _ if audience == Audience::Management => HttpResponse::failed("-", &ApiError::Unsupported),
        Route::Other(target) => {
            Box::pin(handle_other(state, target, found.is_playback, to_request("", parts))).await
        }
        // Pages of recordings must not be of the API's origin.
        _ if found.is_playback => HttpResponse::failed("-", &ApiError::Unsupported),
        Route::Index => bbb_api::handle_index(state, &parts.method),
        Route::Analytics => Box::pin(analytics::handle_call(state, to_request("", parts))).await,
        Route::EndReport(query) => end_reports::handle_call(state, query).await,
        Route::Bbb(call, query) => {
            bbb_api::handle_call(state, call, to_request(query, parts)).await
        }
        Route::Upload(record_id) => {
            Box::pin(upload::handle_call(state, record_id, to_request("", parts))).await
        }
    }
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
