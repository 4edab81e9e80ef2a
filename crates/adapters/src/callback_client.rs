//! Letters to addresses that callers gave us. A connection of its own for each of them: what was
//! looked up and checked is what is called, and nothing of it is kept.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

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
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// For everything together.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
const USER_AGENT: &str = concat!("scalelite/", env!("CARGO_PKG_VERSION"));

/// Posts over HTTP/1.1.
pub struct HttpCallbackClient {
    allowed_hosts: AllowedHosts,
    tls: TlsConnector,
}

impl HttpCallbackClient {
    /// One that calls public addresses and those that are allowed, with the system's certificates.
    #[must_use]
    pub fn new(allowed: AllowedHosts) -> Self {
        let tls = ClientConfig::builder()
            .with_native_roots()
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "no system certificates, using Mozilla's");
                ClientConfig::builder().with_webpki_roots()
            })
            .with_no_client_auth();
        Self { allowed_hosts: allowed, tls: TlsConnector::from(Arc::new(tls)) }
    }

    async fn deliver(&self, letter: CallbackRequest) -> Result<u16, CallbackClientError> {
        let uri: Uri = letter.url.parse().map_err(|_| refused_error("no valid address"))?;
        let host = uri.host().ok_or_else(|| refused_error("no host"))?.to_owned();
        let bare = host.trim_matches(['[', ']']).to_owned();
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refused_error("neither http nor https")),
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = connect(self.resolve_permitted(&bare, port).await?).await?;
        let request = build_request(&uri, letter)?;
        if secure {
            let name =
                ServerName::try_from(bare).map_err(|_| refused_error("no valid host name"))?;
            let stream = self.tls.connect(name, stream).await;
            exchange_messages(stream.map_err(|error| failed_error(&error))?, request).await
        } else {
            exchange_messages(stream, request).await
        }
    }

    /// The addresses of a host that may be called.
    async fn resolve_permitted(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, CallbackClientError> {
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                lookup_host((host, port)).await.map_err(|error| failed_error(&error))?.collect()
            }
        };
        if found.is_empty() {
            return Err(CallbackClientError::Failed("its name leads to no address".to_owned()));
        }
        let permits = |one: &SocketAddr| self.allowed_hosts.is_allowed(host, one.ip());
        let permitted: Vec<SocketAddr> = found.into_iter().filter(permits).collect();
        if permitted.is_empty() {
            return Err(refused_error("its address is not public, and not in CALLBACK_ALLOW"));
        }
        Ok(permitted)
    }
}

#[async_trait]
impl CallbackClient for HttpCallbackClient {
    async fn post_callback(&self, letter: CallbackRequest) -> Result<u16, CallbackClientError> {
        match timeout(TOTAL_TIMEOUT, self.deliver(letter)).await {
            Ok(result) => result,
            Err(_) => Err(CallbackClientError::Failed(format!(
                "no answer within {} s",
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
    letter: CallbackRequest,
) -> Result<Request<Full<Bytes>>, CallbackClientError> {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // Who puts a password into a URL does not mean it for the header.
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::post(target)
        .header(header::HOST, host)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONTENT_TYPE, letter.content_type);
    if let Some(token) = letter.bearer_token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(Full::new(letter.body)).map_err(|_| refused_error("the request cannot be sent"))
}

/// Sends the request and returns the status of the answer. Its body is not read: there is nothing
/// in it for us, however long it is.
async fn exchange_messages(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<u16, CallbackClientError> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed_error(&error))?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    driving.abort();
    answer.map(|answer| answer.status().as_u16()).map_err(|error| failed_error(&error))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn test_request(url: String) -> CallbackRequest {
        let bearer = Some("token".to_owned());
        CallbackRequest {
            url,
            content_type: "text/plain",
            bearer_token: bearer,
            body: Bytes::from_static(b"hello"),
        }
    }

    fn test_client(allowed: &str) -> HttpCallbackClient {
        HttpCallbackClient::new(AllowedHosts::parse(allowed).unwrap())
    }

    /// Answers one request so, and returns what it was.
    async fn respond_once(text: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"hello") {
                let mut piece = [0; 1024];
                let length = stream.read(&mut piece).await.unwrap();
                heard.extend_from_slice(&piece[..length]);
            }
            stream.write_all(text.as_bytes()).await.unwrap();
            String::from_utf8(heard).unwrap()
        });
        (port, heard)
    }

    #[tokio::test]
    async fn a_callback_arrives() {
        let (port, heard) = respond_once("HTTP/1.1 204 No Content\r\n\r\n").await;
        let url = format!("http://localhost:{port}/path?a=b");
        assert_eq!(test_client("localhost").post_callback(test_request(url)).await, Ok(204));
        let heard = heard.await.unwrap();
        assert!(heard.starts_with("POST /path?a=b HTTP/1.1\r\n"), "{heard}");
        assert!(heard.contains("authorization: Bearer token\r\n"), "{heard}");
        assert!(heard.contains(&format!("host: localhost:{port}\r\n")), "{heard}");
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let moved =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let (port, _heard) = respond_once(moved).await;
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(test_client("127.0.0.0/8").post_callback(test_request(url)).await, Ok(302));
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
            let refused =
                test_client("10.0.0.0/8").post_callback(test_request(url.to_owned())).await;
            let error = refused.unwrap_err();
            // Spellings that the resolver does not take lead nowhere either.
            let nowhere = matches!(&error, CallbackClientError::Failed(_))
                && url.contains("//")
                && !url.contains('.');
            assert!(matches!(error, CallbackClientError::Refused(_)) || nowhere, "{url}: {error}");
        }
    }
}
