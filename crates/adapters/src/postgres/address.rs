//! Where a PostgreSQL is and how to get in: every form of DATABASE_URL.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio_postgres::config::{Host, TargetSessionAttrs};

use crate::url::{self, UrlParts};

/// The database of deployments whose URL names none.
const DEFAULT_DATABASE: &str = "scalelite";
/// Where PostgreSQL's socket is if there is no host.
const DEFAULT_SOCKET_DIR: &str = "/var/run/postgresql";
const DEFAULT_PORT: u16 = 5432;
/// How we are called in `pg_stat_activity`.
const APPLICATION_NAME: &str = "scalelite";
/// A server that takes longer than this is taken for absent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const SCHEME_ADVICE: &str = "it must begin with postgresql:// or postgres://";

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
    pub config: tokio_postgres::Config,
    /// TLS.
    pub ssl: SslMode,
    /// File with certificates of authorities, instead of the machine's (`sslrootcert`).
    pub root_certificate: Option<std::path::PathBuf>,
    /// `pool=` of the URL.
    pub max_connections: Option<usize>,
}

impl fmt::Debug for PgAddress {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgAddress({}, {:?})", self.describe(), self.ssl)
    }
}

impl PgAddress {
    /// Reads a URL: `postgresql://[user[:password]@][host[:port],…][/database][?parameters]`, with
    /// the parameters of libpq that we know. Others, as those of Rails, are for other programs.
    ///
    /// # Errors
    /// What is wrong, in words that hold nothing of the URL.
    pub fn parse(url: &str, env_user: Option<&str>) -> Result<Self, String> {
        Self::parse_with_defaults(&[], url, env_user)
    }

    /// Reads a URL over parameters that count where the URL says nothing, as those of a
    /// `database.yml` do.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_with_defaults(
        beneath: &[(&str, String)],
        url: &str,
        env_user: Option<&str>,
    ) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or(SCHEME_ADVICE)?;
        if scheme != "postgresql" && scheme != "postgres" {
            return Err(SCHEME_ADVICE.to_owned());
        }
        let mut given = PgParameters::default();
        for (name, value) in beneath {
            given.put(name, Some(value.clone()));
        }
        let parts = UrlParts::parse(rest)?;
        given.put("user", parts.user);
        given.put("password", parts.password);
        given.put_hosts(&url::parse_hosts(parts.hosts)?);
        given.put("dbname", Some(url::decode(parts.path)?));
        for (name, value) in parts.query {
            given.put(&name, Some(value));
        }
        given.build(env_user)
    }

    /// Where it is, for messages: without user and password.
    #[must_use]
    pub fn describe(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(n, host)| {
            let port = ports.get(n).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
            match host {
                Host::Tcp(host) => url::format_host(host, port),
                Host::Unix(path) if port == DEFAULT_PORT => path.display().to_string(),
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        });
        let database = self.config.get_dbname().unwrap_or(DEFAULT_DATABASE);
        format!("postgresql://{}/{database}", hosts.collect::<Vec<_>>().join(","))
    }
}

/// What was said about a database, by libpq's names; hosts and ports as lists with commas.
#[derive(Default)]
struct PgParameters(BTreeMap<String, String>);

