//! The way in: how connections are made, and when none is tried. While the database is away,
//! everybody learns so at once, and one connection attempt in half a second finds out when it is
//! back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use app::ports::StoreError;
use tokio::time::Instant;
use tokio_postgres::config::{Host, SslMode as ClientSslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{PgAddress, PgOptions, SslMode};
use super::errors::failure;
use super::migrations;
use super::session::PgSession;
use super::{indexes, tls};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long after a failure nobody tries again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// What an answer may take longer than the statement.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);
/// How long the other side may leave what we sent unacknowledged.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(3);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long the server waits for us within a transaction, so that nobody holds the others up.
const IDLE_IN_TRANSACTION_MS: u64 = 5_000;

/// The way in, shared by all threads of a store.
pub(super) struct Door {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// What is set for each connection.
    settings: String,
    patience: Duration,
    news: Mutex<News>,
    look_only: bool,
    /// Whether the schema is known to be ours and new.
    migrated: Mutex<bool>,
}

/// What is known of the database.
#[derive(Default)]
struct News {
    /// Why there was no connection lately, and since when that is known.
    away: Option<(StoreError, Instant)>,
    /// Whether a connection went silent before: then the others are not to be trusted either.
    silent: bool,
    /// Whether somebody finds out whether it is still away.
    trying: bool,
}

impl News {
    /// Why no connection should be tried now.
    fn closed(&self) -> Option<StoreError> {
        let (error, since) = self.away.as_ref()?;
        (self.trying || since.elapsed() < RETRY_AFTER).then(|| error.clone())
    }
}

impl Door {
    pub(super) fn new(options: &PgOptions) -> Result<Arc<Self>, StoreError> {
        let statement_ms = options.statement_timeout_ms.max(1);
        // Shorter, so that who waits for a lock is told that it was the lock.
        let lock_ms = (statement_ms / 2).max(1);
        let tls = (options.address.ssl != SslMode::Disable)
            .then(|| tls::connector(&options.address))
            .transpose()?;
        let read_only = if options.look_only { "on" } else { "off" };
        Ok(Arc::new(Self {
            config: config(&options.address),
            tls,
            look_only: options.look_only,
            settings: format!(
                "SET search_path = scalelite_own, public; SET statement_timeout = {statement_ms}; \
                 SET lock_timeout = {lock_ms}; \
                 SET default_transaction_read_only = {read_only}; \
                 SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}"
            ),
            patience: Duration::from_millis(statement_ms) + ANSWER_MARGIN,
            news: Mutex::default(),
            migrated: Mutex::default(),
        }))
    }

    /// How long an answer may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the database went silent and has not been heard of since.
    pub(super) fn is_silent(&self) -> bool {
        self.news().silent
    }

    /// Why nobody should wait for the database now: it went silent, and somebody finds out whether it
    /// is back, or it is too soon for that.
    pub(super) fn closed(&self) -> Option<StoreError> {
        let news = self.news();
        news.closed().filter(|_| news.silent)
    }

    /// Tells everybody that there was no answer.
    pub(super) fn report_silence(&self) {
        let error = StoreError::Unavailable("PostgreSQL does not answer".to_owned());
        let mut news = self.news();
        news.away = Some((error, Instant::now()));
        news.silent = true;
    }

    /// A connection that can be used, if there is one to be had now.
    pub(super) fn enter(self: &Arc<Self>) -> Result<PgSession, StoreError> {
        {
            let mut news = self.news();
            if let Some(error) = news.closed() {
                return Err(error);
            }
            news.trying = news.away.is_some();
        }
        let entered = self.connect().and_then(|session| self.migrated(session));
        let mut news = self.news();
        news.trying = false;
        news.silent &= entered.is_err();
        news.away = entered.as_ref().err().map(|error| (error.clone(), Instant::now()));
        entered
    }

    /// A connection, whatever is known.
    pub(super) fn connect(&self) -> Result<PgSession, StoreError> {
        let unavailable = |text: String| StoreError::Unavailable(format!("PostgreSQL: {text}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unavailable(error.to_string()))?;
        let client = runtime.block_on(async {
            let connect = async {
                if let Some(tls) = self.tls.clone() {
                    let (client, connection) = self.config.connect(tls).await?;
                    tokio::spawn(connection);
                    Ok(client)
                } else {
                    let (client, connection) = self.config.connect(NoTls).await?;
                    tokio::spawn(connection);
                    Ok(client)
                }
            };
            let late = |_| unavailable(format!("no connection within {CONNECT_TIMEOUT:?}"));
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect).await.map_err(late)?;
            connected.map_err(|error: tokio_postgres::Error| failure(&error))
        })?;
        let mut session = PgSession::new(client, runtime, self.patience);
        session.batch(&self.settings)?;
        Ok(session)
    }

    /// Brings the schema up to date at the first connection.
    fn migrated(self: &Arc<Self>, mut session: PgSession) -> Result<PgSession, StoreError> {
        let mut migrated = self.migrated.lock().unwrap_or_else(PoisonError::into_inner);
        if *migrated {
            return Ok(session);
        }
        if self.look_only {
            migrations::must_be_adopted(&mut session)?;
        } else {
            migrations::migrate(&mut session)?;
            if indexes::are_missing(&mut session)? {
                indexes::add_later(self.clone());
            }
        }
        *migrated = true;
        Ok(session)
    }
}

/// What the client library needs to know.
fn config(address: &PgAddress) -> Config {
    let mut config = address.config.clone();
    let hosts = config.get_hosts();
    let local = !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_)));
    config
        .ssl_mode(match address.ssl {
            _ if local => ClientSslMode::Disable,
            SslMode::Disable => ClientSslMode::Disable,
            SslMode::Prefer => ClientSslMode::Prefer,
            SslMode::Require | SslMode::Verify => ClientSslMode::Require,
        })
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(UNACKNOWLEDGED_MAX)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES);
    config
}
