//! Results of playback requests, and the response to a temporary failure.

use app::ports::{BlobError, StoreError};
use http::{HeaderValue, Response, StatusCode, header};

use crate::http::respond::{self, ResponseBody};

/// Why a playback request could not be answered.
#[derive(Debug)]
pub(super) enum PlaybackError {
    /// The store failed.
    Store(StoreError),
    /// Reading files failed.
    Files(BlobError),
    /// An internal error.
    Internal(&'static str),
}

impl From<StoreError> for PlaybackError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<BlobError> for PlaybackError {
    fn from(error: BlobError) -> Self {
        Self::Files(error)
    }
}

/// A response, or `None` if nothing is there that the client may watch.
pub(super) type PlaybackResult = Result<Option<Response<ResponseBody>>, PlaybackError>;

/// Builds a 503 response that asks the client to retry.
pub(super) fn retry_later_response() -> Response<ResponseBody> {
    let text = "This recording cannot be shown now. Please try again later.\n";
    let mut response = respond::text(StatusCode::SERVICE_UNAVAILABLE, text);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
