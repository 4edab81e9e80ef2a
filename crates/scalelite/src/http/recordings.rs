//! The calls of the BBB API that list and change recordings.

use std::sync::Arc;

use app::api::{self, ApiError};
use app::tenancy::Caller;
use bbb::{ApiCall, Query};
use http::Response;

use super::respond::{self, ResponseBody};
use super::state::HttpState;

/// Returns whether a call lists or changes recordings.
pub(super) fn is_recording_call(call: ApiCall) -> bool {
    matches!(
        call,
        ApiCall::GetRecordings
            | ApiCall::PublishRecordings
            | ApiCall::UpdateRecordings
            | ApiCall::DeleteRecordings
    )
}

/// Answers a call whose checksum is valid. Links in the response begin with `origin`.
pub(super) async fn handle_call(
    state: &Arc<HttpState>,
    caller: Caller,
    call: ApiCall,
    query: Query,
    origin: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    let app = state.app.clone();
    if call == ApiCall::GetRecordings {
        let pieces = api::get_recordings(&app, &caller, &query, origin).await?;
        return Ok(respond::xml_stream(pieces));
    }
    // Files must arrive at their new place even if the client disconnects.
    let change = async move {
        match call {
            ApiCall::PublishRecordings => api::publish_recordings(&app, &caller, &query).await,
            ApiCall::UpdateRecordings => api::update_recordings(&app, &caller, &query).await,
            ApiCall::DeleteRecordings => api::delete_recordings(&app, &caller, &query).await,
            _ => Err(ApiError::Unsupported),
        }
    };
    state.run_to_completion(change).await?.map(respond::xml)
}
