//! Administrative actions: the command line and the management API call the same functions.

pub mod callbacks;
pub mod capacity;
pub mod doctor;
pub mod drain;
pub mod imports;
pub mod meetings;
pub mod monitoring;
pub mod placement;
pub mod probe;
pub mod recordings;
pub mod servers;
pub mod tenants;
pub mod tokens;
