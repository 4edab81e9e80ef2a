//! Open connections: how many each address has, what each of them waits for, and how much memory clients hold that have
//! proven nothing yet. Under pressure the connections that wait for their client are closed, the oldest of the address with
//! the most connections first.

mod address;
mod budget;
mod client_use;
mod metered_stream;
mod open_connection;
mod registry;
mod streams;

pub(super) use metered_stream::MeteredStream;
pub(super) use open_connection::OpenConnection;
pub(super) use registry::Admission;
pub use registry::Connections;

/// Limits on connections and on the memory that their requests take.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionRules {
    /// Largest number of requests that are answered at the same time, health checks excepted.
    pub max_requests: usize,
    /// Largest number of connections of one address, and of requests of one client behind a trusted proxy.
    pub max_per_address: usize,
    /// Largest memory for heads and bodies of requests whose sender has not proven who it is, in bytes.
    pub max_unproven_bytes: u64,
    /// Largest memory for the bodies of all other requests, in bytes.
    pub max_buffered_bytes: u64,
}

impl ConnectionRules {
    /// Returns the largest number of connections of a trusted proxy: a part is left for everybody else.
    fn max_per_proxy(&self) -> usize {
        // At least one.
        (self.max_requests - self.max_requests / 4).max(self.max_per_address)
    }

    /// Returns the largest number of open connections. A little more than requests, so that there is room for connections that wait
    /// for their turn, and for health checks.
    fn max_open(&self) -> usize {
        self.max_requests.saturating_add((self.max_requests / 16).max(16))
    }
}
