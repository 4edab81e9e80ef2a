//! `recordings index` and `recordings move-storage`: rows for files without them, and files for
//! another storage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::audit::{self, AuditEvent};
use app::ports::{BlobError, Blobs, RecordingFormatId, Visibility};
use app::recordings::index::{IndexError, IndexOutcome, index_files};
use app::recordings::storage_move::{MoveCounts, StorageMove};
use indicatif::ProgressBar;
use serde_json::json;

use super::recordings::recording_store;
use super::{CommandContext, CommandFailure};
use crate::config::Config;
use crate::output::{print_line, print_note, printable};
use crate::wiring::recordings::{
    build_blobs_below, build_copier, build_directory_blobs, build_s3_blobs, published_below,
};

impl From<IndexError> for CommandFailure {
    fn from(error: IndexError) -> Self {
        Self(format!("ERROR: {error}; run it again to continue"))
    }
}

impl From<BlobError> for CommandFailure {
    fn from(error: BlobError) -> Self {
        Self(format!("ERROR: {error}; run it again to continue"))
    }
}

/// Writes rows for the files of recordings that have none.
pub async fn index(
    context: &CommandContext,
    dir: Option<&Path>,
    dry_run: bool,
) -> Result<(), CommandFailure> {
    let store = recording_store(context)?;
    let config = &context.config;
    let mut app = context.app.clone();
    let mut visibilities = Visibility::NOT_DELETED.to_vec();
    if let Some(dir) = dir {
        visibilities = vec![choose_visibility(config, dir)];
        // The directory is indexed as it is, also if recordings are kept in a bucket.
        app.blobs = build_directory_blobs(config);
    }
    let bar = ProgressBar::new_spinner();
    let report = |id: &RecordingFormatId, visibility: Visibility, outcome: &IndexOutcome| {
        let place = if visibility == Visibility::Published { "published" } else { "unpublished" };
        let outcome = match outcome {
            IndexOutcome::Indexed if dry_run => "would be indexed".to_owned(),
            IndexOutcome::Indexed => "indexed".to_owned(),
            IndexOutcome::Deleted => "left out: the recording was deleted".to_owned(),
            IndexOutcome::Unusable(reason) => format!("left out: {}", printable(reason)),
        };
        let line = format!("{}\t{}\t{place}\t{outcome}", id.record_id, id.format);
        bar.suspend(|| print_line(line));
    };
    let progress = |found: u64| bar.set_message(format!("{found} formats"));
    let indexed = index_files(&app, store, &visibilities, dry_run, report, progress).await;
    bar.finish_and_clear();
    let counts = indexed?;
    if !dry_run {
        let after = json!({ "formats": counts.indexed });
        audit::record(&context.app, AuditEvent::new("recordings.index").after(after)).await;
    }
    let outcome = if dry_run { "would be indexed" } else { "indexed" };
    print_note(format!(
        "{} formats found, {} {outcome}, {} left out",
        counts.found, counts.indexed, counts.left
    ));
    Ok(())
}

/// The visibility of recordings in a directory that the settings name.
fn choose_visibility(config: &Config, dir: &Path) -> Visibility {
    let is_same = |other: &Path| {
        let [dir, other] = [dir, other].map(std::fs::canonicalize);
        dir.is_ok_and(|dir| other.is_ok_and(|other| dir == other))
    };
    match is_same(&config.recording_unpublish_dir) {
        true => Visibility::Unpublished,
        false => Visibility::Published,
    }
}

/// Copies the files of all recordings to a bucket (`s3`) or below a directory, and removes them at
/// the source on request.
pub async fn move_storage(
    context: &CommandContext,
    to: &str,
    remove_source: bool,
) -> Result<(), CommandFailure> {
    recording_store(context)?;
    let config = &context.config;
    let (source, target, is_served) = choose_storages(context, to)?;
    if remove_source && !is_served {
        return Err(CommandFailure(
            "ERROR: recordings are served from the source. First let the server use the target \
             (S3_RECORDING, or the directories), then remove them"
                .to_owned(),
        ));
    }
    let copier = build_copier(config, source.clone(), target.clone());
    let storage_move = StorageMove {
        source: source.as_ref(),
        target: target.as_ref(),
        copier: copier.as_ref(),
        remove_source,
    };
    let bar = ProgressBar::new_spinner();
    let report = |id: &RecordingFormatId, reason: &str| {
        let line = format!("{}\t{}\t{}", id.record_id, id.format, printable(reason));
        bar.suspend(|| print_note(line));
    };
    let progress = |counts: &MoveCounts| {
        bar.set_message(format!("{} formats, {} copied", counts.found, counts.copied));
        bar.tick();
    };
    let moved = storage_move.run(report, progress).await;
    bar.finish_and_clear();
    let counts = moved?;
    let after = json!({ "copied": counts.copied, "removed": counts.removed });
    let event = AuditEvent::new("recordings.move_storage").named(to).after(after);
    audit::record(&context.app, event).await;
    print_line(format!(
        "{} formats: {} copied, {} were there already, {} removed at the source, {} failed",
        counts.found, counts.copied, counts.unchanged, counts.removed, counts.failed
    ));
    match counts.failed {
        0 => Ok(()),
        _ => Err(CommandFailure("ERROR: not everything was copied; run it again".to_owned())),
    }
}

/// A storage of files.
type Storage = Arc<dyn Blobs>;

/// Returns source and target of a move, and whether the server uses the target already.
fn choose_storages(
    context: &CommandContext,
    to: &str,
) -> Result<(Storage, Storage, bool), CommandFailure> {
    let config = &context.config;
    let in_use = context.app.blobs.clone();
    if to == "s3" {
        return match config.s3_recording {
            true => Ok((build_directory_blobs(config), in_use, true)),
            false => Ok((in_use, build_s3_blobs(config)?, false)),
        };
    }
    let dir = PathBuf::from(to);
    if !dir.is_absolute() {
        return Err(CommandFailure("ERROR: --to must be s3 or an absolute path".to_owned()));
    }
    let is_used = !config.s3_recording && config.recording_publish_dir == published_below(&dir);
    if !is_used {
        return Ok((in_use, build_blobs_below(&dir), false));
    }
    // The directories are in use: what is left in the bucket is moved.
    Ok((build_s3_blobs(config)?, in_use, true))
}
