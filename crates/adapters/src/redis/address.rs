//! Where a Redis is and how to get in: every form of REDIS_URL.

use std::fmt;
use std::path::PathBuf;

use crate::url::{self, UrlParts};

/// Where Redis listens if nobody says otherwise.
pub const REDIS_PORT: u16 = 6379;
/// Where sentinels listen.
pub const SENTINEL_PORT: u16 = 26379;
const SCHEME_ADVICE: &str = "it must begin with redis://, rediss://, unix:///, redis+sentinel:// or \
                     rediss+sentinel://";
const DATABASE_ADVICE: &str = "the database is no number, 0 or more";

/// Where it is.
#[derive(Clone, PartialEq, Eq)]
pub enum RedisEndpoint {
    /// A host, with or without TLS.
    Tcp {
        /// Host name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
        /// Whether to speak TLS.
        tls: bool,
    },
    /// A socket of this machine.
    Unix(PathBuf),
    /// Whatever the sentinels say is the master of that name.
    Sentinel {
        /// Hosts and ports of the sentinels, of which one at least.
        sentinels: Vec<(String, u16)>,
        /// Name of the master.
        master: String,
        /// Whether sentinels and master speak TLS.
        tls: bool,
        /// Password of the sentinels, if they want one.
        sentinel_password: Option<String>,
    },
}

/// Where a Redis is and how to get in.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// Where it is.
    pub endpoint: RedisEndpoint,
    /// User of the access control list.
    pub username: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Number of the database.
    pub db: u32,
}

impl fmt::Debug for RedisAddress {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({})", self.describe())
    }
}

impl RedisAddress {
    /// Reads a URL: `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS,
    /// `unix:///path`, `redis+sentinel://[user:password@]host:port,…/master[/db]`. What does not
    /// fit into its place may stand in the query: `db`, `username`, `password`, `sentinel_password`.
    /// A user without a colon is a password, as the Ruby client has it.
    ///
    /// # Errors
    /// What is wrong, in words that hold nothing of the URL.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or(SCHEME_ADVICE)?;
        let parts = UrlParts::parse(rest)?;
        let mut path = parts.path;
        let place = match scheme {
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
            other => other,
        };
        let mut address = Self { endpoint: place, username, password, db: parse_db(path)? };
        for (name, value) in parts.query {
            address.apply_parameter(&name, value)?;
        }
        Ok(address)
    }

    /// Takes over a pair of the query; others than these are for other programs.
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

    /// Where it is, for messages: without user and passwords.
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
        return Err("several hosts are sentinels: redis+sentinel://host,host/master".to_owned());
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
    let of = |(host, port): (String, Option<u16>)| (host, port.unwrap_or(SENTINEL_PORT));
    let sentinels = sentinels.into_iter().map(of).collect();
    Ok(RedisEndpoint::Sentinel { sentinels, master, tls, sentinel_password: None })
}

/// A number of a database; nothing is 0.
fn parse_db(text: &str) -> Result<u32, String> {
    let text = text.trim_end_matches('/');
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| DATABASE_ADVICE.to_owned()) }
}

/// What the adapter needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisOptions {
    /// Where it is.
    pub address: RedisAddress,
    /// Prefix of all keys, without its colon (`REDIS_NAMESPACE`).
    pub namespace: String,
    /// Connections at most (`REDIS_POOL`); at least 1.
    pub max_connections: usize,
    /// How long a meeting is kept that no poll confirms, in ms (`DEFAULT_MEETING_TTL`).
    pub meeting_ttl_ms: i64,
}

#[cfg(test)]
mod tests;
