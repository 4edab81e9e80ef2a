//! The hot state in Redis, in the layout of existing deployments, so that the original and this can
//! take turns on the same data. What only we know is kept in keys below `<namespace>:own:`, which
//! the original never looks at.
//!
//! Every operation is one script, so that it is atomic, and one round trip. Some need a decision of
//! the domain between reading and writing (placing a meeting, recording a poll or a failure, taking a
//! turn): those look, decide, and commit by a script that refuses if the ground has moved; then they
//! look again.
//!
//! A meeting whose server is offline is forgotten as far as the original's keys go, as the original
//! does it. That it is detached, and what it takes to attach it, stands in our own keys.

pub mod address;
mod connection;
mod failures;
mod history;
mod inspect;
mod join;
mod periodic_jobs;
mod placement;
mod poll;
mod pool_store;
mod records;
mod rows;
mod schema;
mod script;
mod servers;
mod tenants;

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::ports::StoreError;
use domain::Server;
use tokio::time::Instant;

use self::address::RedisOptions;
use self::connection::RedisConnection;
use self::rows::ServerRow;
use crate::join_cache::JoinCache;
use crate::pending_joins::PendingJoins;

/// How long servers are remembered, apart from their loads, if somebody else than us changes them.
const MAX_CACHE_AGE: Duration = Duration::from_secs(1);
/// How often an operation looks again because others were faster; each time one of them got on.
const MAX_TRIES: usize = 1000;
/// How often polls look for meetings that the original made.
const ADOPT_INTERVAL: Duration = Duration::from_secs(10);
/// Meetings that are read by one script: Redis does nothing else meanwhile, for some 3 ms.
const PAGE_SIZE: usize = 100;

/// Servers as they were at a revision.
struct CachedServers {
    servers: Vec<Server>,
    revision: String,
    read_at: Instant,
}

/// What talks to Redis, and what is on its way there.
struct RedisClient {
    connection: RedisConnection,
    prefix: String,
    meeting_ttl_ms: i64,
    pending_joins: PendingJoins,
    /// Held by whoever writes joins.
    counting_lock: tokio::sync::Mutex<()>,
    /// Counts our own writes, but not those that only count joins.
    revision: AtomicU64,
    /// Whether Redis was found to have a layout that we know.
    has_known_schema: AtomicBool,
}

/// The hot state in one Redis.
pub struct RedisStore {
    client: Arc<RedisClient>,
    join_cache: JoinCache,
    cached_servers: Mutex<Option<CachedServers>>,
    /// When meetings of the original were last listed with their servers.
    last_adoption: tokio::sync::Mutex<Option<Instant>>,
    /// Held by creates that were overtaken once, so that they do not overtake each other again.
    placement_lock: tokio::sync::Mutex<()>,
    /// Counts attempts to place, so that one whose answer was lost knows itself.
    attempts: AtomicU64,
}

impl RedisStore {
    /// A store that connects when it is first used.
    #[must_use]
    pub fn new(options: RedisOptions) -> Self {
        let core = RedisClient {
            connection: RedisConnection::new(options.address, options.max_connections),
            prefix: format!("{}:", options.namespace),
            meeting_ttl_ms: options.meeting_ttl_ms.max(1000),
            pending_joins: PendingJoins::default(),
            counting_lock: tokio::sync::Mutex::default(),
            revision: AtomicU64::new(0),
            has_known_schema: AtomicBool::new(false),
        };
        Self {
            client: Arc::new(core),
            join_cache: JoinCache::default(),
            cached_servers: Mutex::default(),
            last_adoption: tokio::sync::Mutex::default(),
            placement_lock: tokio::sync::Mutex::default(),
            attempts: AtomicU64::new(0),
        }
    }

    /// Servers as of that revision, if they are remembered.
    fn find_cached_servers(&self, revision: &str) -> Option<Vec<Server>> {
        let remembered = self.cached_servers.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = remembered.as_ref()?;
        let stands =
            remembered.revision == revision && remembered.read_at.elapsed() < MAX_CACHE_AGE;
        stands.then(|| remembered.servers.clone())
    }

    /// What a poll has changed of a server.
    fn update_cached_server(&self, server: &Server) {
        let mut remembered = self.cached_servers.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = remembered.iter_mut().flat_map(|all| &mut all.servers);
        for known in servers.filter(|known| known.id == server.id) {
            known.clone_from(server);
        }
    }

    fn cache_servers(&self, servers: &[Server], revision: String) {
        let remembered =
            CachedServers { servers: servers.to_vec(), revision, read_at: Instant::now() };
        *self.cached_servers.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembered);
    }
}

/// In the order in which they were added; those that the original added come first.
fn sort_servers(mut rows: Vec<ServerRow>) -> Vec<Server> {
    let position = |row: &ServerRow| row.position.parse::<f64>().unwrap_or(0.0);
    rows.sort_by(|one, other| {
        position(one).total_cmp(&position(other)).then(one.server.id.cmp(&other.server.id))
    });
    rows.into_iter().map(|row| row.server).collect()
}

fn busy_error() -> StoreError {
    StoreError::Unavailable("Redis: too many changes at the same time".to_owned())
}
