//! Archives of deleted recordings: they are set aside, and brought back if somebody wants the
//! recording after all.

use super::importer::Importer;
use super::result::ScanError;
use crate::ports::SpooledArchive;
use crate::recordings::trash_time::find_trash_ms;

/// How long an archive of a deleted recording is kept without `RECORDING_TRASH_DAYS`, in ms.
pub const DEFAULT_SET_ASIDE_MS: i64 = 30 * 86_400_000;
/// What begins the list of deleted recordings in a reason.
const DELETED_BEFORE: &str = "deleted before: ";

/// The reason why an archive is set aside.
pub(super) fn describe_deleted(record_ids: &[String]) -> String {
    format!("{DELETED_BEFORE}{}", record_ids.join(", "))
}

/// Returns the deleted recordings that a reason names because of which an archive is kept.
pub fn deleted_ids(reason: &str) -> impl Iterator<Item = &str> {
    let listed = reason.split(DELETED_BEFORE).skip(1);
    let ids = listed.flat_map(|list| list.split(';').next().unwrap_or_default().split(", "));
    ids.map(str::trim)
}

/// Whether a reason says that an archive has files of this deleted recording.
fn names_deleted(reason: &str, record_id: &str) -> bool {
    deleted_ids(reason).any(|id| id == record_id)
}

impl Importer {
    /// Moves the archives back to the spool that were set aside because this recording was deleted.
    ///
    /// # Errors
    /// When the spool or the store cannot be used.
    pub async fn release_archives_of(
        &self,
        record_id: &str,
    ) -> Result<Vec<SpooledArchive>, ScanError> {
        let mut released = Vec::new();
        for kept in self.spool.list_kept_archives().await? {
            if names_deleted(&kept.reason, record_id) {
                released.extend(self.retry_archive(&kept.name).await?);
            }
        }
        Ok(released)
    }

    /// Removes archives that were set aside long ago.
    pub(super) async fn remove_expired_archives(&self) -> Result<(), ScanError> {
        if self.spool.list_kept_archives().await?.is_empty() {
            return Ok(());
        }
        let trash_ms = find_trash_ms(self.records.as_ref(), self.trash_ms).await?;
        let keep_ms = if trash_ms > 0 { trash_ms } else { DEFAULT_SET_ASIDE_MS };
        let now = self.clock.now();
        if !self.clock_watch.may_delete_by_age(now) {
            return Ok(());
        }
        for name in self.spool.remove_set_aside(now.plus_ms(-keep_ms)).await? {
            let days = keep_ms / 86_400_000;
            let reason = format!("removed after {days} days; its recording was deleted");
            tracing::info!(archive = name, days, "archive of a deleted recording removed");
            self.records.expire_archive(&name, &reason, now).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_recordings_are_found_in_reasons() {
        let reason = describe_deleted(&["a-1".to_owned(), "b-2".to_owned()]);
        let longer = format!("the rest was imported; {reason}; kept as x~2.tar");
        for reason in [&reason, &longer] {
            assert!(names_deleted(reason, "a-1") && names_deleted(reason, "b-2"), "{reason}");
            assert!(!names_deleted(reason, "b") && !names_deleted(reason, "kept as x~2.tar"));
        }
        assert!(!names_deleted("a-1: no tar archive", "a-1"));
    }
}
