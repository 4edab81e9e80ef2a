//! What every use case is given: the ports, the state of the process, and the administrator's choices.

use std::sync::Arc;

use crate::odd_answers::OddAnswers;
use crate::policy::Policy;
use crate::ports::{
    AuditLog, BbbClient, Blobs, CallbackClient, Clock, Entropy, KeptCreates, ManagementTokens,
    OneTimeTokens, PeriodicJobs, PlannedDrains, PoolSamples, PoolStore, RecordingStore,
    RememberedRequests, Sealer, SessionHistory, Tenants,
};
use crate::state::{
    AuditQueue, ChangeBudgets, ClockWatch, FailingRecipients, KeycloakTokens, KnownClaims,
    KnownHosts, KnownTwins, Meters, ResponseTimes, Revivals, ServerBackup, SessionBudget,
    SharedForecast, SharedLists, SuspectChecks, WrongPins,
};
use crate::tenancy::TenantCache;
use crate::token_authentication::ManagementTokenCache;

/// The application. Built once, cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Servers and meetings.
    pub pool: Arc<dyn PoolStore>,
    /// How meetings were created.
    pub kept_creates: Arc<dyn KeptCreates>,
    /// Seals kept creates.
    pub sealer: Arc<dyn Sealer>,
    /// Revivals that are under way.
    pub revivals: Arc<Revivals>,
    /// What suspect servers answered lately.
    pub suspect_checks: Arc<SuspectChecks>,
    /// Wrong PINs of callers by telephone.
    pub wrong_pins: Arc<WrongPins>,
    /// Meetings that have ended.
    pub history: Arc<dyn SessionHistory>,
    /// How many meetings that have ended are kept of a minute.
    pub session_budget: Arc<SessionBudget>,
    /// The forecast by which meetings are placed.
    pub forecast: Arc<SharedForecast>,
    /// A copy of the servers, in case the store loses them.
    pub server_backup: Arc<ServerBackup>,
    /// Servers that are listed twice, as far as the log has told.
    pub known_twins: Arc<KnownTwins>,
    /// Meetings of other servers that servers claim to have, as far as the log has told.
    pub known_claims: Arc<KnownClaims>,
    /// What servers have brought about lately.
    pub change_budgets: Arc<ChangeBudgets>,
    /// How long servers take to answer.
    pub response_times: Arc<ResponseTimes>,
    /// Requests for the lists of servers that calls share.
    pub shared_lists: Arc<SharedLists>,
    /// The host names of servers.
    pub known_hosts: Arc<KnownHosts>,
    /// Recipients of callbacks that fail.
    pub failing_recipients: Arc<FailingRecipients>,
    /// What this process has counted of its own work.
    pub meters: Arc<Meters>,
    /// Tokens for learning record stores.
    pub keycloak_tokens: Arc<KeycloakTokens>,
    /// What was logged of answers of servers with odd content.
    pub odd_answers: Arc<OddAnswers>,
    /// Work that one replica does in every interval.
    pub periodic_jobs: Arc<dyn PeriodicJobs>,
    /// Samples of the pool over time.
    pub samples: Arc<dyn PoolSamples>,
    /// Tenants, for administrative actions.
    pub tenants: Arc<dyn Tenants>,
    /// Tenants with their settings, for calls.
    pub tenant_cache: Arc<TenantCache>,
    /// Recordings; `None` without a database (`DB_DISABLED`).
    pub recording_store: Option<Arc<dyn RecordingStore>>,
    /// The files of recordings.
    pub blobs: Arc<dyn Blobs>,
    /// One-time tokens for protected recordings.
    pub tokens: Arc<dyn OneTimeTokens>,
    /// Management tokens.
    pub management_tokens: Arc<dyn ManagementTokens>,
    /// Management tokens as this process read them last.
    pub token_cache: Arc<ManagementTokenCache>,
    /// Who has changed what.
    pub audit: Arc<dyn AuditLog>,
    /// Records of the audit that wait to be written.
    pub audit_queue: Arc<AuditQueue>,
    /// Requests of the management API that must not be made twice.
    pub requests: Arc<dyn RememberedRequests>,
    /// Servers that are taken out of service at a time.
    pub drains: Arc<dyn PlannedDrains>,
    /// Calls to BBB servers.
    pub bbb: Arc<dyn BbbClient>,
    /// Calls to addresses that front-ends name.
    pub callback_client: Arc<dyn CallbackClient>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Whether the clock was set lately.
    pub clock_watch: Arc<ClockWatch>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The administrator's choices.
    pub policy: Arc<Policy>,
}
