//! A pool of simulated servers that lives as long as its value.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;

use crate::http::ServerRoute;
use crate::latency::Latency;
use crate::listener::ServerListener;
use crate::options::PoolOptions;
use crate::server::{BbbServer, PoolContext};
use crate::sync::lock;

/// Simulated servers on ports of this machine. Dropping it stops them all.
#[derive(Debug)]
pub struct BbbPool {
    servers: Vec<BbbServer>,
    context: PoolContext,
    latency: Latency,
    shared_port: Option<SharedPort>,
}

/// The one door of a pool on a shared port, and the servers behind it.
#[derive(Debug)]
struct SharedPort {
    listener: ServerListener,
    servers: Arc<Mutex<Vec<BbbServer>>>,
}

impl BbbPool {
    /// Starts servers on free ports; they answer when this returns.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub async fn start(options: PoolOptions) -> io::Result<Self> {
        let sequence = Arc::new(AtomicU64::new(1));
        let shared = PoolContext { clock: options.clock, strictness: options.strictness, sequence };
        let hall = options.shared_port.then(SharedPort::new).transpose()?;
        let mut pool = Self {
            servers: Vec::new(),
            context: shared,
            latency: options.latency,
            shared_port: hall,
        };
        for _ in 0..options.servers {
            pool.add_server().await?;
        }
        Ok(pool)
    }

    /// All servers, number 1 first.
    #[must_use]
    pub fn servers(&self) -> &[BbbServer] {
        &self.servers
    }

    /// The server of that number, counted from 1.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn server(&self, n: usize) -> &BbbServer {
        &self.servers[n - 1]
    }

    /// Starts one more server and returns a handle on it.
    ///
    /// # Errors
    /// If no port can be listened on.
    #[expect(clippy::unused_async, reason = "needs a runtime, which only `async` says")]
    pub async fn add_server(&mut self) -> io::Result<BbbServer> {
        let (number, shared) = (self.servers.len() + 1, self.context.clone());
        let server = match &self.shared_port {
            None => BbbServer::on_own_port(number, shared, self.latency.clone())?,
            Some(hall) => {
                let port = hall.listener.port();
                let server = BbbServer::on_shared_port(port, number, shared, self.latency.clone());
                lock(&hall.servers).push(server.clone());
                server
            }
        };
        self.servers.push(server.clone());
        Ok(server)
    }

    /// Makes every server as it was at first: no meetings, no faults, an empty log, the original
    /// secret and version. Ports stay.
    pub fn reset(&self, latency: Latency) {
        for server in &self.servers {
            server.reset(latency.clone());
        }
    }
}

impl SharedPort {
    fn new() -> io::Result<Self> {
        let servers = Arc::new(Mutex::new(Vec::new()));
        let door = ServerListener::new(Handle::current(), ServerRoute::Pool(Arc::clone(&servers)))?;
        Ok(Self { listener: door, servers })
    }
}

impl Drop for BbbPool {
    fn drop(&mut self) {
        for server in &self.servers {
            server.shut_down();
        }
        if let Some(hall) = &self.shared_port {
            hall.listener.remove();
        }
    }
}
