//! Opens stores: those of the settings, and single ones by their URLs.

use std::path::Path;
use std::sync::Arc;

use adapters::postgres::PgStore;
use adapters::postgres::address::PgOptions;
use adapters::redis::RedisStore;
use adapters::sqlite::SqliteStore;
use app::ports::{self, Inspect};
use app::store_migration::Stores;

use super::{WiringError, prepare_dir};
use crate::config::stores::{
    RecordingStoreUrl, STORE_FILE, StateStoreUrl, StoreLocation, StoreSettings,
};

/// What the stores serve.
pub struct OpenedStores {
    /// Their ports.
    pub stores: Stores,
    /// Recordings and what belongs to them, unless there is no database.
    pub recording_store: Option<Arc<dyn ports::RecordingStore>>,
    /// For a closer look.
    pub inspectors: Vec<Arc<dyn Inspect>>,
}

/// Opens the stores of the settings.
///
/// # Errors
/// When one cannot be used.
pub fn open_stores(stores: &StoreSettings, data_dir: &Path) -> Result<OpenedStores, WiringError> {
    let mut inspect: Vec<Arc<dyn Inspect>> = Vec::new();
    let embedded = if stores.needs_data_dir() {
        let store = Arc::new(open_sqlite(&data_dir.join(STORE_FILE))?);
        inspect.push(store.clone());
        Some(store)
    } else {
        None
    };
    let postgres = match (&stores.state, &stores.recordings) {
        (StateStoreUrl::Postgres(options), _) | (_, RecordingStoreUrl::Postgres(options)) => {
            let store = Arc::new(PgStore::new(options.clone()).map_err(WiringError::Shared)?);
            inspect.push(store.clone());
            Some(store)
        }
        _ => None,
    };
    let hot: Arc<dyn ports::StateStore> = match (&stores.state, &embedded, &postgres) {
        (StateStoreUrl::Redis(options), _, _) => {
            let store = Arc::new(RedisStore::new(options.clone()));
            inspect.push(store.clone());
            store
        }
        (StateStoreUrl::Postgres(_), _, Some(store)) => store.clone(),
        (_, Some(store), _) => store.clone(),
        _ => return Err(WiringError::NoStores),
    };
    let records: Option<Arc<dyn ports::RecordingStore>> = match &stores.recordings {
        RecordingStoreUrl::Disabled => None,
        RecordingStoreUrl::Postgres(_) => postgres.map(|store| store as _),
        RecordingStoreUrl::Embedded => embedded.map(|store| store as _),
    };
    let recordings = records.clone().map(|records| records as _);
    Ok(OpenedStores {
        stores: Stores { state: hot, recordings },
        recording_store: records,
        inspectors: inspect,
    })
}

fn open_sqlite(path: &Path) -> Result<SqliteStore, WiringError> {
    SqliteStore::open(path).map_err(|error| WiringError::Store(path.to_owned(), error))
}

/// Opens one store, whole.
///
/// # Errors
/// When it cannot be used. An embedded store is made only if it may be new.
pub fn open_store(store: &StoreLocation, may_be_new: bool) -> Result<Stores, WiringError> {
    match store {
        StoreLocation::Embedded(path) => {
            if !may_be_new && !path.is_file() {
                return Err(WiringError::NoStore(path.clone()));
            }
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            let dir = dir.unwrap_or(Path::new("."));
            prepare_dir(dir).map_err(|error| WiringError::File(dir.to_owned(), error))?;
            let store = Arc::new(open_sqlite(path)?);
            Ok(Stores { state: store.clone(), recordings: Some(store) })
        }
        StoreLocation::Redis(options) => {
            let hot = Arc::new(RedisStore::new(options.clone()));
            Ok(Stores { state: hot, recordings: None })
        }
        StoreLocation::Postgres(options) => {
            let store = Arc::new(PgStore::new(options.clone()).map_err(WiringError::Shared)?);
            Ok(Stores { state: store.clone(), recordings: Some(store) })
        }
    }
}

/// Whether a database has been taken over before; nothing is written to find out.
///
/// # Errors
/// When it cannot be asked.
pub async fn is_adopted(options: &PgOptions) -> Result<bool, WiringError> {
    let options = PgOptions { read_only: true, ..options.clone() };
    let store = PgStore::new(options).map_err(WiringError::Shared)?;
    store.is_adopted().await.map_err(WiringError::Shared)
}
