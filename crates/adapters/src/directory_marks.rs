//! Marks in the directories of recordings, so that a directory on which no file system is mounted is not taken for an
//! empty spool or an empty library.
//!
//! A directory that holds something gets a mark, a small file, and its place is remembered in the data directory. A
//! directory with a mark is the right one. One without a mark that is remembered is refused if a file system was
//! mounted on it and none is now, or if it is empty and on another file system than before. Whoever removes a directory and makes it anew on
//! the same file system is believed: the new one is used and marked, and the log says so. An administrator who wants an
//! empty directory to be used makes the mark by hand.
//!
//! A directory that is missing is refused if a setting names it, if it is remembered, or if its parent exists; the
//! default directories of a machine that has never had recordings are not missed. Nor are those that this program makes when
//! it first needs them, beside something else, for example the spool.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::blocking::RECORDING_READS;
use app::ports::{DirectoryFault, RecordingDirs};
use async_trait::async_trait;

use crate::mounts::{DirPlace, find_unmounted};

/// Name of the mark in a directory.
pub const MARK_FILE: &str = ".scalelite-directory";
/// What the mark says to whoever finds it.
const EXPLANATION: &str = "Scalelite keeps recordings in this directory. Without this file it \
    refuses to use the directory if it is empty and another one was here before.\n";
/// Name of the file in the data directory that remembers the directories.
const MEMORY_FILE: &str = "directory-marks.json";
/// Longest such file that is read, in bytes.
const MAX_MEMORY_BYTES: usize = 64 * 1024;
/// Entries that an empty directory may have.
const IGNORED_ENTRIES: [&str; 2] = ["lost+found", MARK_FILE];

/// A directory of recordings.
#[derive(Clone, Debug)]
pub struct WatchedDir {
    /// The setting that names it.
    pub setting: &'static str,
    /// Its path.
    pub path: PathBuf,
    /// The path that the setting has by default.
    pub default_path: &'static str,
    /// Whether this program makes it when it first needs it.
    pub is_made_on_demand: bool,
}

/// The directories that are remembered, by their paths.
type Memory = BTreeMap<PathBuf, DirPlace>;

/// The state of a directory that may be used.
enum DirState {
    /// It is not there, and never was.
    NeverUsed,
    Marked(DirPlace),
    Unmarked(DirPlace, IsEmpty),
}

/// Whether a directory has no entries.
type IsEmpty = bool;

/// The directories of recordings, and where they are remembered.
#[derive(Clone, Debug)]
pub struct DirectoryMarks {
    dirs: Vec<WatchedDir>,
    memory: PathBuf,
    fstab: PathBuf,
}

impl DirectoryMarks {
    /// Watches these directories, and remembers them in the data directory, if there is one. `fstab` is `/etc/fstab`.
    #[must_use]
    pub fn new(dirs: Vec<WatchedDir>, data_dir: &Path, fstab: PathBuf) -> Self {
        Self { dirs, memory: data_dir.join(MEMORY_FILE), fstab }
    }

    /// Fails with the first fault that there is.
    ///
    /// # Errors
    /// The fault, as a sentence.
    pub fn check(&self) -> io::Result<()> {
        match self.find_faults().into_iter().next() {
            None => Ok(()),
            Some(DirectoryFault { setting, path, reason, .. }) => {
                Err(io::Error::other(format!("{setting}: {path}: {reason}")))
            }
        }
    }

    /// Finds the directories that must not be used.
    #[must_use]
    pub fn find_faults(&self) -> Vec<DirectoryFault> {
        let memory = self.read_memory();
        let fault = |dir| self.judge(dir, &memory).err();
        self.dirs.iter().filter_map(fault).collect()
    }

