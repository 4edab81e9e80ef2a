//! Sends callbacks to URLs that front-ends have given.
//!
//! Each request has a connection of its own. The name is looked up once, and the connection goes to the address that was
//! checked. No connection is kept.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use app::blocking::CALLBACK_NAMES;
use app::ports::{CallbackClient, CallbackClientError, CallbackRequest};
use async_trait::async_trait;
use bytes::Bytes;
use domain::address_guard::AllowedHosts;
use http::{Request, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_rustls::ConfigBuilderExt as _;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::name_lookup::look_up;

/// Time limit of a whole request, from the name lookup to the response status.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
const USER_AGENT: &str = concat!("scalelite/", env!("CARGO_PKG_VERSION"));

/// A client that sends callbacks over HTTP/1.1.
pub struct HttpCallbackClient {
    allowed_hosts: AllowedHosts,
    /// The setting that allows hosts.
    allowing_setting: &'static str,
    tls: TlsConnector,
}

impl HttpCallbackClient {
    /// Creates a client that sends to public addresses and to `allowed_hosts`, and trusts the system's certificates.
    #[must_use]
    pub fn new(allowed_hosts: AllowedHosts) -> Self {
        Self::with_setting(allowed_hosts, "CALLBACK_ALLOW")
    }

    /// Like [`Self::new`]; `allowing_setting` is what an address that is refused must be in.
    #[must_use]
    pub fn with_setting(allowed_hosts: AllowedHosts, allowing_setting: &'static str) -> Self {
        let tls = ClientConfig::builder()
            .with_native_roots()
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "system certificates not available, using Mozilla's");
                ClientConfig::builder().with_webpki_roots()
            })
            .with_no_client_auth();
        Self { allowed_hosts, allowing_setting, tls: TlsConnector::from(Arc::new(tls)) }
    }

    async fn deliver(&self, callback: CallbackRequest) -> Result<u16, CallbackClientError> {
        let uri: Uri = callback.url.parse().map_err(|_| refused_error("the URL is invalid"))?;
        let host = uri.host().ok_or_else(|| refused_error("the URL has no host"))?.to_owned();
        let bare_host = host.trim_matches(['[', ']']).to_owned();
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refused_error("the URL is neither http nor https")),
        };
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let stream = connect(self.resolve_permitted(&bare_host, port).await?).await?;
        let request = build_request(&uri, callback)?;
        if is_https {
            let name = ServerName::try_from(bare_host)
                .map_err(|_| refused_error("the host name is invalid"))?;
            let stream = self.tls.connect(name, stream).await;
            exchange_messages(stream.map_err(|error| failed_error(&error))?, request).await
        } else {
            exchange_messages(stream, request).await
        }
    }

    /// Looks up the addresses of a host and returns those that requests may be sent to.
    async fn resolve_permitted(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, CallbackClientError> {
        let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                let found = look_up(&CALLBACK_NAMES, host, port).await;
                found.map_err(|error| failed_error(&error))?.collect()
            }
        };
        if addresses.is_empty() {
            return Err(CallbackClientError::Failed("the host name has no address".to_owned()));
        }
        let is_permitted = |address: &SocketAddr| self.allowed_hosts.is_allowed(host, address.ip());
        let permitted: Vec<SocketAddr> = addresses.into_iter().filter(is_permitted).collect();
        if permitted.is_empty() {
            let setting = self.allowing_setting;
            return Err(refused_error(&format!("the address is not public, and not in {setting}")));
        }
        Ok(permitted)
    }
}

#[async_trait]
impl CallbackClient for HttpCallbackClient {
    async fn send_callback(&self, callback: CallbackRequest) -> Result<u16, CallbackClientError> {
        match timeout(TOTAL_TIMEOUT, self.deliver(callback)).await {
            Ok(result) => result,
            Err(_) => Err(CallbackClientError::Failed(format!(
                "no response within {} s",
                TOTAL_TIMEOUT.as_secs()
            ))),
        }
    }
}

fn refused_error(reason: &str) -> CallbackClientError {
    CallbackClientError::Refused(reason.to_owned())
}

fn failed_error(error: &dyn std::error::Error) -> CallbackClientError {
    CallbackClientError::Failed(error.to_string())
}

async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, CallbackClientError> {
    TcpStream::connect(addresses.as_slice()).await.map_err(|error| failed_error(&error))
}

