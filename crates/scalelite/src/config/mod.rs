//! Configuration. `settings` defines all settings, `sources` reads them from flags and environment,
//! `values` has their types, `reference` renders their documentation. `stores` derives the locations
//! of the stores from the settings and from the original's configuration files (`rails`, `erb`).

mod erb;
pub mod ignored_settings;
mod rails;
pub mod recording_values;
pub mod reference;
pub mod settings;
pub mod sources;
pub mod stores;
pub mod values;

pub use settings::Config;
pub use sources::Sources;
pub use stores::{StoreSettings, read_store_settings};
