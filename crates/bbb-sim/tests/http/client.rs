//! A minimal HTTP client that shows how a connection fails.

use std::io;
use std::time::Duration;

use bbb_sim::{Algorithm, BbbPool, BbbServer, PoolOptions, Strictness};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long anything that should happen may take.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(20);

/// A parsed response.
#[derive(Debug)]
pub(crate) struct HttpReply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl HttpReply {
    /// Returns the text of the first element with this name.
    pub(crate) fn field(&self, name: &str) -> &str {
        let start = self.body.split_once(&format!("<{name}>"));
        let text = start.and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
        text.map(|(text, _)| text).unwrap_or_else(|| panic!("no {name} in {}", self.body))
    }

    pub(crate) fn message_key(&self) -> &str {
        self.field("messageKey")
    }

    pub(crate) fn location(&self) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix("location: "));
        line.unwrap_or_else(|| panic!("no location in {}", self.head))
    }
}

/// Waits until this is so.
pub(crate) async fn wait_until(mut is_so: impl FnMut() -> bool) {
    let condition = async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(MAX_WAIT, condition).await.unwrap();
}

/// Sends a GET with a valid checksum in the background.
pub(crate) fn spawn_get(
    server: &BbbServer,
    call: &str,
    query: &str,
) -> JoinHandle<io::Result<HttpReply>> {
    let (server, target) = (server.clone(), signed_target(server, call, query));
    tokio::spawn(async move { send(&server, "GET", &target, "", b"").await })
}

/// Starts a pool with this number of servers.
pub(crate) async fn start_pool(servers: usize, strictness: Strictness) -> BbbPool {
    BbbPool::start(PoolOptions { servers, strictness, ..PoolOptions::default() }).await.unwrap()
}

/// Returns path and query of a call with a valid checksum.
pub(crate) fn signed_target(server: &BbbServer, call: &str, query: &str) -> String {
    let checksum = Algorithm::Sha256.hex_digest(&format!("{call}{query}{}", server.secret()));
    let separator = if query.is_empty() { "" } else { "&" };
    let path = server.url().split_once(&server.port().to_string()).unwrap().1.to_owned();
    format!("{path}/{call}?{query}{separator}checksum={checksum}")
}

/// Sends a GET with a valid checksum, which must be answered.
pub(crate) async fn get(server: &BbbServer, call: &str, query: &str) -> HttpReply {
    send(server, "GET", &signed_target(server, call, query), "", b"").await.unwrap()
}

/// Sends a POST with a valid checksum and a body of this type.
pub(crate) async fn post(
    server: &BbbServer,
    call: &str,
    query: &str,
    content_type: &str,
    body: &str,
) -> HttpReply {
    let head = format!("Content-Type: {content_type}\r\n");
    send(server, "POST", &signed_target(server, call, query), &head, body.as_bytes()).await.unwrap()
}

/// Sends any request on a connection of its own. A response without any bytes is an error.
pub(crate) async fn send(
    server: &BbbServer,
    method: &str,
    target: &str,
    head: &str,
    body: &[u8],
) -> io::Result<HttpReply> {
    send_to(("127.0.0.1", server.port()), method, target, head, body).await
}

/// Sends any request to this host and port.
pub(crate) async fn send_to(
    address: (&str, u16),
    method: &str,
    target: &str,
    head: &str,
    body: &[u8],
) -> io::Result<HttpReply> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{head}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    Ok(HttpReply { status, head: head.to_owned(), body: body.to_owned() })
}
