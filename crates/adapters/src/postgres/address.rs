//! Where a PostgreSQL is and how to get in: every form of DATABASE_URL.

use std::fmt;

/// What TLS has to prove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS if the server offers it, unverified.
    #[default]
    Prefer,
    /// TLS, unverified, as libpq's `require`.
    Require,
    /// TLS, with a certificate of a known authority (`verify-ca`, `verify-full`).
    Verify,
}

/// Where a PostgreSQL is and how to get in.
#[derive(Clone)]
pub struct PgAddress {
    /// Everything but TLS, as the client library wants it.
    pub config: postgres::Config,
    /// TLS.
    pub ssl: SslMode,
    /// File with certificates of authorities, instead of the machine's (`sslrootcert`).
    pub root_certificate: Option<std::path::PathBuf>,
    /// `pool=` of the URL.
    pub pool: Option<usize>,
}

impl fmt::Debug for PgAddress {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgAddress").field("ssl", &self.ssl).finish_non_exhaustive()
    }
}

/// What the adapter needs to know.
#[derive(Clone, Debug)]
pub struct PgOptions {
    /// Where it is.
    pub address: PgAddress,
    /// Connections at most (`pool=` of the URL, else `DATABASE_POOL`); at least 2.
    pub pool: usize,
    /// Longest that a statement may take, in ms.
    pub statement_timeout_ms: u64,
}
