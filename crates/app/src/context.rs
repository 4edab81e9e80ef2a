//! The application: the ports it was given and the administrator's choices. Built once, cheap to
//! clone.

use std::sync::Arc;

use crate::keeper::Keeper;
use crate::planner::Planner;
use crate::policy::Policy;
use crate::ports::{
    BbbClient, Blobs, Clock, Cluster, Courier, Entropy, History, Records, Tenants, Tokens, Turns,
};
use crate::tenancy::TenantCache;

/// Everything that a use case needs.
#[derive(Clone)]
pub struct App {
    /// Servers and meetings.
    pub cluster: Arc<dyn Cluster>,
    /// Meetings that have ended.
    pub history: Arc<dyn History>,
    /// What placement foresees.
    pub planner: Arc<Planner>,
    /// The servers, should the store lose them.
    pub keeper: Arc<Keeper>,
    /// Who polls when.
    pub turns: Arc<dyn Turns>,
    /// Tenants, as administrators see and change them.
    pub tenants: Arc<dyn Tenants>,
    /// Tenants, as calls need them.
    pub tenant_cache: Arc<TenantCache>,
    /// Recordings; none where there is no database (`DB_DISABLED`).
    pub records: Option<Arc<dyn Records>>,
    /// Their files.
    pub blobs: Arc<dyn Blobs>,
    /// What opens protected ones, once.
    pub tokens: Arc<dyn Tokens>,
    /// Calls to servers.
    pub bbb: Arc<dyn BbbClient>,
    /// Calls to addresses that front-ends gave us.
    pub courier: Arc<dyn Courier>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Choices.
    pub policy: Arc<Policy>,
}
