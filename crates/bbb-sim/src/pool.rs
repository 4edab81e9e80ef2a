//! A pool of simulated servers that lives as long as its value.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;

use crate::door::Door;
use crate::http::Route;
use crate::latency::Latency;
use crate::options::PoolOptions;
use crate::server::{Server, Shared};
use crate::sync::lock;

/// Simulated servers on ports of this machine. Dropping it stops them all.
#[derive(Debug)]
pub struct Pool {
    servers: Vec<Server>,
    shared: Shared,
    latency: Latency,
    hall: Option<Hall>,
}

/// The one door of a pool on a shared port, and the servers behind it.
#[derive(Debug)]
struct Hall {
    door: Door,
    servers: Arc<Mutex<Vec<Server>>>,
}

impl Pool {
    /// Starts servers on free ports; they answer when this returns.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub async fn start(options: PoolOptions) -> io::Result<Self> {
        let sequence = Arc::new(AtomicU64::new(1));
        let shared = Shared { clock: options.clock, strictness: options.strictness, sequence };
        let hall = options.shared_port.then(Hall::new).transpose()?;
        let mut pool = Self { servers: Vec::new(), shared, latency: options.latency, hall };
        for _ in 0..options.servers {
            pool.add_server().await?;
        }
        Ok(pool)
    }

    /// All servers, number 1 first.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server of that number, counted from 1.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn server(&self, n: usize) -> &Server {
        &self.servers[n - 1]
    }

    /// Starts one more server and returns a handle on it.
    ///
    /// # Errors
    /// If no port can be listened on.
    #[expect(clippy::unused_async, reason = "needs a runtime, which only `async` says")]
    pub async fn add_server(&mut self) -> io::Result<Server> {
        let (number, shared) = (self.servers.len() + 1, self.shared.clone());
        let server = match &self.hall {
            None => Server::listening(number, shared, self.latency.clone())?,
            Some(hall) => {
                let port = hall.door.port();
                let server = Server::behind(port, number, shared, self.latency.clone());
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

impl Hall {
    fn new() -> io::Result<Self> {
        let servers = Arc::new(Mutex::new(Vec::new()));
        let door = Door::new(Handle::current(), Route::Many(Arc::clone(&servers)))?;
        Ok(Self { door, servers })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for server in &self.servers {
            server.shut_down();
        }
        if let Some(hall) = &self.hall {
            hall.door.remove();
        }
    }
}
