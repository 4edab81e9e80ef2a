//! Where the state is kept, as environment, flags and files of the original say it: one look at
//! all of them, before anything is opened.

use std::path::{Path, PathBuf};

use adapters::postgres::address::{PgAddress, PgOptions};
use adapters::redis::address::{
    REDIS_PORT, RedisAddress, RedisEndpoint, RedisOptions, SENTINEL_PORT,
};

use super::rails::{self, DATABASE_FILE, DatabaseFile, REDIS_FILE, RedisFile, non_empty};
use super::values::StoreUrl;
use super::{Config, Sources};

/// The namespace that need not be told.
const DEFAULT_NAMESPACE: &str = "scalelite";
/// The file of the embedded store, in its directory.
pub const STORE_FILE: &str = "scalelite.db";

/// Where servers, meetings, tenants, tokens and turns are kept.
#[derive(Clone, Debug)]
pub enum StateStoreUrl {
    /// In the data directory.
    Embedded,
    /// In Redis.
    Redis(RedisOptions),
    /// In PostgreSQL.
    Postgres(PgOptions),
}

/// Where recordings and callbacks are kept.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of them in a process")]
pub enum RecordingStoreUrl {
    /// In the data directory.
    Embedded,
    /// In PostgreSQL.
    Postgres(PgOptions),
    /// Nowhere (`DB_DISABLED`).
    Disabled,
}

/// Where the state is kept.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// What all replicas need all the time.
    pub state: StateStoreUrl,
    /// What is large and rarely needed.
    pub recordings: RecordingStoreUrl,
}

impl StoreSettings {
    /// All of it in the data directory.
    pub fn embedded() -> Self {
        Self { state: StateStoreUrl::Embedded, recordings: RecordingStoreUrl::Embedded }
    }

    /// The same, for those who only look: a database is not adopted by them.
    pub fn into_read_only(mut self) -> Self {
        if let StateStoreUrl::Postgres(postgres) = &mut self.state {
            postgres.read_only = true;
        }
        if let RecordingStoreUrl::Postgres(postgres) = &mut self.recordings {
            postgres.read_only = true;
        }
        self
    }

    /// Whether several processes on several machines may share it.
    pub fn is_shared(&self) -> bool {
        !matches!(self.state, StateStoreUrl::Embedded)
    }

    /// Whether any of it is in the data directory.
    pub fn needs_data_dir(&self) -> bool {
        matches!(self.state, StateStoreUrl::Embedded)
            || matches!(self.recordings, RecordingStoreUrl::Embedded)
    }

    /// Where both are, for messages; without users and passwords.
    pub fn describe(&self) -> (String, String) {
        let embedded = || "the data directory".to_owned();
        let hot = match &self.state {
            StateStoreUrl::Embedded => embedded(),
            StateStoreUrl::Redis(redis) if redis.namespace != DEFAULT_NAMESPACE => {
                format!("{} ({})", redis.address.describe(), redis.namespace)
            }
            StateStoreUrl::Redis(redis) => redis.address.describe(),
            StateStoreUrl::Postgres(postgres) => postgres.address.describe(),
        };
        let rest = match &self.recordings {
            RecordingStoreUrl::Embedded => embedded(),
            RecordingStoreUrl::Postgres(postgres) => postgres.address.describe(),
            RecordingStoreUrl::Disabled => "nowhere (DB_DISABLED)".to_owned(),
        };
        (hot, rest)
    }
}

/// One store by its URL.
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
    /// The same, for those who only look.
    pub fn into_read_only(mut self) -> Self {
        if let Self::Postgres(postgres) = &mut self {
            postgres.read_only = true;
        }
        self
    }

    /// Where it is, for messages and comparison; without users and passwords.
    pub fn describe(&self) -> String {
        match self {
            Self::Embedded(path) => path.display().to_string(),
            Self::Redis(redis) => format!("{} ({})", redis.address.describe(), redis.namespace),
            Self::Postgres(postgres) => postgres.address.describe(),
        }
    }
}

/// Finds out where the state is kept.
///
/// # Errors
/// The setting or file that is wrong, and why; without secrets.
pub fn read_store_settings(config: &Config, sources: &Sources) -> Result<StoreSettings, String> {
    let redis = read_redis_options(config, sources)?;
    let postgres = if config.db_disabled { None } else { read_pg_options(config, sources)? };
    let rest = match &postgres {
        _ if config.db_disabled => RecordingStoreUrl::Disabled,
        Some(postgres) => RecordingStoreUrl::Postgres(postgres.clone()),
        None => RecordingStoreUrl::Embedded,
    };
    let hot = match (redis, postgres) {
        (Some(redis), _) => StateStoreUrl::Redis(redis),
        (None, Some(postgres)) => StateStoreUrl::Postgres(postgres),
        (None, None) => StateStoreUrl::Embedded,
    };
    Ok(StoreSettings { state: hot, recordings: rest })
}

/// One store by its URL: `redis://…` and its other forms, `postgresql://…`, or the directory or
/// file of an embedded store, perhaps after `sqlite:`. The settings that are no part of a URL are
/// those of this configuration.
///
/// # Errors
/// What is wrong, without secrets.
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
                // A URL with a mistake, and perhaps a password, is not to be printed as a path.
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
            // For its namespace.
            let file = rails::read_production(&config.config_dir, REDIS_FILE, sources)?;
            let file: RedisFile = file.unwrap_or_default();
            Ok(StoreLocation::Redis(build_redis_options(address, &file, config, sources)?))
        }
        Some(_) => {
            Err("a store is redis://…, postgresql://…, or the path of a data directory".to_owned())
        }
    }
}

