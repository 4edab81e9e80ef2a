//! The directories through which recordings are imported: the spool, where archives arrive; the work directory, where they
//! are unpacked; and the quarantine, for archives that are kept because they were not imported.

mod copy;
mod growth;
mod kept;
mod locked_archive;
mod names;
mod uploads;

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::blocking::IMPORTS;
use app::ports::{
    KeptArchive, KeptPlace, RecordingFormatId, Spool, SpoolError, SpoolListing, SpooledArchive,
    UnpackedFormat,
};
use async_trait::async_trait;
use domain::Timestamp;
use rustix::fs::{FlockOperation, flock};

use self::copy::copy_into_spool;
use self::growth::GrowthTracker;
use self::locked_archive::LockedArchive;
pub use self::uploads::{UploadDir, UploadLimits};
pub use crate::archive::ArchiveLimits;
use crate::archive::{self, ArchiveError, ExtractedFormat};
use crate::blobs::transfer::WORK_DIR_PREFIX as TRANSFER_DIR_PREFIX;
use crate::confined_dir::ConfinedDir;
use crate::directory_marks::{DirectoryMarks, check_guard};
use crate::leftovers;

/// Prefix of the names of work directories. The token of the import follows.
const WORK_DIR_PREFIX: &str = "import-";
/// A directory of a move to another storage is abandoned at this age.
const TRANSFER_MAX_AGE: Duration = Duration::from_secs(86_400);
/// The file in a work directory that the importing process keeps locked. Its content is the name of the archive.
const LOCK_FILE: &str = ".lock";
/// Longest name of a file, in bytes.
const MAX_NAME_BYTES: u64 = 255;
/// How long a new work directory may exist before it has a lock file.
const LOCK_GRACE: Duration = Duration::from_secs(10);
const METADATA_FILE: &str = "metadata.xml";
/// Bytes of a metadata.xml that are read: one more than are allowed, so that a longer file is noticed.
const MAX_METADATA_BYTES: u64 = 1024 * 1024 + 1;
/// Maximum number of formats in an archive, of all its recordings together.
const MAX_FORMATS: usize = 5000;
/// Maximum size of all metadata files of an archive.
const MAX_ALL_METADATA_BYTES: usize = 32 << 20;

/// The spool, work and quarantine directories. They are the original's.
#[derive(Clone, Debug)]
pub struct SpoolDir {
    state: Arc<SpoolState>,
}

#[derive(Debug)]
struct SpoolState {
    spool: PathBuf,
    work: PathBuf,
    quarantine: PathBuf,
    limits: ArchiveLimits,
    /// Directories besides the work directory that take the files of recordings.
    targets: Vec<PathBuf>,
    /// Says whether the directories may be used.
    marks: Option<Arc<DirectoryMarks>>,
    growth: Mutex<GrowthTracker>,
    /// The archives that this process has unpacked and not yet released.
    locked_archives: Mutex<Vec<LockedArchive>>,
}

impl SpoolDir {
    /// Creates a spool on the directories of `RECORDING_SPOOL_DIR`, `RECORDING_WORK_DIR` and
    /// `RECORDING_QUARANTINE_DIR`, which are created when they are first needed.
    #[must_use]
    pub fn new(spool: PathBuf, work: PathBuf, quarantine: PathBuf) -> Self {
        Self::with_limits(spool, work, quarantine, ArchiveLimits::default(), Vec::new(), None)
    }

    /// Creates a spool with limits for archives. `targets` are the directories that take the files of recordings: the
    /// reserve is left free there as well. Nothing is done while directories that are marked are missing or not mounted.
    #[must_use]
    pub fn with_limits(
        spool: PathBuf,
        work: PathBuf,
        quarantine: PathBuf,
        limits: ArchiveLimits,
        targets: Vec<PathBuf>,
        marks: Option<Arc<DirectoryMarks>>,
    ) -> Self {
        let state = SpoolState {
            spool,
            work,
            quarantine,
            limits,
            targets,
            marks,
            growth: Mutex::default(),
            locked_archives: Mutex::default(),
        };
        Self { state: Arc::new(state) }
    }

