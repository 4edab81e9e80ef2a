//! Rows for a sample of the recordings: whether their files are where playback will look for them, and can be read.

use std::path::{Path, PathBuf};

use super::access::{ENTER, Identity, READ};
use super::rows::Row;
use crate::config::Config;
pub use crate::wiring::original::{Sample, SampledRecording};

/// Number of recordings that are looked at.
pub const SAMPLE_SIZE: u32 = 50;
/// Most files of a format that are looked at.
const MAX_FILES: usize = 500;
/// Deepest directory in a format.
const MAX_DEPTH: usize = 8;
/// Most names in a row.
const MAX_NAMES: usize = 5;

/// What can be wrong with a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Missing,
    Misplaced,
    Empty,
    Unreadable,
}

/// Rows for the files of the sample.
pub fn check(config: &Config, sample: &Sample, user: &Identity) -> Vec<Row> {
    let left =
        format!("files of {} of {} recordings", sample.recordings_sampled.len(), sample.recordings);
    if config.s3_recording {
        return vec![Row::note(
            left,
            "S3",
            "`scalelite recordings check` compares them with the bucket",
        )];
    }
    let mut found: Vec<(Fault, String)> = Vec::new();
    for recording in &sample.recordings_sampled {
        for format in &recording.formats {
            found.extend(check_format(config, recording, format, user));
        }
    }
    let mut rows: Vec<Row> = [
        (Fault::Missing, "have no files there: is the file system mounted, and is the directory right?"),
        (Fault::Empty, "have an empty directory: look for their files in your backup"),
        (
            Fault::Misplaced,
            "are in the other directory: `scalelite recordings check --repair` moves them, once `serve` has been started",
        ),
        (Fault::Unreadable, "cannot be read"),
    ]
    .into_iter()
    .filter_map(|(fault, text)| describe(&found, fault, text, user, &left))
    .collect();
    if rows.is_empty() {
        rows.push(Row::ok(left, "where playback looks"));
    }
    let plays = |format: &str| config.recording_playback_formats.0.iter().any(|one| one == format);
    let formats = sample.recordings_sampled.iter().flat_map(|recording| &recording.formats);
    let mut others: Vec<&String> = formats.clone().filter(|format| !plays(format)).collect();
    others.sort_unstable();
    others.dedup();
    for format in others {
        let advice = "not among RECORDING_PLAYBACK_FORMATS, and so not served";
        rows.push(Row::note(format!("format {format}"), "not served", advice));
    }
    let has_player = config.playback_player_dir.is_some() || config.playback_x_accel;
    if !has_player && formats.clone().any(|format| format == "presentation") {
        rows.push(Row::note(
            "BBB's player, in the original's nginx image",
            "a plain page with the videos",
            "PLAYBACK_PLAYER_DIR, or PLAYBACK_X_ACCEL=true if that nginx is kept (docs/playback.md)",
        ));
    }
    rows
}

fn describe(
    found: &[(Fault, String)],
    fault: Fault,
    text: &str,
    user: &Identity,
    left: &str,
) -> Option<Row> {
    let names: Vec<&str> =
        found.iter().filter(|(one, _)| *one == fault).map(|(_, name)| name.as_str()).collect();
    let more = if names.len() > MAX_NAMES { ", …" } else { "" };
    let shown: Vec<&str> = names.iter().take(MAX_NAMES).copied().collect();
    let who = if fault == Fault::Unreadable { format!(" by {}", user.name) } else { String::new() };
    let advice = format!("{} {text}{who}: {}{more}", names.len(), shown.join(", "));
    (!names.is_empty()).then(|| Row::act(left, format!("{} not", names.len()), advice))
}

/// What is wrong with a format of a recording, and its name or path.
fn check_format(
    config: &Config,
    recording: &SampledRecording,
    format: &str,
    user: &Identity,
) -> Option<(Fault, String)> {
    let (right, other) = match recording.is_published {
        true => (&config.recording_publish_dir, &config.recording_unpublish_dir),
        false => (&config.recording_unpublish_dir, &config.recording_publish_dir),
    };
    let place = |dir: &Path| dir.join(format).join(&recording.record_id);
    let (dir, other) = (place(right), place(other));
    if !dir.is_dir() {
        if user.find_barrier(&dir).is_some() {
            return Some((Fault::Unreadable, dir.display().to_string()));
        }
        let fault = if other.is_dir() { Fault::Misplaced } else { Fault::Missing };
        return Some((fault, dir.display().to_string()));
    }
    let mut files = 0;
    if let Some(path) = find_unreadable(&dir, user, 0, &mut files) {
        return Some((Fault::Unreadable, path.display().to_string()));
    }
    (files == 0).then(|| (Fault::Empty, dir.display().to_string()))
}

/// Finds a file or directory that the user may not read, and counts files.
fn find_unreadable(
    dir: &Path,
    user: &Identity,
    depth: usize,
    files: &mut usize,
) -> Option<PathBuf> {
    let metadata = std::fs::metadata(dir).ok()?;
    if !user.may(&metadata, READ | ENTER) {
        return Some(dir.to_owned());
    }
    let Ok(entries) = std::fs::read_dir(dir) else { return Some(dir.to_owned()) };
    for entry in entries.flatten() {
        if *files >= MAX_FILES {
            return None;
        }
        let path = entry.path();
        // Links are followed here as playback follows them; a broken one is no file.
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        if metadata.is_dir() {
            if depth < MAX_DEPTH
                && let Some(found) = find_unreadable(&path, user, depth + 1, files)
            {
                return Some(found);
            }
        } else {
            *files += 1;
            // Some file systems refuse what the mode allows, such as NFS without access for root.
            if !user.may(&metadata, READ) || std::fs::File::open(&path).is_err() {
                return Some(path);
            }
        }
    }
    None
}
