//! `servers`: lists and changes the servers of the pool.

pub mod change;
pub mod drain;
pub mod list;
pub mod sync;

use app::admin::servers::AdminError;

use super::CommandFailure;

/// The failure of an administrative operation, with the text of the original.
pub(super) fn admin_failure(error: AdminError) -> CommandFailure {
    match error {
        AdminError::Unknown(id) => unknown_server(&id.0),
        AdminError::BadUrl => CommandFailure(format!("Error: {error}")),
        error => CommandFailure(format!("ERROR: {error}")),
    }
}

/// The failure of an operation on a server that the pool does not have.
pub(super) fn unknown_server(id: &str) -> CommandFailure {
    CommandFailure(format!("ERROR: No server found with id: {id}"))
}
