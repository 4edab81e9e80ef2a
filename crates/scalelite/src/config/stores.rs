//! Locations of the stores, from settings and from the original's configuration files. Everything is
//! read and checked here before any store is opened.

mod hosts;

use std::path::{Path, PathBuf};

use adapters::postgres::address::{PgAddress, PgOptions};
use adapters::redis::address::{
    REDIS_PORT, RedisAddress, RedisEndpoint, RedisOptions, SENTINEL_PORT,
};

pub use self::hosts::StoreHost;
use super::rails::{self, DATABASE_FILE, DatabaseFile, REDIS_FILE, RedisFile, non_empty};
use super::values::StoreUrl;
use super::{Config, Sources};

/// The Redis namespace that messages do not mention.
const DEFAULT_NAMESPACE: &str = "scalelite";
/// File name of the embedded store, in the data directory.
pub const STORE_FILE: &str = "scalelite.db";

/// Location of the state store: servers, meetings, tenants, tokens and periodic jobs.
#[derive(Clone, Debug)]
pub enum StateStoreUrl {
    /// The embedded store in the data directory.
    Embedded,
    /// Redis.
    Redis(RedisOptions),
    /// PostgreSQL.
    Postgres(PgOptions),
}

/// Location of the recording store: recordings and callbacks.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a process has only one value")]
pub enum RecordingStoreUrl {
    /// The embedded store in the data directory.
    Embedded,
    /// PostgreSQL.
    Postgres(PgOptions),
    /// None (`DB_DISABLED`).
    Disabled,
}

/// Locations of both stores.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The state store.
    pub state: StateStoreUrl,
    /// The recording store.
    pub recordings: RecordingStoreUrl,
    /// Whether an empty embedded store is accepted in place of one that had servers.
    pub accept_empty: bool,
}

impl StoreSettings {
    /// Both stores in the data directory.
    pub fn embedded() -> Self {
        Self {
            state: StateStoreUrl::Embedded,
            recordings: RecordingStoreUrl::Embedded,
            accept_empty: false,
        }
    }

    /// The same locations for reading only: a database of the original is not adopted then.
    pub fn into_read_only(mut self) -> Self {
        if let StateStoreUrl::Postgres(postgres) = &mut self.state {
            postgres.read_only = true;
        }
        if let RecordingStoreUrl::Postgres(postgres) = &mut self.recordings {
            postgres.read_only = true;
        }
        self
    }

    /// Whether processes on several machines can share the state store.
    pub fn is_shared(&self) -> bool {
        !matches!(self.state, StateStoreUrl::Embedded)
    }

    /// Whether one of the stores is in the data directory.
    pub fn needs_data_dir(&self) -> bool {
        matches!(self.state, StateStoreUrl::Embedded)
            || matches!(self.recordings, RecordingStoreUrl::Embedded)
    }

    /// Both locations for messages, without users and passwords: the state store's and the recording
    /// store's.
    pub fn describe(&self) -> (String, String) {
        let embedded = || "the data directory".to_owned();
        let state = match &self.state {
            StateStoreUrl::Embedded => embedded(),
            StateStoreUrl::Redis(redis) if redis.namespace != DEFAULT_NAMESPACE => {
                format!("{} ({})", redis.address.describe(), redis.namespace)
            }
            StateStoreUrl::Redis(redis) => redis.address.describe(),
            StateStoreUrl::Postgres(postgres) => postgres.address.describe(),
        };
        let recordings = match &self.recordings {
            RecordingStoreUrl::Embedded => embedded(),
            RecordingStoreUrl::Postgres(postgres) => postgres.address.describe(),
            RecordingStoreUrl::Disabled => "nowhere (DB_DISABLED)".to_owned(),
        };
        (state, recordings)
    }
}

impl StoreSettings {
    /// Both locations as [`Self::describe`] names them, with the path of the embedded store in this data directory.
    pub fn describe_within(&self, data_dir: &Path) -> (String, String) {
        let (mut state, mut recordings) = self.describe();
        let path = data_dir.join(STORE_FILE).display().to_string();
        if matches!(self.state, StateStoreUrl::Embedded) {
            state.clone_from(&path);
        }
        if matches!(self.recordings, RecordingStoreUrl::Embedded) {
            recordings = path;
        }
        (state, recordings)
    }
}

