//! From a path to a handler, and one line of the log for each request.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use app::App;
use app::api::{ApiError, Trail};
use bbb::Call;
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::body::Sent;
use super::long_target::{self, Placeholder};
use super::respond::{self, Body};
use super::upload::{self, Uploading};
use super::{admin, analytics, bbb_api, host};

/// The most that an upload of a recording may take: it is its sender's pauses that end one.
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// What stands between the network and the application.
pub struct Gate {
    /// The application.
    pub app: App,
    /// The only host served, if there is one; with tenants also its subdomains.
    pub url_host: Option<String>,
    /// Stands for targets that the HTTP library cannot hold.
    pub long_target: Placeholder,
    /// Longest body, in bytes.
    pub body_bytes_max: u64,
    /// The most that a request may take.
    pub request_timeout: Duration,
    /// Uploads of recordings.
    pub uploading: Uploading,
    /// Work that goes on although its client may have hung up.
    pub background: TaskTracker,
}

impl Gate {
    /// Runs what must not stop in the middle because a client hangs up.
    ///
    /// # Errors
    /// When the work panics.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.background.spawn(work).await.map_err(|_| ApiError::Internal)
    }
}

/// A request with its target as it was sent.
pub(super) struct Incomer {
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
    pub(super) body: Sent,
}

/// An answer, and what the log says about it.
pub(super) struct Outcome {
    pub(super) response: Response<Body>,
    /// The call's name; static, so that nobody can write into the log.
    pub(super) call: &'static str,
    pub(super) trail: Trail,
    /// `ok`, or the key of the error.
    pub(super) result: String,
    /// What went wrong, for administrators.
    pub(super) detail: Option<String>,
}

impl Outcome {
    /// A good answer.
    pub(super) fn ok(call: &'static str, response: Response<Body>) -> Self {
        let (trail, result) = (Trail::default(), "ok".to_owned());
        Self { response, call, trail, result, detail: None }
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
            trail: Trail::default(),
            result: result.to_owned(),
            detail,
        }
    }

    /// How it ended, for the log.
    fn summary(&self) -> Summary<'_> {
        Summary {
            result: &self.result,
            status: self.response.status().as_u16(),
            detail: self.detail.as_deref(),
        }
    }

    /// The same, about this meeting and server.
    pub(super) fn about(self, trail: Trail) -> Self {
        Self { trail, ..self }
    }
}

/// Answers one request.
pub(super) async fn handle(gate: Arc<Gate>, request: Request<Incoming>) -> Response<Body> {
    let mut line = Line { call: "-", started: Instant::now(), written: false };
    let (mut parts, body) = request.into_parts();
    let target = long_target::restore(&mut parts, &gate.long_target);
    let route = Route::of(&target);
    line.call = route.call();
    let is_upload = matches!(route, Route::Upload(_));
    // Who asks before sending reads before sending.
    let may_be_unread = !body.is_end_stream() && !parts.headers.contains_key(header::EXPECT);
    let body = Sent::new(body);
    let answered = AssertUnwindSafe(dispatch(&gate, route, parts, body.clone())).catch_unwind();
    let time_max = if is_upload { UPLOAD_TIME_MAX } else { gate.request_timeout };
    let outcome = match timeout(time_max, answered).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => Outcome::failed(line.call, &ApiError::Internal),
        Err(_) => Outcome::failed(line.call, &ApiError::Timeout),
    };
    line.write(&outcome);
    if may_be_unread {
        body.discard().await;
    }
    let mut response = outcome.response;
    if !body.ended() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The line of the log that every request gets, also one whose client hangs up before its answer:
/// then this is dropped unwritten.
struct Line {
    call: &'static str,
    started: Instant,
    written: bool,
}

impl Line {
    fn write(&mut self, outcome: &Outcome) {
        self.written = true;
        log(outcome.call, &outcome.trail, &outcome.summary(), self.started.elapsed());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.written {
            let summary = Summary { result: "client gone", status: 0, detail: None };
            log(self.call, &Trail::default(), &summary, self.started.elapsed());
        }
    }
}

