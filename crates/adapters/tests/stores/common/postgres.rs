//! Stores in a private PostgreSQL.

use adapters::postgres::PgStore;
use adapters::postgres::address::{PgAddress, PgOptions, SslMode};
use testkit::private::Postgres;

/// Returns the address of a database.
pub(crate) fn connection_config(server: &Postgres, database: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.user("postgres").dbname(database).port(server.port());
    config.host_path(server.socket_folder());
    config
}

/// Returns the options of a store in that database.
pub(crate) fn store_options(config: tokio_postgres::Config) -> PgOptions {
    let address =
        PgAddress { config, ssl: SslMode::Prefer, root_certificate: None, max_connections: None };
    PgOptions { address, max_connections: 3, statement_timeout_ms: 3_000, read_only: false }
}

/// Opens a store in an existing database.
pub(crate) fn open_store(server: &Postgres, database: &str) -> PgStore {
    PgStore::new(store_options(connection_config(server, database))).expect("a store")
}