/// Redis, if anybody names one.
fn read_redis_options(config: &Config, sources: &Sources) -> Result<Option<RedisOptions>, String> {
    let file = rails::read_production(&config.config_dir, REDIS_FILE, sources)?;
    let file: RedisFile = file.unwrap_or_default();
    let in_file = |error: String| {
        format!("{}: production: {error}", config.config_dir.join(REDIS_FILE).display())
    };
    let address = match &config.redis_url {
        Some(StoreUrl(url)) => {
            let parsed = RedisAddress::parse(url).map_err(|error| format!("REDIS_URL: {error}"));
            let mut address = parsed?;
            // Where it is says the URL; how to get in it may leave to the file.
            if address.password.is_none() {
                address.password = non_empty(file.password.as_ref());
                address.username = address.username.or_else(|| non_empty(file.username.as_ref()));
            }
            Some(address)
        }
        None => read_redis_address(&file).map_err(in_file)?,
    };
    address
        .map(|address| build_redis_options(address, &file, config, sources).map_err(in_file))
        .transpose()
}

/// What is no part of a URL; the environment wins over the file.
fn build_redis_options(
    address: RedisAddress,
    file: &RedisFile,
    config: &Config,
    sources: &Sources,
) -> Result<RedisOptions, String> {
    let mut namespace = config.redis_namespace.clone();
    if let Some(named) = non_empty(file.namespace.as_ref())
        && sources.find(&["REDIS_NAMESPACE"], false)?.is_none()
    {
        namespace = named;
    }
    let mut pool = to_usize(config.redis_pool.0);
    if let Some(named) = parse_number(file.pool.as_ref(), "pool")?
        && sources.find(&["REDIS_POOL"], false)?.is_none()
    {
        pool = named;
    }
    let meeting_ttl_ms = i64::try_from(config.default_meeting_ttl.ms()).unwrap_or(i64::MAX);
    Ok(RedisOptions { address, namespace, max_connections: pool.max(1), meeting_ttl_ms })
}

/// Where the file says that Redis is. What it says apart from its URL wins over that.
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
    let mut place =
        RedisEndpoint::Tcp { host: "localhost".to_owned(), port: REDIS_PORT, tls: false };
    if let Some(url) = url {
        (place, username, password, db) = (url.endpoint, url.username, url.password, url.db);
    }
    if let RedisEndpoint::Tcp { host: of_url, port: port_of_url, tls: tls_of_url } = &mut place {
        *of_url = host.unwrap_or_else(|| std::mem::take(of_url));
        *port_of_url = port.unwrap_or(*port_of_url);
        *tls_of_url = tls.unwrap_or(*tls_of_url);
    }
    if let Some(path) = path {
        place = RedisEndpoint::Unix(path.into());
    }
    if sentinels.is_some() {
        place = read_sentinel_place(file, &place)?;
    }
    let username = non_empty(file.username.as_ref()).or(username);
    let password = non_empty(file.password.as_ref()).or(password);
    let db = parse_number(file.db.as_ref(), "db")?.unwrap_or(db);
    Ok(Some(RedisAddress { endpoint: place, username, password, db }))
}

/// The master that the sentinels of the file know; some files name it as the host of their URL.
fn read_sentinel_place(file: &RedisFile, place: &RedisEndpoint) -> Result<RedisEndpoint, String> {
    let (host, tls) = match place {
        RedisEndpoint::Tcp { host, tls, .. } => (Some(host), *tls),
        _ => (None, false),
    };
    let named = file.url.is_some() || file.host.is_some();
    let master = non_empty(file.name.as_ref()).or(host.filter(|_| named).cloned());
    let master = master.ok_or("sentinels need the name of their master (name)")?;
    let entries = file.sentinels.as_deref().unwrap_or_default();
    let mut sentinels = Vec::new();
    for entry in entries {
        let host = non_empty(entry.host.as_ref()).ok_or("sentinels: one has no host")?;
        let port = parse_number(entry.port.as_ref(), "sentinels: port")?;
        sentinels.push((host, port.unwrap_or(SENTINEL_PORT)));
    }
    let of_entries = || entries.iter().find_map(|entry| non_empty(entry.password.as_ref()));
    let sentinel_password = non_empty(file.sentinel_password.as_ref()).or_else(of_entries);
    Ok(RedisEndpoint::Sentinel { sentinels, master, tls, sentinel_password })
}

/// PostgreSQL, if anybody names one.
fn read_pg_options(config: &Config, sources: &Sources) -> Result<Option<PgOptions>, String> {
    let file = rails::read_production(&config.config_dir, DATABASE_FILE, sources)?;
    let file: DatabaseFile = file.unwrap_or_default();
    let in_file = format!("{}: production", config.config_dir.join(DATABASE_FILE).display());
    let (from, url) = match &config.database_url {
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
    // As in Rails, the file counts where the URL says nothing.
    let user = sources.variable("PGUSER");
    let address = PgAddress::parse_with_defaults(&file.parameters(), &url, user);
    let address = address.map_err(|error| format!("{from}: {error}"))?;
    let pool =
        parse_number(file.pool.as_ref(), "pool").map_err(|error| format!("{in_file}: {error}"))?;
    build_pg_options(address, pool, config, sources).map(Some)
}

/// The URL's pool wins over the environment's, that over the file's.
fn build_pg_options(
    address: PgAddress,
    pool_of_file: Option<usize>,
    config: &Config,
    sources: &Sources,
) -> Result<PgOptions, String> {
    let set = sources.find(&["DATABASE_POOL"], false)?.is_some();
    let pool = address.max_connections.or(pool_of_file.filter(|_| !set));
    Ok(PgOptions {
        // One connection would let a slow statement hold up all others.
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
    let wrong = |_| format!("{name} is not a number that is possible");
    non_empty(value).map(|text| text.parse().map_err(wrong)).transpose()
}

#[cfg(test)]
mod tests;
