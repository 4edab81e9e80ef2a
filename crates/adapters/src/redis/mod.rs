//! The shared state in Redis, in the layout of the original, so that an installation can switch
//! between both products. Data that only we have is stored in keys below `<namespace>:own:`, which
//! the original never reads.
//!
//! Every operation is one script, which makes it atomic and one round trip. Some operations need a
//! decision of `domain` between reading and writing: placing a meeting, recording a poll or a
//! failed call, claiming a run of a periodic job. They read, decide, and commit with a script that
//! refuses if the data has changed since; then they start again.
//!
//! The original's keys of a meeting are deleted when its server goes offline, as the original does.
//! Our own keys record that it is detached, and what is needed to attach it again.

pub mod address;
mod certificate_state;
mod connection;
mod dump;
mod failures;
mod history;
mod inspect;
mod join;
mod kept_creates;
mod management;
mod periodic_jobs;
mod placement;
mod placement_queue;
mod planned_drains;
mod poll;
mod pool_samples;
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
pub(crate) use self::dump::{KeyRestore, describe_content, dump_keys};
use self::placement_queue::PlacementQueue;
use self::rows::ServerRow;
use crate::join_cache::JoinCache;
use crate::pending_joins::PendingJoins;

/// The maximum age of cached servers. Their loads are not cached.
const MAX_CACHE_AGE: Duration = Duration::from_secs(1);
/// The maximum number of times that an operation starts again because another one was faster.
const MAX_TRIES: usize = 1000;
/// How often polls look for meetings that the original has created.
const ADOPT_INTERVAL: Duration = Duration::from_secs(10);
/// The number of meetings that one script reads. It blocks Redis for about 3 ms.
const PAGE_SIZE: usize = 100;

/// Servers as they were at a revision of the data.
struct CachedServers {
    servers: Vec<Server>,
    revision: String,
    read_at: Instant,
}

/// The connections to Redis, and joins that are not written yet.
struct RedisClient {
    connection: RedisConnection,
    prefix: String,
    meeting_ttl_ms: i64,
    pending_joins: PendingJoins,
    /// Held while joins are written.
    counting_lock: tokio::sync::Mutex<()>,
    /// The number of our own writes, without those that only count joins.
    revision: AtomicU64,
    /// Whether the layout of our keys was found to be one that this program knows.
    has_known_schema: AtomicBool,
}

/// The shared state in one Redis.
pub struct RedisStore {
    client: Arc<RedisClient>,
    join_cache: JoinCache,
    cached_servers: Mutex<Option<CachedServers>>,
    /// When meetings of the original were last adopted.
    last_adoption: tokio::sync::Mutex<Option<Instant>>,
    placements: PlacementQueue,
    /// Numbers the attempts to place a meeting, so that a repeated call can tell that the first one
    /// was executed.
    attempts: AtomicU64,
}

impl RedisStore {
    /// Creates a store that connects when it is first used.
    #[must_use]
    pub fn new(options: RedisOptions) -> Self {
        let client = RedisClient {
            connection: RedisConnection::new(options.address, options.max_connections),
            prefix: format!("{}:", options.namespace),
            meeting_ttl_ms: options.meeting_ttl_ms.max(1000),
            pending_joins: PendingJoins::default(),
            counting_lock: tokio::sync::Mutex::default(),
            revision: AtomicU64::new(0),
            has_known_schema: AtomicBool::new(false),
        };
        Self {
            client: Arc::new(client),
            join_cache: JoinCache::default(),
            cached_servers: Mutex::default(),
            last_adoption: tokio::sync::Mutex::default(),
            placements: PlacementQueue::default(),
            attempts: AtomicU64::new(0),
        }
    }

    /// Returns the cached servers, if they are of this revision.
    fn find_cached_servers(&self, revision: &str) -> Option<Vec<Server>> {
        let cached = self.cached_servers.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = cached.as_ref()?;
        let is_valid = cached.revision == revision && cached.read_at.elapsed() < MAX_CACHE_AGE;
        is_valid.then(|| cached.servers.clone())
    }

    /// Updates the cached copy of a server that this process has changed.
    fn update_cached_server(&self, server: &Server) {
        let mut cached = self.cached_servers.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = cached.iter_mut().flat_map(|cached| &mut cached.servers);
        for cached_server in servers.filter(|cached_server| cached_server.id == server.id) {
            cached_server.clone_from(server);
        }
    }

    fn cache_servers(&self, servers: &[Server], revision: String) {
        let cached = CachedServers { servers: servers.to_vec(), revision, read_at: Instant::now() };
        *self.cached_servers.lock().unwrap_or_else(PoisonError::into_inner) = Some(cached);
    }
}

/// Sorts servers in the order in which they were added. Those that the original added come first.
fn sort_servers(mut rows: Vec<ServerRow>) -> Vec<Server> {
    let position = |row: &ServerRow| row.position.parse::<f64>().unwrap_or(0.0);
    rows.sort_by(|a, b| position(a).total_cmp(&position(b)).then(a.server.id.cmp(&b.server.id)));
    rows.into_iter().map(|row| row.server).collect()
}

fn busy_error() -> StoreError {
    StoreError::Unavailable("Redis: too many changes at the same time".to_owned())
}