    /// Runs `work` on a thread for blocking operations.
    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SpoolState) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let state = Arc::clone(&self.state);
        let guarded = move || {
            check_guard(state.marks.as_ref()).map_err(spool_error)?;
            work(&state)
        };
        match IMPORTS.run(guarded).await {
            Ok(result) => result,
            Err(error) => Err(SpoolError::Unavailable(error.to_string())),
        }
    }
}

#[async_trait]
impl Spool for SpoolDir {
    async fn scan_spool(&self) -> Result<SpoolListing, SpoolError> {
        self.run_blocking(|state| {
            // A deployment that never receives archives has no spool directory.
            let Some(dir) = open_dir(&state.spool).map_err(spool_error)? else {
                return Ok(SpoolListing::default());
            };
            locked_archive::restore_pending_removals(&dir).map_err(spool_error)?;
            names::rename_unusable(&dir, &state.spool).map_err(spool_error)?;
            let mut growth = state.growth.lock().unwrap_or_else(PoisonError::into_inner);
            growth.scan(&dir).map_err(spool_error)
        })
        .await
    }

    async fn count_free_bytes(&self) -> Result<Option<u64>, SpoolError> {
        self.run_blocking(|state| {
            make_dir(&state.work).map_err(spool_error)?;
            let mut least: Option<u64> = None;
            for dir in std::iter::once(&state.work).chain(&state.targets) {
                let Some(dir) = open_dir(dir).map_err(spool_error)? else { continue };
                let free = dir.count_free_bytes().map_err(spool_error)?;
                let free = free.map(|free| free.saturating_sub(state.limits.min_free));
                least = least.into_iter().chain(free).min();
            }
            Ok(least)
        })
        .await
    }

    async fn copy_into_spool(&self, file: &Path) -> Result<SpooledArchive, SpoolError> {
        let file = file.to_owned();
        self.run_blocking(move |state| {
            let spool = make_dir(&state.spool).map_err(spool_error)?;
            copy_into_spool(&file, &spool)
        })
        .await
    }

    async fn unpack_archive(
        &self,
        name: &str,
        token: &str,
    ) -> Result<Vec<UnpackedFormat>, SpoolError> {
        let (name, token) = (name.to_owned(), token.to_owned());
        self.run_blocking(move |state| state.unpack_archive(&name, &token)).await
    }

    async fn remove_archive(&self, name: &str, token: &str) -> Result<(), SpoolError> {
        let (name, token) = (name.to_owned(), token.to_owned());
        self.run_blocking(move |state| {
            if let Some(archive) = state.release_archive(&token) {
                archive.remove_if_unchanged(
                    &make_dir(&state.spool).map_err(spool_error)?,
                    &name,
                    &token,
                )?;
            }
            state.remove_work_dir(&token)
        })
        .await
    }

    async fn discard_unpacked(&self, token: &str) -> Result<(), SpoolError> {
        let token = token.to_owned();
        self.run_blocking(move |state| {
            state.release_archive(&token);
            state.remove_work_dir(&token)
        })
        .await
    }

    async fn keep_archive(
        &self,
        name: &str,
        token: &str,
        place: KeptPlace,
        reason: &str,
    ) -> Result<Option<String>, SpoolError> {
        let (name, token, reason) = (name.to_owned(), token.to_owned(), reason.to_owned());
        self.run_blocking(move |state| state.keep_archive(&name, &token, place, &reason)).await
    }

    async fn list_kept_archives(&self) -> Result<Vec<KeptArchive>, SpoolError> {
        self.run_blocking(|state| state.list_kept().map_err(spool_error)).await
    }

    async fn release_kept(&self, name: &str) -> Result<Option<SpooledArchive>, SpoolError> {
        let name = name.to_owned();
        self.run_blocking(move |state| state.release_kept(&name).map_err(spool_error)).await
    }

