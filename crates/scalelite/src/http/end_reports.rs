//! The end callback: BBB servers report that a meeting has ended. The response is always an empty
//! success, because a server cannot repair its report, and a forger must learn nothing.

use std::sync::Arc;

use app::end_callbacks::accept_end_report;
use bbb::Query;
use http::StatusCode;

use super::message::HttpResponse;
use super::respond;
use super::state::HttpState;

/// Name of the call in the log.
pub(super) const CALL_NAME: &str = "end_callback";

/// Takes note of a report. Its body, if any, is not read.
pub(super) async fn handle_call(state: &Arc<HttpState>, query: &str) -> HttpResponse {
    let accepted = accept_end_report(&state.app, &Query::parse(query)).await;
    let mut response = HttpResponse::ok(CALL_NAME, respond::text(StatusCode::OK, ""));
    if let Err(error) = accepted {
        response.result = "refused".to_owned();
        response.detail = Some(error.to_string());
    }
    response
}
