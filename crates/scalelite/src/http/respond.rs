//! Answers.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// How often a page that waits is loaded again, in seconds.
const RETRY_S: u16 = 10;
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

fn full(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CACHE_CONTROL, NO_CACHE);
    response
}

/// An answer of the BBB API: always 200, failures too.
pub(super) fn xml(body: impl Into<Bytes>) -> Response<Body> {
    full(StatusCode::OK, XML, body.into())
}

/// An answer of the BBB API that comes in pieces.
pub(super) fn xml_stream(pieces: BoxStream<'static, Bytes>) -> Response<Body> {
    let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    let mut response = xml(Bytes::new());
    *response.body_mut() = StreamBody::new(frames).boxed_unsync();
    response
}

/// An answer of the management API.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    full(status, JSON, value.to_string().into())
}

/// No body at all.
pub(super) fn nothing() -> Body {
    Full::new(Bytes::new()).boxed_unsync()
}

/// Plain text.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    full(status, TEXT, body.into())
}

/// Sends the browser elsewhere; `None` if the address cannot stand in a header.
pub(super) fn redirect(location: &str) -> Option<Response<Body>> {
    let location = HeaderValue::from_str(location).ok()?;
    let mut response = Response::new(Full::new(Bytes::new()).boxed_unsync());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CONTENT_TYPE, HTML);
    headers.insert(header::CACHE_CONTROL, NO_CACHE);
    Some(response)
}

/// A page for a person, which tries again by itself.
pub(super) fn waiting_page(message: &str) -> Response<Body> {
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"refresh\" content=\"{RETRY_S}\">\n<title>One moment, please</title>\n\
         <style>body{{font-family:system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;\
         line-height:1.5;color:#222;background:#fff}}@media(prefers-color-scheme:dark){{body{{color:#ddd;\
         background:#111}}a{{color:#8cf}}}}</style>\n</head>\n<body>\n<h1>One moment, please</h1>\n\
         <p>{message}</p>\n<p>This page tries again every {RETRY_S} seconds. If it takes longer, go back to \
         where you came from and enter the meeting from there: it may have been moved.</p>\n\
         <p><a href=\"\">Try again now</a></p>\n</body>\n</html>\n"
    );
    let mut response = full(StatusCode::SERVICE_UNAVAILABLE, HTML, page.into());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_S));
    let nothing_else = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(nothing_else));
    response
}
