//! Stores in a private PostgreSQL, for the tests that need one.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

use adapters::postgres::PgStore;
use adapters::postgres::address::{PgAddress, PgOptions, SslMode};
use testkit::private::Postgres;

/// Where a database is.
pub(crate) fn config(server: &Postgres, database: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.user("postgres").dbname(database).port(server.port());
    config.host_path(server.socket_folder());
    config
}

/// How to get there.
pub(crate) fn options(config: tokio_postgres::Config) -> PgOptions {
    let address =
        PgAddress { config, ssl: SslMode::Prefer, root_certificate: None, max_connections: None };
    PgOptions { address, max_connections: 3, statement_timeout_ms: 3_000, read_only: false }
}

/// A store in a database that exists.
pub(crate) fn store(server: &Postgres, database: &str) -> PgStore {
    PgStore::new(options(config(server, database))).expect("a store")
}
