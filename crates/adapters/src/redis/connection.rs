//! The connections to Redis: a few that are opened when they are needed, and opened again when they
//! break. While Redis is unavailable every call fails at once, except for the attempt that finds
//! out whether it is back.
//!
//! Not the `redis` crate's `ConnectionManager` and `SentinelClient`: while Redis is unavailable
//! each of their calls waits for an attempt to connect, and a connection is kept after it left a
//! call without a response.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use app::ports::StoreError;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, ServerErrorKind,
};
use tokio::time::{Instant, timeout};

use super::address::{RedisAddress, RedisEndpoint};
use crate::outage::{Outage, RETRY_INTERVAL};

/// The time limit of an attempt to connect, Sentinel included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The time limit of one sentinel.
const SENTINEL_TIMEOUT: Duration = Duration::from_millis(500);
/// The time limit of a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Default)]
struct OpenConnections {
    /// The connections, each with the number under which it was opened.
    connections: Vec<(u64, MultiplexedConnection)>,
    opened_count: u64,
    /// When Redis refused another connection while others were open.
    full_since: Option<Instant>,
}

/// The connections to one Redis.
pub(super) struct RedisConnection {
    address: RedisAddress,
    max_connections: usize,
    next_index: AtomicUsize,
    open: Mutex<OpenConnections>,
    outage: Outage,
    /// Held while a connection is opened.
    connect_lock: tokio::sync::Mutex<()>,
}

impl RedisConnection {
    pub(super) fn new(address: RedisAddress, max_connections: usize) -> Self {
        Self {
            address,
            max_connections: max_connections.max(1),
            next_index: AtomicUsize::new(0),
            open: Mutex::default(),
            outage: Outage::default(),
            connect_lock: tokio::sync::Mutex::default(),
        }
    }

