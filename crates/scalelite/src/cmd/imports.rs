//! `recordings import`, `imports`, `retry` and `undelete`: imports of archives.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use app::admin::imports;
use app::audit::{self, AuditEvent};
use app::ports::{ArchiveRecord, ImportStage, SpooledArchive};
use app::recordings::import::{ImportResult, Importer, ScanError, deleted_ids};
use app::recordings::undelete::{UndeleteError, undelete_recording};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::balancer::{Balancer, RemoteBalancer};
use super::recordings::recording_store;
use super::{CommandContext, CommandFailure};
use crate::output::table::{Cell, render};
use crate::output::time::format_time;
use crate::output::{print_line, print_note, print_text, printable};

/// Most archives that are listed.
const MAX_LISTED_ARCHIVES: u32 = 1000;
/// How often the command checks whether another process has imported an archive.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

impl From<ScanError> for CommandFailure {
    fn from(error: ScanError) -> Self {
        Self(format!("ERROR: {error}"))
    }
}

pub(super) fn importer(context: &CommandContext) -> Result<&Importer, CommandFailure> {
    let missing = || CommandFailure("ERROR: there is no database of recordings".to_owned());
    context.importer.as_ref().ok_or_else(missing)
}

impl From<UndeleteError> for CommandFailure {
    fn from(error: UndeleteError) -> Self {
        Self(format!("ERROR: {error}"))
    }
}

/// Imports files one after the other. With `undelete`, deletions of recordings in them are lifted.
pub async fn import(
    context: &CommandContext,
    files: &[PathBuf],
    undelete: bool,
) -> Result<(), CommandFailure> {
    let importer = importer(context)?;
    let bar = progress_bar(files.len());
    let mut failed = 0;
    for file in files {
        bar.set_message(printable(&file.display().to_string()));
        let result = import_file(context, importer, file, undelete).await?;
        bar.suspend(|| match &result {
            Ok(text) => print_line(format!("{}: {}", file.display(), printable(text))),
            Err(text) => print_note(format!("{}: {text}", file.display())),
        });
        failed += usize::from(result.is_err());
        bar.inc(1);
    }
    bar.finish_and_clear();
    match failed {
        0 => Ok(()),
        1 => Err(CommandFailure("ERROR: one archive was not imported".to_owned())),
        count => Err(CommandFailure(format!("ERROR: {count} archives were not imported"))),
    }
}

