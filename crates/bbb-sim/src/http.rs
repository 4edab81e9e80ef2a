//! Serves HTTP connections: finds the server and the call that a request is for, and sends the response or applies the
//! fault.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::calls::SimResponse;
use crate::fault::FaultMode;
use crate::log::RecordedRequest;
use crate::render;
use crate::requests::{Arrival, RequestResult};
use crate::server::BbbServer;
use crate::sync::lock;
use crate::web_server::error_page;

const API_PATH: &str = "/bigbluebutton/api";
const XML_TYPE: &str = "text/xml;charset=utf-8";
/// Bytes of a request body that are kept. The rest is read and discarded.
const MAX_BODY_BYTES: usize = 16 << 20;

/// The servers behind a listener.
#[derive(Clone, Debug)]
pub(crate) enum ServerRoute {
    /// One server, with any prefix before the path of the API.
    Single(BbbServer),
    /// All servers of a pool, selected by the path prefix or the host name.
    Pool(Arc<Mutex<Vec<BbbServer>>>),
}

/// The error that makes hyper close a connection without a response.
#[derive(Debug)]
struct ConnectionDropped;

impl fmt::Display for ConnectionDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is dropped on purpose")
    }
}

impl std::error::Error for ConnectionDropped {}

/// Serves the requests of one connection until it ends.
pub(crate) async fn serve_connection(stream: TcpStream, route: ServerRoute) {
    // Neither error can be handled here; the client notices both.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| handle_request(&route, request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn handle_request(
    route: &ServerRoute,
    request: http::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, ConnectionDropped> {
    let (head, body) = request.into_parts();
    let target = route.find_server(&head);
    if target.as_ref().is_some_and(|(server, call)| server.is_silent(call)) {
        return wait_for_ever().await;
    }
    let body = read_body(body).await.map_err(|_| ConnectionDropped)?;
    let Some((server, call)) = target else {
        return Ok(build_page(StatusCode::NOT_FOUND, "<html>no such server</html>"));
    };
    let request = build_request(&server, call, &head, body);
    let arrival = server.record_request(&request);
    match arrival.gateway_timeout {
        None => answer_request(server, request, arrival).await,
        Some(limit) => timeout(limit, answer_request(server, request, arrival))
            .await
            .unwrap_or_else(|_| build_error_page(504)),
    }
}

/// Lets a request take effect and builds the answer, if there is one.
async fn answer_request(
    server: BbbServer,
    request: RecordedRequest,
    arrival: Arrival,
) -> Result<Response<Full<Bytes>>, ConnectionDropped> {
    match process_request(server, request, arrival).await? {
        RequestResult::Response(SimResponse::Xml(xml)) => {
            Ok(build_response(StatusCode::OK, XML_TYPE, xml))
        }
        RequestResult::Response(SimResponse::Redirect(location)) => build_redirect(&location),
        RequestResult::Response(SimResponse::Status(code)) => {
            let status = StatusCode::from_u16(code).map_err(|_| ConnectionDropped)?;
            Ok(build_page(status, "<html><body>not allowed</body></html>"))
        }
        RequestResult::Fault(mode) => apply_fault(mode).await,
    }
}

/// Lets a request take effect and returns its result. A delayed request also takes effect if the client has
/// disconnected, as behind a web server.
async fn process_request(
    server: BbbServer,
    request: RecordedRequest,
    arrival: Arrival,
) -> Result<RequestResult, ConnectionDropped> {
    if let Some(status) = arrival.refusal {
        return Ok(RequestResult::Fault(FaultMode::ErrorPage(status)));
    }
    if arrival.is_immediate()
        && let Some(effect) = server.take_effect(&request, &arrival)
    {
        return Ok(effect.result);
    }
    tokio::spawn(server.complete_request(request, arrival)).await.map_err(|_| ConnectionDropped)
}

/// Produces the response of a fault, or drops the connection, or waits for ever.
async fn apply_fault(mode: FaultMode) -> Result<Response<Full<Bytes>>, ConnectionDropped> {
    Ok(match mode {
        FaultMode::Refuse | FaultMode::Reset => return Err(ConnectionDropped),
        FaultMode::Hang | FaultMode::HangAfterEffect | FaultMode::Freeze | FaultMode::Silent => {
            return wait_for_ever().await;
        }
        FaultMode::ErrorPage(status) | FaultMode::ErrorPageAfterEffect(status) => {
            return build_error_page(status);
        }
        FaultMode::Error500 => build_page(
            StatusCode::INTERNAL_SERVER_ERROR,
            "<html><h1>500 Internal Server Error</h1></html>",
        ),
        FaultMode::InvalidXml => {
            build_response(StatusCode::OK, "text/xml", "\u{0}\u{1} <<<not xml & neither this")
        }
        FaultMode::Html => build_page(StatusCode::OK, "<html><body>Welcome to nginx</body></html>"),
        FaultMode::Empty => build_response(StatusCode::OK, XML_TYPE, ""),
        FaultMode::NoReturncode => build_response(
            StatusCode::OK,
            XML_TYPE,
            "<response><messageKey>x</messageKey></response>",
        ),
        FaultMode::Failed { key, message } => {
            build_response(StatusCode::OK, XML_TYPE, render::failed_response(&key, &message))
        }
    })
}

/// Never answers.
async fn wait_for_ever() -> Result<Response<Full<Bytes>>, ConnectionDropped> {
    match pending::<Infallible>().await {}
}

/// Reads the whole body and returns its first [`MAX_BODY_BYTES`] bytes.
async fn read_body(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let free = MAX_BODY_BYTES - kept.len();
            kept.extend_from_slice(data.get(..free).unwrap_or(&data));
        }
    }
    Ok(kept)
}

