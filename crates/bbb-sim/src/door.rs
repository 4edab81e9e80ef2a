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

use crate::http::{Route, serve};
use crate::sync::lock;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// The entrance of one server, or of a whole pool on a shared port.
#[derive(Debug)]
pub(crate) struct Door {
    runtime: Handle,
    port: u16,
    position: Mutex<Position>,
    guests: Arc<Mutex<Guests>>,
}

#[derive(Debug)]
enum Position {
    Open(Listener, AbortHandle),
    /// Shut; the socket, bound but not listening, keeps the port from being taken.
    Shut(Option<TcpSocket>),
    /// Shut for good; the port stays taken as long as someone may still connect to it.
    Removed(#[expect(dead_code, reason = "held, not used")] Option<TcpSocket>),
}

/// The listener, where it can be dropped at once from outside the task that accepts from it.
type Listener = Arc<Mutex<Option<TcpListener>>>;

/// The connections that came in.
#[derive(Debug)]
struct Guests {
    admitted: bool,
    connections: JoinSet<()>,
}

impl Door {
    /// Opens a door on a free port.
    pub(crate) fn new(runtime: Handle, route: Route) -> io::Result<Self> {
        let listener = bind(0)?.listen(BACKLOG)?;
        let port = listener.local_addr()?.port();
        let guests = Guests { admitted: true, connections: JoinSet::new() };
        let position = Mutex::new(Position::Shut(None));
        let door = Self { runtime, port, position, guests: Arc::new(Mutex::new(guests)) };
        *lock(&door.position) = door.accept(listener, route);
        Ok(door)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Listens again, if the door is shut.
    pub(crate) fn open(&self, route: Route) {
        let _inside = self.runtime.enter();
        let mut position = lock(&self.position);
        let Position::Shut(kept) = &mut *position else {
            return;
        };
        let socket = kept.take().map_or_else(|| bind(self.port), Ok);
        if let Ok(listener) = socket.and_then(|socket| socket.listen(BACKLOG)) {
            *position = self.accept(listener, route);
        }
    }

    /// Cuts all connections and refuses new ones.
    pub(crate) fn close(&self) {
        let _inside = self.runtime.enter();
        let mut position = lock(&self.position);
        if matches!(*position, Position::Open(..)) {
            self.stop(&mut position);
            *position = Position::Shut(bind(self.port).ok());
        }
    }

    /// Closes for good. The port is free when the last handle on the door's server is gone.
    pub(crate) fn remove(&self) {
        let mut position = lock(&self.position);
        self.stop(&mut position);
        *position = Position::Removed(bind(self.port).ok());
    }

    fn stop(&self, position: &mut Position) {
        let before = std::mem::replace(position, Position::Shut(None));
        if let Position::Open(listener, task) = before {
            task.abort();
            drop(lock(&listener).take());
        }
        let mut guests = lock(&self.guests);
        guests.admitted = false;
        guests.connections.abort_all();
    }

    fn accept(&self, listener: TcpListener, route: Route) -> Position {
        lock(&self.guests).admitted = true;
        let listener = Arc::new(Mutex::new(Some(listener)));
        let task = accept_all(Arc::clone(&listener), Arc::clone(&self.guests), route);
        Position::Open(listener, self.runtime.spawn(task).abort_handle())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stop(&mut lock(&self.position));
    }
}

fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

async fn accept_all(listener: Listener, guests: Arc<Mutex<Guests>>, route: Route) {
    loop {
        let next = poll_fn(|cx| match &*lock(&listener) {
            Some(listener) => listener.poll_accept(cx).map(Some),
            None => Poll::Ready(None),
        });
        match next.await {
            None => return,
            Some(Ok((stream, _))) => admit(&guests, stream, &route),
            // Out of file descriptors, most likely: others may close some.
            Some(Err(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

fn admit(guests: &Mutex<Guests>, stream: TcpStream, route: &Route) {
    let mut guests = lock(guests);
    while guests.connections.try_join_next().is_some() {}
    if guests.admitted {
        guests.connections.spawn(serve(stream, route.clone()));
    }
}
