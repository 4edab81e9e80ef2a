//! Configuration. `settings` defines all settings, `sources` has flags, environment and environment file (`env_file`), `reading` reads a setting from them,
//! `names` finds mistyped names, `reload` what changes in a running server,
//! `values`, `list_values`, `address_values`, `proxy_values` and `tls_values` have the types (`original_values` how the original reads them), `checks` rules about several settings,
//! `recording_root` what follows from SCALELITE_RECORDING_DIR,
//! `reference` renders the documentation. `stores` derives the locations
//! of the stores from the settings and from the original's configuration files (`rails`, `erb`).

mod address_values;
mod checks;
pub mod env_file;
mod erb;
pub mod ignored_settings;
mod list_values;
pub mod names;
mod original_values;
pub mod owner;
mod proxy_values;
mod rails;
pub mod reading;
pub mod recording_root;
pub mod recording_values;
pub mod reference;
pub mod reload;
mod setting;
pub mod settings;
pub mod sources;
pub mod stores;
mod tls_values;
pub mod values;

pub use settings::Config;
pub use sources::Sources;
pub use stores::{StoreHost, StoreSettings, read_store_settings};