/// Imports a file. The inner result describes in one line what was imported, or why it was not.
async fn import_file(
    context: &CommandContext,
    importer: &Importer,
    file: &Path,
    undelete: bool,
) -> Result<Result<String, String>, CommandFailure> {
    let archive = match importer.spool.copy_into_spool(file).await {
        Ok(archive) => archive,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let outcome = import_archive(importer, &archive).await?;
    audit::record(&context.app, AuditEvent::new("archive.import").named(&archive.name)).await;
    let ArchiveOutcome::SetAside(reason) = outcome else { return Ok(outcome.into_result()) };
    if !undelete {
        let advice = "`recordings import --undelete` brings it back";
        return Ok(Err(format!("set aside: {reason} ({advice})")));
    }
    let mut texts = Vec::new();
    for id in deleted_ids(&reason) {
        let lifted = undelete_one(context, id).await?;
        texts.extend(lifted.is_empty().then(|| format!("deletion of {id} lifted")));
        for result in lifted {
            match result {
                Ok(text) => texts.push(text),
                Err(text) => return Ok(Err(text)),
            }
        }
    }
    Ok(Ok(texts.join("; ")))
}

/// What became of an archive.
enum ArchiveOutcome {
    Imported(String),
    SetAside(String),
    Failed(String),
}

impl ArchiveOutcome {
    fn into_result(self) -> Result<String, String> {
        match self {
            Self::Imported(text) => Ok(text),
            Self::SetAside(reason) => Err(format!("set aside: {reason}")),
            Self::Failed(text) => Err(text),
        }
    }
}

async fn import_archive(
    importer: &Importer,
    archive: &SpooledArchive,
) -> Result<ArchiveOutcome, CommandFailure> {
    Ok(match importer.import_archive(archive).await? {
        ImportResult::Done(records, note) => {
            let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
            ArchiveOutcome::Imported(format!("imported {}{note}", records.join(", ")))
        }
        ImportResult::Postponed(reason) => {
            ArchiveOutcome::Failed(format!("{reason} (the server retries)"))
        }
        ImportResult::Full(reason) => ArchiveOutcome::Failed(reason),
        ImportResult::Quarantined(reason) => {
            ArchiveOutcome::Failed(format!("quarantined: {reason}"))
        }
        ImportResult::SetAside(archive) => ArchiveOutcome::SetAside(archive.reason),
        ImportResult::NotClaimed => {
            await_import(&archive.name, async || {
                Ok(importer.records.list_archives(MAX_LISTED_ARCHIVES).await?)
            })
            .await?
        }
    })
}

/// Lifts the deletion of recordings: they are restored from the trash, or the archives that were set
/// aside are imported.
pub async fn undelete(balancer: &Balancer, ids: &[String]) -> Result<(), CommandFailure> {
    let mut failed = 0;
    for id in ids {
        let results = match balancer {
            Balancer::Here(context) => undelete_one(context, id).await?,
            Balancer::There(remote) => undelete_there(remote, id).await?,
        };
        if results.is_empty() {
            print_note(format!(
                "{}: its deletion is lifted, but nothing of it is left here: send its archive again \
                 (bbb-record --rebuild on its BBB server)",
                printable(id)
            ));
            failed += 1;
        }
        for result in results {
            match result {
                Ok(text) => print_line(format!("{}: {}", printable(id), printable(&text))),
                Err(text) => {
                    print_note(format!("{}: {}", printable(id), printable(&text)));
                    failed += 1;
                }
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(CommandFailure("ERROR: not everything was brought back".to_owned())),
    }
}

/// Lifts the deletion of a recording. The results say what was brought back; there are none if
/// nothing of it is left.
async fn undelete_one(
    context: &CommandContext,
    id: &str,
) -> Result<Vec<Result<String, String>>, CommandFailure> {
    let store = recording_store(context)?;
    let importer = context.importer.as_ref();
    let undeleted = undelete_recording(&context.app, store, importer, id).await;
    let undeleted = undeleted.map_err(|error| match error {
        UndeleteError::NotDeleted => {
            CommandFailure(format!("ERROR: No deleted recording found with id: {}", printable(id)))
        }
        error => error.into(),
    })?;
    let mut results = Vec::new();
    if undeleted.restored {
        results.push(Ok("restored from the trash".to_owned()));
    }
    if let Some(importer) = importer {
        for archive in &undeleted.archives {
            results.push(import_archive(importer, archive).await?.into_result());
        }
    }
    Ok(results)
}

/// Waits for the import of an archive that a running server has claimed.
async fn await_import(
    name: &str,
    list: impl AsyncFn() -> Result<Vec<ArchiveRecord>, CommandFailure>,
) -> Result<ArchiveOutcome, CommandFailure> {
    loop {
        let Some(record) = list().await?.into_iter().find(|record| record.name == name) else {
            return Ok(ArchiveOutcome::Failed("no longer listed".to_owned()));
        };
        let reason = record.reason.unwrap_or_default();
        match record.stage {
            ImportStage::Done => {
                return Ok(ArchiveOutcome::Imported("imported by the server".to_owned()));
            }
            ImportStage::Quarantined => {
                return Ok(ArchiveOutcome::Failed(format!("quarantined: {reason}")));
            }
            ImportStage::SetAside => return Ok(ArchiveOutcome::SetAside(reason)),
            ImportStage::Received if !reason.is_empty() => {
                return Ok(ArchiveOutcome::Failed(reason));
            }
            ImportStage::Received | ImportStage::Importing => {
                tokio::time::sleep(CHECK_INTERVAL).await;
            }
        }
    }
}

fn progress_bar(count: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_bar} {eta} {msg}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Lists archives, the most recently changed first.
pub async fn list(balancer: &Balancer, as_json: bool) -> Result<(), CommandFailure> {
    let archives = balancer.list_archives().await?;
    if as_json {
        let list: Vec<_> = archives.iter().map(to_json).collect();
        print_line(serde_json::Value::from(list).to_string());
        return Ok(());
    }
    let row = |archive: &ArchiveRecord| {
        vec![
            Cell::text(printable(&archive.name)),
            Cell::text(archive.stage.name()),
            Cell::Number(archive.attempts.to_string()),
            Cell::Number(archive.size.to_string()),
            Cell::text(format_time(archive.changed_at)),
            Cell::text(printable(archive.reason.as_deref().unwrap_or_default())),
        ]
    };
    let rows: Vec<_> = archives.iter().map(row).collect();
    print_text(render(&["ARCHIVE", "STATE", "ATTEMPTS", "BYTES", "SINCE", "REASON"], &rows));
    Ok(())
}

fn to_json(archive: &ArchiveRecord) -> serde_json::Value {
    json!({
        "name": archive.name,
        "state": archive.stage.name(),
        "attempts": archive.attempts,
        "size": archive.size,
        "received_at": format_time(archive.received_at),
        "changed_at": format_time(archive.changed_at),
        "reason": archive.reason,
    })
}

fn not_kept(name: &str) -> CommandFailure {
    CommandFailure(format!("ERROR: no archive {} in quarantine", printable(name)))
}

/// Lifts the deletion of a recording of another balancer.
async fn undelete_there(
    remote: &RemoteBalancer,
    id: &str,
) -> Result<Vec<Result<String, String>>, CommandFailure> {
    match remote.undelete_recording(id).await {
        Ok(()) => Ok(vec![Ok("brought back".to_owned())]),
        Err(error) if error.is("not-deleted") || error.is("not-found") => Err(CommandFailure(
            format!("ERROR: No deleted recording found with id: {}", printable(id)),
        )),
        Err(error) => Ok(vec![Err(error.detail().to_owned())]),
    }
}

/// Imports an archive that is kept, in quarantine or aside.
pub async fn retry(balancer: &Balancer, name: &str) -> Result<(), CommandFailure> {
    let outcome = match balancer {
        Balancer::Here(context) => {
            let importer = importer(context)?;
            let archive = imports::retry(&context.app, importer, name).await?;
            let archive = archive.ok_or_else(|| not_kept(name))?;
            import_archive(importer, &archive).await?
        }
        Balancer::There(remote) => {
            if !remote.release_archive(name).await? {
                return Err(not_kept(name));
            }
            await_import(name, async || balancer.list_archives().await).await?
        }
    };
    match outcome.into_result() {
        Ok(text) => print_line(printable(&text)),
        Err(text) => return Err(CommandFailure(format!("ERROR: {}", printable(&text)))),
    }
    Ok(())
}
