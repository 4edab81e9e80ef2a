//! Health checks, which anybody may ask for: their answers cost next to nothing, and only administrators read details.
//!
//! `/health_check` tells whether the stores can be read and written, in the original's words. `/livez` tells that the process
//! answers. `/readyz` tells of each part that the process needs whether it can be used, as a background job found it last.

use std::sync::Arc;
use std::time::Duration;

use app::blocking::describe_hanging_work;
use app::health::PartReport;
use app::ports::StoreError;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::message::HttpResponse;
use super::respond;
use super::route::Audience;
use super::state::HttpState;

/// How long an answer of the stores counts.
const MAX_AGE: Duration = Duration::from_millis(100);
/// A store that takes longer has failed. Each store has a shorter limit of its own.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Most parts that a request may leave out.
const MAX_EXCLUDED: usize = 32;

/// The last answer of the stores, and when they were asked.
#[derive(Debug, Default)]
pub struct HealthChecks(Mutex<Option<(Instant, Result<(), StoreFailure>)>>);

/// Which store failed, and why.
#[derive(Clone, Debug)]
struct StoreFailure {
    /// Whether no call can be answered: meetings go on without the recording store.
    stops_meetings: bool,
    /// For everybody.
    text: &'static str,
    /// For administrators.
    reason: String,
}

/// Which health check a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HealthQuestion<'a> {
    /// `/health_check`.
    Stores,
    /// `/livez`.
    Alive,
    /// `/readyz`, with its query.
    Ready(&'a str),
}

/// Answers a health check.
pub(super) async fn check(
    state: &Arc<HttpState>,
    question: HealthQuestion<'_>,
    audience: Audience,
) -> HttpResponse {
    match question {
        HealthQuestion::Stores => check_stores(state, audience).await,
        HealthQuestion::Alive => HttpResponse::ok("health", respond::text(StatusCode::OK, "ok")),
        HealthQuestion::Ready(query) => describe_readiness(state, query, audience),
    }
}

/// Answers 200 and `success` while the stores can be read and written. If only the recording store fails, meetings go on: the
/// status remains 200, so that proxies go on sending calls here, and the text says what fails, as the original's does.
async fn check_stores(state: &Arc<HttpState>, audience: Audience) -> HttpResponse {
    let mut last = state.health_checks.0.lock().await;
    let recent = last.as_ref().filter(|(asked_at, _)| asked_at.elapsed() < MAX_AGE);
    let result = match recent {
        Some((_, result)) => result.clone(),
        None => {
            let asked_at = Instant::now();
            let result = ask_stores(state).await;
            if let Err(failure) = &result {
                tracing::debug!(error = failure.reason, "health check failed");
            }
            *last = Some((asked_at, result.clone()));
            result
        }
    };
    drop(last);
    let (status, text) = match result {
        Ok(()) => (StatusCode::OK, describe_health()),
        Err(failure) => {
            let status = match failure.stops_meetings {
                true => StatusCode::SERVICE_UNAVAILABLE,
                false => StatusCode::OK,
            };
            let reason = match audience {
                Audience::Management => failure.reason.as_str(),
                Audience::Public | Audience::Metrics => failure.text,
            };
            (status, format!("failure: {reason}"))
        }
    };
    HttpResponse::ok("health", respond::text(status, text))
}

async fn ask_stores(state: &HttpState) -> Result<(), StoreFailure> {
    let app = &state.app;
    let failure = |stops_meetings, text, reason| StoreFailure { stops_meetings, text, reason };
    in_time(app.pool.check_store())
        .await
        .map_err(|reason| failure(true, "the store cannot be used", reason))?;
    let Some(recordings) = &app.recording_store else { return Ok(()) };
    in_time(recordings.check_recording_store()).await.map_err(|reason| {
        let text = "the recording store cannot be used, meetings go on";
        failure(false, text, format!("recording store: {reason}"))
    })
}

async fn in_time(check: impl Future<Output = Result<(), StoreError>>) -> Result<(), String> {
    match timeout(MAX_TIME, check).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", MAX_TIME.as_secs())),
    }
}

/// `success`, and a line for each kind of work that hangs: meetings go on without it.
fn describe_health() -> String {
    let lines = describe_hanging_work().into_iter().map(|work| format!("\ndegraded: {work}"));
    format!("success{}", lines.collect::<String>())
}

/// Answers 200 if every part can be used that the query does not exclude (`exclude=PART`, repeated or with commas), otherwise 503,
/// with the state of all parts.
fn describe_readiness(state: &HttpState, query: &str, audience: Audience) -> HttpResponse {
    let excluded: Vec<&str> = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("exclude="))
        .flat_map(|names| names.split(','))
        .take(MAX_EXCLUDED)
        .collect();
    let parts = state.health.report();
    let counts = |part: &&PartReport| !excluded.contains(&part.name);
    let is_ready = parts.iter().filter(counts).all(PartReport::is_usable);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let parts: Vec<Value> = parts.iter().map(|part| describe_part(part, audience)).collect();
    let text = json!({ "ready": is_ready, "parts": parts });
    HttpResponse::ok("health", respond::json(status, &text))
}

/// Anybody may know which parts there are and whether they work; what is wrong with them is for administrators.
fn describe_part(part: &PartReport, audience: Audience) -> Value {
    let mut text = json!({ "name": part.name, "status": part.status() });
    if audience == Audience::Management {
        text["since_s"] = part.since_s.into();
        if let Some(detail) = part.detail() {
            text["detail"] = detail.into();
        }
    }
    text
}
