//! Scans the spool and takes each archive through the steps of its import.

use std::collections::HashSet;

use serde_json::json;

use super::importer::Importer;
use super::incoming::build_incoming;
use super::result::{ImportFailure, ImportResult, ImportedArchive, ScanError, SetAsideArchive};
use super::unpack::{UnpackedArchive, UnpackedRecording};
use crate::audit::{self, AuditEvent};
use crate::context::App;
use crate::ports::{ArchiveRecord, ImportStage, SpooledArchive, UploadId};

/// The result of a scan of the spool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanResult {
    /// How many archives were imported.
    pub imported: usize,
    /// Whether some archives may still be growing.
    pub has_incomplete: bool,
    /// Whether some archives wait for another attempt.
    pub has_waiting: bool,
    /// Why an archive was not imported, if there was no space for it.
    pub full_reason: Option<String>,
    /// Archives that are kept since they were not imported, or not wholly.
    pub kept: Vec<UnimportedArchive>,
}

/// An archive that is kept for an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnimportedArchive {
    name: String,
    is_quarantined: bool,
    reason: String,
}

/// Notes in the audit which archives the balancer keeps since it could not import them.
pub fn note_kept(app: &App, kept: &[UnimportedArchive]) {
    for UnimportedArchive { name, is_quarantined, reason } in kept {
        let action = if *is_quarantined { "archive.quarantine" } else { "archive.set_aside" };
        let event = AuditEvent::new(action).named(name).after(json!({ "reason": reason }));
        audit::note_automatic(app, "import", event);
    }
}

impl UnimportedArchive {
    fn new(name: &str, is_quarantined: bool, reason: String) -> Self {
        Self { name: name.to_owned(), is_quarantined, reason }
    }
}

impl Importer {
    /// Imports the archives in the spool, one after the other. `stop` is called before each
    /// archive; if it returns true, no further import starts.
    ///
    /// # Errors
    /// When the spool or the store cannot be used.
    pub async fn scan(&self, stop: impl Fn() -> bool) -> Result<ScanResult, ScanError> {
        self.release_abandoned_claims().await?;
        self.remove_expired_archives().await?;
        let listing = self.spool.scan_spool().await?;
        let mut result =
            ScanResult { has_incomplete: listing.has_incomplete, ..ScanResult::default() };
        let names: HashSet<&str> = listing.complete.iter().map(|one| one.name.as_str()).collect();
        self.space_waits.retain(|name| names.contains(name));
        for spooled in &listing.complete {
            if stop() {
                break;
            }
            match self.import_if_it_fits(spooled).await? {
                ImportResult::Done(..) => result.imported += 1,
                ImportResult::Postponed(_) | ImportResult::NotClaimed => result.has_waiting = true,
                ImportResult::Full(reason) => {
                    // Smaller archives may still fit.
                    let first = result.full_reason.take();
                    result.full_reason = first.or(Some(format!("{}: {reason}", spooled.name)));
                }
                ImportResult::Quarantined(reason) => {
                    result.kept.push(UnimportedArchive::new(&spooled.name, true, reason));
                }
                ImportResult::SetAside(SetAsideArchive { reason, .. }) => {
                    result.kept.push(UnimportedArchive::new(&spooled.name, false, reason));
                }
            }
        }
        Ok(result)
    }

    /// Imports an archive, unless it is known not to fit: an attempt would fill the disk for a while.
    async fn import_if_it_fits(&self, spooled: &SpooledArchive) -> Result<ImportResult, ScanError> {
        let Some(free_bytes) = self.spool.count_free_bytes().await? else {
            return self.import_archive(spooled).await;
        };
        if let Err(reason) = self.space_waits.check(&spooled.name, spooled.size, free_bytes) {
            self.records.receive_archive(&spooled.name, spooled.size, self.clock.now()).await?;
            return Ok(ImportResult::Full(reason));
        }
        let result = self.import_archive(spooled).await;
        if matches!(result, Ok(ImportResult::Full(_))) {
            self.space_waits.note_full(&spooled.name, free_bytes);
        }
        result
    }

