//! Where the state is kept, as environment, flags and files of the original say it: one look at
//! all of them, before anything is opened.

use std::path::{Path, PathBuf};

use adapters::postgres::address::{PgAddress, PgOptions};
use adapters::redis::address::{REDIS_PORT, RedisAddress, RedisOptions, RedisPlace, SENTINEL_PORT};

use super::rails::{self, DATABASE_FILE, DatabaseFile, REDIS_FILE, RedisFile, given};
use super::values::StoreUrl;
use super::{Config, Sources};

/// The namespace that need not be told.
const NAMESPACE: &str = "scalelite";
/// The file of the embedded store, in its directory.
pub const STORE_FILE: &str = "scalelite.db";

/// Where servers, meetings, tenants, tokens and turns are kept.
#[derive(Clone, Debug)]
pub enum Hot {
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
pub enum Rest {
    /// In the data directory.
    Embedded,
    /// In PostgreSQL.
    Postgres(PgOptions),
    /// Nowhere (`DB_DISABLED`).
    Disabled,
}

/// Where the state is kept.
#[derive(Clone, Debug)]
pub struct Stores {
    /// What all replicas need all the time.
    pub hot: Hot,
    /// What is large and rarely needed.
    pub rest: Rest,
}

impl Stores {
    /// All of it in the data directory.
    pub fn embedded() -> Self {
        Self { hot: Hot::Embedded, rest: Rest::Embedded }
    }

    /// The same, for those who only look: a database is not adopted by them.
    pub fn looked_at(mut self) -> Self {
        if let Hot::Postgres(postgres) = &mut self.hot {
            postgres.look_only = true;
        }
        if let Rest::Postgres(postgres) = &mut self.rest {
            postgres.look_only = true;
        }
        self
    }

    /// Whether several processes on several machines may share it.
    pub fn shared(&self) -> bool {
        !matches!(self.hot, Hot::Embedded)
    }

    /// Whether any of it is in the data directory.
    pub fn needs_dir(&self) -> bool {
        matches!(self.hot, Hot::Embedded) || matches!(self.rest, Rest::Embedded)
    }

    /// Where both are, for messages; without users and passwords.
    pub fn describe(&self) -> (String, String) {
        let embedded = || "the data directory".to_owned();
        let hot = match &self.hot {
            Hot::Embedded => embedded(),
            Hot::Redis(redis) if redis.namespace != NAMESPACE => {
                format!("{} ({})", redis.address.describe(), redis.namespace)
            }
            Hot::Redis(redis) => redis.address.describe(),
            Hot::Postgres(postgres) => postgres.address.describe(),
        };
        let rest = match &self.rest {
            Rest::Embedded => embedded(),
            Rest::Postgres(postgres) => postgres.address.describe(),
            Rest::Disabled => "nowhere (DB_DISABLED)".to_owned(),
        };
        (hot, rest)
    }
}

/// One store by its URL.
#[derive(Clone, Debug)]
pub enum Store {
    /// The embedded store in this file.
    Embedded(PathBuf),
    /// Redis.
    Redis(RedisOptions),
    /// PostgreSQL.
    Postgres(PgOptions),
}

impl Store {
    /// The same, for those who only look.
    pub fn looked_at(mut self) -> Self {
        if let Self::Postgres(postgres) = &mut self {
            postgres.look_only = true;
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
pub fn stores(config: &Config, sources: &Sources) -> Result<Stores, String> {
    let redis = redis(config, sources)?;
    let postgres = if config.db_disabled { None } else { postgres(config, sources)? };
    let rest = match &postgres {
        _ if config.db_disabled => Rest::Disabled,
        Some(postgres) => Rest::Postgres(postgres.clone()),
        None => Rest::Embedded,
    };
    let hot = match (redis, postgres) {
        (Some(redis), _) => Hot::Redis(redis),
        (None, Some(postgres)) => Hot::Postgres(postgres),
        (None, None) => Hot::Embedded,
    };
    Ok(Stores { hot, rest })
}

/// One store by its URL: `redis://…` and its other forms, `postgresql://…`, or the directory or
/// file of an embedded store, perhaps after `sqlite:`. The settings that are no part of a URL are
/// those of this configuration.
///
/// # Errors
/// What is wrong, without secrets.
pub fn of_url(url: &str, config: &Config, sources: &Sources) -> Result<Store, String> {
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
            Ok(Store::Embedded(file))
        }
        Some("postgres" | "postgresql") => {
            let address = PgAddress::parse(url, sources.variable("PGUSER"))?;
            Ok(Store::Postgres(pg_options(address, None, config, sources)?))
        }
        Some(name) if name.starts_with("redis") || name == "unix" => {
            let address = RedisAddress::parse(url)?;
            // For its namespace.
            let file = rails::production(&config.config_dir, REDIS_FILE, sources)?;
            let file: RedisFile = file.unwrap_or_default();
            Ok(Store::Redis(redis_options(address, &file, config, sources)?))
        }
        Some(_) => {
            Err("a store is redis://…, postgresql://…, or the path of a data directory".to_owned())
        }
    }
}

/// Redis, if anybody names one.
fn redis(config: &Config, sources: &Sources) -> Result<Option<RedisOptions>, String> {
    let file = rails::production(&config.config_dir, REDIS_FILE, sources)?;
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
                address.password = given(file.password.as_ref());
                address.username = address.username.or_else(|| given(file.username.as_ref()));
            }
            Some(address)
        }
        None => address_of(&file).map_err(in_file)?,
    };
    address
        .map(|address| redis_options(address, &file, config, sources).map_err(in_file))
        .transpose()
}

