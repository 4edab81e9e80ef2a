//! Settings: one definition each (`settings`), read from flags and environment (`sources`), typed
//! and checked (`values`), and described for people (`reference`).

pub mod reference;
pub mod settings;
pub mod sources;
pub mod values;

pub use settings::Config;
pub use sources::Sources;
