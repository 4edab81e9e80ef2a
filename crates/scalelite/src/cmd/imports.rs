//! `recordings import`, `imports` and `retry`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use app::ports::{Archive, Arrived, Stage};
use app::recordings::import::{Ended, Importer, LookError};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Failure, Session, clock_time};
use crate::output::table::{Cell, render};
use crate::output::{note, printable, say, say_text};

/// Archives that are listed.
const LISTED: u32 = 1000;
/// How often is looked whether somebody else has imported an archive.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl From<LookError> for Failure {
    fn from(error: LookError) -> Self {
        Self(format!("ERROR: {error}"))
    }
}

fn importer(session: &Session) -> Result<&Importer, Failure> {
    let none = || Failure("ERROR: there is no database for recordings".to_owned());
    session.importer.as_ref().ok_or_else(none)
}

/// Imports files, one after the other.
pub async fn import(session: &Session, files: &[PathBuf]) -> Result<(), Failure> {
    let importer = importer(session)?;
    let bar = bar(files.len());
    let mut failed = 0;
    for file in files {
        bar.set_message(printable(&file.display().to_string()));
        let told = import_one(importer, file).await?;
        bar.suspend(|| match &told {
            Ok(text) => say(format!("{}: {}", file.display(), printable(text))),
            Err(text) => note(format!("{}: {text}", file.display())),
        });
        failed += usize::from(told.is_err());
        bar.inc(1);
    }
    bar.finish_and_clear();
    match failed {
        0 => Ok(()),
        1 => Err(Failure("ERROR: one archive was not imported".to_owned())),
        many => Err(Failure(format!("ERROR: {many} archives were not imported"))),
    }
}

/// What became of a file, in a line.
async fn import_one(importer: &Importer, file: &Path) -> Result<Result<String, String>, Failure> {
    let arrived = match importer.spool.bring(file).await {
        Ok(arrived) => arrived,
        Err(error) => return Ok(Err(error.to_string())),
    };
    Ok(match importer.import(&arrived).await? {
        Ended::Done(records, None) => Ok(format!("imported {}", records.join(", "))),
        Ended::Done(_, Some(note)) => Ok(note),
        Ended::Later(reason) => Err(format!("{reason} (the server tries it again)")),
        Ended::Full(reason) => Err(reason),
        Ended::Quarantined(reason) => Err(format!("put aside: {reason}")),
        Ended::NotOurs => awaited(importer, &arrived).await?,
    })
}

/// A server that runs was faster.
async fn awaited(
    importer: &Importer,
    arrived: &Arrived,
) -> Result<Result<String, String>, Failure> {
    loop {
        let archives = importer.records.archives(LISTED).await?;
        let Some(archive) = archives.into_iter().find(|one| one.name == arrived.name) else {
            return Ok(Err("is not known any more".to_owned()));
        };
        let reason = archive.reason.unwrap_or_default();
        match archive.stage {
            Stage::Done => return Ok(Ok("imported by the server".to_owned())),
            Stage::Quarantined => return Ok(Err(format!("put aside: {reason}"))),
            Stage::Received if !reason.is_empty() => return Ok(Err(reason)),
            Stage::Received | Stage::Importing => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

fn bar(count: usize) -> ProgressBar {
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

/// Lists archives, what changed last first.
pub async fn list(session: &Session, as_json: bool) -> Result<(), Failure> {
    let archives = importer(session)?.records.archives(LISTED).await?;
    if as_json {
        let list: Vec<_> = archives.iter().map(as_value).collect();
        say(serde_json::Value::from(list).to_string());
        return Ok(());
    }
    let row = |archive: &Archive| {
        vec![
            Cell::text(printable(&archive.name)),
            Cell::text(archive.stage.name()),
            Cell::Number(archive.attempts.to_string()),
            Cell::Number(archive.size.to_string()),
            Cell::text(clock_time(archive.changed_at)),
            Cell::text(printable(archive.reason.as_deref().unwrap_or_default())),
        ]
    };
    let rows: Vec<_> = archives.iter().map(row).collect();
    say_text(render(&["ARCHIVE", "STATE", "ATTEMPTS", "BYTES", "SINCE", "REASON"], &rows));
    Ok(())
}

fn as_value(archive: &Archive) -> serde_json::Value {
    json!({
        "name": archive.name,
        "state": archive.stage.name(),
        "attempts": archive.attempts,
        "size": archive.size,
        "received_at": clock_time(archive.received_at),
        "changed_at": clock_time(archive.changed_at),
        "reason": archive.reason,
    })
}

/// Takes an archive out of quarantine and imports it.
pub async fn retry(session: &Session, name: &str) -> Result<(), Failure> {
    let importer = importer(session)?;
    let Some(arrived) = importer.retry(name).await? else {
        return Err(Failure(format!("ERROR: no archive {} in quarantine", printable(name))));
    };
    match importer.import(&arrived).await? {
        Ended::Done(records, _) => say(format!("imported {}", records.join(", "))),
        Ended::NotOurs => say("the server imports it"),
        Ended::Later(why) | Ended::Full(why) | Ended::Quarantined(why) => {
            return Err(Failure(format!("ERROR: {}", printable(&why))));
        }
    }
    Ok(())
}
