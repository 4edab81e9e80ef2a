//! The page for a browser whose join failed for now: it shows the reason and reloads itself.

use app::origin;
use askama::Template;
use http::{HeaderValue, Response, StatusCode, header};

use super::respond::{self, ResponseBody};

/// Interval at which the page reloads itself, in seconds.
const RETRY_AFTER_S: u16 = 10;

/// The page needs nothing but its own style sheet.
const SECURITY_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *");

#[derive(Template)]
#[template(path = "join_retry.html")]
struct JoinRetryPage<'a> {
    message: &'a str,
    request_id: &'a str,
    retry_after_s: u16,
}

/// Builds the page, with status 503.
pub(super) fn build_response(message: &str) -> Response<ResponseBody> {
    let id = origin::request_id();
    let request_id = id.as_deref().unwrap_or_default();
    let page = JoinRetryPage { message, request_id, retry_after_s: RETRY_AFTER_S };
    // Rendering into a string does not fail.
    let page = page.render().unwrap_or_default();
    let mut response = respond::html(StatusCode::SERVICE_UNAVAILABLE, page);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    headers.insert(header::CONTENT_SECURITY_POLICY, SECURITY_POLICY);
    response
}
