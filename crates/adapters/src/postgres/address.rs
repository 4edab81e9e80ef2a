//! The address of a PostgreSQL database: parsing every form of DATABASE_URL.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio_postgres::config::{Host, TargetSessionAttrs};

use crate::url::{self, UrlParts};

/// The name of the database if the URL contains none.
const DEFAULT_DATABASE: &str = "scalelite";
/// The directory of PostgreSQL's socket if the URL contains no host.
const DEFAULT_SOCKET_DIR: &str = "/var/run/postgresql";
const DEFAULT_PORT: u16 = 5432;
/// The name of our connections in `pg_stat_activity`.
const APPLICATION_NAME: &str = "scalelite";
/// The time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const SCHEME_ADVICE: &str = "it must begin with postgresql:// or postgres://";

/// Whether TLS is used, and what is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS if the server offers it, unverified.
    #[default]
    Prefer,
    /// TLS, unverified, as libpq's `require`.
    Require,
    /// TLS with a certificate of a known authority (`verify-ca`, `verify-full`).
    Verify,
}

/// The address of a PostgreSQL database, with credentials.
#[derive(Clone)]
pub struct PgAddress {
    /// Everything but TLS, for the client library.
    pub config: tokio_postgres::Config,
    /// The mode of TLS.
    pub ssl: SslMode,
    /// A file with certificates of authorities, in place of those of the machine (`sslrootcert`).
    pub root_certificate: Option<std::path::PathBuf>,
    /// The maximum number of connections, from `pool=` of the URL.
    pub max_connections: Option<usize>,
}

impl fmt::Debug for PgAddress {
    /// Leaves out passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgAddress({}, {:?})", self.describe(), self.ssl)
    }
}

impl PgAddress {
    /// Parses a URL: `postgresql://[user[:password]@][host[:port],…][/database][?parameters]`.
    /// Parameters that are not known, as those of Rails, are ignored.
    ///
    /// # Errors
    /// When the URL is invalid. The text contains nothing of the URL.
    pub fn parse(url: &str, env_user: Option<&str>) -> Result<Self, String> {
        Self::parse_with_defaults(&[], url, env_user)
    }

    /// Parses a URL, with default parameters for what it does not contain, as those of a
    /// `database.yml`.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn parse_with_defaults(
        defaults: &[(&str, String)],
        url: &str,
        env_user: Option<&str>,
    ) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or(SCHEME_ADVICE)?;
        if scheme != "postgresql" && scheme != "postgres" {
            return Err(SCHEME_ADVICE.to_owned());
        }
        let mut parameters = PgParameters::default();
        for (name, value) in defaults {
            parameters.put(name, Some(value.clone()));
        }
        let parts = UrlParts::parse(rest)?;
        parameters.put("user", parts.user);
        parameters.put("password", parts.password);
        parameters.put_hosts(&url::parse_hosts(parts.hosts)?);
        parameters.put("dbname", Some(url::decode(parts.path)?));
        for (name, value) in parts.query {
            parameters.put(&name, Some(value));
        }
        parameters.build(env_user)
    }

    /// Returns the hosts that are reached by the network; none for Unix sockets.
    #[must_use]
    pub fn host_names(&self) -> Vec<String> {
        let name = |host: &Host| match host {
            Host::Tcp(name) => Some(name.clone()),
            Host::Unix(_) => None,
        };
        self.config.get_hosts().iter().filter_map(name).collect()
    }

    /// Describes the address for messages, without user and password.
    #[must_use]
    pub fn describe(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(index, host)| {
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
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

/// Parameters of a connection by libpq's names. Hosts and ports are lists separated by commas.
#[derive(Default)]
struct PgParameters(BTreeMap<String, String>);

impl PgParameters {
    /// Sets a parameter, unless the value is missing or empty.
    fn put(&mut self, name: &str, value: Option<String>) {
        let name = match name {
            "username" => "user",
            "database" => "dbname",
            name => name,
        };
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.0.insert(name.to_owned(), value);
        }
    }

    fn put_hosts(&mut self, hosts: &[(String, Option<u16>)]) {
        let names: Vec<_> = hosts.iter().map(|(host, _)| host.as_str()).collect();
        let format = |port: &Option<u16>| port.map_or(String::new(), |port| port.to_string());
        let ports: Vec<_> = hosts.iter().map(|(_, port)| format(port)).collect();
        let has_names = names.iter().any(|name| !name.is_empty());
        let has_ports = ports.iter().any(|port| !port.is_empty());
        self.put("host", has_names.then(|| names.join(",")));
        self.put("port", has_ports.then(|| ports.join(",")));
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn build(&self, env_user: Option<&str>) -> Result<PgAddress, String> {
        let mut config = tokio_postgres::Config::new();
        let is_socket = self.add_hosts(&mut config)?;
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
        // libpq does not use TLS on sockets of this machine either.
        let ssl = if is_socket { SslMode::Disable } else { self.ssl_mode()? };
        let root_certificate = self.get("sslrootcert").filter(|file| *file != "system");
        Ok(PgAddress {
            config,
            ssl,
            root_certificate: root_certificate.map(Into::into),
            max_connections: self.parse_number("pool")?.filter(|pool| *pool > 0),
        })
    }

    /// Adds hosts with a port each; returns whether all of them are sockets.
    fn add_hosts(&self, config: &mut tokio_postgres::Config) -> Result<bool, String> {
        let hosts: Vec<_> = self.get("host").unwrap_or(DEFAULT_SOCKET_DIR).split(',').collect();
        let ports: Vec<_> = self.get("port").unwrap_or_default().split(',').collect();
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err("the number of ports differs from the number of hosts".to_owned());
        }
        for (index, host) in hosts.iter().enumerate() {
            if host.is_empty() {
                return Err("one of several hosts is empty".to_owned());
            }
            let port = ports.get(index).or(ports.first()).copied().unwrap_or_default();
            // The client library takes a host that begins with a slash for the directory of a
            // socket.
            config.host(*host).port(url::parse_port(port.trim())?.unwrap_or(DEFAULT_PORT));
        }
        Ok(hosts.iter().all(|host| host.starts_with('/')))
    }

    fn add_timeouts(&self, config: &mut tokio_postgres::Config) -> Result<(), String> {
        let seconds = |name| -> Result<Option<Duration>, String> {
            Ok(self.parse_number::<i64>(name)?.and_then(to_positive).map(Duration::from_secs))
        };
        config.connect_timeout(seconds("connect_timeout")?.unwrap_or(CONNECT_TIMEOUT));
        if let Some(enabled) = self.parse_number::<u8>("keepalives")? {
            config.keepalives(enabled != 0);
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
        let parse = |text: &str| text.parse().map_err(|_| format!("{name} is not a whole number"));
        self.get(name).map(parse).transpose()
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

/// Returns a number above 0. Other numbers mean the default.
fn to_positive(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| *number > 0)
}

/// The settings of a store in PostgreSQL.
#[derive(Clone, Debug)]
pub struct PgOptions {
    /// The address of the database.
    pub address: PgAddress,
    /// The maximum number of connections (`pool=` of the URL, else `DATABASE_POOL`); at least 2.
    pub max_connections: usize,
    /// The time limit of a statement in ms.
    pub statement_timeout_ms: u64,
    /// Whether nothing may be written, not even the schema.
    pub read_only: bool,
}

#[cfg(test)]
mod tests;
