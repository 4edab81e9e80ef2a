//! The address of a Redis: parsing every form of REDIS_URL.

use std::fmt;
use std::path::PathBuf;

use crate::url::{self, UrlParts};

/// The default port of Redis.
pub const REDIS_PORT: u16 = 6379;
/// The default port of sentinels.
pub const SENTINEL_PORT: u16 = 26379;
const SCHEME_ADVICE: &str = "it must begin with redis://, rediss://, unix:///, redis+sentinel:// or \
                     rediss+sentinel://";
const DATABASE_ADVICE: &str = "the database must be a number, 0 or more";

/// How a Redis is reached.
#[derive(Clone, PartialEq, Eq)]
pub enum RedisEndpoint {
    /// A host, with or without TLS.
    Tcp {
        /// The host name or address, without brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether to use TLS.
        tls: bool,
    },
    /// A Unix socket.
    Unix(PathBuf),
    /// The master that sentinels name.
    Sentinel {
        /// Hosts and ports of the sentinels; at least one.
        sentinels: Vec<(String, u16)>,
        /// The name of the master.
        master: String,
        /// Whether to use TLS with sentinels and master.
        tls: bool,
        /// The password of the sentinels.
        sentinel_password: Option<String>,
    },
}

/// The address of a Redis, with credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// How it is reached.
    pub endpoint: RedisEndpoint,
    /// The user of the access control list.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The number of the database.
    pub db: u32,
}

impl fmt::Debug for RedisAddress {
    /// Leaves out passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({})", self.describe())
    }
}

impl RedisAddress {
    /// Parses a URL: `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS,
    /// `unix:///path`, `redis+sentinel://[user:password@]host:port,…/master[/db]`. The query may
    /// contain `db`, `username`, `password` and `sentinel_password`. A user without a colon is a
    /// password, as with the Ruby client.
    ///
    /// # Errors
    /// When the URL is invalid. The text contains nothing of the URL.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or(SCHEME_ADVICE)?;
        let parts = UrlParts::parse(rest)?;
        let mut path = parts.path;
        let endpoint = match scheme {
            "redis" => parse_tcp(parts.hosts, false)?,
            "rediss" => parse_tcp(parts.hosts, true)?,
            "redis+sentinel" | "rediss+sentinel" => {
                let (master, db) = path.split_once('/').unwrap_or((path, ""));
                path = db;
                parse_sentinel(parts.hosts, master, scheme == "rediss+sentinel")?
            }
            "unix" | "redis+unix" => {
                if !parts.hosts.is_empty() || path.is_empty() {
                    return Err("a socket needs three slashes, as in unix:///path".to_owned());
                }
                let socket = format!("/{}", url::decode(path)?);
                path = "";
                RedisEndpoint::Unix(socket.into())
            }
            _ => return Err(SCHEME_ADVICE.to_owned()),
        };
        let (username, password) = match (parts.user, parts.password) {
            (Some(password), None) => (None, Some(password)),
            credentials => credentials,
        };
        let mut address = Self { endpoint, username, password, db: parse_db(path)? };
        for (name, value) in parts.query {
            address.apply_parameter(&name, value)?;
        }
        Ok(address)
    }

    /// Applies a parameter of the query. Unknown parameters are ignored.
    fn apply_parameter(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "db" | "database" => self.db = parse_db(&value)?,
            "user" | "username" => self.username = Some(value),
            "password" => self.password = Some(value),
            "sentinel_password" => {
                if let RedisEndpoint::Sentinel { sentinel_password, .. } = &mut self.endpoint {
                    *sentinel_password = Some(value);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Describes the address for messages, without user and passwords.
    #[must_use]
    pub fn describe(&self) -> String {
        let db = self.db;
        match &self.endpoint {
            RedisEndpoint::Tcp { host, port, tls } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                format!("{scheme}://{}/{db}", url::format_host(host, *port))
            }
            RedisEndpoint::Unix(path) => format!("unix://{}?db={db}", path.display()),
            RedisEndpoint::Sentinel { sentinels, master, tls, .. } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                let hosts = sentinels.iter().map(|(host, port)| url::format_host(host, *port));
                let hosts = hosts.collect::<Vec<_>>().join(",");
                format!("{scheme}+sentinel://{hosts}/{master}/{db}")
            }
        }
    }
}

fn parse_tcp(hosts: &str, tls: bool) -> Result<RedisEndpoint, String> {
    let mut hosts = url::parse_hosts(hosts)?;
    let (host, port) = hosts.pop().unwrap_or_default();
    if !hosts.is_empty() {
        return Err(
            "several hosts are possible for sentinels only: redis+sentinel://host,host/master"
                .to_owned(),
        );
    }
    let host = if host.is_empty() { "localhost".to_owned() } else { host };
    Ok(RedisEndpoint::Tcp { host, port: port.unwrap_or(REDIS_PORT), tls })
}

fn parse_sentinel(hosts: &str, master: &str, tls: bool) -> Result<RedisEndpoint, String> {
    let sentinels = url::parse_hosts(hosts)?;
    if sentinels.iter().any(|(host, _)| host.is_empty()) {
        return Err("a sentinel has no host".to_owned());
    }
    let master = url::decode(master)?;
    if master.is_empty() {
        return Err("the name of the master is missing after the sentinels".to_owned());
    }
    let with_port = |(host, port): (String, Option<u16>)| (host, port.unwrap_or(SENTINEL_PORT));
    let sentinels = sentinels.into_iter().map(with_port).collect();
    Ok(RedisEndpoint::Sentinel { sentinels, master, tls, sentinel_password: None })
}

/// Parses the number of a database. An empty text is 0.
fn parse_db(text: &str) -> Result<u32, String> {
    let text = text.trim_end_matches('/');
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| DATABASE_ADVICE.to_owned()) }
}

/// The settings of a store in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisOptions {
    /// The address of Redis.
    pub address: RedisAddress,
    /// The prefix of all keys, without its colon (`REDIS_NAMESPACE`).
    pub namespace: String,
    /// The maximum number of connections (`REDIS_POOL`); at least 1.
    pub max_connections: usize,
    /// The time in ms for which a meeting is kept without a poll that confirms it
    /// (`DEFAULT_MEETING_TTL`).
    pub meeting_ttl_ms: i64,
}

#[cfg(test)]
mod tests;
