//! The calls of the BBB API that are about recordings.

use std::sync::Arc;

use app::api::{self, ApiError};
use app::tenancy::Caller;
use bbb::{Call, Query};
use http::Response;

use super::respond::{self, Body};
use super::route::Gate;

/// Whether a call is about recordings.
pub(super) fn is_about(call: Call) -> bool {
    matches!(
        call,
        Call::GetRecordings
            | Call::PublishRecordings
            | Call::UpdateRecordings
            | Call::DeleteRecordings
    )
}

/// Answers a call whose checksum is right. Links begin with `origin`.
pub(super) async fn call(
    gate: &Arc<Gate>,
    caller: Caller,
    call: Call,
    query: Query,
    origin: &str,
) -> Result<Response<Body>, ApiError> {
    let app = gate.app.clone();
    if call == Call::GetRecordings {
        let pieces = api::get_recordings(&app, &caller, &query, origin).await?;
        return Ok(respond::xml_stream(pieces));
    }
    // Files that are on their way arrive, even if nobody waits any more.
    let change = async move {
        match call {
            Call::PublishRecordings => api::publish_recordings(&app, &caller, &query).await,
            Call::UpdateRecordings => api::update_recordings(&app, &caller, &query).await,
            Call::DeleteRecordings => api::delete_recordings(&app, &caller, &query).await,
            _ => Err(ApiError::Unsupported),
        }
    };
    gate.to_the_end(change).await?.map(respond::xml)
}
