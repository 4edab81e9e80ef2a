//! Looks up host names on threads of their own, within a time limit: a name server that does not answer
//! keeps neither recordings nor the store waiting.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use app::blocking::{SERVER_NAMES, ThreadGroup};
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// The addresses of a host.
type Addresses = std::vec::IntoIter<SocketAddr>;

/// Looks up the addresses of a host on these threads.
pub(crate) async fn look_up(
    threads: &'static ThreadGroup,
    host: &str,
    port: u16,
) -> io::Result<Addresses> {
    let host = host.to_owned();
    let found = threads.run_within(move || (host.as_str(), port).to_socket_addrs()).await;
    found.map_err(|error| io::Error::new(io::ErrorKind::TimedOut, error))?
}

/// Looks up the names of BBB servers for the HTTP client.
#[derive(Clone, Debug)]
pub(crate) struct ServerNames;

impl Service<Name> for ServerNames {
    type Response = Addresses;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Addresses>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move { look_up(&SERVER_NAMES, name.as_str(), 0).await })
    }
}