/// What is no part of a URL; the environment wins over the file.
fn redis_options(
    address: RedisAddress,
    file: &RedisFile,
    config: &Config,
    sources: &Sources,
) -> Result<RedisOptions, String> {
    let mut namespace = config.redis_namespace.clone();
    if let Some(named) = given(file.namespace.as_ref())
        && sources.find(&["REDIS_NAMESPACE"], false)?.is_none()
    {
        namespace = named;
    }
    let mut pool = size(config.redis_pool.0);
    if let Some(named) = number(file.pool.as_ref(), "pool")?
        && sources.find(&["REDIS_POOL"], false)?.is_none()
    {
        pool = named;
    }
    let meeting_ttl_ms = i64::try_from(config.default_meeting_ttl.ms()).unwrap_or(i64::MAX);
    Ok(RedisOptions { address, namespace, pool: pool.max(1), meeting_ttl_ms })
}

/// Where the file says that Redis is. What it says apart from its URL wins over that.
fn address_of(file: &RedisFile) -> Result<Option<RedisAddress>, String> {
    let url = given(file.url.as_ref()).map(|url| RedisAddress::parse(&url));
    let url = url.transpose().map_err(|error| format!("url: {error}"))?;
    let (host, path) = (given(file.host.as_ref()), given(file.path.as_ref()));
    let tls = given(file.ssl.as_ref()).map(|text| text == "true");
    let port = number(file.port.as_ref(), "port")?;
    let sentinels = file.sentinels.as_deref().filter(|list| !list.is_empty());
    if url.is_none() && host.is_none() && path.is_none() && sentinels.is_none() {
        return Ok(None);
    }
    let (mut username, mut password, mut db) = (None, None, 0);
    let mut place = RedisPlace::Tcp { host: "localhost".to_owned(), port: REDIS_PORT, tls: false };
    if let Some(url) = url {
        (place, username, password, db) = (url.place, url.username, url.password, url.db);
    }
    if let RedisPlace::Tcp { host: of_url, port: port_of_url, tls: tls_of_url } = &mut place {
        *of_url = host.unwrap_or_else(|| std::mem::take(of_url));
        *port_of_url = port.unwrap_or(*port_of_url);
        *tls_of_url = tls.unwrap_or(*tls_of_url);
    }
    if let Some(path) = path {
        place = RedisPlace::Unix(path.into());
    }
    if sentinels.is_some() {
        place = by_sentinels(file, &place)?;
    }
    let username = given(file.username.as_ref()).or(username);
    let password = given(file.password.as_ref()).or(password);
    let db = number(file.db.as_ref(), "db")?.unwrap_or(db);
    Ok(Some(RedisAddress { place, username, password, db }))
}

