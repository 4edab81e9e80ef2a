//! The router: finds the handler of a request, limits its time, and logs it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use app::api::ApiError;
use app::blocking::describe_hanging_work;
use bbb::ApiCall;
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::access_log::AccessLogLine;
use super::body::IncomingBody;
use super::message::{ApiRequest, HttpResponse};
use super::respond::{self, ResponseBody};
use super::state::HttpState;
use super::{admin, analytics, bbb_api, end_reports, host, playback, upload};

/// Longest time that the upload of a recording may take. Long before, a sender that pauses for too
/// long is cut off.
const MAX_UPLOAD_TIME: Duration = Duration::from_secs(24 * 3600);

/// Answers one request.
pub(super) async fn handle(
    state: Arc<HttpState>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    let route = Route::parse(&target);
    let call = route.call_name();
    let log_line = AccessLogLine::start(call, started);
    let is_upload = matches!(route, Route::Upload(_));
    // Clients that send `Expect: 100-continue` read the response before they send the body.
    let must_discard = !body.is_end_stream() && !parts.headers.contains_key(header::EXPECT);
    let body = IncomingBody::new(body);
    let handling = AssertUnwindSafe(dispatch(&state, route, parts, body.clone())).catch_unwind();
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
    /// Name of the call, and query.
    Admin(&'a str, &'a str),
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
            ["scalelite", "api", call] => Self::Admin(call, query),
            ["scalelite", "recordings", "upload", record_id] => Self::Upload(record_id),
            _ => Self::Other(target),
        }
    }

    /// Returns the name of the call for the log: a known name or `-`, never a client's text.
    fn call_name(&self) -> &'static str {
        match self {
            Self::Health { .. } => "health",
            Self::Index => "index",
            Self::Analytics => analytics::CALL_NAME,
            Self::EndReport(_) => end_reports::CALL_NAME,
            Self::Bbb(call, _) => ApiCall::from_name(call).map_or("-", ApiCall::name),
            Self::Admin(call, _) => admin::call_name(call),
            Self::Upload(_) => upload::CALL_NAME,
            Self::Other(_) => "-",
        }
    }
}

async fn dispatch(
    state: &Arc<HttpState>,
    route: Route<'_>,
    parts: Parts,
    body: IncomingBody,
) -> HttpResponse {
    let (host, url_host) = (host::requested_host(&parts), state.url_host.as_deref());
    let multitenancy = state.app.policy.multitenancy;
    let is_served = url_host.is_none_or(|url_host| host::is_served(host, url_host, multitenancy));
    if !matches!(route, Route::Health { any_host: true }) && !is_served {
        let mut refusal = HttpResponse::ok("-", respond::text(StatusCode::FORBIDDEN, ""));
        refusal.result = "foreign host".to_owned();
        return refusal;
    }
    let tenant = host::tenant_label(host, url_host).map(str::to_owned);
    let host = host.to_owned();
    let to_request = |query: &str, parts: Parts| ApiRequest {
        tenant,
        host,
        method: parts.method,
        query: query.to_owned(),
        headers: parts.headers,
        body,
    };
    match route {
        Route::Health { .. } => check_health(state).await,
        Route::Index => bbb_api::handle_index(state, &parts.method),
        Route::Analytics => analytics::handle_call(state, to_request("", parts)).await,
        Route::EndReport(query) => end_reports::handle_call(state, query).await,
        Route::Bbb(call, query) => {
            bbb_api::handle_call(state, call, to_request(query, parts)).await
        }
        Route::Admin(call, query) => {
            admin::handle_call(state, call, to_request(query, parts)).await
        }
        Route::Upload(record_id) => {
            upload::handle_call(state, record_id, to_request("", parts)).await
        }
        Route::Other(target) => handle_other(state, target, &to_request("", parts)).await,
    }
}

async fn handle_other(state: &HttpState, target: &str, request: &ApiRequest) -> HttpResponse {
    if let Some(service) = &state.playback
        && let Some(response) = playback::handle_target(&state.app, service, target, request).await
    {
        return response;
    }
    HttpResponse::failed("-", &ApiError::Unsupported)
}

/// Answers 200 while the store can be read and written, otherwise 503 with the reason. What hangs
/// besides is told in further lines: meetings go on without it.
async fn check_health(state: &HttpState) -> HttpResponse {
    match state.app.pool.check_store().await {
        Ok(()) => {
            let hanging = describe_hanging_work();
            if !hanging.is_empty() {
                tracing::error!(hanging = hanging.join("; "), "work hangs");
            }
            let lines = hanging.iter().map(|work| format!("\ndegraded: {work}"));
            let text = format!("success{}", lines.collect::<String>());
            HttpResponse::ok("health", respond::text(StatusCode::OK, text))
        }
        Err(error) => {
            let text = format!("failure: {error}");
            tracing::error!(%error, "health check failed");
            HttpResponse::ok("health", respond::text(StatusCode::SERVICE_UNAVAILABLE, text))
        }
    }
}
