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
mod cluster;
mod doubt;
mod history;
mod inspect;
mod join;
mod link;
mod places;
mod poll;
mod records;
mod rows;
mod script;
mod servers;
mod tenants;
mod turns;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::ports::StoreError;
use domain::Server;
use tokio::time::Instant;

use self::address::RedisOptions;
use self::link::Link;
use self::rows::ServerRow;
use crate::joins::Joins;
use crate::memory::Memory;

/// How long servers are remembered, apart from their loads, if somebody else than us changes them.
const REMEMBER_MAX: Duration = Duration::from_secs(1);
/// How often an operation looks again because others were faster; each time one of them got on.
const TRIES_MAX: usize = 1000;
/// How often polls look for meetings that the original made.
const ADOPT_EVERY: Duration = Duration::from_secs(10);
/// Meetings that are read by one script: Redis does nothing else meanwhile, for some 3 ms.
const PAGE: usize = 100;

/// Servers as they were at a revision.
struct Remembered {
    servers: Vec<Server>,
    revision: String,
    since: Instant,
}

/// What talks to Redis, and what is on its way there.
struct Core {
    link: Link,
    prefix: String,
    meeting_ttl_ms: i64,
    joins: Joins,
    /// Held by whoever writes joins.
    counting: tokio::sync::Mutex<()>,
    /// Counts our own writes, but not those that only count joins.
    sign: AtomicU64,
}

/// The hot state in one Redis.
pub struct RedisStore {
    core: Arc<Core>,
    memory: Memory,
    remembered: Mutex<Option<Remembered>>,
    /// When meetings of the original were last listed with their servers.
    adopted: tokio::sync::Mutex<Option<Instant>>,
    /// Held by creates that were overtaken once, so that they do not overtake each other again.
    placing: tokio::sync::Mutex<()>,
    /// Counts attempts to place, so that one whose answer was lost knows itself.
    attempts: AtomicU64,
}

impl RedisStore {
    /// A store that connects when it is first used.
    #[must_use]
    pub fn new(options: RedisOptions) -> Self {
        let core = Core {
            link: Link::new(options.address, options.pool),
            prefix: format!("{}:", options.namespace),
            meeting_ttl_ms: options.meeting_ttl_ms.max(1000),
            joins: Joins::default(),
            counting: tokio::sync::Mutex::default(),
            sign: AtomicU64::new(0),
        };
        Self {
            core: Arc::new(core),
            memory: Memory::default(),
            remembered: Mutex::default(),
            adopted: tokio::sync::Mutex::default(),
            placing: tokio::sync::Mutex::default(),
            attempts: AtomicU64::new(0),
        }
    }

    /// Servers as of that revision, if they are remembered.
    fn recall(&self, revision: &str) -> Option<Vec<Server>> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = remembered.as_ref()?;
        let stands = remembered.revision == revision && remembered.since.elapsed() < REMEMBER_MAX;
        stands.then(|| remembered.servers.clone())
    }

    /// What a poll has changed of a server.
    fn amend(&self, server: &Server) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = remembered.iter_mut().flat_map(|all| &mut all.servers);
        for known in servers.filter(|known| known.id == server.id) {
            known.clone_from(server);
        }
    }

    fn remember(&self, servers: &[Server], revision: String) {
        let remembered = Remembered { servers: servers.to_vec(), revision, since: Instant::now() };
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembered);
    }
}

/// In the order in which they were added; those that the original added come first.
fn in_order(mut rows: Vec<ServerRow>) -> Vec<Server> {
    let position = |row: &ServerRow| row.position.parse::<f64>().unwrap_or(0.0);
    rows.sort_by(|one, other| {
        position(one).total_cmp(&position(other)).then(one.server.id.cmp(&other.server.id))
    });
    rows.into_iter().map(|row| row.server).collect()
}

fn busy() -> StoreError {
    StoreError::Unavailable("Redis: too many changes at the same time".to_owned())
}
