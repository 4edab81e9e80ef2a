//! The spool directory, the directory for work and the one for quarantine.

mod growth;
mod locked_archive;
mod uploads;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::ports::{Entropy as _, Spool, SpoolError, SpoolListing, SpooledArchive, UnpackedFormat};
use async_trait::async_trait;
use rustix::fs::{FlockOperation, Stat, flock};

use self::growth::GrowthTracker;
use self::locked_archive::LockedArchive;
pub use self::uploads::UploadDir;
use crate::archive::{self, ArchiveError, ArchiveLimits, ExtractedFormat};
use crate::confined_dir::ConfinedDir;
use crate::entropy::OsEntropy;

/// What directories of work are named by; the token follows.
const WORK_DIR_PREFIX: &str = "import-";
/// The file in them that is locked by whoever is at it, and tells which archive it is.
const LOCK_FILE: &str = ".lock";
/// Longest name of a file, in bytes.
const MAX_NAME_BYTES: u64 = 255;
/// For so long a directory of work may be without a lock.
const LOCK_GRACE: Duration = Duration::from_secs(10);
const METADATA_FILE: &str = "metadata.xml";
/// One more byte than a metadata.xml may have.
const MAX_METADATA_BYTES: u64 = 1024 * 1024 + 1;

/// Directories of the original: archives arrive in one and are unpacked in another.
#[derive(Clone, Debug)]
pub struct SpoolDir {
    state: Arc<SpoolState>,
}

#[derive(Debug)]
struct SpoolState {
    spool: PathBuf,
    work: PathBuf,
    quarantine: PathBuf,
    growth: Mutex<GrowthTracker>,
    locked_archives: Mutex<Vec<LockedArchive>>,
}

impl SpoolDir {
    /// `RECORDING_SPOOL_DIR`, `RECORDING_WORK_DIR` and `RECORDING_QUARANTINE_DIR`, made when they are needed.
    #[must_use]
    pub fn new(spool: PathBuf, work: PathBuf, quarantine: PathBuf) -> Self {
        let (growth, held) = (Mutex::default(), Mutex::default());
        Self {
            state: Arc::new(SpoolState { spool, work, quarantine, growth, locked_archives: held }),
        }
    }

    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SpoolState) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let shared = Arc::clone(&self.state);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(done) => done,
            Err(broken) => Err(SpoolError::Unavailable(broken.to_string())),
        }
    }
}

#[async_trait]
impl Spool for SpoolDir {
    async fn scan_spool(&self) -> Result<SpoolListing, SpoolError> {
        self.run_blocking(|shared| {
            // Where nothing is ever sent there is no spool.
            let Some(dir) = open_dir(&shared.spool).map_err(spool_error)? else {
                return Ok(SpoolListing::default());
            };
            locked_archive::restore_pending_removals(&dir).map_err(spool_error)?;
            let mut growth = shared.growth.lock().unwrap_or_else(PoisonError::into_inner);
            growth.scan(&dir).map_err(spool_error)
        })
        .await
    }

