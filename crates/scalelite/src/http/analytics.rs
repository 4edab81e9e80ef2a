//! The analytics callback: BBB servers report what happened in a meeting. The response is always
//! an empty success, because a server cannot repair its report, and a forger must learn nothing.

use std::sync::Arc;

use app::api::{self, ApiError};
use app::callbacks::{AnalyticsError, accept_analytics, is_token_of_a_server};
use headers::authorization::Bearer;
use headers::{Authorization, HeaderMapExt as _};
use http::{Method, StatusCode};

use super::body;
use super::json_cost;
use super::message::{ApiRequest, HttpResponse};
use super::respond;
use super::state::HttpState;

/// Name of the call in the log.
pub(super) const CALL_NAME: &str = "analytics_callback";
/// Longest report, in bytes: a report lists every user of a meeting.
const MAX_REPORT_BYTES: u64 = 4 << 20;

/// Accepts a report.
pub(super) async fn handle_call(state: &Arc<HttpState>, request: ApiRequest) -> HttpResponse {
    if request.method != Method::POST {
        return HttpResponse::failed(CALL_NAME, &ApiError::Unsupported);
    }
    let received = receive_report(state, request).await;
    let mut response = HttpResponse::ok(CALL_NAME, respond::text(StatusCode::OK, ""));
    if let Err(reason) = received {
        response.result = "refused".to_owned();
        response.detail = Some(reason);
    }
    response
}

/// Checks and stores a report. The error is a text for the log.
async fn receive_report(state: &HttpState, request: ApiRequest) -> Result<(), String> {
    let to_text = |error: ApiError| error.message();
    let caller = api::identify_caller(&state.app, request.tenant.as_deref()).await;
    let caller = caller.map_err(to_text)?;
    let token = request.headers.typed_get::<Authorization<Bearer>>().ok_or("no token")?;
    // Reading is slow: only a server of the pool may make us do it.
    let is_signed = is_token_of_a_server(&state.app, token.token()).await;
    if !is_signed.map_err(|error| error.to_string())? {
        return Err("not signed by a server of the pool".to_owned());
    }
    let body = request.body;
    body.prove_sender().await;
    let report = body::read_whole(&request.headers, body.clone(), MAX_REPORT_BYTES).await;
    let report = report.map_err(to_text)?;
    let cost = json_cost::estimate(&report).ok_or("nested too deeply")?;
    body.hold(cost).map_err(to_text)?;
    accept_analytics(&state.app, &caller, token.token(), &report)
        .await
        .map_err(|error: AnalyticsError| error.to_string())
}
