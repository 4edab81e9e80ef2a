//! Opens the stores of the settings, and single stores by their locations.

use std::path::Path;
use std::sync::Arc;

use adapters::postgres::PgStore;
use adapters::postgres::address::PgOptions;
use adapters::redis::RedisStore;
use adapters::sqlite::SqliteStore;
use app::ports::{self, EmbeddedStore, Inspect};
use app::store_migration::Stores;

use super::WiringError;
use super::data_dir::prepare_dir;
use crate::config::stores::{
    RecordingStoreUrl, STORE_FILE, StateStoreUrl, StoreLocation, StoreSettings,
};

/// The opened stores.
pub struct OpenedStores {
    /// The state store and the recording store.
    pub stores: Stores,
    /// The recording store with all its ports; `None` with DB_DISABLED.
    pub recording_store: Option<Arc<dyn ports::RecordingStore>>,
    /// The stores, for `doctor`.
    pub inspectors: Vec<Arc<dyn Inspect>>,
    /// The embedded store, if it keeps the servers.
    pub embedded: Option<Arc<dyn EmbeddedStore>>,
}

/// Opens the stores of the settings.
///
/// # Errors
/// When a store cannot be used.
pub fn open_stores(stores: &StoreSettings, data_dir: &Path) -> Result<OpenedStores, WiringError> {
    let mut inspectors: Vec<Arc<dyn Inspect>> = Vec::new();
    let keeps_servers = matches!(stores.state, StateStoreUrl::Embedded);
    let embedded = if stores.needs_data_dir() {
        let path = data_dir.join(STORE_FILE);
        if keeps_servers && !stores.accept_empty && !path.exists() {
            check_may_create(&path)?;
        }
        let store = Arc::new(open_sqlite(&path)?);
        inspectors.push(store.clone());
        Some(store)
    } else {
        None
    };
    let postgres = match (&stores.state, &stores.recordings) {
        (StateStoreUrl::Postgres(options), _) | (_, RecordingStoreUrl::Postgres(options)) => {
            let store = Arc::new(PgStore::new(options.clone()).map_err(WiringError::Shared)?);
            inspectors.push(store.clone());
            Some(store)
        }
        _ => None,
    };
    let cared_for = embedded.clone().filter(|_| keeps_servers).map(|store| store as _);
    let state: Arc<dyn ports::StateStore> = match (&stores.state, &embedded, &postgres) {
        (StateStoreUrl::Redis(options), _, _) => {
            let store = Arc::new(RedisStore::new(options.clone()));
            inspectors.push(store.clone());
            store
        }
        (StateStoreUrl::Postgres(_), _, Some(store)) => store.clone(),
        (_, Some(store), _) => store.clone(),
        _ => return Err(WiringError::NoStores),
    };
    let recording_store: Option<Arc<dyn ports::RecordingStore>> = match &stores.recordings {
        RecordingStoreUrl::Disabled => None,
        RecordingStoreUrl::Postgres(_) => postgres.map(|store| store as _),
        RecordingStoreUrl::Embedded => embedded.map(|store| store as _),
    };
    let recordings = recording_store.clone();
    let stores = Stores { state, recordings };
    Ok(OpenedStores { stores, recording_store, inspectors, embedded: cared_for })
}

/// Checks, before an embedded store is created, that none with servers is lost.
///
/// # Errors
/// When one is lost.
pub fn check_may_create(path: &Path) -> Result<(), WiringError> {
    SqliteStore::check_may_create(path).map_err(|error| WiringError::Store(path.to_owned(), error))
}

fn open_sqlite(path: &Path) -> Result<SqliteStore, WiringError> {
    SqliteStore::open(path).map_err(|error| WiringError::Store(path.to_owned(), error))
}

/// Opens one store with everything in it. An embedded store that does not exist is created if
/// `may_create` is set.
///
/// # Errors
/// When the store cannot be used, or does not exist and must not be created.
pub fn open_store(store: &StoreLocation, may_create: bool) -> Result<Stores, WiringError> {
    match store {
        StoreLocation::Embedded(path) => {
            if !may_create && !path.is_file() {
                return Err(WiringError::NoStore(path.clone()));
            }
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            let dir = dir.unwrap_or(Path::new("."));
            prepare_dir(dir).map_err(|error| WiringError::File(dir.to_owned(), error))?;
            let store = Arc::new(open_sqlite(path)?);
            Ok(Stores { state: store.clone(), recordings: Some(store) })
        }
        StoreLocation::Redis(options) => {
            let state = Arc::new(RedisStore::new(options.clone()));
            Ok(Stores { state, recordings: None })
        }
        StoreLocation::Postgres(options) => {
            let store = Arc::new(PgStore::new(options.clone()).map_err(WiringError::Shared)?);
            Ok(Stores { state: store.clone(), recordings: Some(store) })
        }
    }
}

/// Whether a database has been adopted: brought to this program's schema. Only reads.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_adopted(options: &PgOptions) -> Result<bool, WiringError> {
    let options = PgOptions { read_only: true, ..options.clone() };
    let store = PgStore::new(options).map_err(WiringError::Shared)?;
    store.is_adopted().await.map_err(WiringError::Shared)
}