fn build_request(
    uri: &Uri,
    callback: CallbackRequest,
) -> Result<Request<Full<Bytes>>, CallbackClientError> {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // User name and password of a URL do not belong into the header `Host`.
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = match callback.content {
        Some(_) => Request::post(target),
        None => Request::get(target),
    };
    request = request.header(header::HOST, host).header(header::USER_AGENT, USER_AGENT);
    if let Some(token) = callback.bearer_token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    for (name, value) in callback.headers {
        request = request.header(name, value);
    }
    let body = callback.content.map(|content| (content.content_type, content.body));
    if let Some((content_type, _)) = &body {
        request = request.header(header::CONTENT_TYPE, *content_type);
    }
    let body = body.map(|(_, body)| body).unwrap_or_default();
    request.body(Full::new(body)).map_err(|_| refused_error("the request cannot be built"))
}

/// Sends the request and returns the status of the response. The body of the response is not read, since it is not
/// needed and may have any length.
async fn exchange_messages(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<u16, CallbackClientError> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed_error(&error))?;
    let connection_task = tokio::spawn(connection);
    let response = sender.send_request(request).await;
    connection_task.abort();
    response.map(|response| response.status().as_u16()).map_err(|error| failed_error(&error))
}

#[cfg(test)]
mod tests {
    use app::ports::CallbackContent;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn test_request(url: String) -> CallbackRequest {
        let bearer_token = Some("token".to_owned());
        let content = Some(CallbackContent {
            content_type: "text/plain",
            body: Bytes::from_static(b"hello"),
        });
        CallbackRequest { url, bearer_token, headers: Vec::new(), content }
    }

    fn test_client(allowed: &str) -> HttpCallbackClient {
        HttpCallbackClient::new(AllowedHosts::parse(allowed).unwrap())
    }

    /// Starts a server that answers one request with `text`. Returns its port and a task that yields the request.
    async fn respond_once(text: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let request = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"hello") && !request.starts_with(b"GET /all") {
                let mut buffer = [0; 1024];
                let length = stream.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..length]);
            }
            stream.write_all(text.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        });
        (port, request)
    }

    #[tokio::test]
    async fn a_callback_is_posted_with_its_headers() {
        let (port, request) = respond_once("HTTP/1.1 204 No Content\r\n\r\n").await;
        let url = format!("http://localhost:{port}/path?a=b");
        assert_eq!(test_client("localhost").send_callback(test_request(url)).await, Ok(204));
        let request = request.await.unwrap();
        assert!(request.starts_with("POST /path?a=b HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Bearer token\r\n"), "{request}");
        assert!(request.contains(&format!("host: localhost:{port}\r\n")), "{request}");
    }

    #[tokio::test]
    async fn a_callback_without_content_is_a_get() {
        let (port, request) = respond_once("HTTP/1.1 200 OK\r\n\r\n").await;
        let url = format!("http://localhost:{port}/all?a=b%20c#d");
        let callback =
            CallbackRequest { url, bearer_token: None, headers: Vec::new(), content: None };
        assert_eq!(test_client("localhost").send_callback(callback).await, Ok(200));
        let request = request.await.unwrap();
        assert!(request.starts_with("GET /all?a=b%20c HTTP/1.1\r\n"), "{request}");
        assert!(!request.to_ascii_lowercase().contains("content-"), "{request}");
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let redirect =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let (port, _request) = respond_once(redirect).await;
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(test_client("127.0.0.0/8").send_callback(test_request(url)).await, Ok(302));
    }

    #[tokio::test]
    async fn private_addresses_are_not_called() {
        for url in [
            "http://127.0.0.1:9/",
            "http://localhost:9/",
            "http://[::1]:9/",
            "http://0x7f000001:9/",
            "http://2130706433:9/",
            "http://[::ffff:127.0.0.1]:9/",
            "ftp://example.org/",
            "/path",
            "http:///x",
            "",
        ] {
            let result =
                test_client("10.0.0.0/8").send_callback(test_request(url.to_owned())).await;
            let error = result.unwrap_err();
            // Some resolvers do not accept the numeric forms; then the lookup fails.
            let lookup_failed = matches!(&error, CallbackClientError::Failed(_))
                && url.contains("//")
                && !url.contains('.');
            assert!(
                matches!(error, CallbackClientError::Refused(_)) || lookup_failed,
                "{url}: {error}"
            );
        }
    }
}
