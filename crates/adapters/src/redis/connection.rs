//! The way to Redis: a few connections that are opened when needed and again when they broke. While
//! Redis is away every call fails at once but one in half a second, which tries.

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

/// How long connecting may take, Sentinel included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one sentinel may take to answer.
const SENTINEL_TIMEOUT: Duration = Duration::from_millis(500);
/// How long an answer may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often it is tried to connect while Redis is away.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Default)]
struct RedisConnectionState {
    /// Connections, each with the number under which it was opened.
    open: Vec<(u64, MultiplexedConnection)>,
    opened_count: u64,
    /// Since when nothing works, or since the last try.
    outage: Option<(Instant, StoreError)>,
    /// When another connection was refused while others were open.
    full_since: Option<Instant>,
}

/// The connections to one Redis.
pub(super) struct RedisConnection {
    address: RedisAddress,
    max_connections: usize,
    next_index: AtomicUsize,
    state: Mutex<RedisConnectionState>,
    /// Held by whoever connects.
    connect_lock: tokio::sync::Mutex<()>,
}

impl RedisConnection {
    pub(super) fn new(address: RedisAddress, size: usize) -> Self {
        let (turn, state) = (AtomicUsize::new(0), Mutex::default());
        Self {
            address,
            max_connections: size.max(1),
            next_index: turn,
            state,
            connect_lock: tokio::sync::Mutex::default(),
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, RedisConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that worked so far, and the number of the newest one for [`Self::drop_broken`].
    pub(super) async fn get(&self) -> Result<(u64, MultiplexedConnection), StoreError> {
        if let Some(open) = self.pick_connection()? {
            return Ok(open);
        }
        let _connecting = self.acquire_connect_lock().await?;
        // Whoever was here before may have connected, or failed to.
        if let Some(open) = self.pick_connection()? {
            return Ok(open);
        }
        if let Some((tried, _)) = &mut self.lock_state().outage {
            *tried = Instant::now();
        }
        let begun = Instant::now();
        match self.connect().await {
            Ok(connection) => {
                let mut state = self.lock_state();
                if state.outage.take().is_some() {
                    tracing::info!("Redis is back");
                }
                state.opened_count += 1;
                let open = (state.opened_count, connection);
                state.open.push(open.clone());
                Ok(open)
            }
            Err(error) => {
                let mut state = self.lock_state();
                // Refused at once: perhaps it wants no more of them. Those that are open may do.
                if let Some((_, open)) = state.open.first().cloned()
                    && begun.elapsed() < RETRY_INTERVAL
                {
                    state.full_since = Some(Instant::now());
                    return Ok((state.opened_count, open));
                }
                if state.outage.is_none() {
                    tracing::error!(%error, "Redis is away");
                }
                state.outage = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// The right to connect; while Redis is away, whoever is not the one that tries is told why.
    async fn acquire_connect_lock(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, StoreError> {
        if let Ok(alone) = self.connect_lock.try_lock() {
            return Ok(alone);
        }
        if let Some((_, error)) = &self.lock_state().outage {
            return Err(error.clone());
        }
        Ok(self.connect_lock.lock().await)
    }

    /// The next open connection, nothing if one more may be opened, or the reason not to try.
    fn pick_connection(&self) -> Result<Option<(u64, MultiplexedConnection)>, StoreError> {
        let state = self.lock_state();
        if let Some((tried, error)) = &state.outage
            && tried.elapsed() < RETRY_INTERVAL
        {
            return Err(error.clone());
        }
        let full = state.full_since.is_some_and(|since| since.elapsed() < RETRY_INTERVAL);
        let more = state.open.len() < self.max_connections && !full;
        if state.outage.is_some() || state.open.is_empty() || more {
            return Ok(None);
        }
        let turn = self.next_index.fetch_add(1, Ordering::Relaxed) % state.open.len();
        Ok(Some((state.opened_count, state.open[turn].1.clone())))
    }

    /// Gives up a connection that failed, and all that were open with it: mostly Redis was restarted.
    pub(super) fn drop_broken(&self, newest: u64) {
        self.lock_state().open.retain(|(other, _)| *other > newest);
    }

    /// Gives up all of them: Redis is there but does not answer.
    pub(super) fn drop_all(&self, error: &StoreError) {
        let mut state = self.lock_state();
        state.open.clear();
        if state.outage.is_none() {
            tracing::error!(%error, "Redis does not answer");
        }
        state.outage = Some((Instant::now(), error.clone()));
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
    connect_max: Duration,
) -> Result<MultiplexedConnection, StoreError> {
    let info = addr.into_connection_info().map_err(|error| to_store_error(&error))?;
    let client =
        Client::open(info.set_redis_settings(login)).map_err(|error| to_store_error(&error))?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect_max))
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

/// The address of the master, by the first sentinel that knows it.
async fn find_master(
    sentinels: &[(String, u16)],
    master: &str,
    tls: bool,
    password: Option<&str>,
) -> Result<ConnectionAddr, StoreError> {
    let mut last = unavailable_error("no sentinel is named");
    for (host, port) in sentinels {
        let asking = async {
            let mut login = RedisConnectionInfo::default();
            if let Some(password) = password {
                login = login.set_password(password);
            }
            let mut sentinel =
                open_connection(tcp_address(host, *port, tls), login, SENTINEL_TIMEOUT).await?;
            let mut question = redis::cmd("SENTINEL");
            question.arg("get-master-addr-by-name").arg(master);
            let answer: Result<Option<(String, u16)>, _> =
                question.query_async(&mut sentinel).await;
            answer.map_err(|error| to_store_error(&error))
        };
        match timeout(SENTINEL_TIMEOUT, asking).await {
            Ok(Ok(Some((host, port)))) => return Ok(tcp_address(&host, port, tls)),
            Ok(Ok(None)) => {
                last = unavailable_error(&format!("sentinel {host}:{port} knows no {master}"))
            }
            Ok(Err(error)) => last = unavailable_error(&format!("sentinel {host}:{port}: {error}")),
            Err(_) => last = unavailable_error(&format!("sentinel {host}:{port} does not answer")),
        }
    }
    Err(last)
}

fn unavailable_error(text: &str) -> StoreError {
    StoreError::Unavailable(format!("Redis: {text}"))
}

/// What an error of Redis means to callers. Its texts hold no secrets.
pub(super) fn to_store_error(error: &RedisError) -> StoreError {
    let text = format!("Redis: {error}");
    match error.kind() {
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => StoreError::Corrupt(text),
        ErrorKind::Server(ServerErrorKind::ResponseError) if text.contains("WRONGTYPE") => {
            StoreError::Corrupt(text)
        }
        _ => StoreError::Unavailable(text),
    }
}

/// Whether a connection that gave this error is of no use any more.
pub(super) fn is_broken(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || error.is_io_error()
}

/// Whether this Redis is not, or not yet, the one that writes. Before Redis 7 a script's error is
/// told in words only.
pub(super) fn is_not_master(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading
        )
    ) || error.detail().is_some_and(|text| text.contains("-READONLY "))
}
