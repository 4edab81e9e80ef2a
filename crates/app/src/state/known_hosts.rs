//! The host names of servers, so that the log can name a server by more than its id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Server, ServerId};

/// Most servers whose names are kept; beyond that, all are forgotten and learned again.
const MAX_HOSTS: usize = 10_000;

/// The host names of servers that this process has dealt with.
#[derive(Debug, Default)]
pub struct KnownHosts(Mutex<HashMap<ServerId, Arc<str>>>);

impl KnownHosts {
    /// Takes note of a server's host name.
    pub(crate) fn note(&self, server: &Server) {
        let mut hosts = self.lock();
        let host = server.hostname();
        if hosts.get(&server.id).is_some_and(|known| **known == *host) {
            return;
        }
        if hosts.len() >= MAX_HOSTS {
            hosts.clear();
        }
        hosts.insert(server.id.clone(), host.into());
    }

    /// Returns the host name of a server, if it is known.
    #[must_use]
    pub fn find(&self, id: &ServerId) -> Option<Arc<str>> {
        self.lock().get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServerId, Arc<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
