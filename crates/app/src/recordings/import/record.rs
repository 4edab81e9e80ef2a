//! Writes the row of an imported recording.

use domain::recording::catalog::IncomingRecording;

use super::importer::Importer;
use super::place::row_visibility;
use super::result::ImportFailure;
use super::unpack::UnpackedRecording;
use crate::ports::Visibility;

impl Importer {
    /// Writes the row; then moves the files if the row has another visibility than the one they
    /// were stored with. False if the recording was deleted; its files are removed then.
    pub(super) async fn record_recording(
        &self,
        unpacked: &UnpackedRecording,
        incoming: &IncomingRecording,
        stored_visibility: Visibility,
    ) -> Result<bool, ImportFailure> {
        let now = self.clock.now();
        let Some(imported) = self.records.import_recording(incoming, now).await? else {
            self.remove_files(unpacked).await?;
            return Ok(false);
        };
        self.align_files(unpacked, stored_visibility, row_visibility(&imported.recording)).await
    }
}
