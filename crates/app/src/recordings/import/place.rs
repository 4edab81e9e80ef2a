//! Stores the unpacked files, and moves them if the row says something else by now.

use domain::recording::Recording;
use domain::recording::catalog::{IncomingRecording, may_upload, merge_recording};

use super::importer::Importer;
use super::result::ImportFailure;
use super::unpack::UnpackedRecording;
use crate::ports::Visibility;

impl Importer {
    /// Stores the files of all formats with the visibility that the row is expected to have, and
    /// returns that visibility. `None` if the recording was deleted; its files are removed then.
    pub(super) async fn place_files(
        &self,
        unpacked: &UnpackedRecording,
        incoming: &IncomingRecording,
    ) -> Result<Option<Visibility>, ImportFailure> {
        let stored = self.records.find_recording(unpacked.record_id.as_str()).await?;
        let uploader = incoming.recording.details.uploaded_by.as_deref();
        if uploader.is_some_and(|uploader| !may_upload(stored.as_ref(), uploader)) {
            let reason = "the recording is not from the server that uploaded this: another server \
                has sent it, or it arrived in another way";
            return Err(ImportFailure::InvalidArchive(reason.to_owned()));
        }
        let Some(expected) = merge_recording(stored.as_ref(), &incoming.recording) else {
            self.remove_files(unpacked).await?;
            return Ok(None);
        };
        let visibility = row_visibility(&expected);
        for (format, _) in &unpacked.formats {
            self.blobs.put_format(&format.dir, &format.format_id, visibility).await?;
        }
        Ok(Some(visibility))
    }

    /// Moves the files from `current` to `wanted`, and again until the row agrees. False if the
    /// recording was deleted; its files are removed then.
    pub(super) async fn align_files(
        &self,
        unpacked: &UnpackedRecording,
        mut current: Visibility,
        mut wanted: Visibility,
    ) -> Result<bool, ImportFailure> {
        while current != wanted {
            for (format, _) in &unpacked.formats {
                self.blobs.move_format(&format.format_id, wanted).await?;
            }
            current = wanted;
            let row = self.records.find_recording(unpacked.record_id.as_str()).await?;
            let Some(row) = row.filter(|row| !row.is_deleted()) else {
                self.remove_files(unpacked).await?;
                return Ok(false);
            };
            wanted = row_visibility(&row);
        }
        Ok(true)
    }

    /// Removes the published and unpublished files of all formats of the archive.
    pub(super) async fn remove_files(
        &self,
        unpacked: &UnpackedRecording,
    ) -> Result<(), ImportFailure> {
        for (format, _) in &unpacked.formats {
            self.blobs.remove_format(&format.format_id, &Visibility::NOT_DELETED).await?;
        }
        Ok(())
    }
}

/// Where the files of a recording that is not deleted belong.
pub(super) fn row_visibility(recording: &Recording) -> Visibility {
    if recording.published { Visibility::Published } else { Visibility::Unpublished }
}
