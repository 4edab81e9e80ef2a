//! The calls of the BBB API that are about recordings.

use std::sync::Arc;

use app::api::{self, ApiError};
use app::tenancy::Caller;
use bbb::{ApiCall, Query};
use http::Response;

use super::respond::{self, ResponseBody};
use super::route::HttpState;

/// Whether a call is about recordings.
pub(super) fn is_recording_call(call: ApiCall) -> bool {
    matches!(
        call,
        ApiCall::GetRecordings
            | ApiCall::PublishRecordings
            | ApiCall::UpdateRecordings
            | ApiCall::DeleteRecordings
    )
}

/// Answers a call whose checksum is right. Links begin with `origin`.
pub(super) async fn handle_call(
    gate: &Arc<HttpState>,
    caller: Caller,
    call: ApiCall,
    query: Query,
    origin: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    let app = gate.app.clone();
    if call == ApiCall::GetRecordings {
        let pieces = api::get_recordings(&app, &caller, &query, origin).await?;
        return Ok(respond::xml_stream(pieces));
    }
    // Files that are on their way arrive, even if nobody waits any more.
    let change = async move {
        match call {
            ApiCall::PublishRecordings => api::publish_recordings(&app, &caller, &query).await,
            ApiCall::UpdateRecordings => api::update_recordings(&app, &caller, &query).await,
            ApiCall::DeleteRecordings => api::delete_recordings(&app, &caller, &query).await,
            _ => Err(ApiError::Unsupported),
        }
    };
    gate.run_to_completion(change).await?.map(respond::xml)
}
