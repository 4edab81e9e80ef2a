//! HTTP over one connection: which server is meant, what it is asked, how its answer looks.

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

use crate::calls::SimResponse;
use crate::fault::FaultMode;
use crate::log::RecordedRequest;
use crate::render;
use crate::server::{BbbServer, RequestResult, RequestTiming};
use crate::sync::lock;

const API_PATH: &str = "/bigbluebutton/api";
const XML_TYPE: &str = "text/xml;charset=utf-8";
/// Bytes of a body that are looked at. The rest is read and forgotten.
const MAX_BODY_BYTES: usize = 16 << 20;

/// The servers that a connection may lead to.
#[derive(Clone, Debug)]
pub(crate) enum ServerRoute {
    /// One, whatever stands before the API's path.
    Single(BbbServer),
    /// All of a pool, by prefix or host name.
    Pool(Arc<Mutex<Vec<BbbServer>>>),
}

/// The reason for closing a connection without an answer.
#[derive(Debug)]
struct ConnectionDropped;

impl fmt::Display for ConnectionDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is dropped on purpose")
    }
}

impl std::error::Error for ConnectionDropped {}

/// Answers the requests of one connection until it ends.
pub(crate) async fn serve_connection(stream: TcpStream, route: ServerRoute) {
    // Neither of the two can be mended here; the client sees them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| handle_request(&route, request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn handle_request(
    route: &ServerRoute,
    request: http::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, ConnectionDropped> {
    let (head, body) = request.into_parts();
    let body = read_body(body).await.map_err(|_| ConnectionDropped)?;
    let Some((server, call)) = route.find_server(&head) else {
        return Ok(build_page(StatusCode::NOT_FOUND, "<html>no such server</html>"));
    };
    let request = build_request(&server, call, &head, body);
    match process_request(server, request).await? {
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

/// The effect of a request, and how it ends. What takes time goes on when the client hangs up, as
/// it does behind a web server.
async fn process_request(
    server: BbbServer,
    request: RecordedRequest,
) -> Result<RequestResult, ConnectionDropped> {
    let RequestTiming { delay, generation: life } = server.record_request(&request);
    if delay.is_zero()
        && let Some(ending) = server.finish_request(&request, life)
    {
        return Ok(ending);
    }
    let late = async move {
        tokio::time::sleep(delay).await;
        loop {
            let thawed = server.next_fault_change();
            if let Some(ending) = server.finish_request(&request, life) {
                return ending;
            }
            thawed.await;
        }
    };
    tokio::spawn(late).await.map_err(|_| ConnectionDropped)
}

async fn apply_fault(mode: FaultMode) -> Result<Response<Full<Bytes>>, ConnectionDropped> {
    Ok(match mode {
        FaultMode::Refuse | FaultMode::Reset => return Err(ConnectionDropped),
        FaultMode::Hang | FaultMode::HangAfterEffect | FaultMode::Freeze => {
            match pending::<Infallible>().await {}
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

/// The whole body, of which the beginning is kept.
async fn read_body(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let room = MAX_BODY_BYTES - kept.len();
            kept.extend_from_slice(data.get(..room).unwrap_or(&data));
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
        headers: head.headers.iter().map(|(name, v)| (name.to_string(), text(v))).collect(),
        body,
    }
}

impl ServerRoute {
    /// The server and the call that a request is for.
    fn find_server(&self, head: &Parts) -> Option<(BbbServer, String)> {
        let (prefix, call) = split_path(head.uri.path())?;
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

/// What stands before the API's path, and the call after it.
fn split_path(path: &str) -> Option<(&str, &str)> {
    let at = path.rfind(API_PATH)?;
    let (prefix, rest) = (path.get(..at)?, path.get(at + API_PATH.len()..)?);
    let call = rest.trim_matches('/');
    let is_word = call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_word && (rest.is_empty() || rest.starts_with('/'))).then_some((prefix, call))
}

/// 3 of `/s3`.
fn number_in_prefix(prefix: &str) -> Option<usize> {
    prefix.rsplit('/').next()?.strip_prefix('s')?.parse().ok()
}

/// 3 of `bbb3.example.test`.
fn number_in_host(host: &str) -> Option<usize> {
    let label = host.split('.').next()?;
    let digits = label.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn build_response(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn build_page(status: StatusCode, html: &'static str) -> Response<Full<Bytes>> {
    build_response(status, "text/html", html)
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
    fn paths_and_hosts() {
        assert_eq!(split_path("/bigbluebutton/api"), Some(("", "")));
        assert_eq!(split_path("/bigbluebutton/api/"), Some(("", "")));
        assert_eq!(split_path("/a/s3/bigbluebutton/api//create/"), Some(("/a/s3", "create")));
        assert_eq!(split_path("/bigbluebutton/apis"), None);
        assert_eq!(split_path("/bigbluebutton/api/hooks/list"), None);
        assert_eq!(split_path("/favicon.ico"), None);
        assert_eq!(number_in_prefix("/a/s12"), Some(12));
        assert_eq!(number_in_prefix(""), None);
        assert_eq!(number_in_host("bbb12.example.test:80"), Some(12));
        assert_eq!(number_in_host("localhost"), None);
    }
}
