//! Settings: one definition each (`settings`), read from flags and environment (`sources`), typed
//! and checked (`values`), and described for people (`reference`); and what follows from them and
//! from files of Rails (`rails`, `erb`): where the state is kept (`stores`).

mod erb;
pub mod ignored_settings;
mod rails;
pub mod reference;
pub mod settings;
pub mod sources;
pub mod stores;
pub mod values;

pub use settings::Config;
pub use sources::Sources;
pub use stores::{StoreSettings, read_store_settings};
