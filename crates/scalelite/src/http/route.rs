//! From a path to a handler, and one line of the log for each request.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use app::App;
use app::api::{ApiError, RequestLog};
use bbb::ApiCall;
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::body::IncomingBody;
use super::playback::PlaybackService;
use super::respond::{self, ResponseBody};
use super::upload::{self, UploadService};
use super::{admin, analytics, bbb_api, host, playback};

/// The most that an upload of a recording may take: it is its sender's pauses that end one.
const MAX_UPLOAD_TIME: Duration = Duration::from_secs(24 * 3600);

/// What stands between the network and the application.
pub struct HttpState {
    /// The application.
    pub app: App,
    /// Recordings, if they can be watched here.
    pub playback: Option<Arc<PlaybackService>>,
    /// The only host served, if there is one; with tenants also its subdomains.
    pub url_host: Option<String>,
    /// Longest body, in bytes.
    pub max_body_bytes: u64,
    /// The most that a request may take.
    pub request_timeout: Duration,
    /// Uploads of recordings.
    pub upload_service: UploadService,
    /// Work that goes on although its client may have hung up.
    pub background: TaskTracker,
}

impl HttpState {
    /// Runs what must not stop in the middle because a client hangs up.
    ///
    /// # Errors
    /// When the work panics.
    pub(super) async fn run_to_completion<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.background.spawn(work).await.map_err(|_| ApiError::Internal)
    }
}

/// A request with its target as it was sent.
pub(super) struct ApiRequest {
    /// Method.
    pub(super) method: Method,
    /// The label of its host that names a tenant, if there is one of that name.
    pub(super) tenant: Option<String>,
    /// The host that it asks for, without its port.
    pub(super) host: String,
    /// Raw query string.
    pub(super) query: String,
    /// Headers.
    pub(super) headers: http::HeaderMap,
    /// Body.
    pub(super) body: IncomingBody,
}

/// An answer, and what the log says about it.
pub(super) struct HttpResponse {
    pub(super) response: Response<ResponseBody>,
    /// The call's name; static, so that nobody can write into the log.
    pub(super) call: &'static str,
    pub(super) request_log: RequestLog,
    /// `ok`, or the key of the error.
    pub(super) result: String,
    /// What went wrong, for administrators.
    pub(super) detail: Option<String>,
}

impl HttpResponse {
    /// A good answer.
    pub(super) fn ok(call: &'static str, response: Response<ResponseBody>) -> Self {
        let (trail, result) = (RequestLog::default(), "ok".to_owned());
        Self { response, call, request_log: trail, result, detail: None }
    }

    /// A failed call of the BBB API.
    pub(super) fn failed(call: &'static str, error: &ApiError) -> Self {
        let internal = matches!(
            error,
            ApiError::Unanswered(..)
                | ApiError::Files(_)
                | ApiError::Store(_)
                | ApiError::NoVoiceBridge
                | ApiError::Timeout
                | ApiError::Internal
        );
        let detail = match error {
            ApiError::Unanswered(_, cause) => Some(cause.to_string()),
            _ => internal.then(|| error.to_string()),
        };
        // A server's own key is its text, and only what looks like a key goes into the log.
        let plain = error.key().chars().all(|c| c.is_ascii_alphanumeric());
        let result = if plain { error.key() } else { "refused by the server" };
        Self {
            response: respond::xml(error.to_xml()),
            call,
            request_log: RequestLog::default(),
            result: result.to_owned(),
            detail,
        }
    }

    /// How it ended, for the log.
    fn summary(&self) -> RequestSummary<'_> {
        RequestSummary {
            result: &self.result,
            status: self.response.status().as_u16(),
            detail: self.detail.as_deref(),
        }
    }

    /// The same, about this meeting and server.
    pub(super) fn with_request_log(self, trail: RequestLog) -> Self {
        Self { request_log: trail, ..self }
    }
}

/// Answers one request.
pub(super) async fn handle(
    gate: Arc<HttpState>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let mut line = AccessLogLine { call: "-", started: Instant::now(), written: false };
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    let route = Route::parse(&target);
    line.call = route.call_name();
    let is_upload = matches!(route, Route::Upload(_));
    // Who asks before sending reads before sending.
    let may_be_unread = !body.is_end_stream() && !parts.headers.contains_key(header::EXPECT);
    let body = IncomingBody::new(body);
    let answered = AssertUnwindSafe(dispatch(&gate, route, parts, body.clone())).catch_unwind();
    let time_max = if is_upload { MAX_UPLOAD_TIME } else { gate.request_timeout };
    let outcome = match timeout(time_max, answered).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => HttpResponse::failed(line.call, &ApiError::Internal),
        Err(_) => HttpResponse::failed(line.call, &ApiError::Timeout),
    };
    line.write(&outcome);
    if may_be_unread {
        body.discard().await;
    }
    let mut response = outcome.response;
    if !body.is_at_end() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The line of the log that every request gets, also one whose client hangs up before its answer:
/// then this is dropped unwritten.
struct AccessLogLine {
    call: &'static str,
    started: Instant,
    written: bool,
}

impl AccessLogLine {
    fn write(&mut self, outcome: &HttpResponse) {
        self.written = true;
        log_request(outcome.call, &outcome.request_log, &outcome.summary(), self.started.elapsed());
    }
}

