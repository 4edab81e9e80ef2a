//! `servers`: the pool.

pub mod change;
pub mod drain;
pub mod list;
pub mod sync;

use app::admin::servers::AdminError;

use super::Failure;

/// An administrator's mistake in the original's words.
fn failure(error: AdminError) -> Failure {
    match error {
        AdminError::Unknown(id) => Failure(format!("ERROR: No server found with id: {id}")),
        AdminError::BadUrl => Failure(format!("Error: {error}")),
        other => Failure(format!("ERROR: {other}")),
    }
}
