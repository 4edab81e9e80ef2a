//! Entries of the pool and the simulated servers behind them. A server may be listed twice, under two
//! host names; then calls to both of them reach the same meetings.

use std::collections::BTreeMap;

use super::sim_server::SimServer;

/// Start of the host name of every server.
const FIRST_NAME: &str = "bbb";
/// Start of the second host name of every server.
const SECOND_NAME: &str = "twin";
const DOMAIN: &str = ".test";

/// Returns the host name of a server.
#[must_use]
pub(crate) fn server_host(number: usize) -> String {
    format!("{FIRST_NAME}{number}{DOMAIN}")
}

/// Returns the second host name of a server, whichever of its names is given.
#[must_use]
pub(crate) fn twin_host(host: &str) -> String {
    format!("{SECOND_NAME}{}", without_name(host))
}

/// Returns whether a host name is the second one of a server.
#[must_use]
pub(crate) fn is_twin(host: &str) -> bool {
    host.starts_with(SECOND_NAME)
}

/// Returns whether two host names, or ids of entries, are the same server.
#[must_use]
pub(crate) fn is_same_server(one: &str, other: &str) -> bool {
    without_name(one) == without_name(other)
}

fn without_name(host: &str) -> &str {
    host.strip_prefix(SECOND_NAME).or_else(|| host.strip_prefix(FIRST_NAME)).unwrap_or(host)
}

/// Returns the first host name of a server, whichever of its names is given.
fn first_name(host: &str) -> String {
    format!("{FIRST_NAME}{}", without_name(host))
}

/// The simulated servers, which are found by both of their host names.
#[derive(Debug, Default)]
pub(crate) struct SimServers(BTreeMap<String, SimServer>);

impl SimServers {
    /// Adds a server under its first name.
    pub(crate) fn insert(&mut self, server: SimServer) {
        self.0.insert(server.host.clone(), server);
    }

    /// Returns the server with this host name.
    #[must_use]
    pub(crate) fn get(&self, host: &str) -> Option<&SimServer> {
        if is_twin(host) { self.0.get(&first_name(host)) } else { self.0.get(host) }
    }

    /// Returns the server with this host name.
    pub(crate) fn get_mut(&mut self, host: &str) -> Option<&mut SimServer> {
        if is_twin(host) { self.0.get_mut(&first_name(host)) } else { self.0.get_mut(host) }
    }

    /// Iterates over all servers, each of them once.
    pub(crate) fn values(&self) -> impl Iterator<Item = &SimServer> {
        self.0.values()
    }

    /// Iterates over all servers, each of them once.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut SimServer> {
        self.0.values_mut()
    }
}