impl Drop for AccessLogLine {
    fn drop(&mut self) {
        if !self.written {
            let summary = RequestSummary { result: "client gone", status: 0, detail: None };
            log_request(self.call, &RequestLog::default(), &summary, self.started.elapsed());
        }
    }
}

/// How a request ended, for the log.
pub(super) struct RequestSummary<'a> {
    pub(super) result: &'a str,
    pub(super) status: u16,
    pub(super) detail: Option<&'a str>,
}

/// One line of the log about a request.
pub(super) fn log_request(
    call: &'static str,
    trail: &RequestLog,
    summary: &RequestSummary<'_>,
    took: Duration,
) {
    if call == "health" {
        return;
    }
    let tenant = trail.tenant.as_deref();
    let meeting = trail.meeting.as_deref().map(shorten_id).unwrap_or_default();
    let server = trail.server.as_ref().map_or("", |id| id.0.as_str());
    let RequestSummary { result, status, detail } = *summary;
    let took_ms = (took.as_secs_f64() * 1e4).round() / 10.0;
    match detail {
        None => tracing::info!(call, tenant, meeting, server, result, status, took_ms, "request"),
        Some(detail) => {
            tracing::warn!(
                call, tenant, meeting, server, result, status, took_ms, detail, "request"
            );
        }
    }
}

/// Meeting ids are any text of any length.
fn shorten_id(id: &str) -> &str {
    id.char_indices().nth(128).map_or(id, |(end, _)| &id[..end])
}

/// Where a target leads.
enum Route<'a> {
    Health {
        any_host: bool,
    },
    Index,
    Analytics,
    Bbb(&'a str, &'a str),
    Admin(&'a str, &'a str),
    Upload(&'a str),
    /// Perhaps about recordings: the whole target.
    Other(&'a str),
}

impl<'a> Route<'a> {
    fn parse(target: &'a str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments[..] {
            ["health_check"] => Self::Health { any_host: true },
            [] => Self::Health { any_host: false },
            ["bigbluebutton", "api"] => Self::Index,
            ["bigbluebutton", "api", "analytics_callback"] => Self::Analytics,
            ["bigbluebutton", "api", call] => Self::Bbb(call, query),
            ["scalelite", "api", call] => Self::Admin(call, query),
            ["scalelite", "recordings", "upload", record_id] => Self::Upload(record_id),
            _ => Self::Other(target),
        }
    }

    /// The call's name for the log: one that we know, never a client's text.
    fn call_name(&self) -> &'static str {
        match self {
            Self::Health { .. } => "health",
            Self::Index => "index",
            Self::Analytics => analytics::CALL_NAME,
            Self::Bbb(call, _) => ApiCall::from_name(call).map_or("-", ApiCall::name),
            Self::Admin(call, _) => admin::call_name(call),
            Self::Upload(_) => upload::CALL_NAME,
            Self::Other(_) => "-",
        }
    }
}

async fn dispatch(
    gate: &Arc<HttpState>,
    route: Route<'_>,
    parts: Parts,
    body: IncomingBody,
) -> HttpResponse {
    let (asked, own) = (host::requested_host(&parts), gate.url_host.as_deref());
    let served = own.is_none_or(|own| host::is_served(asked, own, gate.app.policy.multitenancy));
    if !matches!(route, Route::Health { any_host: true }) && !served {
        let mut refused = HttpResponse::ok("-", respond::text(StatusCode::FORBIDDEN, ""));
        refused.result = "foreign host".to_owned();
        return refused;
    }
    let tenant = host::tenant_label(asked, own).map(str::to_owned);
    let host = asked.to_owned();
    let incomer = |query: &str, parts: Parts| ApiRequest {
        tenant,
        host,
        method: parts.method,
        query: query.to_owned(),
        headers: parts.headers,
        body,
    };
    match route {
        Route::Health { .. } => check_health(gate).await,
        Route::Index => bbb_api::handle_index(gate, &parts.method),
        Route::Analytics => analytics::handle_call(gate, incomer("", parts)).await,
        Route::Bbb(call, query) => bbb_api::handle_call(gate, call, incomer(query, parts)).await,
        Route::Admin(call, query) => admin::handle_call(gate, call, incomer(query, parts)).await,
        Route::Upload(record_id) => upload::handle_call(gate, record_id, incomer("", parts)).await,
        Route::Other(target) => handle_other(gate, target, &incomer("", parts)).await,
    }
}

async fn handle_other(gate: &HttpState, target: &str, incomer: &ApiRequest) -> HttpResponse {
    if let Some(theatre) = &gate.playback
        && let Some(outcome) = playback::handle_target(&gate.app, theatre, target, incomer).await
    {
        return outcome;
    }
    HttpResponse::failed("-", &ApiError::Unsupported)
}

/// 200 while the store can be read and written, else 503 and the reason.
async fn check_health(gate: &HttpState) -> HttpResponse {
    match gate.app.pool.check_store().await {
        Ok(()) => HttpResponse::ok("health", respond::text(StatusCode::OK, "success")),
        Err(error) => {
            let text = format!("failure: {error}");
            tracing::error!(%error, "health check fails");
            HttpResponse::ok("health", respond::text(StatusCode::SERVICE_UNAVAILABLE, text))
        }
    }
}
