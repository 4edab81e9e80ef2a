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

use crate::calls::Answer;
use crate::fault::FaultMode;
use crate::log::Request;
use crate::render;
use crate::server::{Ending, Receipt, Server};
use crate::sync::lock;

const API: &str = "/bigbluebutton/api";
const XML: &str = "text/xml;charset=utf-8";
/// Bytes of a body that are looked at. The rest is read and forgotten.
const LOOKED_AT: usize = 16 << 20;

/// The servers that a connection may lead to.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// One, whatever stands before the API's path.
    One(Server),
    /// All of a pool, by prefix or host name.
    Many(Arc<Mutex<Vec<Server>>>),
}

/// The reason for closing a connection without an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

/// Answers the requests of one connection until it ends.
pub(crate) async fn serve(stream: TcpStream, route: Route) {
    // Neither of the two can be mended here; the client sees them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(&route, request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    route: &Route,
    request: http::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let (head, body) = request.into_parts();
    let body = read(body).await.map_err(|_| Dropped)?;
    let Some((server, call)) = route.find(&head) else {
        return Ok(page(StatusCode::NOT_FOUND, "<html>no such server</html>"));
    };
    let request = noted(&server, call, &head, body);
    match ending(server, request).await? {
        Ending::Answer(Answer::Xml(xml)) => Ok(response(StatusCode::OK, XML, xml)),
        Ending::Answer(Answer::Redirect(location)) => redirect(&location),
        Ending::Answer(Answer::Status(code)) => {
            let status = StatusCode::from_u16(code).map_err(|_| Dropped)?;
            Ok(page(status, "<html><body>not allowed</body></html>"))
        }
        Ending::Fault(mode) => broken(mode).await,
    }
}

/// The effect of a request, and how it ends. What takes time goes on when the client hangs up, as
/// it does behind a web server.
async fn ending(server: Server, request: Request) -> Result<Ending, Dropped> {
    let Receipt { delay, life } = server.receive(&request);
    if delay.is_zero()
        && let Some(ending) = server.reply(&request, life)
    {
        return Ok(ending);
    }
    let late = async move {
        tokio::time::sleep(delay).await;
        loop {
            let thawed = server.thawed();
            if let Some(ending) = server.reply(&request, life) {
                return ending;
            }
            thawed.await;
        }
    };
    tokio::spawn(late).await.map_err(|_| Dropped)
}

async fn broken(mode: FaultMode) -> Result<Response<Full<Bytes>>, Dropped> {
    Ok(match mode {
        FaultMode::Refuse | FaultMode::Reset => return Err(Dropped),
        FaultMode::Hang | FaultMode::HangAfterEffect | FaultMode::Freeze => {
            match pending::<Infallible>().await {}
        }
        FaultMode::Error500 => page(
            StatusCode::INTERNAL_SERVER_ERROR,
            "<html><h1>500 Internal Server Error</h1></html>",
        ),
        FaultMode::Garbage => {
            response(StatusCode::OK, "text/xml", "\u{0}\u{1} <<<not xml & neither this")
        }
        FaultMode::Html => page(StatusCode::OK, "<html><body>Welcome to nginx</body></html>"),
        FaultMode::Empty => response(StatusCode::OK, XML, ""),
        FaultMode::NoReturncode => {
            response(StatusCode::OK, XML, "<response><messageKey>x</messageKey></response>")
        }
        FaultMode::Failed { key, message } => {
            response(StatusCode::OK, XML, render::failed(&key, &message))
        }
    })
}

/// The whole body, of which the beginning is kept.
async fn read(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let room = LOOKED_AT - kept.len();
            kept.extend_from_slice(data.get(..room).unwrap_or(&data));
        }
    }
    Ok(kept)
}

fn noted(server: &Server, call: String, head: &Parts, body: Vec<u8>) -> Request {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Request {
        server: server.number(),
        call,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or("").to_owned(),
        headers: head.headers.iter().map(|(name, v)| (name.to_string(), text(v))).collect(),
        body,
    }
}

impl Route {
    /// The server and the call that a request is for.
    fn find(&self, head: &Parts) -> Option<(Server, String)> {
        let (prefix, call) = split(head.uri.path())?;
        let server = match self {
            Self::One(server) => server.clone(),
            Self::Many(servers) => {
                let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
                let number = number_in_prefix(prefix).or_else(|| number_in_host(host?))?;
                lock(servers).get(number.checked_sub(1)?)?.clone()
            }
        };
        Some((server, call.to_owned()))
    }
}

/// What stands before the API's path, and the call after it.
fn split(path: &str) -> Option<(&str, &str)> {
    let at = path.rfind(API)?;
    let (prefix, rest) = (path.get(..at)?, path.get(at + API.len()..)?);
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

fn response(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn page(status: StatusCode, html: &'static str) -> Response<Full<Bytes>> {
    response(status, "text/html", html)
}

fn redirect(location: &str) -> Result<Response<Full<Bytes>>, Dropped> {
    let mut response = page(StatusCode::FOUND, "");
    let location = HeaderValue::from_str(location).map_err(|_| Dropped)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_hosts() {
        assert_eq!(split("/bigbluebutton/api"), Some(("", "")));
        assert_eq!(split("/bigbluebutton/api/"), Some(("", "")));
        assert_eq!(split("/a/s3/bigbluebutton/api//create/"), Some(("/a/s3", "create")));
        assert_eq!(split("/bigbluebutton/apis"), None);
        assert_eq!(split("/bigbluebutton/api/hooks/list"), None);
        assert_eq!(split("/favicon.ico"), None);
        assert_eq!(number_in_prefix("/a/s12"), Some(12));
        assert_eq!(number_in_prefix(""), None);
        assert_eq!(number_in_host("bbb12.example.test:80"), Some(12));
        assert_eq!(number_in_host("localhost"), None);
    }
}
