//! What the browser reaches by TLS: a web server that stands for unpkg.com, which has a font and a
//! translation and takes the reports of the test player; and a proxy in front of the balancer, since
//! browsers keep its cookies on TLS only.

use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// A certificate for unpkg.com that nobody trusts, and its key. Tests only.
const CERTIFICATE: &[u8] = include_bytes!("unpkg.pem");
/// Longest request.
const MAX_REQUEST_BYTES: usize = 1 << 20;

/// The server, while it runs.
pub(crate) struct OtherOrigin {
    pub(crate) port: u16,
    /// The reports of the player.
    pub(crate) reports: mpsc::Receiver<serde_json::Value>,
    paths: Arc<Mutex<Vec<String>>>,
}

impl OtherOrigin {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let acceptor = build_acceptor()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (sender, reports) = mpsc::channel(9);
        let paths = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&paths);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, sender, seen) = (acceptor.clone(), sender.clone(), seen.clone());
                tokio::spawn(async move {
                    // Browsers open connections that they do not use.
                    let _ = answer(acceptor, stream, &sender, &seen).await;
                });
            }
        });
        Ok(Self { port, reports, paths })
    }

    /// The paths that were asked for.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.paths.lock().unwrap().clone()
    }
}

fn build_acceptor() -> anyhow::Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE)?;
    let key = PrivateKeyDer::from_pem_slice(CERTIFICATE)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Starts a proxy with TLS in front of a port of this machine; returns its port.
pub(crate) async fn start_proxy(to_port: u16) -> anyhow::Result<u16> {
    let acceptor = build_acceptor()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(client) = acceptor.accept(stream).await else { return };
                let Ok(server) = TcpStream::connect(("127.0.0.1", to_port)).await else { return };
                let (from_client, mut to_client) = tokio::io::split(client);
                let (mut from_server, to_server) = server.into_split();
                // Browsers end connections at any time.
                let _ = tokio::join!(
                    forward_requests(from_client, to_server),
                    tokio::io::copy(&mut from_server, &mut to_client)
                );
            });
        }
    });
    Ok(port)
}

/// Forwards requests without bodies, with the header that says that they came by HTTPS.
async fn forward_requests(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> anyhow::Result<()> {
    let mut head = Vec::new();
    loop {
        let byte = from.read_u8().await?;
        head.push(byte);
        anyhow::ensure!(head.len() < MAX_REQUEST_BYTES, "a long head");
        if head.ends_with(b"\r\n\r\n") {
            head.truncate(head.len() - 2);
            head.extend_from_slice(b"X-Forwarded-Proto: https\r\n\r\n");
            to.write_all(&head).await?;
            to.flush().await?;
            head.clear();
        }
    }
}

/// Answers one request and closes the connection.
async fn answer(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    reports: &mpsc::Sender<serde_json::Value>,
    paths: &Mutex<Vec<String>>,
) -> anyhow::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut request = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await?;
        anyhow::ensure!(count > 0 && request.len() < MAX_REQUEST_BYTES, "no complete request");
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let path = head.split_whitespace().nth(1).context("no path")?.to_owned();
    let (content_type, content) = match path.as_str() {
        "/translations/en.json" => ("application/json", "{\"title\":\"Whiteboard\"}"),
        "/report" => {
            reports.send(serde_json::from_str(&body)?).await?;
            ("text/plain", "ok")
        }
        _ => ("font/woff2", "no real font"),
    };
    paths.lock().unwrap().push(path);
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Access-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n{content}",
        content.len()
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}
