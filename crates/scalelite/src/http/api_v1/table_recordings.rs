//! The part of the table of endpoints that is about recordings, their imports and callbacks.

use domain::management::Scope;
use http::{Method, StatusCode};

use super::endpoint::Endpoint;
use super::{callbacks, imports, recordings, trash};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn of_recordings() -> Vec<Endpoint> {
    let (read, write) = (Scope::RecordingsRead, Scope::RecordingsWrite);
    vec![
        Endpoint::new(
            (GET, "/recordings"),
            ("listRecordings", "Lists recordings, the newest first"),
            read,
            recordings::list,
        ),
        Endpoint::new(
            (GET, "/recordings/{id}"),
            ("getRecording", "Shows a recording"),
            read,
            recordings::get,
        )
        .versioned(),
        Endpoint::new(
            (PATCH, "/recordings/{id}"),
            (
                "updateRecording",
                "Publishes, hides or protects a recording, or changes its metadata",
            ),
            write,
            recordings::update,
        )
        .versioned(),
        Endpoint::new(
            (DELETE, "/recordings/{id}"),
            ("deleteRecording", "Deletes a recording"),
            write,
            recordings::delete,
        )
        .with_status(StatusCode::NO_CONTENT)
        .versioned(),
        Endpoint::new(
            (POST, "/recordings/{id}/undelete"),
            ("undeleteRecording", "Brings a deleted recording back"),
            write,
            recordings::undelete,
        )
        .versioned(),
        Endpoint::new(
            (POST, "/recordings/{id}/restore"),
            ("restoreRecording", "Restores a deleted recording from the trash, as it was"),
            write,
            trash::restore,
        )
        .with_status(StatusCode::NO_CONTENT),
        Endpoint::new(
            (POST, "/recording-assignments"),
            ("assignRecordings", "Assigns recordings to a tenant: these, or all that have none"),
            write,
            trash::assign,
        ),
        Endpoint::new(
            (GET, "/trash"),
            ("listTrash", "Lists deleted recordings that can be restored"),
            read,
            trash::list,
        ),
        Endpoint::new(
            (GET, "/imports"),
            ("listArchives", "Lists received archives, and how their imports go"),
            read,
            imports::list,
        ),
        Endpoint::new(
            (POST, "/imports/{name}/retry"),
            ("retryArchive", "Imports an archive that is kept in quarantine or aside"),
            write,
            imports::retry,
        )
        .with_status(StatusCode::NO_CONTENT),
        Endpoint::new(
            (GET, "/callbacks"),
            ("listCallbacks", "Lists callbacks that have not been delivered"),
            read,
            callbacks::list,
        ),
        Endpoint::new(
            (POST, "/callbacks/retry"),
            ("retryCallbacks", "Retries all callbacks that were given up"),
            write,
            callbacks::retry_all,
        ),
        Endpoint::new(
            (POST, "/callbacks/{id}/retry"),
            ("retryCallback", "Retries a callback"),
            write,
            callbacks::retry_one,
        ),
    ]
}
