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

use super::address::{RedisAddress, RedisPlace};

/// How long connecting may take, Sentinel included.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long one sentinel may take to answer.
const SENTINEL_MAX: Duration = Duration::from_millis(500);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// How often it is tried to connect while Redis is away.
const TRY_AGAIN: Duration = Duration::from_millis(500);

#[derive(Default)]
struct State {
    /// Connections, each with the number under which it was opened.
    open: Vec<(u64, MultiplexedConnection)>,
    opened: u64,
    /// Since when nothing works, or since the last try.
    down: Option<(Instant, StoreError)>,
    /// When another connection was refused while others were open.
    full: Option<Instant>,
}

/// The connections to one Redis.
pub(super) struct Link {
    address: RedisAddress,
    size: usize,
    turn: AtomicUsize,
    state: Mutex<State>,
    /// Held by whoever connects.
    connecting: tokio::sync::Mutex<()>,
}

impl Link {
    pub(super) fn new(address: RedisAddress, size: usize) -> Self {
        let (turn, state) = (AtomicUsize::new(0), Mutex::default());
        Self { address, size: size.max(1), turn, state, connecting: tokio::sync::Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that worked so far, and the number of the newest one for [`Self::broken`].
    pub(super) async fn get(&self) -> Result<(u64, MultiplexedConnection), StoreError> {
        if let Some(open) = self.take_turn()? {
            return Ok(open);
        }
        let _connecting = self.connect_alone().await?;
        // Whoever was here before may have connected, or failed to.
        if let Some(open) = self.take_turn()? {
            return Ok(open);
        }
        if let Some((tried, _)) = &mut self.state().down {
            *tried = Instant::now();
        }
        let begun = Instant::now();
        match self.connect().await {
            Ok(connection) => {
                let mut state = self.state();
                if state.down.take().is_some() {
                    tracing::info!("Redis is back");
                }
                state.opened += 1;
                let open = (state.opened, connection);
                state.open.push(open.clone());
                Ok(open)
            }
            Err(error) => {
                let mut state = self.state();
                // Refused at once: perhaps it wants no more of them. Those that are open may do.
                if let Some((_, open)) = state.open.first().cloned()
                    && begun.elapsed() < TRY_AGAIN
                {
                    state.full = Some(Instant::now());
                    return Ok((state.opened, open));
                }
                if state.down.is_none() {
                    tracing::error!(%error, "Redis is away");
                }
                state.down = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// The right to connect; while Redis is away, whoever is not the one that tries is told why.
    async fn connect_alone(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, StoreError> {
        if let Ok(alone) = self.connecting.try_lock() {
            return Ok(alone);
        }
        if let Some((_, error)) = &self.state().down {
            return Err(error.clone());
        }
        Ok(self.connecting.lock().await)
    }

    /// The next open connection, nothing if one more may be opened, or the reason not to try.
    fn take_turn(&self) -> Result<Option<(u64, MultiplexedConnection)>, StoreError> {
        let state = self.state();
        if let Some((tried, error)) = &state.down
            && tried.elapsed() < TRY_AGAIN
        {
            return Err(error.clone());
        }
        let full = state.full.is_some_and(|since| since.elapsed() < TRY_AGAIN);
        let more = state.open.len() < self.size && !full;
        if state.down.is_some() || state.open.is_empty() || more {
            return Ok(None);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % state.open.len();
        Ok(Some((state.opened, state.open[turn].1.clone())))
    }

    /// Gives up a connection that failed, and all that were open with it: mostly Redis was restarted.
    pub(super) fn broken(&self, newest: u64) {
        self.state().open.retain(|(other, _)| *other > newest);
    }

    /// Gives up all of them: Redis is there but does not answer.
    pub(super) fn silent(&self, error: &StoreError) {
        let mut state = self.state();
        state.open.clear();
        if state.down.is_none() {
            tracing::error!(%error, "Redis does not answer");
        }
        state.down = Some((Instant::now(), error.clone()));
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StoreError> {
        let connected = timeout(CONNECT_MAX, self.connect_anyhow()).await;
        connected.unwrap_or_else(|_| Err(away("no connection within 2 s")))
    }

    async fn connect_anyhow(&self) -> Result<MultiplexedConnection, StoreError> {
        let addr = match &self.address.place {
            RedisPlace::Tcp { host, port, tls } => tcp(host, *port, *tls),
            RedisPlace::Unix(path) => ConnectionAddr::Unix(path.clone()),
            RedisPlace::Sentinel { sentinels, master, tls, sentinel_password } => {
                ask_sentinels(sentinels, master, *tls, sentinel_password.as_deref()).await?
            }
        };
        let mut login = RedisConnectionInfo::default().set_db(i64::from(self.address.db));
        if let Some(username) = &self.address.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.address.password {
            login = login.set_password(password);
        }
        open(addr, login, CONNECT_MAX).await
    }
}

async fn open(
    addr: ConnectionAddr,
    login: RedisConnectionInfo,
    connect_max: Duration,
) -> Result<MultiplexedConnection, StoreError> {
    let info = addr.into_connection_info().map_err(|error| failure(&error))?;
    let client = Client::open(info.set_redis_settings(login)).map_err(|error| failure(&error))?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect_max))
        .set_response_timeout(Some(ANSWER_MAX));
    let connection = client.get_multiplexed_async_connection_with_config(&config).await;
    connection.map_err(|error| failure(&error))
}

fn tcp(host: &str, port: u16, tls: bool) -> ConnectionAddr {
    let host = host.to_owned();
    if tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

/// The address of the master, by the first sentinel that knows it.
async fn ask_sentinels(
    sentinels: &[(String, u16)],
    master: &str,
    tls: bool,
    password: Option<&str>,
) -> Result<ConnectionAddr, StoreError> {
    let mut last = away("no sentinel is named");
    for (host, port) in sentinels {
        let asking = async {
            let mut login = RedisConnectionInfo::default();
            if let Some(password) = password {
                login = login.set_password(password);
            }
            let mut sentinel = open(tcp(host, *port, tls), login, SENTINEL_MAX).await?;
            let mut question = redis::cmd("SENTINEL");
            question.arg("get-master-addr-by-name").arg(master);
            let answer: Result<Option<(String, u16)>, _> =
                question.query_async(&mut sentinel).await;
            answer.map_err(|error| failure(&error))
        };
        match timeout(SENTINEL_MAX, asking).await {
            Ok(Ok(Some((host, port)))) => return Ok(tcp(&host, port, tls)),
            Ok(Ok(None)) => last = away(&format!("sentinel {host}:{port} knows no {master}")),
            Ok(Err(error)) => last = away(&format!("sentinel {host}:{port}: {error}")),
            Err(_) => last = away(&format!("sentinel {host}:{port} does not answer")),
        }
    }
    Err(last)
}

fn away(text: &str) -> StoreError {
    StoreError::Unavailable(format!("Redis: {text}"))
}

/// What an error of Redis means to callers. Its texts hold no secrets.
pub(super) fn failure(error: &RedisError) -> StoreError {
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
pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading
        )
    ) || error.detail().is_some_and(|text| text.contains("-READONLY "))
}
