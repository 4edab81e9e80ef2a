//! Where a Redis is and how to get in: every form of REDIS_URL.

use std::fmt;
use std::path::PathBuf;

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisPlace {
    /// A host, with or without TLS.
    Tcp {
        /// Host name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
        /// Whether to speak TLS.
        tls: bool,
    },
    /// A socket of this machine.
    Unix(PathBuf),
    /// Whatever the sentinels say is the master of that name.
    Sentinel {
        /// Hosts and ports of the sentinels, of which one at least.
        sentinels: Vec<(String, u16)>,
        /// Name of the master.
        master: String,
        /// Whether sentinels and master speak TLS.
        tls: bool,
        /// Password of the sentinels, if they want one.
        sentinel_password: Option<String>,
    },
}

/// Where a Redis is and how to get in.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// Where it is.
    pub place: RedisPlace,
    /// User of the access control list.
    pub username: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Number of the database.
    pub db: u32,
}

impl fmt::Debug for RedisAddress {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisAddress").field("db", &self.db).finish_non_exhaustive()
    }
}

/// What the adapter needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisOptions {
    /// Where it is.
    pub address: RedisAddress,
    /// Prefix of all keys, without its colon (`REDIS_NAMESPACE`).
    pub namespace: String,
    /// Connections at most (`REDIS_POOL`); at least 1.
    pub pool: usize,
    /// How long a meeting is kept that no poll confirms, in ms (`DEFAULT_MEETING_TTL`).
    pub meeting_ttl_ms: i64,
}