    async fn remove_set_aside(&self, before: Timestamp) -> Result<Vec<String>, SpoolError> {
        self.run_blocking(move |state| state.remove_set_aside(before).map_err(spool_error)).await
    }

    async fn clean_up_after_crash(&self) -> Result<Vec<(String, String)>, SpoolError> {
        self.run_blocking(|state| state.remove_abandoned().map_err(spool_error)).await
    }
}

impl SpoolState {
    fn unpack_archive(&self, name: &str, token: &str) -> Result<Vec<UnpackedFormat>, SpoolError> {
        let spool = make_dir(&self.spool).map_err(spool_error)?;
        let opened = spool.open_file(name).map_err(spool_error)?;
        let (file, stat) = opened.ok_or(SpoolError::Missing)?;
        let work = make_dir(&self.work).map_err(spool_error)?;
        let dir = work.make_dir(work_dir_name(token)).map_err(spool_error)?;
        let mut lock = dir.create_file(LOCK_FILE).map_err(spool_error)?;
        // On a file system without locks nothing is locked; the claim on the import then expires by itself.
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap_or_default();
        lock.write_all(name.as_bytes()).map_err(spool_error)?;
        self.add_locked_archive(LockedArchive::new(token, &stat, lock));
        let formats = archive::unpack(file, &dir, &self.limits).map_err(|error| match error {
            ArchiveError::Invalid(reason) => SpoolError::InvalidArchive(reason),
            ArchiveError::Io(error) => spool_error(error),
        })?;
        if formats.len() > MAX_FORMATS {
            let reason = format!("the archive holds more than {MAX_FORMATS} formats");
            return Err(SpoolError::InvalidArchive(reason));
        }
        let root = self.work.join(work_dir_name(token));
        let unpacked = formats.into_iter().map(|format| read_format(&root, &dir, format));
        let unpacked = unpacked.collect::<Result<Vec<_>, _>>()?;
        let sizes = unpacked.iter().flat_map(|format| &format.metadata).map(Vec::len);
        if sizes.sum::<usize>() > MAX_ALL_METADATA_BYTES {
            let reason = "the metadata files of the archive are too long together".to_owned();
            return Err(SpoolError::InvalidArchive(reason));
        }
        Ok(unpacked)
    }

    fn add_locked_archive(&self, archive: LockedArchive) {
        self.locked_archives.lock().unwrap_or_else(PoisonError::into_inner).push(archive);
    }

    /// Removes and returns the archive that was unpacked with this token. Its lock ends when it is dropped.
    fn release_archive(&self, token: &str) -> Option<LockedArchive> {
        let mut archives = self.locked_archives.lock().unwrap_or_else(PoisonError::into_inner);
        let index = archives.iter().position(|archive| archive.token == token)?;
        Some(archives.swap_remove(index))
    }

    /// Removes a work directory. One that cannot be removed is named in the log, and is tried again by the next scan.
    fn remove_work_dir(&self, token: &str) -> Result<(), SpoolError> {
        let work = make_dir(&self.work).map_err(spool_error)?;
        let name = work_dir_name(token);
        if let Err(error) = work.remove_tree(&name) {
            leftovers::warn_once(&self.work.join(name), &error);
        }
        Ok(())
    }

