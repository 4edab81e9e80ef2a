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
use super::connection::PgConnection;
use super::errors::to_store_error;
use super::migrations;
use super::{indexes, tls};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long after a failure nobody tries again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// What an answer may take longer than the statement.
const RESPONSE_MARGIN: Duration = Duration::from_millis(500);
/// How long the other side may leave what we sent unacknowledged.
const MAX_UNACKNOWLEDGED: Duration = Duration::from_secs(3);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long the server waits for us within a transaction, so that nobody holds the others up.
const IDLE_IN_TRANSACTION_MS: u64 = 5_000;

/// The way in, shared by all threads of a store.
pub(super) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// What is set for each connection.
    settings: String,
    response_timeout: Duration,
    status: Mutex<DatabaseStatus>,
    read_only: bool,
    /// Whether the schema is known to be ours and new.
    is_migrated: Mutex<bool>,
}

/// What is known of the database.
#[derive(Default)]
struct DatabaseStatus {
    /// Why there was no connection lately, and since when that is known.
    last_failure: Option<(StoreError, Instant)>,
    /// Whether a connection went silent before: then the others are not to be trusted either.
    is_silent: bool,
    /// Whether somebody finds out whether it is still away.
    is_retrying: bool,
}

impl DatabaseStatus {
    /// Why no connection should be tried now.
    fn outage(&self) -> Option<StoreError> {
        let (error, since) = self.last_failure.as_ref()?;
        (self.is_retrying || since.elapsed() < RETRY_AFTER).then(|| error.clone())
    }
}

impl Connector {
    pub(super) fn new(options: &PgOptions) -> Result<Arc<Self>, StoreError> {
        let statement_ms = options.statement_timeout_ms.max(1);
        // Shorter, so that who waits for a lock is told that it was the lock.
        let lock_ms = (statement_ms / 2).max(1);
        let tls = (options.address.ssl != SslMode::Disable)
            .then(|| tls::build_tls_connector(&options.address))
            .transpose()?;
        let read_only = if options.read_only { "on" } else { "off" };
        Ok(Arc::new(Self {
            config: build_config(&options.address),
            tls,
            read_only: options.read_only,
            settings: format!(
                "SET search_path = scalelite_own, public; SET statement_timeout = {statement_ms}; \
                 SET lock_timeout = {lock_ms}; \
                 SET default_transaction_read_only = {read_only}; \
                 SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}"
            ),
            response_timeout: Duration::from_millis(statement_ms) + RESPONSE_MARGIN,
            status: Mutex::default(),
            is_migrated: Mutex::default(),
        }))
    }

    /// How long an answer may take.
    pub(super) fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    fn lock_status(&self) -> MutexGuard<'_, DatabaseStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the database went silent and has not been heard of since.
    pub(super) fn is_silent(&self) -> bool {
        self.lock_status().is_silent
    }

    /// Why nobody should wait for the database now: it went silent, and somebody finds out whether it
    /// is back, or it is too soon for that.
    pub(super) fn outage(&self) -> Option<StoreError> {
        let news = self.lock_status();
        news.outage().filter(|_| news.is_silent)
    }

    /// Tells everybody that there was no answer.
    pub(super) fn report_silence(&self) {
        let error = StoreError::Unavailable("PostgreSQL does not answer".to_owned());
        let mut news = self.lock_status();
        news.last_failure = Some((error, Instant::now()));
        news.is_silent = true;
    }

    /// A connection that can be used, if there is one to be had now.
    pub(super) fn open_connection(self: &Arc<Self>) -> Result<PgConnection, StoreError> {
        {
            let mut news = self.lock_status();
            if let Some(error) = news.outage() {
                return Err(error);
            }
            news.is_retrying = news.last_failure.is_some();
        }
        let entered = self.connect().and_then(|session| self.migrate_first(session));
        let mut news = self.lock_status();
        news.is_retrying = false;
        news.is_silent &= entered.is_err();
        news.last_failure = entered.as_ref().err().map(|error| (error.clone(), Instant::now()));
        entered
    }

    /// A connection, whatever is known.
    pub(super) fn connect(&self) -> Result<PgConnection, StoreError> {
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
            connected.map_err(|error: tokio_postgres::Error| to_store_error(&error))
        })?;
        let mut session = PgConnection::new(client, runtime, self.response_timeout);
        session.execute_batch(&self.settings)?;
        Ok(session)
    }

    /// Brings the schema up to date at the first connection.
    fn migrate_first(
        self: &Arc<Self>,
        mut session: PgConnection,
    ) -> Result<PgConnection, StoreError> {
        let mut migrated = self.is_migrated.lock().unwrap_or_else(PoisonError::into_inner);
        if *migrated {
            return Ok(session);
        }
        if self.read_only {
            migrations::require_adopted(&mut session)?;
        } else {
            migrations::migrate(&mut session)?;
            if indexes::are_missing(&mut session)? {
                indexes::build_in_background(self.clone());
            }
        }
        *migrated = true;
        Ok(session)
    }
}

/// What the client library needs to know.
fn build_config(address: &PgAddress) -> Config {
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
        .tcp_user_timeout(MAX_UNACKNOWLEDGED)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES);
    config
}
