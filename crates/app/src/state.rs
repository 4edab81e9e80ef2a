//! State that a process keeps between calls, shared by all use cases.

mod audit_queue;
mod change_budgets;
mod clock_watch;
mod failing_recipients;
mod failure_log;
mod keycloak_tokens;
mod known_hosts;
mod meters;
mod revivals;
mod session_budget;
mod shared_lists;
mod suspect_checks;
mod time_histogram;
mod wrong_pins;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::forecast::PoolForecast;
use domain::{Meeting, Server, ServerId, Tenant, TenantSetting};
use tokio::time::Instant;

pub use audit_queue::AuditQueue;
pub use change_budgets::ChangeBudgets;
pub use clock_watch::{ClockWatch, WatchedClock};
pub use failing_recipients::FailingRecipients;
pub use failure_log::{FailureLog, FailureNote, PastFailures, REMINDER_INTERVAL};
pub(crate) use keycloak_tokens::IssuedToken;
pub use keycloak_tokens::KeycloakTokens;
pub use known_hosts::KnownHosts;
pub use meters::{Counter, FailureKind, Meters, ServerMeters};
pub(crate) use revivals::RevivalStart;
pub use revivals::Revivals;
pub use session_budget::SessionBudget;
pub use shared_lists::{ServedMeeting, ServedMeetings, SharedLists};
pub use suspect_checks::SuspectChecks;
pub use time_histogram::{TimeCounts, TimeHistogram};
pub use wrong_pins::WrongPins;

/// The forecast of the pool; empty until it is first needed.
#[derive(Debug, Default)]
pub struct SharedForecast {
    forecast: Mutex<Option<PoolForecast>>,
    /// When it was last rebuilt from the store.
    rebuilt_at: Mutex<Option<Instant>>,
}

impl SharedForecast {
    /// Returns whether it was rebuilt from the store so lately.
    pub(crate) fn is_newer_than(&self, age: Duration) -> bool {
        let rebuilt_at = *self.rebuilt_at.lock().unwrap_or_else(PoisonError::into_inner);
        rebuilt_at.is_some_and(|at| at.elapsed() < age)
    }

    pub(crate) fn note_rebuild(&self) {
        *self.rebuilt_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<PoolForecast>> {
        self.forecast.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the pool store had when this process read it last, in case the store loses it.
#[derive(Debug, Default)]
pub struct ServerBackup {
    saved: Mutex<Option<SavedPool>>,
    /// Held while the store is recovered.
    pub(crate) recovery: tokio::sync::Mutex<()>,
    /// How often this process has recovered the store.
    pub(crate) recoveries: AtomicU64,
    /// Servers as this process itself has left them since the store was read last; `None` for one that it has removed.
    own_changes: Mutex<HashMap<ServerId, Option<Server>>>,
}

/// A copy of what the pool store had.
#[derive(Clone, Debug, Default)]
pub(crate) struct SavedPool {
    /// The id of the store.
    pub(crate) store_id: String,
    /// All servers.
    pub(crate) servers: Vec<Server>,
    /// All tenants.
    pub(crate) tenants: Vec<Tenant>,
    /// The settings of all tenants.
    pub(crate) settings: Vec<TenantSetting>,
    /// The meetings, as of the last poll cycle.
    pub(crate) meetings: Vec<Meeting>,
}

impl ServerBackup {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<SavedPool>> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a change that this process has made and logged: the server as it is now, or `None` if it was removed.
    pub(crate) fn note_own_change(&self, id: &ServerId, server: Option<&Server>) {
        // Without a copy of the servers nothing is compared.
        let mut saved = self.lock();
        let Some(saved) = saved.as_mut() else { return };
        set_server(&mut saved.servers, id, server.cloned());
        self.lock_own_changes().insert(id.clone(), server.cloned());
    }

    /// The store is about to be read: it has all changes that were made before.
    pub(crate) fn begin_reading(&self) {
        self.lock_own_changes().clear();
    }

    /// Saves a copy, with what this process has changed while it was read. Returns the servers before and after.
    pub(crate) fn replace(&self, mut copy: SavedPool) -> (Option<SavedPool>, Vec<Server>) {
        let mut saved = self.lock();
        for (id, server) in self.lock_own_changes().drain() {
            set_server(&mut copy.servers, &id, server);
        }
        let servers = copy.servers.clone();
        (saved.replace(copy), servers)
    }

    fn lock_own_changes(&self) -> MutexGuard<'_, HashMap<ServerId, Option<Server>>> {
        self.own_changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a tenant of this name was there, regardless of ASCII case.
    pub(crate) fn has_tenant(&self, name: &str) -> bool {
        let is_named = |tenant: &Tenant| tenant.name.eq_ignore_ascii_case(name);
        self.lock().as_ref().is_some_and(|saved| saved.tenants.iter().any(is_named))
    }
}

fn set_server(servers: &mut Vec<Server>, id: &ServerId, server: Option<Server>) {
    match (servers.iter_mut().find(|known| known.id == *id), server) {
        (Some(known), Some(server)) => *known = server,
        (None, Some(server)) => servers.push(server),
        (_, None) => servers.retain(|known| known.id != *id),
    }
}

/// Pairs that are remembered of each kind; beyond that, warnings may be repeated.
const MAX_KNOWN_PAIRS: usize = 1_000;

/// Pairs of a server and something else that this process has warned about.
#[derive(Debug)]
struct KnownPairs<T>(Mutex<BTreeSet<(ServerId, T)>>);

impl<T> Default for KnownPairs<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Ord> KnownPairs<T> {
    /// Remembers a pair; returns whether it is new.
    fn insert(&self, server: ServerId, other: T) -> bool {
        let mut pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pairs.len() >= MAX_KNOWN_PAIRS {
            pairs.clear();
        }
        pairs.insert((server, other))
    }
}

/// Pairs of entries of one server that this process has warned about.
#[derive(Debug, Default)]
pub struct KnownTwins(KnownPairs<ServerId>);

impl KnownTwins {
    /// Remembers a pair, in any order; returns whether it is new.
    pub(crate) fn insert(&self, one: &ServerId, other: &ServerId) -> bool {
        self.0.insert(one.min(other).clone(), one.max(other).clone())
    }
}

/// Meetings of other servers that servers claim to have, as far as this process has warned about them.
#[derive(Debug, Default)]
pub struct KnownClaims(KnownPairs<String>);

impl KnownClaims {
    /// Remembers a claim; returns whether it is new.
    pub(crate) fn insert(&self, server: &ServerId, meeting: &str) -> bool {
        self.0.insert(server.clone(), meeting.to_owned())
    }
}

/// How long the servers took lately to answer something cheap, as this process saw it.
#[derive(Debug, Default)]
pub struct ResponseTimes(Mutex<HashMap<ServerId, u64>>);

impl ResponseTimes {
    /// Records that an answer took that long, in ms. The slower answers of the last minutes count most: the time recorded falls by
    /// an eighth with each faster answer.
    pub(crate) fn record(&self, server: &ServerId, took_ms: u64) {
        let mut times = self.lock();
        let before = times.get(server).copied().unwrap_or(0);
        times.insert(server.clone(), took_ms.max(before - before.div_ceil(8)));
    }

    /// Returns how long answers of the server take, in ms; `None` if this process has seen none.
    #[must_use]
    pub(crate) fn find(&self, server: &ServerId) -> Option<u64> {
        self.lock().get(server).copied()
    }

    /// Forgets all servers but these.
    pub(crate) fn retain(&self, servers: &[Server]) {
        self.lock().retain(|id, _| servers.iter().any(|server| server.id == *id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServerId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