/// Location of one store, as `migrate-store` takes it.
#[derive(Clone, Debug)]
pub enum StoreLocation {
    /// The embedded store in this file.
    Embedded(PathBuf),
    /// Redis.
    Redis(RedisOptions),
    /// PostgreSQL.
    Postgres(PgOptions),
}

impl StoreLocation {
    /// The same location for reading only.
    pub fn into_read_only(mut self) -> Self {
        if let Self::Postgres(postgres) = &mut self {
            postgres.read_only = true;
        }
        self
    }

    /// The location for messages and comparisons, without users and passwords.
    pub fn describe(&self) -> String {
        match self {
            Self::Embedded(path) => path.display().to_string(),
            Self::Redis(redis) => format!("{} ({})", redis.address.describe(), redis.namespace),
            Self::Postgres(postgres) => postgres.address.describe(),
        }
    }
}

/// Reads the locations of the stores.
///
/// # Errors
/// When a setting or file is wrong. The message names it and has no secrets.
pub fn read_store_settings(config: &Config, sources: &Sources) -> Result<StoreSettings, String> {
    let redis = read_redis_options(config, sources)?;
    let postgres = if config.db_disabled { None } else { read_pg_options(config, sources)? };
    let recordings = match &postgres {
        _ if config.db_disabled => RecordingStoreUrl::Disabled,
        Some(postgres) => RecordingStoreUrl::Postgres(postgres.clone()),
        None => RecordingStoreUrl::Embedded,
    };
    let state = match (redis, postgres) {
        (Some(redis), _) => StateStoreUrl::Redis(redis),
        (None, Some(postgres)) => StateStoreUrl::Postgres(postgres),
        (None, None) => StateStoreUrl::Embedded,
    };
    Ok(StoreSettings { state, recordings, accept_empty: false })
}

/// Parses the location of one store: `redis://…` and its other forms, `postgresql://…`, or the
/// directory or file of an embedded store, with or without `sqlite:`. Options that a URL cannot
/// express are read from this configuration.
///
/// # Errors
/// When the location is not valid. The message has no secrets.
pub fn parse_store_url(
    url: &str,
    config: &Config,
    sources: &Sources,
) -> Result<StoreLocation, String> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        None | Some("sqlite") => {
            let path = url.strip_prefix("sqlite:").unwrap_or(url);
            let path = Path::new(path.strip_prefix("//").unwrap_or(path));
            if url.contains('@') && url.contains("//") {
                // Probably a misspelled URL; printed as a path, it would reveal its password.
                return Err("this is neither a URL of a store nor a path".to_owned());
            }
            if path.as_os_str().is_empty() {
                return Err("the path of the embedded store is missing".to_owned());
            }
            let is_file = path.is_file() || path.extension().is_some_and(|name| name == "db");
            let file = if is_file { path.to_owned() } else { path.join(STORE_FILE) };
            Ok(StoreLocation::Embedded(file))
        }
        Some("postgres" | "postgresql") => {
            let address = PgAddress::parse(url, sources.variable("PGUSER"))?;
            Ok(StoreLocation::Postgres(build_pg_options(address, None, config, sources)?))
        }
        Some(name) if name.starts_with("redis") || name == "unix" => {
            let address = RedisAddress::parse(url)?;
            // The file may have the namespace.
            let file = rails::read_production(&config.config_dir, REDIS_FILE, sources)?;
            let file: RedisFile = file.unwrap_or_default();
            Ok(StoreLocation::Redis(build_redis_options(address, &file, config, sources)?))
        }
        Some(_) => {
            Err("a store is redis://…, postgresql://…, or the path of a data directory".to_owned())
        }
    }
}