    fn lock_open(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a connection that worked so far, and the number of the newest one for
    /// [`Self::drop_broken`].
    pub(super) async fn get(&self) -> Result<(u64, MultiplexedConnection), StoreError> {
        if let Some(error) = self.outage.error() {
            return Err(error);
        }
        if let Some(connection) = self.pick_connection() {
            return Ok(connection);
        }
        let _connecting = self.acquire_connect_lock().await?;
        // The previous holder of the lock may have connected, or failed to.
        let attempt = self.outage.begin_attempt()?;
        if let Some(connection) = self.pick_connection() {
            return Ok(connection);
        }
        let started_at = Instant::now();
        match self.connect().await {
            Ok(connection) => {
                if attempt.succeed() {
                    tracing::info!("Redis available again");
                }
                let mut open = self.lock_open();
                open.opened_count += 1;
                let connection = (open.opened_count, connection);
                open.connections.push(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                let mut open = self.lock_open();
                // A quick refusal may mean that Redis has reached its limit of connections: those
                // that are open may work.
                if let Some((_, connection)) = open.connections.first().cloned()
                    && started_at.elapsed() < RETRY_INTERVAL
                {
                    open.full_since = Some(Instant::now());
                    return Ok((open.opened_count, connection));
                }
                if attempt.fail(error.clone()) {
                    tracing::error!(%error, "Redis unavailable");
                }
                Err(error)
            }
        }
    }

    /// Waits for the right to connect. Fails at once if Redis is unavailable and another call is
    /// connecting.
    async fn acquire_connect_lock(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, StoreError> {
        if let Ok(guard) = self.connect_lock.try_lock() {
            return Ok(guard);
        }
        if let Some(error) = self.outage.last_error() {
            return Err(error);
        }
        Ok(self.connect_lock.lock().await)
    }

    /// Returns the next open connection; `None` if another one is to be opened.
    fn pick_connection(&self) -> Option<(u64, MultiplexedConnection)> {
        let is_unavailable = self.outage.last_error().is_some();
        let open = self.lock_open();
        let is_full = open.full_since.is_some_and(|since| since.elapsed() < RETRY_INTERVAL);
        let may_open_more = open.connections.len() < self.max_connections && !is_full;
        if is_unavailable || open.connections.is_empty() || may_open_more {
            return None;
        }
        let index = self.next_index.fetch_add(1, Ordering::Relaxed) % open.connections.len();
        Some((open.opened_count, open.connections[index].1.clone()))
    }

    /// Drops a broken connection, and all that were open together with it: mostly Redis was
    /// restarted.
    pub(super) fn drop_broken(&self, newest: u64) {
        self.lock_open().connections.retain(|(number, _)| *number > newest);
    }

    /// Drops all connections: Redis is reachable but does not respond.
    pub(super) fn drop_all(&self, error: &StoreError) {
        self.lock_open().connections.clear();
        if self.outage.report_silence(error.clone()) {
            tracing::error!(%error, "Redis does not respond");
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StoreError> {
        let connected = timeout(CONNECT_TIMEOUT, self.connect_without_timeout()).await;
        connected.unwrap_or_else(|_| Err(unavailable_error("no connection within 2 s")))
    }

    async fn connect_without_timeout(&self) -> Result<MultiplexedConnection, StoreError> {
        let addr = match &self.address.endpoint {
            RedisEndpoint::Tcp { host, port, tls } => tcp_address(host, *port, *tls),
            RedisEndpoint::Unix(path) => ConnectionAddr::Unix(path.clone()),
            RedisEndpoint::Sentinel { sentinels, master, tls, sentinel_password } => {
                find_master(sentinels, master, *tls, sentinel_password.as_deref()).await?
            }
        };
        let mut login = RedisConnectionInfo::default().set_db(i64::from(self.address.db));
        if let Some(username) = &self.address.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.address.password {
            login = login.set_password(password);
        }
        open_connection(addr, login, CONNECT_TIMEOUT).await
    }
}

async fn open_connection(
    addr: ConnectionAddr,
    login: RedisConnectionInfo,
    connect_timeout: Duration,
) -> Result<MultiplexedConnection, StoreError> {
    let info = addr.into_connection_info().map_err(|error| to_store_error(&error))?;
    let client =
        Client::open(info.set_redis_settings(login)).map_err(|error| to_store_error(&error))?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect_timeout))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    let connection = client.get_multiplexed_async_connection_with_config(&config).await;
    connection.map_err(|error| to_store_error(&error))
}

fn tcp_address(host: &str, port: u16, tls: bool) -> ConnectionAddr {
    let host = host.to_owned();
    if tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

/// Returns the address of the master, from the first sentinel that knows it.
async fn find_master(
    sentinels: &[(String, u16)],
    master: &str,
    tls: bool,
    password: Option<&str>,
) -> Result<ConnectionAddr, StoreError> {
    let mut last_error = unavailable_error("no sentinel is configured");
    for (host, port) in sentinels {
        let find = async {
            let mut login = RedisConnectionInfo::default();
            if let Some(password) = password {
                login = login.set_password(password);
            }
            let mut sentinel =
                open_connection(tcp_address(host, *port, tls), login, SENTINEL_TIMEOUT).await?;
            let mut command = redis::cmd("SENTINEL");
            command.arg("get-master-addr-by-name").arg(master);
            let found: Result<Option<(String, u16)>, _> = command.query_async(&mut sentinel).await;
            found.map_err(|error| to_store_error(&error))
        };
        let problem = match timeout(SENTINEL_TIMEOUT, find).await {
            Ok(Ok(Some((host, port)))) => return Ok(tcp_address(&host, port, tls)),
            Ok(Ok(None)) => format!("sentinel {host}:{port} knows no {master}"),
            Ok(Err(error)) => format!("sentinel {host}:{port}: {error}"),
            Err(_) => format!("sentinel {host}:{port} does not respond"),
        };
        last_error = unavailable_error(&problem);
    }
    Err(last_error)
}

/// What is said of a Redis Cluster: a change concerns keys of several slots at once.
pub(super) const CLUSTER_REFUSED: &str = "a Redis Cluster cannot be used: use a Redis with replicas, with or without Sentinel, or PostgreSQL";

fn unavailable_error(text: &str) -> StoreError {
    StoreError::Unavailable(format!("Redis: {text}"))
}

/// Converts an error of the client library, whose texts contain no secrets.
pub(super) fn to_store_error(error: &RedisError) -> StoreError {
    let text = format!("Redis: {error}");
    if text.contains("OOM") && text.contains("maxmemory") {
        let what = "Redis has reached maxmemory: it can still be read, but changes fail";
        return StoreError::Unavailable(what.to_owned());
    }
    if let ErrorKind::Server(
        ServerErrorKind::Moved
        | ServerErrorKind::Ask
        | ServerErrorKind::CrossSlot
        | ServerErrorKind::ClusterDown,
    ) = error.kind()
    {
        return StoreError::Unavailable(format!("{text}: {CLUSTER_REFUSED}"));
    }
    match error.kind() {
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => StoreError::Corrupt(text),
        ErrorKind::Server(ServerErrorKind::ResponseError) if text.contains("WRONGTYPE") => {
            StoreError::Corrupt(text)
        }
        _ => StoreError::Unavailable(text),
    }
}

/// Whether a connection that returned this error cannot be used any more.
pub(super) fn is_broken(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || error.is_io_error()
}

/// Whether this Redis cannot be written because it is not the master, or is still loading. Before
/// Redis 7 the error of a script says so in its text only.
pub(super) fn is_not_master(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading
        )
    ) || error.detail().is_some_and(|text| text.contains("-READONLY "))
}
