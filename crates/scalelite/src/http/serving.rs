//! Serves one connection: admits it, reads what a proxy says before it, does the handshake of TLS, and then speaks HTTP.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutWriter;

use super::active_requests::{ActiveRequests, TrackedBody};
use super::connections::{Admission, Connections, MeteredStream, OpenConnection};
use super::http2;
use super::listen::{CurrentState, MAX_HEAD_BYTES, MAX_WRITE_STALL};
use super::peer::{Peer, ShownAddress};
use super::proxy_protocol;
use super::route::{Audience, handle};
use super::tls::{Secured, TlsServer};

/// Longest time of a handshake.
const MAX_HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection of a client, whatever it is made of.
pub(super) trait ClientStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ClientStream for S {}

/// What serves one connection.
pub(super) struct ConnectionServer {
    pub(super) state: CurrentState,
    pub(super) audience: Audience,
    /// Does its handshake; `None` without TLS.
    pub(super) tls: Option<Arc<TlsServer>>,
    pub(super) idle_timeout: Duration,
    pub(super) watcher: Watcher,
    pub(super) stop: watch::Receiver<bool>,
}

impl ConnectionServer {
    /// Serves a connection as soon as it is admitted. Others are accepted meanwhile.
    pub(super) fn start(
        mut self,
        stream: Box<dyn ClientStream>,
        peer: Peer,
        connections: &Connections,
    ) {
        if let Some(admission) = connections.try_admit(peer) {
            if peer.is_proxy {
                tokio::spawn(self.serve_proxy(stream, admission, connections.clone()));
            } else {
                tokio::spawn(self.serve(stream, admission));
            }
        } else if let Some(place) = connections.take_waiting_place() {
            let connections = connections.clone();
            tokio::spawn(async move {
                if let Some(admission) = self.wait_for_admission(peer, &connections).await {
                    drop(place);
                    match peer.is_proxy {
                        true => self.serve_proxy(stream, admission, connections).await,
                        false => self.serve(stream, admission).await,
                    }
                }
            });
        }
    }

    /// Waits until a connection is admitted; `None` if that takes too long, or the process stops.
    async fn wait_for_admission(
        &mut self,
        peer: Peer,
        connections: &Connections,
    ) -> Option<Admission> {
        tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => None,
            admission = connections.admit(peer) => admission,
        }
    }

    /// Serves a connection of a trusted proxy, which may begin with a header of the PROXY protocol. It then counts among those of the client.
    async fn serve_proxy(
        mut self,
        stream: Box<dyn ClientStream>,
        admission: Admission,
        connections: Connections,
    ) {
        let open = admission.connection.clone();
        let header = tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => return,
            () = open.wait_until_unwanted() => return,
            header = timeout(self.idle_timeout, proxy_protocol::read_header(stream, *open.peer())) => header,
        };
        let (stream, peer) = match header {
            Ok(Ok(read)) => read,
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                let proxy = ShownAddress(open.peer().address);
                tracing::warn!(%proxy, "header of the PROXY protocol cannot be read");
                return;
            }
            Ok(Err(_)) | Err(_) => return,
        };
        let stream: Box<dyn ClientStream> = Box::new(stream);
        if peer == *open.peer() {
            return self.serve(stream, admission).await;
        }
        drop((admission, open));
        let admission = match connections.try_admit(peer) {
            Some(admission) => Some(admission),
            None => match connections.take_waiting_place() {
                Some(_place) => self.wait_for_admission(peer, &connections).await,
                None => None,
            },
        };
        if let Some(admission) = admission {
            self.serve(stream, admission).await;
        }
    }

    async fn serve(mut self, stream: Box<dyn ClientStream>, admission: Admission) {
        let Some(tls) = self.tls.take() else { return self.serve_http1(stream, admission).await };
        let open = admission.connection.clone();
        let secured = tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => return,
            () = open.wait_until_unwanted() => return,
            secured = timeout(MAX_HANDSHAKE, tls.accept(stream, &open)) => secured,
        };
        // Errors are the client's: it does not believe the certificate, speaks no TLS, or is gone.
        let Ok(Ok(Secured { stream, http2_place })) = secured else { return };
        match http2_place {
            None => self.serve_http1(Box::new(stream), admission).await,
            Some(_place) => {
                let background = self.state.borrow().background.clone();
                let requests = (self.state, self.audience);
                let connection = http2::serve(stream, open, requests, self.idle_timeout, self.stop);
                background.track_future(connection).await;
                drop(admission);
            }
        }
    }

    async fn serve_http1(self, stream: Box<dyn ClientStream>, admission: Admission) {
        let (active, open) = (ActiveRequests::new(), admission.connection.clone());
        let requests = (self.state, self.audience, active.clone());
        let connection = serve_connection(stream, open.clone(), requests, self.idle_timeout);
        let connection = self.watcher.watch(connection);
        // Errors of a connection are its client's: it disconnected or sent no HTTP.
        tokio::select! {
            _ = connection => {}
            () = open.wait_until_unwanted() => {}
            () = active.wait_until_abandoned(self.stop) => {}
        }
        drop(admission);
    }
}

/// Serves one connection. The HTTP library itself answers 414 to a target longer than 65 534
/// bytes, and 431 to a head longer than [`MAX_HEAD_BYTES`].
fn serve_connection(
    stream: Box<dyn ClientStream>,
    open: Arc<OpenConnection>,
    (state, audience, active): (CurrentState, Audience, ActiveRequests),
    idle_timeout: Duration,
) -> impl GracefulConnection<Error = hyper::Error> {
    let mut stream = TimeoutWriter::new(MeteredStream::new(stream, open.clone()));
    stream.set_timeout(Some(MAX_WRITE_STALL));
    let service = service_fn(move |request| {
        // A request is answered to its end by the settings with which it began.
        let (state, connection) = (state.borrow().clone(), open.clone());
        let guard = active.start(connection.clone());
        async move {
            let response = handle(state, audience, connection, request).await;
            Ok::<_, Infallible>(response.map(|body| TrackedBody::new(body, guard)))
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_timeout)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}
