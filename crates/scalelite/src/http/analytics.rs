//! What servers report of meetings. The answer is always an empty success: a server can do nothing about what is wrong
//! with its report, and whoever forges one learns nothing.

use std::sync::Arc;

use app::api::{self, ApiError};
use app::callbacks::{AnalyticsError, accept_analytics};
use http::{Method, StatusCode, header};

use super::body;
use super::respond;
use super::route::{ApiRequest, HttpResponse, HttpState};

/// Its name for the log.
pub(super) const CALL_NAME: &str = "analytics_callback";
/// Longest report, in bytes: it holds every user of a meeting.
const MAX_REPORT_BYTES: u64 = 4 << 20;

/// Takes a report.
pub(super) async fn handle_call(gate: &Arc<HttpState>, incomer: ApiRequest) -> HttpResponse {
    if incomer.method != Method::POST {
        return HttpResponse::failed(CALL_NAME, &ApiError::Unsupported);
    }
    let taken = receive_report(gate, incomer).await;
    let mut outcome = HttpResponse::ok(CALL_NAME, respond::text(StatusCode::OK, ""));
    if let Err(reason) = taken {
        outcome.result = "refused".to_owned();
        outcome.detail = Some(reason);
    }
    outcome
}

async fn receive_report(gate: &HttpState, incomer: ApiRequest) -> Result<(), String> {
    let said = |error: ApiError| error.message();
    let caller = api::identify_caller(&gate.app, incomer.tenant.as_deref()).await.map_err(said)?;
    let given = incomer.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(|given| given.strip_prefix("Bearer ")).map(str::trim);
    let token = token.ok_or("no token")?;
    let report = body::read_whole(&incomer.headers, incomer.body, MAX_REPORT_BYTES).await;
    let report = report.map_err(said)?;
    accept_analytics(&gate.app, &caller, token, &report)
        .await
        .map_err(|error: AnalyticsError| error.to_string())
}
