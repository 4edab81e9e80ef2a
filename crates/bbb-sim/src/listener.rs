//! A listening socket that can be closed and opened again on the same port.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

use crate::http::{ServerRoute, serve_connection};
use crate::sync::lock;

/// Number of connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// The listener of one server, or of a whole pool on a shared port.
#[derive(Debug)]
pub(crate) struct ServerListener {
    runtime: Handle,
    port: u16,
    state: Mutex<ListenerState>,
    open_connections: Arc<Mutex<OpenConnections>>,
}

#[derive(Debug)]
enum ListenerState {
    /// Accepting connections, with the handle of the task that does so.
    Open(SharedListener, AbortHandle),
    /// Closed. A socket that is bound but does not listen keeps the port reserved.
    Closed(Option<TcpSocket>),
    /// Closed for good. The port stays reserved as long as a client may still connect to it.
    Removed(#[expect(dead_code, reason = "held, not used")] Option<TcpSocket>),
}

/// The listening socket, shared so that code outside the accepting task can drop it at once.
type SharedListener = Arc<Mutex<Option<TcpListener>>>;

/// The open connections, and whether new ones are accepted.
#[derive(Debug)]
struct OpenConnections {
    accepting: bool,
    connections: JoinSet<()>,
}

impl ServerListener {
    /// Starts listening on a free port.
    pub(crate) fn new(runtime: Handle, route: ServerRoute) -> io::Result<Self> {
        let listener = bind(0)?.listen(BACKLOG)?;
        let port = listener.local_addr()?.port();
        let open_connections = OpenConnections { accepting: true, connections: JoinSet::new() };
        let server_listener = Self {
            runtime,
            port,
            state: Mutex::new(ListenerState::Closed(None)),
            open_connections: Arc::new(Mutex::new(open_connections)),
        };
        *lock(&server_listener.state) = server_listener.start_accepting(listener, route);
        Ok(server_listener)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Listens again, if the listener is closed.
    pub(crate) fn open(&self, route: ServerRoute) {
        let _runtime_guard = self.runtime.enter();
        let mut state = lock(&self.state);
        let ListenerState::Closed(reserved) = &mut *state else {
            return;
        };
        let socket = reserved.take().map_or_else(|| bind(self.port), Ok);
        if let Ok(listener) = socket.and_then(|socket| socket.listen(BACKLOG)) {
            *state = self.start_accepting(listener, route);
        }
    }

    /// Closes all connections and refuses new ones.
    pub(crate) fn close(&self) {
        let _runtime_guard = self.runtime.enter();
        let mut state = lock(&self.state);
        if matches!(*state, ListenerState::Open(..)) {
            self.stop(&mut state);
            *state = ListenerState::Closed(bind(self.port).ok());
        }
    }

    /// Closes for good. The port becomes free when the last handle on the server is dropped.
    pub(crate) fn remove(&self) {
        let mut state = lock(&self.state);
        self.stop(&mut state);
        *state = ListenerState::Removed(bind(self.port).ok());
    }

    fn stop(&self, state: &mut ListenerState) {
        let previous = std::mem::replace(state, ListenerState::Closed(None));
        if let ListenerState::Open(listener, task) = previous {
            task.abort();
            drop(lock(&listener).take());
        }
        let mut open_connections = lock(&self.open_connections);
        open_connections.accepting = false;
        open_connections.connections.abort_all();
    }

    fn start_accepting(&self, listener: TcpListener, route: ServerRoute) -> ListenerState {
        lock(&self.open_connections).accepting = true;
        let listener = Arc::new(Mutex::new(Some(listener)));
        let task =
            accept_connections(Arc::clone(&listener), Arc::clone(&self.open_connections), route);
        ListenerState::Open(listener, self.runtime.spawn(task).abort_handle())
    }
}

impl Drop for ServerListener {
    fn drop(&mut self) {
        self.stop(&mut lock(&self.state));
    }
}

fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

async fn accept_connections(
    listener: SharedListener,
    open_connections: Arc<Mutex<OpenConnections>>,
    route: ServerRoute,
) {
    loop {
        let next = poll_fn(|context| match &*lock(&listener) {
            Some(listener) => listener.poll_accept(context).map(Some),
            None => Poll::Ready(None),
        });
        match next.await {
            None => return,
            Some(Ok((stream, _))) => start_connection(&open_connections, stream, &route),
            // Most likely there are no free file descriptors: wait until some are closed.
            Some(Err(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

fn start_connection(
    open_connections: &Mutex<OpenConnections>,
    stream: TcpStream,
    route: &ServerRoute,
) {
    let mut open_connections = lock(open_connections);
    while open_connections.connections.try_join_next().is_some() {}
    if open_connections.accepting {
        open_connections.connections.spawn(serve_connection(stream, route.clone()));
    }
}