/// The master that the sentinels of the file know; some files name it as the host of their URL.
fn by_sentinels(file: &RedisFile, place: &RedisPlace) -> Result<RedisPlace, String> {
    let (host, tls) = match place {
        RedisPlace::Tcp { host, tls, .. } => (Some(host), *tls),
        _ => (None, false),
    };
    let named = file.url.is_some() || file.host.is_some();
    let master = given(file.name.as_ref()).or(host.filter(|_| named).cloned());
    let master = master.ok_or("sentinels need the name of their master (name)")?;
    let entries = file.sentinels.as_deref().unwrap_or_default();
    let mut sentinels = Vec::new();
    for entry in entries {
        let host = given(entry.host.as_ref()).ok_or("sentinels: one has no host")?;
        let port = number(entry.port.as_ref(), "sentinels: port")?;
        sentinels.push((host, port.unwrap_or(SENTINEL_PORT)));
    }
    let of_entries = || entries.iter().find_map(|entry| given(entry.password.as_ref()));
    let sentinel_password = given(file.sentinel_password.as_ref()).or_else(of_entries);
    Ok(RedisPlace::Sentinel { sentinels, master, tls, sentinel_password })
}

/// PostgreSQL, if anybody names one.
fn postgres(config: &Config, sources: &Sources) -> Result<Option<PgOptions>, String> {
    let file = rails::production(&config.config_dir, DATABASE_FILE, sources)?;
    let file: DatabaseFile = file.unwrap_or_default();
    let in_file = format!("{}: production", config.config_dir.join(DATABASE_FILE).display());
    let (from, url) = match &config.database_url {
        Some(StoreUrl(url)) => ("DATABASE_URL".to_owned(), url.clone()),
        None if !file.says_where() => return Ok(None),
        None => {
            let adapter = given(file.adapter.as_ref());
            if adapter.is_some_and(|adapter| adapter != "postgresql") {
                return Err(format!("{in_file}: adapter: only postgresql is supported"));
            }
            (in_file.clone(), given(file.url.as_ref()).unwrap_or("postgresql://".to_owned()))
        }
    };
    // As in Rails, the file counts where the URL says nothing.
    let user = sources.variable("PGUSER");
    let address = PgAddress::parse_over(&file.parameters(), &url, user);
    let address = address.map_err(|error| format!("{from}: {error}"))?;
    let pool = number(file.pool.as_ref(), "pool").map_err(|error| format!("{in_file}: {error}"))?;
    pg_options(address, pool, config, sources).map(Some)
}

/// The URL's pool wins over the environment's, that over the file's.
fn pg_options(
    address: PgAddress,
    pool_of_file: Option<usize>,
    config: &Config,
    sources: &Sources,
) -> Result<PgOptions, String> {
    let set = sources.find(&["DATABASE_POOL"], false)?.is_some();
    let pool = address.pool.or(pool_of_file.filter(|_| !set));
    Ok(PgOptions {
        // One connection would let a slow statement hold up all others.
        pool: pool.unwrap_or(size(config.database_pool.0)).max(2),
        address,
        statement_timeout_ms: config.database_statement_timeout.ms(),
        look_only: false,
    })
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn number<T: std::str::FromStr>(value: Option<&String>, name: &str) -> Result<Option<T>, String> {
    let wrong = |_| format!("{name} is not a number that is possible");
    given(value).map(|text| text.parse().map_err(wrong)).transpose()
}

#[cfg(test)]
mod tests;
