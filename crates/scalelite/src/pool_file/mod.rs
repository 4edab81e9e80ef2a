//! The file of `apply`, which the management API reads as JSON.

mod format;
mod secrets;
mod yaml_errors;

pub use self::format::{PoolFile, read, schema};
pub use self::secrets::SecretReader;
