//! Reads the stores of an original deployment before this program runs on them, and changes nothing.

pub use adapters::postgres::original_sample::SampledRecording;
use adapters::postgres::original_sample::read_original;
use adapters::redis::RedisStore;
use app::blocking::STORE_CHECKS;
use app::ports::{PoolStore as _, StoreError, Tenants as _};

use crate::config::StoreSettings;
use crate::config::stores::{RecordingStoreUrl, StateStoreUrl};

/// What is in the original's Redis.
pub struct OriginalPool {
    /// Number of servers.
    pub servers: usize,
    /// Number of meetings.
    pub meetings: usize,
    /// Number of tenants.
    pub tenants: usize,
}

/// Recordings of the original.
pub struct Sample {
    /// Whether this program has adopted the database.
    pub is_adopted: bool,
    /// The number of all recordings that are not deleted.
    pub recordings: u64,
    /// Some of them.
    pub recordings_sampled: Vec<SampledRecording>,
}

/// Counts what is in Redis.
///
/// # Errors
/// When it cannot be read, or is not the store of the settings.
pub async fn read_pool(stores: &StoreSettings) -> Result<OriginalPool, StoreError> {
    let StateStoreUrl::Redis(options) = &stores.state else {
        return Err(StoreError::Unavailable("there is no Redis".to_owned()));
    };
    let store = RedisStore::new(options.clone());
    Ok(OriginalPool {
        servers: store.list_servers().await?.len(),
        meetings: store.list_meetings(None).await?.len(),
        tenants: store.list_tenants().await?.len(),
    })
}

/// Reads a sample of this size of the recordings in PostgreSQL; `None` if the original has never used the database.
///
/// # Errors
/// When it cannot be read.
pub async fn read_recordings(
    stores: &StoreSettings,
    sample_size: u32,
) -> Result<Option<Sample>, StoreError> {
    let RecordingStoreUrl::Postgres(options) = &stores.recordings else { return Ok(None) };
    let options = options.clone();
    let read = STORE_CHECKS.run_within(move || read_original(&options, sample_size)).await;
    let found = read.map_err(|error| StoreError::Unavailable(error.to_string()))??;
    Ok(found.map(|found| Sample {
        is_adopted: found.is_adopted,
        recordings: found.recordings,
        recordings_sampled: found.sample,
    }))
}
