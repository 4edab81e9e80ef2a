//! The wire format of the BigBlueButton API: raw query strings, checksums, the table of calls, and
//! XML responses. The crate is pure (no clock, no randomness, no I/O), so that every rule can be
//! tested byte by byte.

pub mod call;
pub mod checksum;
pub mod dialplan;
mod grammar;
pub mod lrs;
mod markup;
pub mod meetings;
pub mod metadata;
mod numbers;
pub mod query;
mod recovery;
mod repair;
pub mod response;
pub mod token;
mod xml;

pub use call::ApiCall;
pub use checksum::{Algorithm, Algorithms};
pub use query::Query;
pub use response::{InvalidResponse, Response};
