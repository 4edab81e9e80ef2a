//! Builders of HTTP responses.

use std::convert::Infallible;
use std::io;

use app::ports::BlobBytes;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};

/// The body of a response. If its source fails halfway, the connection is closed.
pub(super) type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

fn full_body(body: Bytes) -> ResponseBody {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// Returns an empty body.
pub(super) fn empty_body() -> ResponseBody {
    full_body(Bytes::new())
}

/// Returns a body that streams the bytes of a file.
pub(super) fn stream_body(bytes: BlobBytes) -> ResponseBody {
    StreamBody::new(bytes.map_ok(Frame::data).map_err(io::Error::other)).boxed_unsync()
}

fn build_response(
    status: StatusCode,
    content_type: HeaderValue,
    body: Bytes,
) -> Response<ResponseBody> {
    let mut response = Response::new(full_body(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CACHE_CONTROL, NO_CACHE);
    response
}

/// Builds a response of the BBB API, which has status 200 even if the call failed.
pub(super) fn xml(body: impl Into<Bytes>) -> Response<ResponseBody> {
    build_response(StatusCode::OK, XML, body.into())
}

/// Builds a response of the BBB API whose body is streamed.
pub(super) fn xml_stream(pieces: BoxStream<'static, Bytes>) -> Response<ResponseBody> {
    let frames = pieces.map(|piece| Ok::<_, io::Error>(Frame::data(piece)));
    let mut response = xml(Bytes::new());
    *response.body_mut() = StreamBody::new(frames).boxed_unsync();
    response
}

/// Builds a JSON response.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response<ResponseBody> {
    build_response(status, JSON, value.to_string().into())
}

/// Builds a plain text response.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<ResponseBody> {
    build_response(status, TEXT, body.into())
}

/// Builds an HTML response.
pub(super) fn html(status: StatusCode, page: impl Into<Bytes>) -> Response<ResponseBody> {
    build_response(status, HTML, page.into())
}

/// Builds a redirect with status 302; `None` if the location is not a valid header value.
pub(super) fn redirect(location: &str) -> Option<Response<ResponseBody>> {
    redirect_with_status(StatusCode::FOUND, location)
}

/// Builds a redirect with any status; `None` if the location is not a valid header value.
pub(super) fn redirect_with_status(
    status: StatusCode,
    location: &str,
) -> Option<Response<ResponseBody>> {
    let location = HeaderValue::from_str(location).ok()?;
    let mut response = Response::new(empty_body());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CONTENT_TYPE, HTML);
    headers.insert(header::CACHE_CONTROL, NO_CACHE);
    Some(response)
}

/// Sets headers that keep browsers from guessing content types, from sending the address of a page
/// to other sites, and from loading more than `policy` (a `Content-Security-Policy`) allows.
pub(super) fn set_security_headers(headers: &mut HeaderMap, policy: HeaderValue) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
}