fn build_request(server: &BbbServer, call: String, head: &Parts, body: Vec<u8>) -> RecordedRequest {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    RecordedRequest {
        server: server.number(),
        call,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or("").to_owned(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body,
    }
}

impl ServerRoute {
    /// Returns the server and the name of the call that a request is for.
    fn find_server(&self, head: &Parts) -> Option<(BbbServer, String)> {
        let path = merge_slashes(head.uri.path());
        let (prefix, call) = split_path(&path)?;
        let server = match self {
            Self::Single(server) => server.clone(),
            Self::Pool(servers) => {
                let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
                let number = number_in_prefix(prefix).or_else(|| number_in_host(host?))?;
                lock(servers).get(number.checked_sub(1)?)?.clone()
            }
        };
        Some((server, call.to_owned()))
    }
}

/// Replaces several slashes in a row by one, as web servers do.
fn merge_slashes(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut merged = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !merged.ends_with('/') {
            merged.push(c);
        }
    }
    Cow::Owned(merged)
}

/// Splits a path without double slashes into the part before the path of the API, and the name of the call after it.
fn split_path(path: &str) -> Option<(&str, &str)> {
    let start = path.rfind(API_PATH)?;
    let (prefix, rest) = (path.get(..start)?, path.get(start + API_PATH.len()..)?);
    let call = rest.trim_matches('/');
    let is_word = call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_word && (rest.is_empty() || rest.starts_with('/'))).then_some((prefix, call))
}

/// Returns 3 for the prefix `/s3`.
fn number_in_prefix(prefix: &str) -> Option<usize> {
    prefix.rsplit('/').next()?.strip_prefix('s')?.parse().ok()
}

/// Returns 3 for the host `bbb3.example.test`.
fn number_in_host(host: &str) -> Option<usize> {
    let label = host.split('.').next()?;
    let digits = label.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn build_response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn build_page(status: StatusCode, html: impl Into<Bytes>) -> Response<Full<Bytes>> {
    build_response(status, "text/html", html)
}

/// Builds the page that a web server shows for a status.
fn build_error_page(status: u16) -> Result<Response<Full<Bytes>>, ConnectionDropped> {
    let code = StatusCode::from_u16(status).map_err(|_| ConnectionDropped)?;
    Ok(build_page(code, error_page(status)))
}

fn build_redirect(location: &str) -> Result<Response<Full<Bytes>>, ConnectionDropped> {
    let mut response = build_page(StatusCode::FOUND, "");
    let location = HeaderValue::from_str(location).map_err(|_| ConnectionDropped)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_number_and_call_are_read_from_path_and_host() {
        assert_eq!(split_path("/bigbluebutton/api"), Some(("", "")));
        assert_eq!(split_path("/bigbluebutton/api/"), Some(("", "")));
        assert_eq!(split_path("/a/s3/bigbluebutton/api/create/"), Some(("/a/s3", "create")));
        assert_eq!(merge_slashes("///a//api//create//"), "/a/api/create/");
        assert_eq!(split_path("/bigbluebutton/apis"), None);
        assert_eq!(split_path("/bigbluebutton/api/hooks/list"), None);
        assert_eq!(split_path("/favicon.ico"), None);
        assert_eq!(number_in_prefix("/a/s12"), Some(12));
        assert_eq!(number_in_prefix(""), None);
        assert_eq!(number_in_host("bbb12.example.test:80"), Some(12));
        assert_eq!(number_in_host("localhost"), None);
    }
}