/// How a request ended, for the log.
pub(super) struct Summary<'a> {
    pub(super) result: &'a str,
    pub(super) status: u16,
    pub(super) detail: Option<&'a str>,
}

/// One line of the log about a request.
pub(super) fn log(call: &'static str, trail: &Trail, summary: &Summary<'_>, took: Duration) {
    if call == "health" {
        return;
    }
    let tenant = trail.tenant.as_deref();
    let meeting = trail.meeting.as_deref().map(shortened).unwrap_or_default();
    let server = trail.server.as_ref().map_or("", |id| id.0.as_str());
    let Summary { result, status, detail } = *summary;
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
fn shortened(id: &str) -> &str {
    id.char_indices().nth(128).map_or(id, |(end, _)| &id[..end])
}

/// Where a target leads.
enum Route<'a> {
    Health { exempt: bool },
    Index,
    Analytics,
    Bbb(&'a str, &'a str),
    Admin(&'a str, &'a str),
    Upload(&'a str),
    Unknown,
}

impl<'a> Route<'a> {
    fn of(target: &'a str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments[..] {
            ["health_check"] => Self::Health { exempt: true },
            [] => Self::Health { exempt: false },
            ["bigbluebutton", "api"] => Self::Index,
            ["bigbluebutton", "api", "analytics_callback"] => Self::Analytics,
            ["bigbluebutton", "api", call] => Self::Bbb(call, query),
            ["scalelite", "api", call] => Self::Admin(call, query),
            ["scalelite", "recordings", "upload", record_id] => Self::Upload(record_id),
            _ => Self::Unknown,
        }
    }

    /// The call's name for the log: one that we know, never a client's text.
    fn call(&self) -> &'static str {
        match self {
            Self::Health { .. } => "health",
            Self::Index => "index",
            Self::Analytics => analytics::CALL,
            Self::Bbb(call, _) => Call::from_name(call).map_or("-", Call::name),
            Self::Admin(call, _) => admin::known(call),
            Self::Upload(_) => upload::CALL,
            Self::Unknown => "-",
        }
    }
}

async fn dispatch(gate: &Arc<Gate>, route: Route<'_>, parts: Parts, body: Sent) -> Outcome {
    let (asked, own) = (host::asked(&parts), gate.url_host.as_deref());
    let served = own.is_none_or(|own| host::is_served(asked, own, gate.app.policy.multitenancy));
    if !matches!(route, Route::Health { exempt: true }) && !served {
        let mut refused = Outcome::ok("-", respond::text(StatusCode::FORBIDDEN, ""));
        refused.result = "foreign host".to_owned();
        return refused;
    }
    let tenant = host::tenant(asked, own).map(str::to_owned);
    let host = asked.to_owned();
    let incomer = |query: &str, parts: Parts| Incomer {
        tenant,
        host,
        method: parts.method,
        query: query.to_owned(),
        headers: parts.headers,
        body,
    };
    match route {
        Route::Health { .. } => health(gate).await,
        Route::Index => bbb_api::index(gate, &parts.method),
        Route::Analytics => analytics::call(gate, incomer("", parts)).await,
        Route::Bbb(call, query) => bbb_api::call(gate, call, incomer(query, parts)).await,
        Route::Admin(call, query) => admin::call(gate, call, incomer(query, parts)).await,
        Route::Upload(record_id) => upload::call(gate, record_id, incomer("", parts)).await,
        Route::Unknown => Outcome::failed("-", &ApiError::Unsupported),
    }
}

/// 200 while the store can be read and written, else 503 and the reason.
async fn health(gate: &Gate) -> Outcome {
    match gate.app.cluster.check().await {
        Ok(()) => Outcome::ok("health", respond::text(StatusCode::OK, "success")),
        Err(error) => {
            let text = format!("failure: {error}");
            tracing::error!(%error, "health check fails");
            Outcome::ok("health", respond::text(StatusCode::SERVICE_UNAVAILABLE, text))
        }
    }
}
