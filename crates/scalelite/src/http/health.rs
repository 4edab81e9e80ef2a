//! Health checks: whether the store can be read and written. Anybody may ask, so answers are shared for a moment, and only
//! administrators read the reason of a failure.

use std::sync::Arc;
use std::time::Duration;

use app::blocking::describe_hanging_work;
use http::StatusCode;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::message::HttpResponse;
use super::respond;
use super::route::Audience;
use super::state::HttpState;

/// How long an answer of the store counts.
const MAX_AGE: Duration = Duration::from_millis(100);

/// The last answer of the store, and when it was asked.
#[derive(Debug, Default)]
pub struct HealthChecks(Mutex<Option<(Instant, Result<(), String>)>>);

/// Answers 200 while the store can be read and written, otherwise 503.
pub(super) async fn check(state: &Arc<HttpState>, audience: Audience) -> HttpResponse {
    let mut last = state.health_checks.0.lock().await;
    let recent = last.as_ref().filter(|(asked_at, _)| asked_at.elapsed() < MAX_AGE);
    let result = match recent {
        Some((_, result)) => result.clone(),
        None => {
            let asked_at = Instant::now();
            let result = state.app.pool.check_store().await.map_err(|error| error.to_string());
            if let Err(error) = &result {
                tracing::error!(error, "health check failed");
            }
            *last = Some((asked_at, result.clone()));
            result
        }
    };
    drop(last);
    let text = match result {
        Ok(()) => {
            return HttpResponse::ok("health", respond::text(StatusCode::OK, describe_health()));
        }
        Err(error) if audience == Audience::Management => format!("failure: {error}"),
        Err(_) => "failure: the store cannot be used".to_owned(),
    };
    HttpResponse::ok("health", respond::text(StatusCode::SERVICE_UNAVAILABLE, text))
}

/// `success`, and a line for each kind of work that hangs: meetings go on without it.
fn describe_health() -> String {
    let hanging = describe_hanging_work();
    if !hanging.is_empty() {
        tracing::error!(hanging = hanging.join("; "), "work hangs");
    }
    let lines = hanging.iter().map(|work| format!("\ndegraded: {work}"));
    format!("success{}", lines.collect::<String>())
}
