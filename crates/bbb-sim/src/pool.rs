//! A pool of simulated servers.

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

/// Simulated servers on ports of this machine. Dropping the pool stops all of them.
#[derive(Debug)]
pub struct BbbPool {
    servers: Vec<BbbServer>,
    context: PoolContext,
    latency: Latency,
    shared_port: Option<SharedPort>,
}

/// The listener of a pool on a shared port, and the servers behind it.
#[derive(Debug)]
struct SharedPort {
    listener: ServerListener,
    servers: Arc<Mutex<Vec<BbbServer>>>,
}

impl BbbPool {
    /// Starts servers on free ports. They accept requests when this returns.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub async fn start(options: PoolOptions) -> io::Result<Self> {
        let sequence = Arc::new(AtomicU64::new(1));
        let context = PoolContext {
            clock: options.clock,
            strictness: options.strictness,
            sequence,
            runtime: Handle::current(),
        };
        let shared_port = options.shared_port.then(SharedPort::new).transpose()?;
        let mut pool = Self { servers: Vec::new(), context, latency: options.latency, shared_port };
        for _ in 0..options.servers {
            pool.add_server().await?;
        }
        Ok(pool)
    }

    /// Returns all servers in the order of their numbers, beginning with 1.
    #[must_use]
    pub fn servers(&self) -> &[BbbServer] {
        &self.servers
    }

    /// Returns the server with this number, counted from 1.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn server(&self, number: usize) -> &BbbServer {
        &self.servers[number - 1]
    }

    /// Starts one more server and returns a handle on it.
    ///
    /// # Errors
    /// If no port can be listened on.
    #[expect(clippy::unused_async, reason = "needs a runtime, and only `async` ensures one")]
    pub async fn add_server(&mut self) -> io::Result<BbbServer> {
        let (number, context) = (self.servers.len() + 1, self.context.clone());
        let server = match &self.shared_port {
            None => BbbServer::on_own_port(number, context, self.latency.clone())?,
            Some(shared_port) => {
                let port = shared_port.listener.port();
                let server = BbbServer::on_shared_port(port, number, context, self.latency.clone());
                lock(&shared_port.servers).push(server.clone());
                server
            }
        };
        self.servers.push(server.clone());
        Ok(server)
    }

    /// Resets every server to its initial state: no meetings, no faults, an empty log, the initial secret and version.
    /// Ports do not change.
    pub fn reset(&self, latency: Latency) {
        for server in &self.servers {
            server.reset(latency.clone());
        }
    }
}

impl SharedPort {
    fn new() -> io::Result<Self> {
        let servers = Arc::new(Mutex::new(Vec::new()));
        let listener =
            ServerListener::new(Handle::current(), ServerRoute::Pool(Arc::clone(&servers)))?;
        Ok(Self { listener, servers })
    }
}

impl Drop for BbbPool {
    fn drop(&mut self) {
        for server in &self.servers {
            server.shut_down();
        }
        if let Some(shared_port) = &self.shared_port {
            shared_port.listener.remove();
        }
    }
}