    /// Judges whether a directory may be used.
    fn judge(&self, dir: &WatchedDir, memory: &Memory) -> Result<DirState, DirectoryFault> {
        let shown = dir.path.display();
        let fault = |reason: String, advice: String| DirectoryFault {
            setting: dir.setting,
            path: shown.to_string(),
            reason,
            advice,
        };
        let remembered = memory.get(&dir.path);
        let accept = format!("to use it as it is: touch {shown}/{MARK_FILE}");
        let place = match DirPlace::of(&dir.path) {
            Ok(place) if dir.path.is_dir() => place,
            Ok(_) => {
                return Err(fault("is not a directory".to_owned(), format!("set {}", dir.setting)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return if remembered.is_some() || dir.is_expected() {
                    let advice = "mount the file system that it is on, or create it, with the owner and \
                                  group that copy recordings into it (mode 0775)";
                    Err(fault("does not exist".to_owned(), advice.to_owned()))
                } else {
                    Ok(DirState::NeverUsed)
                };
            }
            Err(error) => return Err(fault(error.to_string(), "mount it again".to_owned())),
        };
        if dir.path.join(MARK_FILE).exists() {
            return Ok(DirState::Marked(place));
        }
        if let Some(point) = find_unmounted(&self.fstab, &dir.path) {
            let reason = format!("nothing is mounted at {}", point.display());
            let advice = format!("mount {}; {accept}", point.display());
            return Err(fault(reason, advice));
        }
        let is_empty = match is_empty(&dir.path) {
            Ok(is_empty) => is_empty,
            Err(error) => {
                let advice = "give the user that runs scalelite access to it";
                return Err(fault(format!("cannot be read: {error}"), advice.to_owned()));
            }
        };
        let is_replaced = remembered.is_some_and(|before| {
            (before.is_mount_point && !place.is_mount_point)
                || (is_empty && before.device != place.device)
        });
        if is_replaced {
            let reason =
                "is not the directory that was here before: its file system is not mounted";
            return Err(fault(reason.to_owned(), format!("mount it; {accept}")));
        }
        Ok(DirState::Unmarked(place, is_empty))
    }

    /// Marks and remembers the directories that may be used, if anything is in one of them.
    ///
    /// # Errors
    /// When what there is to remember cannot be written.
    pub fn remember(&self) -> io::Result<()> {
        let memory = self.read_memory();
        let judged = self.dirs.iter().map(|dir| (dir, self.judge(dir, &memory)));
        let usable: Vec<(&WatchedDir, DirState)> =
            judged.filter_map(|(dir, state)| Some((dir, state.ok()?))).collect();
        let holds =
            |state: &DirState| matches!(state, DirState::Marked(_) | DirState::Unmarked(_, false));
        if memory.is_empty() && !usable.iter().any(|(_, state)| holds(state)) {
            return Ok(());
        }
        let mut new_memory = memory.clone();
        for (dir, state) in usable {
            let place = match state {
                DirState::NeverUsed => continue,
                DirState::Marked(place) => place,
                DirState::Unmarked(place, _) => {
                    if memory.contains_key(&dir.path) {
                        tracing::warn!(
                            setting = dir.setting, path = %dir.path.display(),
                            "directory of recordings without its mark: it is a new one"
                        );
                    }
                    // Who may only read it keeps no memory of it either: there would be no mark to trust.
                    if let Err(error) = std::fs::write(dir.path.join(MARK_FILE), EXPLANATION) {
                        tracing::debug!(path = %dir.path.display(), %error, "directory not marked");
                        continue;
                    }
                    place
                }
            };
            new_memory.insert(dir.path.clone(), place);
        }
        if new_memory == memory { Ok(()) } else { self.write_memory(&new_memory) }
    }

    fn read_memory(&self) -> Memory {
        let text = std::fs::read(&self.memory).ok().filter(|text| text.len() <= MAX_MEMORY_BYTES);
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Writes the memory, if there is a data directory.
    fn write_memory(&self, memory: &Memory) -> io::Result<()> {
        let Some(data_dir) = self.memory.parent().filter(|dir| dir.is_dir()) else { return Ok(()) };
        let text = serde_json::to_vec_pretty(memory).map_err(io::Error::other)?;
        let temporary = data_dir.join(format!(".{MEMORY_FILE}-{}", std::process::id()));
        let written = std::fs::File::create(&temporary)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&temporary, &self.memory));
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }
}

impl WatchedDir {
    /// Whether the directory must exist: a setting names it, or the directories of recordings have a place here.
    fn is_expected(&self) -> bool {
        let Some(parent) = self.path.parent() else { return true };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        // An empty parent may be where nothing is mounted.
        if self.is_made_on_demand && is_empty(parent).is_ok_and(|is_empty| !is_empty) {
            return false;
        }
        self.path != Path::new(self.default_path) || parent.exists()
    }
}

fn is_empty(dir: &Path) -> io::Result<IsEmpty> {
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        if !IGNORED_ENTRIES.iter().any(|ignored| name == *ignored) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[async_trait]
impl RecordingDirs for DirectoryMarks {
    async fn find_directory_faults(&self) -> Vec<DirectoryFault> {
        let marks = self.clone();
        match RECORDING_READS.run_within(move || marks.find_faults()).await {
            Ok(faults) => faults,
            Err(error) => self
                .dirs
                .iter()
                .take(1)
                .map(|dir| DirectoryFault {
                    setting: dir.setting,
                    path: dir.path.display().to_string(),
                    reason: format!("the file system does not answer: {error}"),
                    advice: "check the file server of the directories of recordings".to_owned(),
                })
                .collect(),
        }
    }

    async fn remember_directories(&self) -> Result<(), String> {
        let marks = self.clone();
        let remembered = RECORDING_READS.run_within(move || marks.remember()).await;
        remembered.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

/// The marks that guard the changes of a directory, if there are any.
pub(crate) fn check_guard(marks: Option<&Arc<DirectoryMarks>>) -> io::Result<()> {
    marks.map_or(Ok(()), |marks| marks.check())
}

#[cfg(test)]
mod tests;
