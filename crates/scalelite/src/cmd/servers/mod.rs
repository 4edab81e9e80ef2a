//! `servers`: the pool.

pub mod change;
pub mod drain;
pub mod list;
pub mod sync;

use app::admin::servers::AdminError;

use super::CommandFailure;

/// An administrator's mistake in the original's words.
fn admin_failure(error: AdminError) -> CommandFailure {
    match error {
        AdminError::Unknown(id) => CommandFailure(format!("ERROR: No server found with id: {id}")),
        AdminError::BadUrl => CommandFailure(format!("Error: {error}")),
        other => CommandFailure(format!("ERROR: {other}")),
    }
}