/// Reads how to connect to Redis; `None` if neither a setting nor the file has an address.
fn read_redis_options(config: &Config, sources: &Sources) -> Result<Option<RedisOptions>, String> {
    let file = rails::read_production(&config.config_dir, REDIS_FILE, sources)?;
    let file: RedisFile = file.unwrap_or_default();
    let in_file = |error: String| {
        format!("{}: production: {error}", config.config_dir.join(REDIS_FILE).display())
    };
    let address = match &config.redis_url {
        Some(StoreUrl(url)) => merge_redis_url(url, &file)?.map_err(in_file)?,
        None => read_redis_address(&file).map_err(in_file)?,
    };
    address
        .map(|address| build_redis_options(address, &file, config, sources).map_err(in_file))
        .transpose()
}

/// The address in REDIS_URL, completed by the file. If the file takes its address from a URL or names sentinels, its
/// other keys (sentinels, ssl, db and so on) stay in force, as the original merges them. Otherwise the URL replaces
/// the file's host, and the file may supply the credentials. The outer error is the URL's, the inner one the file's.
fn merge_redis_url(
    url: &str,
    file: &RedisFile,
) -> Result<Result<Option<RedisAddress>, String>, String> {
    let mut address = RedisAddress::parse(url).map_err(|error| format!("REDIS_URL: {error}"))?;
    let names_sentinels = file.sentinels.as_ref().is_some_and(|list| !list.is_empty());
    let is_merged = names_sentinels || non_empty(file.url.as_ref()).is_some();
    if is_merged && !matches!(address.endpoint, RedisEndpoint::Sentinel { .. }) {
        return Ok(read_redis_address(&RedisFile { url: Some(url.to_owned()), ..file.clone() }));
    }
    if address.password.is_none() {
        address.password = non_empty(file.password.as_ref());
        address.username = address.username.or_else(|| non_empty(file.username.as_ref()));
    }
    Ok(Ok(Some(address)))
}

/// Adds the options that are not part of an address. Settings override the file.
fn build_redis_options(
    address: RedisAddress,
    file: &RedisFile,
    config: &Config,
    sources: &Sources,
) -> Result<RedisOptions, String> {
    let mut namespace = config.redis_namespace.clone();
    if let Some(file_namespace) = non_empty(file.namespace.as_ref())
        && sources.find(&["REDIS_NAMESPACE"], false)?.is_none()
    {
        namespace = file_namespace;
    }
    let mut pool = to_usize(config.redis_pool.0);
    if let Some(file_pool) = parse_number(file.pool.as_ref(), "pool")?
        && sources.find(&["REDIS_POOL"], false)?.is_none()
    {
        pool = file_pool;
    }
    let meeting_ttl_ms = i64::try_from(config.default_meeting_ttl.ms()).unwrap_or(i64::MAX);
    Ok(RedisOptions { address, namespace, max_connections: pool.max(1), meeting_ttl_ms })
}

/// The address in the file, if it has one. Other keys of the file override parts of its URL.
fn read_redis_address(file: &RedisFile) -> Result<Option<RedisAddress>, String> {
    let url = non_empty(file.url.as_ref()).map(|url| RedisAddress::parse(&url));
    let url = url.transpose().map_err(|error| format!("url: {error}"))?;
    let (host, path) = (non_empty(file.host.as_ref()), non_empty(file.path.as_ref()));
    let tls = non_empty(file.ssl.as_ref()).map(|text| text == "true");
    let port = parse_number(file.port.as_ref(), "port")?;
    let sentinels = file.sentinels.as_deref().filter(|list| !list.is_empty());
    if url.is_none() && host.is_none() && path.is_none() && sentinels.is_none() {
        return Ok(None);
    }
    let (mut username, mut password, mut db) = (None, None, 0);
    let mut endpoint =
        RedisEndpoint::Tcp { host: "localhost".to_owned(), port: REDIS_PORT, tls: false };
    if let Some(url) = url {
        (endpoint, username, password, db) = (url.endpoint, url.username, url.password, url.db);
    }
    if let RedisEndpoint::Tcp { host: url_host, port: url_port, tls: url_tls } = &mut endpoint {
        *url_host = host.unwrap_or_else(|| std::mem::take(url_host));
        *url_port = port.unwrap_or(*url_port);
        *url_tls = tls.unwrap_or(*url_tls);
    }
    if let Some(path) = path {
        endpoint = RedisEndpoint::Unix(path.into());
    }
    if sentinels.is_some() {
        endpoint = read_sentinel_endpoint(file, &endpoint)?;
    }
    let username = non_empty(file.username.as_ref()).or(username);
    let password = non_empty(file.password.as_ref()).or(password);
    let db = parse_number(file.db.as_ref(), "db")?.unwrap_or(db);
    Ok(Some(RedisAddress { endpoint, username, password, db }))
}

