//! `recordings import`, `imports` and `retry`: imports of archives.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use app::ports::{ArchiveRecord, ImportStage, SpooledArchive};
use app::recordings::import::{ImportResult, Importer, ScanError};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{CommandContext, CommandFailure, format_time};
use crate::output::table::{Cell, render};
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

fn importer(context: &CommandContext) -> Result<&Importer, CommandFailure> {
    let missing = || CommandFailure("ERROR: there is no database of recordings".to_owned());
    context.importer.as_ref().ok_or_else(missing)
}

/// Imports files one after the other.
pub async fn import(context: &CommandContext, files: &[PathBuf]) -> Result<(), CommandFailure> {
    let importer = importer(context)?;
    let bar = progress_bar(files.len());
    let mut failed = 0;
    for file in files {
        bar.set_message(printable(&file.display().to_string()));
        let result = import_file(importer, file).await?;
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
    importer: &Importer,
    file: &Path,
) -> Result<Result<String, String>, CommandFailure> {
    let archive = match importer.spool.copy_into_spool(file).await {
        Ok(archive) => archive,
        Err(error) => return Ok(Err(error.to_string())),
    };
    Ok(match importer.import_archive(&archive).await? {
        ImportResult::Done(records, None) => Ok(format!("imported {}", records.join(", "))),
        ImportResult::Done(_, Some(note)) => Ok(note),
        ImportResult::Postponed(reason) => Err(format!("{reason} (the server retries)")),
        ImportResult::Full(reason) => Err(reason),
        ImportResult::Quarantined(reason) => Err(format!("quarantined: {reason}")),
        ImportResult::NotClaimed => await_import(importer, &archive).await?,
    })
}

/// Waits for the import of an archive that a running server has claimed.
async fn await_import(
    importer: &Importer,
    archive: &SpooledArchive,
) -> Result<Result<String, String>, CommandFailure> {
    loop {
        let archives = importer.records.list_archives(MAX_LISTED_ARCHIVES).await?;
        let Some(record) = archives.into_iter().find(|record| record.name == archive.name) else {
            return Ok(Err("no longer listed".to_owned()));
        };
        let reason = record.reason.unwrap_or_default();
        match record.stage {
            ImportStage::Done => return Ok(Ok("imported by the server".to_owned())),
            ImportStage::Quarantined => return Ok(Err(format!("quarantined: {reason}"))),
            ImportStage::Received if !reason.is_empty() => return Ok(Err(reason)),
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
pub async fn list(context: &CommandContext, as_json: bool) -> Result<(), CommandFailure> {
    let archives = importer(context)?.records.list_archives(MAX_LISTED_ARCHIVES).await?;
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

/// Takes an archive out of quarantine and imports it.
pub async fn retry(context: &CommandContext, name: &str) -> Result<(), CommandFailure> {
    let importer = importer(context)?;
    let Some(archive) = importer.retry_archive(name).await? else {
        return Err(CommandFailure(format!("ERROR: no archive {} in quarantine", printable(name))));
    };
    match importer.import_archive(&archive).await? {
        ImportResult::Done(records, _) => print_line(format!("imported {}", records.join(", "))),
        ImportResult::NotClaimed => print_line("the running server imports it"),
        ImportResult::Postponed(reason)
        | ImportResult::Full(reason)
        | ImportResult::Quarantined(reason) => {
            return Err(CommandFailure(format!("ERROR: {}", printable(&reason))));
        }
    }
    Ok(())
}
