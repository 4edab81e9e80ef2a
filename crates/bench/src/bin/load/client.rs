//! A persistent connection, and the checks that a response must pass to count.

use anyhow::{bail, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const HOST_NAME: HeaderValue = HeaderValue::from_static("lb.example.test");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const SUCCESS: &str = "<returncode>SUCCESS</returncode>";
/// Length of the excerpt of a body in messages. The return code lies within it in every response.
const EXCERPT_BYTES: usize = 200;

/// A connection to a port of this machine, opened again after the server has closed it.
#[derive(Debug)]
pub(crate) struct Connection {
    port: u16,
    sender: SendRequest<Full<Bytes>>,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct LoadResponse {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<HeaderValue>,
    pub(crate) body: Bytes,
}

/// What a response must look like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ExpectedResponse {
    /// A redirect to a signed join.
    Join,
    /// An XML document with the return code SUCCESS.
    Success,
    /// A successful list of this many meetings.
    Meetings(usize),
}

impl Connection {
    pub(crate) async fn open(port: u16) -> anyhow::Result<Self> {
        let sender = connect(port).await?;
        Ok(Self { port, sender })
    }

    /// Sends a request and reads the complete response.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<LoadResponse> {
        if self.sender.is_closed() {
            self.sender = connect(self.port).await?;
        }
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        Ok(LoadResponse {
            status: head.status,
            location: head.headers.get(LOCATION).cloned(),
            body: body.collect().await?.to_bytes(),
        })
    }

    /// Sends a request; returns the headers of the response.
    pub(crate) async fn send_for_headers(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<HeaderMap> {
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let _ = body.collect().await?;
        Ok(head.headers)
    }

    pub(crate) async fn get(&mut self, target: Uri) -> anyhow::Result<LoadResponse> {
        self.send(build_request(Method::GET, target, Bytes::new())).await
    }

    /// Like [`Self::get`], with a token in the header `Authorization`.
    pub(crate) async fn get_with_token(
        &mut self,
        target: Uri,
        token: &str,
    ) -> anyhow::Result<LoadResponse> {
        let mut request = build_request(Method::GET, target, Bytes::new());
        let value = HeaderValue::from_str(&format!("Bearer {token}"))?;
        request.headers_mut().insert(AUTHORIZATION, value);
        self.send(request).await
    }

    pub(crate) async fn post_json(
        &mut self,
        target: Uri,
        json: String,
    ) -> anyhow::Result<LoadResponse> {
        let mut request = build_request(Method::POST, target, json.into());
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        self.send(request).await
    }
}

async fn connect(port: u16) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Errors of the connection appear at the sender.
    tokio::spawn(connection);
    Ok(sender)
}

fn build_request(method: Method, target: Uri, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = target;
    request.headers_mut().insert(HOST, HOST_NAME);
    request
}

impl ExpectedResponse {
    /// Checks a response; the error says what is wrong with it.
    pub(crate) fn check(self, response: &LoadResponse) -> anyhow::Result<()> {
        match self {
            Self::Join => response.check_join(),
            Self::Success => response.check_success().map(drop),
            Self::Meetings(count) => {
                let found = response.check_success()?.matches("<meeting>").count();
                ensure!(found == count, "{found} meetings listed instead of {count}");
                Ok(())
            }
        }
    }
}

impl LoadResponse {
    fn check_join(&self) -> anyhow::Result<()> {
        let location = self.location.as_ref().map(HeaderValue::to_str).transpose()?;
        let is_join = location.is_some_and(|location| {
            location.contains("/bigbluebutton/api/join?") && location.contains("checksum=")
        });
        if self.status == StatusCode::FOUND && is_join {
            return Ok(());
        }
        bail!("{} with location {location:?}: {}", self.status, self.excerpt())
    }

    fn check_success(&self) -> anyhow::Result<&str> {
        let text = std::str::from_utf8(&self.body)?;
        let position = text.find(SUCCESS);
        let is_success = position.is_some_and(|position| position < EXCERPT_BYTES);
        ensure!(self.status == StatusCode::OK && is_success, "{}: {}", self.status, self.excerpt());
        ensure!(text.trim_end().ends_with("</response>"), "the response is truncated");
        Ok(text)
    }

    /// Returns the beginning of the body, for messages.
    pub(crate) fn excerpt(&self) -> String {
        let beginning = self.body.get(..EXCERPT_BYTES).unwrap_or(&self.body);
        String::from_utf8_lossy(beginning).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, location: Option<&'static str>, body: &'static str) -> LoadResponse {
        LoadResponse {
            status: StatusCode::from_u16(status).unwrap(),
            location: location.map(HeaderValue::from_static),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn only_redirects_to_a_signed_join_count_as_joins() {
        let join = "https://b/bigbluebutton/api/join?meetingID=a&checksum=1";
        let errors = "https://campus/?errors=notFound";
        assert!(ExpectedResponse::Join.check(&response(302, Some(join), "")).is_ok());
        assert!(ExpectedResponse::Join.check(&response(302, Some(errors), "")).is_err());
        assert!(ExpectedResponse::Join.check(&response(302, None, "")).is_err());
        assert!(ExpectedResponse::Join.check(&response(200, Some(join), "")).is_err());
    }

    #[test]
    fn documents_must_be_successful_and_complete() {
        let two = "<response><returncode>SUCCESS</returncode><meetings><meeting></meeting>\
                   <meeting></meeting></meetings></response>\n";
        let failed = "<response><returncode>FAILED</returncode></response>";
        assert!(ExpectedResponse::Success.check(&response(200, None, two)).is_ok());
        assert!(ExpectedResponse::Success.check(&response(500, None, two)).is_err());
        assert!(ExpectedResponse::Success.check(&response(200, None, failed)).is_err());
        assert!(ExpectedResponse::Success.check(&response(200, None, &two[..60])).is_err());
        assert!(ExpectedResponse::Meetings(2).check(&response(200, None, two)).is_ok());
        assert!(ExpectedResponse::Meetings(3).check(&response(200, None, two)).is_err());
    }
}