    /// Makes archives available again whose importer was killed, without waiting for the claim to
    /// expire.
    async fn release_abandoned_claims(&self) -> Result<(), ScanError> {
        for (name, token) in self.spool.clean_up_after_crash().await? {
            let (reason, now) = (Some("its importer was killed"), self.clock.now());
            self.records
                .record_import_result(&name, &token, ImportStage::Received, reason, now, now)
                .await?;
        }
        Ok(())
    }

    /// Imports one archive of the spool, if no other process has claimed it.
    ///
    /// # Errors
    /// When the spool or the store cannot be used.
    pub async fn import_archive(
        &self,
        spooled: &SpooledArchive,
    ) -> Result<ImportResult, ScanError> {
        let now = self.clock.now();
        self.records.receive_archive(&spooled.name, spooled.size, now).await?;
        let token = self.entropy.generate_uuid();
        let Some(archive) = self.claim_archive(&spooled.name, &token).await? else {
            return Ok(ImportResult::NotClaimed);
        };
        // A later attempt is news only if it ends otherwise.
        let (name, attempt) = (&archive.name, archive.attempts);
        match attempt {
            0 | 1 => tracing::info!(archive = name, attempt, "import started"),
            _ => tracing::debug!(archive = name, attempt, "import started"),
        }
        let imported = tokio::select! {
            imported = self.import_claimed_archive(&archive, &token) => imported,
            () = self.renew_claim_until_lost(&archive.name, &token) => {
                self.spool.discard_unpacked(&token).await?;
                return Ok(ImportResult::NotClaimed);
            }
        };
        let result = self.finish_import(&archive, &token, imported).await;
        match &result {
            Ok(result) => log_result(&archive, result),
            // Unpacked files would otherwise stay as long as this process runs.
            Err(_) => self.spool.discard_unpacked(&token).await?,
        }
        result
    }

    async fn import_claimed_archive(
        &self,
        archive: &ArchiveRecord,
        token: &str,
    ) -> Result<ImportedArchive, ImportFailure> {
        let unpacked = self.unpack_archive(&archive.name, token).await?;
        let UnpackedArchive { recordings, errors, left_out } = unpacked;
        let uploader = UploadId::from_archive_name(&archive.name).map(|upload| upload.uploader);
        let mut imported = ImportedArchive { errors, left_out, ..ImportedArchive::default() };
        for recording in &recordings {
            let record_id = recording.record_id.to_string();
            if self.import_recording(recording, uploader.as_deref()).await? {
                imported.record_ids.push(record_id);
            } else {
                imported.deleted_ids.push(record_id);
            }
        }
        Ok(imported)
    }

    /// Imports one recording of an archive; false if it was deleted before.
    async fn import_recording(
        &self,
        unpacked: &UnpackedRecording,
        uploader: Option<&str>,
    ) -> Result<bool, ImportFailure> {
        let metadata = unpacked.formats.iter().map(|(_, metadata)| metadata);
        let mut incoming = build_incoming(metadata, self.rules, self.clock.now());
        incoming.recording.details.uploaded_by = uploader.map(str::to_owned);
        match self.place_files(unpacked, &incoming).await? {
            Some(visibility) => self.record_recording(unpacked, &incoming, visibility).await,
            None => Ok(false),
        }
    }
}

fn log_result(record: &ArchiveRecord, result: &ImportResult) {
    let (archive, attempt) = (record.name.as_str(), record.attempts);
    match result {
        ImportResult::Done(records, note) => {
            tracing::info!(archive, records = records.join(","), note, "archive imported");
        }
        ImportResult::Postponed(reason) if attempt > 1 => {
            tracing::debug!(archive, attempt, reason, "import postponed");
        }
        ImportResult::Postponed(reason) => tracing::warn!(archive, reason, "import postponed"),
        ImportResult::Full(reason) if attempt > 1 => {
            tracing::debug!(archive, attempt, reason, "archive not imported: no space left");
        }
        ImportResult::Full(reason) => {
            tracing::error!(archive, reason, "archive not imported: no space left");
        }
        ImportResult::Quarantined(reason) => {
            tracing::error!(archive, reason, "archive quarantined");
        }
        ImportResult::SetAside(SetAsideArchive { record_ids, reason, .. }) => {
            let records = record_ids.join(",");
            tracing::warn!(archive, reason, records, "archive of a deleted recording set aside");
        }
        ImportResult::NotClaimed => {}
    }
}
