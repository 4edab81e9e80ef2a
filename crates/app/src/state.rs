//! State that a process keeps between calls, shared by all use cases.

use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::Server;
use domain::forecast::PoolForecast;

/// The forecast of the pool; empty until it is first needed.
#[derive(Debug, Default)]
pub struct SharedForecast(Mutex<Option<PoolForecast>>);

impl SharedForecast {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<PoolForecast>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The servers as this process saw them last, in case the store loses them.
#[derive(Debug, Default)]
pub struct ServerBackup(Mutex<Option<SavedServers>>);

/// A copy of the servers.
#[derive(Clone, Debug)]
pub(crate) struct SavedServers {
    /// The id of the store that held them.
    pub(crate) store_id: String,
    /// All of them.
    pub(crate) servers: Vec<Server>,
}

impl ServerBackup {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<SavedServers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
