//! The application: the ports it was given and the administrator's choices. Built once, cheap to
//! clone.

use std::sync::Arc;

use crate::forecaster::Forecaster;
use crate::policy::Policy;
use crate::ports::{
    BbbClient, Blobs, CallbackClient, Clock, Entropy, OneTimeTokens, PeriodicJobs, PoolStore,
    RecordingStore, SessionHistory, Tenants,
};
use crate::server_backup::ServerBackup;
use crate::tenancy::TenantCache;

/// Everything that a use case needs.
#[derive(Clone)]
pub struct App {
    /// Servers and meetings.
    pub pool: Arc<dyn PoolStore>,
    /// Meetings that have ended.
    pub history: Arc<dyn SessionHistory>,
    /// What placement foresees.
    pub forecaster: Arc<Forecaster>,
    /// The servers, should the store lose them.
    pub server_backup: Arc<ServerBackup>,
    /// Who polls when.
    pub periodic_jobs: Arc<dyn PeriodicJobs>,
    /// Tenants, as administrators see and change them.
    pub tenants: Arc<dyn Tenants>,
    /// Tenants, as calls need them.
    pub tenant_cache: Arc<TenantCache>,
    /// Recordings; none where there is no database (`DB_DISABLED`).
    pub recording_store: Option<Arc<dyn RecordingStore>>,
    /// Their files.
    pub blobs: Arc<dyn Blobs>,
    /// What opens protected ones, once.
    pub tokens: Arc<dyn OneTimeTokens>,
    /// Calls to servers.
    pub bbb: Arc<dyn BbbClient>,
    /// Calls to addresses that front-ends gave us.
    pub callback_client: Arc<dyn CallbackClient>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Choices.
    pub policy: Arc<Policy>,
}