    async fn copy_into_spool(&self, file: &Path) -> Result<SpooledArchive, SpoolError> {
        let file = file.to_owned();
        self.run_blocking(move |shared| {
            let spool = make_dir(&shared.spool).map_err(spool_error)?;
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
        self.run_blocking(move |shared| shared.unpack_archive(&name, &token)).await
    }

    async fn remove_archive(&self, name: &str, token: &str) -> Result<(), SpoolError> {
        let (name, token) = (name.to_owned(), token.to_owned());
        self.run_blocking(move |shared| {
            if let Some(held) = shared.release_archive(&token) {
                held.remove_if_unchanged(
                    &make_dir(&shared.spool).map_err(spool_error)?,
                    &name,
                    &token,
                )?;
            }
            shared.remove_work_dir(&token)
        })
        .await
    }

    async fn discard_unpacked(&self, token: &str) -> Result<(), SpoolError> {
        let token = token.to_owned();
        self.run_blocking(move |shared| {
            shared.release_archive(&token);
            shared.remove_work_dir(&token)
        })
        .await
    }

    async fn quarantine_archive(
        &self,
        name: &str,
        token: &str,
        reason: &str,
    ) -> Result<(), SpoolError> {
        let (name, token, reason) = (name.to_owned(), token.to_owned(), reason.to_owned());
        self.run_blocking(move |shared| {
            if let Some(held) = shared.release_archive(&token) {
                let (from, to) = (make_dir(&shared.spool), make_dir(&shared.quarantine));
                let (from, to) = (from.map_err(spool_error)?, to.map_err(spool_error)?);
                held.move_if_unchanged(&from, &to, &name)?;
                write_reason(&to, &name, &reason).map_err(spool_error)?;
            }
            shared.remove_work_dir(&token)
        })
        .await
    }

    async fn release_quarantined(&self, name: &str) -> Result<Option<SpooledArchive>, SpoolError> {
        let name = name.to_owned();
        self.run_blocking(move |shared| {
            let (from, to) = (make_dir(&shared.quarantine), make_dir(&shared.spool));
            let (from, to) = (from.map_err(spool_error)?, to.map_err(spool_error)?);
            let held = from.open_file(&name).map_err(spool_error)?;
            let Some((file, _)) = held else { return Ok(None) };
            let size = file.metadata().map_err(spool_error)?.len();
            let released = locked_archive::move_file(&from, &to, &name).map_err(spool_error)?;
            let _ = from.unlink(&reason_file_name(&name));
            Ok(released.then_some(SpooledArchive { name, size }))
        })
        .await
    }

    async fn clean_up_after_crash(&self) -> Result<Vec<(String, String)>, SpoolError> {
        self.run_blocking(|shared| shared.remove_abandoned().map_err(spool_error)).await
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
        // Where there are no locks, claims run out.
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap_or_default();
        lock.write_all(name.as_bytes()).map_err(spool_error)?;
        self.add_locked_archive(LockedArchive::new(token, &stat, lock));
        let limits = ArchiveLimits::default();
        let formats = archive::unpack(file, &dir, &limits).map_err(|error| match error {
            ArchiveError::Invalid(reason) => SpoolError::InvalidArchive(reason),
            ArchiveError::Io(error) => spool_error(error),
        })?;
        let root = self.work.join(work_dir_name(token));
        formats.into_iter().map(|format| read_format(&root, &dir, format)).collect()
    }

    fn add_locked_archive(&self, held: LockedArchive) {
        self.locked_archives.lock().unwrap_or_else(PoisonError::into_inner).push(held);
    }

    /// Lets go of the archive that this token unpacked.
    fn release_archive(&self, token: &str) -> Option<LockedArchive> {
        let mut held = self.locked_archives.lock().unwrap_or_else(PoisonError::into_inner);
        let at = held.iter().position(|held| held.token == token)?;
        Some(held.swap_remove(at))
    }

    fn remove_work_dir(&self, token: &str) -> Result<(), SpoolError> {
        let work = make_dir(&self.work).map_err(spool_error)?;
        work.remove_tree(work_dir_name(token)).map_err(spool_error)
    }

    /// Directories of work that nobody has locked are left by a crash, and uploads that nobody continues for a week by
    /// their senders.
    fn remove_abandoned(&self) -> io::Result<Vec<(String, String)>> {
        let mut left = Vec::new();
        if let Some(spool) = open_dir(&self.spool)? {
            uploads::remove_abandoned(&spool)?;
        }
        let Some(work) = open_dir(&self.work)? else { return Ok(left) };
        for name in work.names()? {
            let token = name.to_str().and_then(|name| name.strip_prefix(WORK_DIR_PREFIX));
            let (Some(token), Some(dir)) = (token, work.open_dir(&name)?) else { continue };
            match dir.open_file(LOCK_FILE)? {
                Some((lock, _)) => {
                    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                        continue;
                    }
                    let mut archive = String::new();
                    lock.take(MAX_NAME_BYTES).read_to_string(&mut archive)?;
                    left.push((archive, token.to_owned()));
                }
                // One that is being made has no lock yet.
                None if !dir.is_older_than(LOCK_GRACE)? => continue,
                None => {}
            }
            work.remove_tree(&name)?;
        }
        Ok(left)
    }
}

/// A format that was unpacked, with its metadata.
fn read_format(
    root: &Path,
    dir: &ConfinedDir,
    format: ExtractedFormat,
) -> Result<UnpackedFormat, SpoolError> {
    let ExtractedFormat { format_id: book, fault } = format;
    let path = root.join(book.format.as_str()).join(book.record_id.as_str());
    let metadata = match fault {
        Some(fault) => Err(fault),
        None => read_metadata(dir, &book).map_err(spool_error)?,
    };
    Ok(UnpackedFormat { format_id: book, dir: path, metadata })
}

fn read_metadata(
    dir: &ConfinedDir,
    book: &app::ports::RecordingFormatId,
) -> io::Result<Result<Vec<u8>, String>> {
    let none = || Ok(Err("has no metadata.xml".to_owned()));
    let Some(format) = dir.open_dir(book.format.as_str())? else { return none() };
    let Some(record) = format.open_dir(book.record_id.as_str())? else { return none() };
    let Some((file, _)) = record.open_file(METADATA_FILE)? else { return none() };
    let mut bytes = Vec::new();
    // One byte beyond what is allowed tells that it is too long.
    file.take(MAX_METADATA_BYTES).read_to_end(&mut bytes)?;
    Ok(Ok(bytes))
}

/// Copies a file into the spool, unless it is there already.
fn copy_into_spool(file: &Path, spool: &ConfinedDir) -> Result<SpooledArchive, SpoolError> {
    let name = file.file_name().and_then(OsStr::to_str).filter(|name| growth::is_archive(name));
    let no_name = || SpoolError::InvalidArchive("its name is not that of an archive".to_owned());
    let name = name.ok_or_else(no_name)?;
    let unreadable = |error: io::Error| SpoolError::InvalidArchive(error.to_string());
    let mut source = File::open(file).map_err(unreadable)?;
    let metadata = source.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(SpoolError::InvalidArchive("it is no file".to_owned()));
    }
    let there = spool.open_file(name).map_err(spool_error)?;
    let is_it = |stat: &Stat| (stat.st_dev, stat.st_ino) == (metadata.dev(), metadata.ino());
    if there.is_some_and(|(_, stat)| is_it(&stat)) {
        return Ok(SpooledArchive { name: name.to_owned(), size: metadata.len() });
    }
    let unfinished = format!(".brought-{}~{name}", OsEntropy.generate_uuid());
    let mut target = spool.create_file(&unfinished).map_err(spool_error)?;
    let copied = io::copy(&mut source, &mut target).and_then(|size| {
        target.sync_all().and_then(|()| spool.replace(&unfinished, spool, name)).map(|()| size)
    });
    match copied {
        Ok(size) => Ok(SpooledArchive { name: name.to_owned(), size }),
        Err(error) => {
            let _ = spool.unlink(&unfinished);
            Err(spool_error(error))
        }
    }
}

fn write_reason(dir: &ConfinedDir, name: &str, reason: &str) -> io::Result<()> {
    let name = reason_file_name(name);
    let unfinished = format!(".{name}");
    let _ = dir.unlink(&unfinished);
    let mut file = dir.create_file(&unfinished)?;
    writeln!(file, "{reason}")?;
    dir.replace(&unfinished, dir, &name)
}

fn reason_file_name(name: &str) -> String {
    format!("{name}.reason.txt")
}

fn work_dir_name(token: &str) -> String {
    format!("{WORK_DIR_PREFIX}{token}")
}

/// A directory, if it is there.
fn open_dir(path: &Path) -> io::Result<Option<ConfinedDir>> {
    match ConfinedDir::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// A directory, made if it is not there.
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
