//! Administrative actions on archives of recordings.

use crate::audit::{self, AuditEvent};
use crate::context::App;
use crate::ports::SpooledArchive;
use crate::recordings::import::{Importer, ScanError};

/// Moves an archive that is kept, in quarantine or aside, back to the spool; `None` if there is none of that name.
///
/// # Errors
/// When the spool or the store cannot be used.
pub async fn retry(
    app: &App,
    importer: &Importer,
    name: &str,
) -> Result<Option<SpooledArchive>, ScanError> {
    let released = importer.retry_archive(name).await?;
    if released.is_some() {
        audit::record(app, AuditEvent::new("archive.retry").named(name)).await;
    }
    Ok(released)
}
