//! Opens stores: those of the settings, and single ones by their URLs.

use std::path::Path;
use std::sync::Arc;

use adapters::postgres::PgStore;
use adapters::postgres::address::PgOptions;
use adapters::redis::RedisStore;
use adapters::sqlite::SqliteStore;
use app::moving::House;
use app::ports::{self, Inspect};

use super::{WiringError, prepare};
use crate::config::stores::{Hot, Rest, STORE_FILE, Store, Stores};

/// What the stores serve.
pub struct Opened {
    /// Their ports.
    pub house: House,
    /// Recordings and what belongs to them, unless there is no database.
    pub records: Option<Arc<dyn ports::Records>>,
    /// For a closer look.
    pub inspect: Vec<Arc<dyn Inspect>>,
}

/// Opens the stores of the settings.
///
/// # Errors
/// When one cannot be used.
pub fn open(stores: &Stores, data_dir: &Path) -> Result<Opened, WiringError> {
    let mut inspect: Vec<Arc<dyn Inspect>> = Vec::new();
    let embedded = if stores.needs_dir() {
        let store = Arc::new(sqlite(&data_dir.join(STORE_FILE))?);
        inspect.push(store.clone());
        Some(store)
    } else {
        None
    };
    let postgres = match (&stores.hot, &stores.rest) {
        (Hot::Postgres(options), _) | (_, Rest::Postgres(options)) => {
            let store = Arc::new(PgStore::new(options.clone()).map_err(WiringError::Shared)?);
            inspect.push(store.clone());
            Some(store)
        }
        _ => None,
    };
    let hot: Arc<dyn ports::Hot> = match (&stores.hot, &embedded, &postgres) {
        (Hot::Redis(options), _, _) => {
            let store = Arc::new(RedisStore::new(options.clone()));
            inspect.push(store.clone());
            store
        }
        (Hot::Postgres(_), _, Some(store)) => store.clone(),
        (_, Some(store), _) => store.clone(),
        _ => return Err(WiringError::Nothing),
    };
    let records: Option<Arc<dyn ports::Records>> = match &stores.rest {
        Rest::Disabled => None,
        Rest::Postgres(_) => postgres.map(|store| store as _),
        Rest::Embedded => embedded.map(|store| store as _),
    };
    let recordings = records.clone().map(|records| records as _);
    Ok(Opened { house: House { hot, recordings }, records, inspect })
}

fn sqlite(path: &Path) -> Result<SqliteStore, WiringError> {
    SqliteStore::open(path).map_err(|error| WiringError::Store(path.to_owned(), error))
}

/// Opens one store, whole.
///
/// # Errors
/// When it cannot be used. An embedded store is made only if it may be new.
pub fn open_one(store: &Store, may_be_new: bool) -> Result<House, WiringError> {
    match store {
        Store::Embedded(path) => {
            if !may_be_new && !path.is_file() {
                return Err(WiringError::NoStore(path.clone()));
            }
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            let dir = dir.unwrap_or(Path::new("."));
            prepare(dir).map_err(|error| WiringError::File(dir.to_owned(), error))?;
            let store = Arc::new(sqlite(path)?);
            Ok(House { hot: store.clone(), recordings: Some(store) })
        }
        Store::Redis(options) => {
            let hot = Arc::new(RedisStore::new(options.clone()));
            Ok(House { hot, recordings: None })
        }
        Store::Postgres(options) => {
            let store = Arc::new(PgStore::new(options.clone()).map_err(WiringError::Shared)?);
            Ok(House { hot: store.clone(), recordings: Some(store) })
        }
    }
}

/// Whether a database has been taken over before; nothing is written to find out.
///
/// # Errors
/// When it cannot be asked.
pub async fn is_adopted(options: &PgOptions) -> Result<bool, WiringError> {
    let options = PgOptions { look_only: true, ..options.clone() };
    let store = PgStore::new(options).map_err(WiringError::Shared)?;
    store.is_adopted().await.map_err(WiringError::Shared)
}
