//! What administrators do, by the command line or the management API: the same functions for both.

pub mod doctor;
pub mod drain;
pub mod meetings;
pub mod placement;
pub mod recordings;
pub mod servers;
pub mod tenants;
