//! A listening socket that can be shut and opened again on the same port.

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

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// The entrance of one server, or of a whole pool on a shared port.
#[derive(Debug)]
pub(crate) struct ServerListener {
    runtime: Handle,
    port: u16,
    state: Mutex<ListenerState>,
    open_connections: Arc<Mutex<OpenConnections>>,
}

#[derive(Debug)]
enum ListenerState {
    Open(SharedListener, AbortHandle),
    /// Shut; the socket, bound but not listening, keeps the port from being taken.
    Closed(Option<TcpSocket>),
    /// Shut for good; the port stays taken as long as someone may still connect to it.
    Removed(#[expect(dead_code, reason = "held, not used")] Option<TcpSocket>),
}

/// The listener, where it can be dropped at once from outside the task that accepts from it.
type SharedListener = Arc<Mutex<Option<TcpListener>>>;

/// The connections that came in.
#[derive(Debug)]
struct OpenConnections {
    accepting: bool,
    connections: JoinSet<()>,
}

impl ServerListener {
    /// Opens a door on a free port.
    pub(crate) fn new(runtime: Handle, route: ServerRoute) -> io::Result<Self> {
        let listener = bind(0)?.listen(BACKLOG)?;
        let port = listener.local_addr()?.port();
        let guests = OpenConnections { accepting: true, connections: JoinSet::new() };
        let position = Mutex::new(ListenerState::Closed(None));
        let door =
            Self { runtime, port, state: position, open_connections: Arc::new(Mutex::new(guests)) };
        *lock(&door.state) = door.start_accepting(listener, route);
        Ok(door)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Listens again, if the door is shut.
    pub(crate) fn open(&self, route: ServerRoute) {
        let _inside = self.runtime.enter();
        let mut position = lock(&self.state);
        let ListenerState::Closed(kept) = &mut *position else {
            return;
        };
        let socket = kept.take().map_or_else(|| bind(self.port), Ok);
        if let Ok(listener) = socket.and_then(|socket| socket.listen(BACKLOG)) {
            *position = self.start_accepting(listener, route);
        }
    }

    /// Cuts all connections and refuses new ones.
    pub(crate) fn close(&self) {
        let _inside = self.runtime.enter();
        let mut position = lock(&self.state);
        if matches!(*position, ListenerState::Open(..)) {
            self.stop(&mut position);
            *position = ListenerState::Closed(bind(self.port).ok());
        }
    }

    /// Closes for good. The port is free when the last handle on the door's server is gone.
    pub(crate) fn remove(&self) {
        let mut position = lock(&self.state);
        self.stop(&mut position);
        *position = ListenerState::Removed(bind(self.port).ok());
    }

    fn stop(&self, position: &mut ListenerState) {
        let before = std::mem::replace(position, ListenerState::Closed(None));
        if let ListenerState::Open(listener, task) = before {
            task.abort();
            drop(lock(&listener).take());
        }
        let mut guests = lock(&self.open_connections);
        guests.accepting = false;
        guests.connections.abort_all();
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
    guests: Arc<Mutex<OpenConnections>>,
    route: ServerRoute,
) {
    loop {
        let next = poll_fn(|cx| match &*lock(&listener) {
            Some(listener) => listener.poll_accept(cx).map(Some),
            None => Poll::Ready(None),
        });
        match next.await {
            None => return,
            Some(Ok((stream, _))) => start_connection(&guests, stream, &route),
            // Out of file descriptors, most likely: others may close some.
            Some(Err(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

fn start_connection(guests: &Mutex<OpenConnections>, stream: TcpStream, route: &ServerRoute) {
    let mut guests = lock(guests);
    while guests.connections.try_join_next().is_some() {}
    if guests.accepting {
        guests.connections.spawn(serve_connection(stream, route.clone()));
    }
}
