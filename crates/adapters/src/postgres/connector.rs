//! Opens connections to PostgreSQL, and brings the schema up to date with the first one. While the
//! database is unavailable, calls fail at once instead of trying to connect.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::ports::StoreError;
use tokio_postgres::config::{Host, SslMode as ClientSslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{PgAddress, PgOptions, SslMode};
use super::connection::PgConnection;
use super::errors::to_store_error;
use super::{indexes, migrations, tls};
use crate::outage::Outage;

/// The time limit of an attempt to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The time that a response may take longer than its statement.
const RESPONSE_MARGIN: Duration = Duration::from_millis(500);
/// The time that the peer may leave sent data unacknowledged.
const MAX_UNACKNOWLEDGED: Duration = Duration::from_secs(3);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long the server waits for the next statement of a transaction before it ends the connection:
/// an open transaction holds the lock that other writers wait for.
const IDLE_IN_TRANSACTION_MS: u64 = 5_000;

/// Opens the connections of all threads of a store.
pub(super) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// Statements that are run on each new connection.
    settings: String,
    response_timeout: Duration,
    outage: Outage,
    read_only: bool,
    /// Whether the schema is known to be complete.
    is_migrated: Mutex<bool>,
}

impl Connector {
    pub(super) fn new(options: &PgOptions) -> Result<Arc<Self>, StoreError> {
        let statement_ms = options.statement_timeout_ms.max(1);
        // Shorter than the limit of statements, so that the error names the lock as the cause.
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
            outage: Outage::default(),
            is_migrated: Mutex::default(),
        }))
    }

    /// Returns the time limit of a response.
    pub(super) fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// Whether the database left a connection without a response and has not been reached since.
    pub(super) fn is_silent(&self) -> bool {
        self.outage.is_silent()
    }

    /// Returns why a call must fail before it waits for a thread: the database does not respond,
    /// and a thread is finding out whether it is back, or it is too early for that.
    pub(super) fn outage(&self) -> Option<StoreError> {
        self.outage.error().filter(|_| self.outage.is_silent())
    }

    /// Records that a connection got no response in time.
    pub(super) fn report_silence(&self) {
        self.outage
            .report_silence(StoreError::Unavailable("PostgreSQL does not respond".to_owned()));
    }

    /// Opens a connection that is ready to be used, or returns why none can be opened now.
    pub(super) fn open_connection(self: &Arc<Self>) -> Result<PgConnection, StoreError> {
        let attempt = self.outage.begin_attempt()?;
        match self.connect().and_then(|connection| self.migrate_first(connection)) {
            Ok(connection) => {
                attempt.succeed();
                Ok(connection)
            }
            Err(error) => {
                attempt.fail(error.clone());
                Err(error)
            }
        }
    }

    /// Opens a connection without regard to outages and the schema.
    pub(super) fn connect(&self) -> Result<PgConnection, StoreError> {
        let unavailable = |text: String| StoreError::Unavailable(format!("PostgreSQL: {text}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unavailable(error.to_string()))?;
        let client = runtime.block_on(async {
            let connect = async {
                if let Some(tls) = self.tls.clone() {
                    let (client, driver) = self.config.connect(tls).await?;
                    tokio::spawn(driver);
                    Ok(client)
                } else {
                    let (client, driver) = self.config.connect(NoTls).await?;
                    tokio::spawn(driver);
                    Ok(client)
                }
            };
            let timed_out = |_| unavailable(format!("no connection within {CONNECT_TIMEOUT:?}"));
            let connected =
                tokio::time::timeout(CONNECT_TIMEOUT, connect).await.map_err(timed_out)?;
            connected.map_err(|error: tokio_postgres::Error| to_store_error(&error))
        })?;
        let mut connection = PgConnection::new(client, runtime, self.response_timeout);
        connection.execute_batch(&self.settings)?;
        Ok(connection)
    }

    /// Brings the schema up to date, with the first connection of this process.
    fn migrate_first(
        self: &Arc<Self>,
        mut connection: PgConnection,
    ) -> Result<PgConnection, StoreError> {
        let mut is_migrated = self.is_migrated.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_migrated {
            return Ok(connection);
        }
        if self.read_only {
            migrations::require_adopted(&mut connection)?;
        } else {
            migrations::migrate(&mut connection)?;
            if indexes::are_missing(&mut connection)? {
                indexes::build_in_background(self.clone());
            }
        }
        *is_migrated = true;
        Ok(connection)
    }
}

/// Returns the configuration for the client library.
fn build_config(address: &PgAddress) -> Config {
    let mut config = address.config.clone();
    let hosts = config.get_hosts();
    let is_local = !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_)));
    config
        .ssl_mode(match address.ssl {
            _ if is_local => ClientSslMode::Disable,
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
