//! BigBlueButton's wire language, and nothing else: raw query strings, checksums, the table of
//! calls, and answers in XML. Pure: no clock, no randomness, no input or output, so that every
//! rule can be tested (and attacked) byte by byte.

pub mod call;
pub mod checksum;
pub mod lrs;
pub mod meetings;
pub mod metadata;
pub mod query;
pub mod response;
pub mod token;
mod xml;

pub use call::ApiCall;
pub use checksum::{Algorithm, Algorithms};
pub use query::Query;
pub use response::{InvalidResponse, Response};
