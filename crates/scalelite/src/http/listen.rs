//! Listening: TCP or a socket of the file system, a bounded number of connections, and an end that
//! lets requests in flight finish.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::route::{HttpState, handle};
use super::write_timeout::WriteTimeout;
use crate::config::values::BindAddress;

/// Longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 512 * 1024;

/// An open socket.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A socket of the file system, removed at the end.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Opens it.
    ///
    /// # Errors
    /// Says where it could not listen, and why.
    pub async fn open(bind: Option<&BindAddress>, port: u16) -> Result<Self, String> {
        let everywhere = BindAddress::Tcp(None, None);
        match bind.unwrap_or(&everywhere) {
            BindAddress::Unix(path) => bind_unix(path)
                .await
                .map(|listener| Self::Unix(listener, path.clone()))
                .map_err(|error| format!("cannot listen on {}: {error}", path.display())),
            BindAddress::Tcp(host, own_port) => {
                let port = own_port.unwrap_or(port);
                // All addresses: both protocols where there are two, else the old one.
                let hosts = host.as_deref().map_or(vec!["::", "0.0.0.0"], |host| vec![host]);
                let mut last = String::new();
                for host in hosts {
                    match TcpListener::bind((host, port)).await {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => {
                            last = format!("cannot listen on {host} port {port}: {error}");
                        }
                    }
                }
                Err(last)
            }
        }
    }

    /// Where it listens, as a URL.
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

/// Takes the place of a socket that a dead process left behind, but not that of a living one, and
/// of nothing else.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)?;
            }
            Err(error) => return Err(error),
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        },
        Ok(_) => return Err(io::Error::other("there is a file, and it is no socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    // Whoever may reach the socket still needs the secret, as over TCP.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Open ones at most.
    pub max_connections: usize,
    /// How long one may be idle, or take to send the head of a request.
    pub idle_timeout: Duration,
    /// How long requests may take to finish once the end has come.
    pub shutdown_timeout: Duration,
}

/// Serves until the watch says stop, then lets requests finish.
pub async fn serve(
    listener: Listener,
    gate: Arc<HttpState>,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await;
            (accept(&listener).await, slot)
        };
        let (accepted, slot) = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            next = next => next,
        };
        match accepted {
            Ok(stream) => {
                let connection =
                    graceful.watch(serve_connection(stream, gate.clone(), limits.idle_timeout));
                tokio::spawn(async move {
                    // A client that breaks off is not our failure.
                    let _ = connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    if let Listener::Unix(_, path) = &listener {
        let _ = std::fs::remove_file(path);
    }
    drop(listener);
    gate.background.close();
    let finished = async {
        graceful.shutdown().await;
        gate.background.wait().await;
    };
    if tokio::time::timeout(limits.shutdown_timeout, finished).await.is_err() {
        tracing::warn!("requests in flight were cut off");
    }
}

trait ClientStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ClientStream for S {}

async fn accept(listener: &Listener) -> io::Result<Box<dyn ClientStream>> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        Listener::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
    }
}

fn serve_connection(
    stream: Box<dyn ClientStream>,
    gate: Arc<HttpState>,
    idle: Duration,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let service = service_fn(move |request| {
        let gate = gate.clone();
        async move { Ok::<_, Infallible>(handle(gate, request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(WriteTimeout::new(stream)), service)
}
