//! What servers report of meetings. The answer is always an empty success: a server can do nothing about what is wrong
//! with its report, and whoever forges one learns nothing.

use std::sync::Arc;

use app::api::{self, ApiError};
use app::callbacks::{Refused, analytics};
use http::{Method, StatusCode, header};

use super::body;
use super::respond;
use super::route::{Gate, Incomer, Outcome};

/// Its name for the log.
pub(super) const CALL: &str = "analytics_callback";
/// Longest report, in bytes: it holds every user of a meeting.
const REPORT_BYTES_MAX: u64 = 4 << 20;

/// Takes a report.
pub(super) async fn call(gate: &Arc<Gate>, incomer: Incomer) -> Outcome {
    if incomer.method != Method::POST {
        return Outcome::failed(CALL, &ApiError::Unsupported);
    }
    let taken = take(gate, incomer).await;
    let mut outcome = Outcome::ok(CALL, respond::text(StatusCode::OK, ""));
    if let Err(reason) = taken {
        outcome.result = "refused".to_owned();
        outcome.detail = Some(reason);
    }
    outcome
}

async fn take(gate: &Gate, incomer: Incomer) -> Result<(), String> {
    let said = |error: ApiError| error.message();
    let caller = api::caller(&gate.app, incomer.tenant.as_deref()).await.map_err(said)?;
    let given = incomer.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(|given| given.strip_prefix("Bearer ")).map(str::trim);
    let token = token.ok_or("no token")?;
    let report = body::whole(&incomer.headers, incomer.body, REPORT_BYTES_MAX).await;
    let report = report.map_err(said)?;
    analytics(&gate.app, &caller, token, &report).await.map_err(|error: Refused| error.to_string())
}