impl PgParameters {
    /// Notes a value; nothing and empty texts say nothing.
    fn put(&mut self, name: &str, value: Option<String>) {
        let name = match name {
            "username" => "user",
            "database" => "dbname",
            other => other,
        };
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.0.insert(name.to_owned(), value);
        }
    }

    fn put_hosts(&mut self, hosts: &[(String, Option<u16>)]) {
        let names: Vec<_> = hosts.iter().map(|(host, _)| host.as_str()).collect();
        let port = |port: &Option<u16>| port.map_or(String::new(), |port| port.to_string());
        let ports: Vec<_> = hosts.iter().map(|(_, given)| port(given)).collect();
        let said = |list: &[&str]| list.iter().any(|text| !text.is_empty());
        self.put("host", said(&names).then(|| names.join(",")));
        self.put("port", ports.iter().any(|port| !port.is_empty()).then(|| ports.join(",")));
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn build(&self, env_user: Option<&str>) -> Result<PgAddress, String> {
        let mut config = tokio_postgres::Config::new();
        let sockets_only = self.add_hosts(&mut config)?;
        if let Some(user) = self.get("user").or(env_user) {
            config.user(user);
        }
        if let Some(password) = self.get("password") {
            config.password(password);
        }
        config.dbname(self.get("dbname").unwrap_or(DEFAULT_DATABASE));
        config.application_name(self.get("application_name").unwrap_or(APPLICATION_NAME));
        if let Some(options) = self.get("options") {
            config.options(options);
        }
        self.add_timeouts(&mut config)?;
        if let Some("read-write" | "primary") = self.get("target_session_attrs") {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        // As in libpq: on a socket of this machine there is nobody to hide from.
        let ssl = if sockets_only { SslMode::Disable } else { self.ssl_mode()? };
        let root = self.get("sslrootcert").filter(|file| *file != "system");
        Ok(PgAddress {
            config,
            ssl,
            root_certificate: root.map(Into::into),
            max_connections: self.parse_number("pool")?.filter(|pool| *pool > 0),
        })
    }

    /// Adds hosts with a port each; says whether all of them are sockets.
    fn add_hosts(&self, config: &mut tokio_postgres::Config) -> Result<bool, String> {
        let hosts: Vec<_> = self.get("host").unwrap_or(DEFAULT_SOCKET_DIR).split(',').collect();
        let ports: Vec<_> = self.get("port").unwrap_or_default().split(',').collect();
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err("there are not as many ports as hosts".to_owned());
        }
        for (n, host) in hosts.iter().enumerate() {
            if host.is_empty() {
                return Err("one of several hosts is empty".to_owned());
            }
            let port = ports.get(n).or(ports.first()).copied().unwrap_or_default();
            // What begins with a slash is taken for the directory of a socket.
            config.host(*host).port(url::parse_port(port.trim())?.unwrap_or(DEFAULT_PORT));
        }
        Ok(hosts.iter().all(|host| host.starts_with('/')))
    }

    fn add_timeouts(&self, config: &mut tokio_postgres::Config) -> Result<(), String> {
        let seconds = |name| -> Result<Option<Duration>, String> {
            Ok(self.parse_number::<i64>(name)?.and_then(to_positive).map(Duration::from_secs))
        };
        config.connect_timeout(seconds("connect_timeout")?.unwrap_or(CONNECT_TIMEOUT));
        if let Some(on) = self.parse_number::<u8>("keepalives")? {
            config.keepalives(on != 0);
        }
        if let Some(idle) = seconds("keepalives_idle")? {
            config.keepalives_idle(idle);
        }
        if let Some(interval) = seconds("keepalives_interval")? {
            config.keepalives_interval(interval);
        }
        if let Some(count) = self.parse_number("keepalives_count")? {
            config.keepalives_retries(count);
        }
        if let Some(ms) = self.parse_number::<i64>("tcp_user_timeout")?.and_then(to_positive) {
            config.tcp_user_timeout(Duration::from_millis(ms));
        }
        Ok(())
    }

    fn parse_number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("{name} is not a whole number"));
        self.get(name).map(number).transpose()
    }

    fn ssl_mode(&self) -> Result<SslMode, String> {
        match self.get("sslmode") {
            None | Some("allow" | "prefer") => Ok(SslMode::Prefer),
            Some("disable") => Ok(SslMode::Disable),
            Some("require") => Ok(SslMode::Require),
            Some("verify-ca" | "verify-full") => Ok(SslMode::Verify),
            Some(_) => Err("sslmode must be disable, allow, prefer, require, verify-ca or \
                            verify-full"
                .to_owned()),
        }
    }
}

/// 0 and less mean that the default counts.
fn to_positive(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| *number > 0)
}

/// What the adapter needs to know.
#[derive(Clone, Debug)]
pub struct PgOptions {
    /// Where it is.
    pub address: PgAddress,
    /// Connections at most (`pool=` of the URL, else `DATABASE_POOL`); at least 2.
    pub max_connections: usize,
    /// Longest that a statement may take, in ms.
    pub statement_timeout_ms: u64,
    /// Nothing may be written, not even a schema: for those who only look.
    pub read_only: bool,
}

#[cfg(test)]
mod tests;
