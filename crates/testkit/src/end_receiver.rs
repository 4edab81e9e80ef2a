//! A front-end that wants to be told when meetings are over, and the way of servers' reports to a
//! balancer: simulated servers call this machine only, so tests carry their calls to the balancer.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bbb_sim::BbbServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::product::{Product, exchange, new_request};

/// The host name that a balancer under test tells servers.
pub const BALANCER_HOST: &str = "balancer.test";
/// Settings with which a balancer tells front-ends on this machine of ends.
pub const TELLS_ENDS: [(&str, &str); 3] =
    [("URL_HOST", BALANCER_HOST), ("CALLBACK_ALLOW", "127.0.0.0/8"), ("END_CALLBACKS", "balancer")];

/// A front-end. Dropping it closes its port.
pub struct EndReceiver {
    port: u16,
    targets: Arc<Mutex<Vec<String>>>,
    listening: JoinHandle<()>,
}

impl EndReceiver {
    /// Starts a front-end that answers every call with success.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts a front-end on this port.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_on(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.context("no port")?;
        let port = listener.local_addr()?.port();
        let targets: Arc<Mutex<Vec<String>>> = Arc::default();
        let received = targets.clone();
        let listening = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let target = read_target(&mut stream).await;
                received.lock().unwrap_or_else(PoisonError::into_inner).push(target);
                let response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.write_all(response).await;
            }
        });
        Ok(Self { port, targets, listening })
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The parameter of a create with an address of this front-end; `path` may contain a query.
    #[must_use]
    pub fn parameter(&self, name: &str, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}/{path}", self.port);
        let encoded: String = form_urlencoded::byte_serialize(url.as_bytes()).collect();
        format!("{name}={encoded}")
    }

    /// Method and target of all calls so far, sorted.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        let mut calls = self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        calls.sort();
        calls
    }
}

impl Drop for EndReceiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn read_target(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    text.split(" HTTP/").next().unwrap_or_default().to_owned()
}

/// Carries all reports of a server so far to the balancer, as often as called. Returns their number.
///
/// # Errors
/// When a report is not meant for the balancer, or is not answered with an empty success.
pub async fn carry_reports(server: &BbbServer, product: &Product) -> anyhow::Result<usize> {
    let callbacks = server.callbacks();
    for callback in &callbacks {
        let (host, target) = split_report(&callback.url)?;
        carry_report(product, host, target).await?;
    }
    Ok(callbacks.len())
}

/// Splits the address that a server was given into host and target.
///
/// # Errors
/// When it does not lead to the balancer by HTTPS.
pub fn split_report(url: &str) -> anyhow::Result<(&str, &str)> {
    let rest = url.strip_prefix("https://").with_context(|| url.to_owned())?;
    let (host, _) = rest.split_once('/').with_context(|| url.to_owned())?;
    anyhow::ensure!(host.ends_with(BALANCER_HOST), "{url}");
    Ok((host, &rest[host.len()..]))
}

/// Calls the balancer as a server does.
///
/// # Errors
/// When it is not answered with an empty success.
pub async fn carry_report(product: &Product, host: &str, target: &str) -> anyhow::Result<()> {
    let mut request = new_request("GET", target);
    request.headers = vec![("Host".to_owned(), host.to_owned())];
    let response = exchange(product.port(), &request).await?;
    anyhow::ensure!((response.status, response.text().as_str()) == (200, ""), "{target}");
    Ok(())
}