    /// Removes work directories that are not locked, since a crash has left them behind, and uploads that their senders
    /// have not continued for a week. Returns the archive and the token of each work directory. What cannot be opened or
    /// removed is named in the log, and stays.
    fn remove_abandoned(&self) -> io::Result<Vec<(String, String)>> {
        let mut abandoned = Vec::new();
        if let Some(spool) = open_dir(&self.spool)? {
            uploads::remove_abandoned(&spool, &self.spool)?;
        }
        let Some(work) = open_dir(&self.work)? else { return Ok(abandoned) };
        for name in work.names()? {
            let token = name.to_str().and_then(|name| name.strip_prefix(WORK_DIR_PREFIX));
            let Some(token) = token else {
                remove_old_transfer(&work, &self.work, &name);
                continue;
            };
            let removed = match find_abandoned(&work, &name) {
                Ok(Some(archive)) => {
                    abandoned.extend(archive.map(|archive| (archive, token.to_owned())));
                    work.remove_tree(&name)
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = removed {
                leftovers::warn_once(&self.work.join(&name), &error);
            }
        }
        Ok(abandoned)
    }
}

/// Removes a directory of a move to another storage that a crash has left behind a day ago.
fn remove_old_transfer(work: &ConfinedDir, work_path: &Path, name: &OsStr) {
    let is_transfer = name.to_str().is_some_and(|name| name.starts_with(TRANSFER_DIR_PREFIX));
    let is_old = || match work.open_dir(name)? {
        Some(dir) => dir.is_older_than(TRANSFER_MAX_AGE),
        None => Ok(false),
    };
    let removed = match is_transfer.then(is_old).transpose() {
        Ok(Some(true)) => work.remove_tree(name),
        checked => checked.map(drop),
    };
    if let Err(error) = removed {
        leftovers::warn_once(&work_path.join(name), &error);
    }
}

/// Finds out whether a crash has left a work directory behind; returns the name of its archive then, as far as it is
/// known.
fn find_abandoned(work: &ConfinedDir, name: &OsStr) -> io::Result<Option<Option<String>>> {
    let Some(dir) = work.open_dir(name)? else { return Ok(None) };
    let Some(lock) = dir.open_for_locking(LOCK_FILE)? else {
        // A work directory that is just being created has no lock file yet.
        return Ok(dir.is_older_than(LOCK_GRACE)?.then_some(None));
    };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(None);
    }
    let mut archive = String::new();
    lock.take(MAX_NAME_BYTES).read_to_string(&mut archive)?;
    Ok(Some(Some(archive)))
}

/// Describes an unpacked format and reads its metadata.
fn read_format(
    root: &Path,
    dir: &ConfinedDir,
    format: ExtractedFormat,
) -> Result<UnpackedFormat, SpoolError> {
    let ExtractedFormat { format_id, fault, left_out } = format;
    let path = root.join(format_id.format.as_str()).join(format_id.record_id.as_str());
    let metadata = match fault {
        Some(fault) => Err(fault),
        None => read_metadata(dir, &format_id).map_err(spool_error)?,
    };
    Ok(UnpackedFormat { format_id, dir: path, metadata, left_out })
}

/// Reads the metadata of an unpacked format. The inner error says why there is none.
fn read_metadata(
    dir: &ConfinedDir,
    format_id: &RecordingFormatId,
) -> io::Result<Result<Vec<u8>, String>> {
    let no_metadata = || Ok(Err("has no metadata.xml".to_owned()));
    let Some(format_dir) = dir.open_dir(format_id.format.as_str())? else { return no_metadata() };
    let Some(recording_dir) = format_dir.open_dir(format_id.record_id.as_str())? else {
        return no_metadata();
    };
    let Some((file, _)) = recording_dir.open_file(METADATA_FILE)? else { return no_metadata() };
    let mut bytes = Vec::new();
    file.take(MAX_METADATA_BYTES).read_to_end(&mut bytes)?;
    Ok(Ok(bytes))
}

fn work_dir_name(token: &str) -> String {
    format!("{WORK_DIR_PREFIX}{token}")
}

/// Opens a directory. Returns `None` if it does not exist.
fn open_dir(path: &Path) -> io::Result<Option<ConfinedDir>> {
    match ConfinedDir::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Opens a directory, and creates it if it does not exist.
fn make_dir(path: &Path) -> io::Result<ConfinedDir> {
    std::fs::create_dir_all(path)?;
    ConfinedDir::open(path)
}

fn spool_error(error: io::Error) -> SpoolError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            SpoolError::Full(error.to_string())
        }
        _ => SpoolError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