/// The sentinels of the file and the name of their master, which some files give as the host of
/// their URL.
fn read_sentinel_endpoint(
    file: &RedisFile,
    endpoint: &RedisEndpoint,
) -> Result<RedisEndpoint, String> {
    let (host, tls) = match endpoint {
        RedisEndpoint::Tcp { host, tls, .. } => (Some(host), *tls),
        _ => (None, false),
    };
    let has_host = file.url.is_some() || file.host.is_some();
    let master = non_empty(file.name.as_ref()).or(host.filter(|_| has_host).cloned());
    let master = master.ok_or("sentinels need the name of their master (name)")?;
    let entries = file.sentinels.as_deref().unwrap_or_default();
    let mut sentinels = Vec::new();
    for entry in entries {
        let host = non_empty(entry.host.as_ref()).ok_or("sentinels: an entry has no host")?;
        let port = parse_number(entry.port.as_ref(), "sentinels: port")?;
        sentinels.push((host, port.unwrap_or(SENTINEL_PORT)));
    }
    let entry_password = || entries.iter().find_map(|entry| non_empty(entry.password.as_ref()));
    let sentinel_password = non_empty(file.sentinel_password.as_ref()).or_else(entry_password);
    Ok(RedisEndpoint::Sentinel { sentinels, master, tls, sentinel_password })
}

/// Reads how to connect to PostgreSQL; `None` if neither a setting nor the file has an address.
fn read_pg_options(config: &Config, sources: &Sources) -> Result<Option<PgOptions>, String> {
    let file = rails::read_production(&config.config_dir, DATABASE_FILE, sources)?;
    let file: DatabaseFile = file.unwrap_or_default();
    let in_file = format!("{}: production", config.config_dir.join(DATABASE_FILE).display());
    let (source, url) = match &config.database_url {
        Some(StoreUrl(url)) => ("DATABASE_URL".to_owned(), url.clone()),
        None if !file.has_location() => return Ok(None),
        None => {
            let adapter = non_empty(file.adapter.as_ref());
            if adapter.is_some_and(|adapter| adapter != "postgresql") {
                return Err(format!("{in_file}: adapter: only postgresql is supported"));
            }
            (in_file.clone(), non_empty(file.url.as_ref()).unwrap_or("postgresql://".to_owned()))
        }
    };
    // As in Rails, the file supplies what the URL leaves out.
    let user = sources.variable("PGUSER");
    let address = PgAddress::parse_with_defaults(&file.parameters(), &url, user);
    let address = address.map_err(|error| format!("{source}: {error}"))?;
    let pool =
        parse_number(file.pool.as_ref(), "pool").map_err(|error| format!("{in_file}: {error}"))?;
    build_pg_options(address, pool, config, sources).map(Some)
}

/// Adds the options that are not part of an address. The pool size of the URL overrides the setting,
/// which overrides the file.
fn build_pg_options(
    address: PgAddress,
    file_pool: Option<usize>,
    config: &Config,
    sources: &Sources,
) -> Result<PgOptions, String> {
    let is_set = sources.find(&["DATABASE_POOL"], false)?.is_some();
    let pool = address.max_connections.or(file_pool.filter(|_| !is_set));
    Ok(PgOptions {
        // With one connection, a slow statement would delay all others.
        max_connections: pool.unwrap_or(to_usize(config.database_pool.0)).max(2),
        address,
        statement_timeout_ms: config.database_statement_timeout.ms(),
        read_only: false,
    })
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn parse_number<T: std::str::FromStr>(
    value: Option<&String>,
    name: &str,
) -> Result<Option<T>, String> {
    let invalid = |_| format!("{name} is not a valid number");
    non_empty(value).map(|text| text.parse().map_err(invalid)).transpose()
}

#[cfg(test)]
mod tests;
