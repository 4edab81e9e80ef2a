//! The listening socket, TCP or Unix: accepts a bounded number of connections and lets requests in
//! flight finish when the process stops.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::connections::{ConnectionRules, Connections};
use super::peer::Peer;
use super::route::Audience;
use super::serving::{ClientStream, ConnectionServer};
use super::state::HttpState;
use super::tls::TlsServer;
use crate::config::values::BindAddress;

/// Longest request line and headers of a request, in bytes.
pub(super) const MAX_HEAD_BYTES: usize = 128 * 1024;

/// Connections that the system keeps until they are accepted; the system may have a smaller limit.
const BACKLOG: u32 = 4096;

/// Longest time for which a client may take no bytes of a response. Without this limit a few
/// thousand clients that do not read could hold all connections.
pub(super) const MAX_WRITE_STALL: Duration = Duration::from_secs(60);

/// Pause after a failed accept, so that running out of file descriptors does not busy-loop.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// What answers requests; a reload exchanges it.
pub type CurrentState = watch::Receiver<Arc<HttpState>>;

/// An open socket.
pub enum Listener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix socket and its path, which is removed on shutdown.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Opens the socket. `port` is used unless the address has a port of its own.
    ///
    /// # Errors
    /// If the address cannot be listened on; the text names the address and the cause.
    pub async fn open(bind: Option<&BindAddress>, port: u16) -> Result<Self, String> {
        let everywhere = BindAddress::Tcp(None, None);
        match bind.unwrap_or(&everywhere) {
            BindAddress::Unix(path) => bind_unix(path)
                .await
                .map(|listener| Self::Unix(listener, path.clone()))
                .map_err(|error| format!("cannot listen on {}: {error}", path.display())),
            BindAddress::Tcp(host, own_port) => {
                let port = own_port.unwrap_or(port);
                // All addresses: IPv6 and IPv4 if the machine has both, otherwise IPv4.
                let hosts = host.as_deref().map_or(vec!["::", "0.0.0.0"], |host| vec![host]);
                let mut last_error = String::new();
                for host in hosts {
                    match bind_tcp(host, port).await {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => {
                            last_error = format!("cannot listen on {host} port {port}: {error}");
                        }
                    }
                }
                Err(last_error)
            }
        }
    }

    /// Returns the address of the socket as a URL.
    pub fn url(&self) -> String {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(SocketAddr::V6(address)) if address.ip().is_unspecified() => {
                    format!("http://localhost:{}", address.port())
                }
                Ok(SocketAddr::V4(address)) if address.ip().is_unspecified() => {
                    format!("http://localhost:{}", address.port())
                }
                Ok(address) => format!("http://{address}"),
                Err(_) => "http://?".to_owned(),
            },
            Self::Unix(_, path) => format!("unix://{}", path.display()),
        }
    }
}

/// Listens on the first address of a host that can be used.
async fn bind_tcp(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in tokio::net::lookup_host((host, port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let listening = socket.and_then(|socket| {
            // A restarted process must not wait until old connections are forgotten.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        });
        match listening {
            Ok(listener) => return Ok(listener),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

/// Listens on a Unix socket. Replaces a socket on which no process listens, but no other file.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)?;
            }
            Err(error) => return Err(error),
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        },
        Ok(_) => return Err(io::Error::other("a file exists there that is not a socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    // Every local user may connect: as over TCP, the secret decides what a client may do.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Limits on connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Numbers of connections and requests, and their memory.
    pub rules: ConnectionRules,
    /// Longest time that a connection may be idle, or take to send the head of a request.
    pub idle_timeout: Duration,
    /// Longest time for which shutdown waits for requests in flight.
    pub shutdown_timeout: Duration,
}

/// A socket that is served, and how.
pub struct ServedSocket {
    pub listener: Listener,
    pub audience: Audience,
    /// Handshakes of its connections; `None` without TLS.
    pub tls: Option<Arc<TlsServer>>,
    /// The connections that count together with its own.
    pub connections: Connections,
}

/// Serves connections until `stop` becomes true, then lets requests in flight finish.
pub async fn serve(
    socket: ServedSocket,
    state: CurrentState,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) {
    let ServedSocket { listener, audience, tls, connections } = socket;
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accept(&listener) => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let peer = state.borrow().proxies.peer(address);
                let peer = Peer { is_tls: tls.is_some(), ..peer };
                let server = ConnectionServer {
                    state: state.clone(),
                    audience,
                    tls: tls.clone(),
                    idle_timeout: limits.idle_timeout,
                    watcher: graceful.watcher(),
                    stop: stop.clone(),
                };
                server.start(stream, peer, &connections);
            }
            Err(error) => {
                tracing::error!(%error, "accepting a connection failed");
                // For example because too many files are open.
                connections.make_room();
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
    if let Listener::Unix(_, path) = &listener {
        let _ = std::fs::remove_file(path);
    }
    drop(listener);
    let background = state.borrow().background.clone();
    background.close();
    let finished = async {
        graceful.shutdown().await;
        background.wait().await;
    };
    if timeout(limits.shutdown_timeout, finished).await.is_err() {
        tracing::warn!("requests in flight aborted at shutdown");
    }
}

/// Accepts a connection. The address of a Unix socket is `None`.
async fn accept(listener: &Listener) -> io::Result<(Box<dyn ClientStream>, Option<IpAddr>)> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream), Some(address.ip())))
        }
        Listener::Unix(listener, _) => Ok((Box::new(listener.accept().await?.0), None)),
    }
}
