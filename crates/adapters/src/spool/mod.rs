//! The spool directory, the directory for work and the one for quarantine.

mod growth;
mod taking;
mod uploads;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::ports::{Arrivals, Arrived, Entropy as _, Spool, SpoolError, Unpacked};
use async_trait::async_trait;
use rustix::fs::{FlockOperation, Stat, flock};

use self::growth::Growth;
use self::taking::Held;
pub use self::uploads::UploadDir;
use crate::archive::{self, ArchiveError, Format, Limits};
use crate::beneath::Dir;
use crate::entropy::OsEntropy;

/// What directories of work are named by; the token follows.
const WORK: &str = "import-";
/// The file in them that is locked by whoever is at it, and tells which archive it is.
const LOCK: &str = ".lock";
/// Longest name of a file, in bytes.
const NAME_MAX: u64 = 255;
/// For so long a directory of work may be without a lock.
const BEING_MADE: Duration = Duration::from_secs(10);
const METADATA: &str = "metadata.xml";
/// One more byte than a metadata.xml may have.
const METADATA_MAX: u64 = 1024 * 1024 + 1;

/// Directories of the original: archives arrive in one and are unpacked in another.
#[derive(Clone, Debug)]
pub struct SpoolDir {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    spool: PathBuf,
    work: PathBuf,
    quarantine: PathBuf,
    growth: Mutex<Growth>,
    held: Mutex<Vec<Held>>,
}

impl SpoolDir {
    /// `RECORDING_SPOOL_DIR`, `RECORDING_WORK_DIR` and `RECORDING_QUARANTINE_DIR`, made when they are needed.
    #[must_use]
    pub fn new(spool: PathBuf, work: PathBuf, quarantine: PathBuf) -> Self {
        let (growth, held) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { spool, work, quarantine, growth, held }) }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(done) => done,
            Err(broken) => Err(SpoolError::Unavailable(broken.to_string())),
        }
    }
}

#[async_trait]
impl Spool for SpoolDir {
    async fn arrivals(&self) -> Result<Arrivals, SpoolError> {
        self.run(|shared| {
            // Where nothing is ever sent there is no spool.
            let Some(dir) = opened(&shared.spool).map_err(spool_error)? else {
                return Ok(Arrivals::default());
            };
            taking::restore(&dir).map_err(spool_error)?;
            let mut growth = shared.growth.lock().unwrap_or_else(PoisonError::into_inner);
            growth.look(&dir).map_err(spool_error)
        })
        .await
    }

    async fn bring(&self, file: &Path) -> Result<Arrived, SpoolError> {
        let file = file.to_owned();
        self.run(move |shared| {
            let spool = made(&shared.spool).map_err(spool_error)?;
            bring(&file, &spool)
        })
        .await
    }

    async fn unpack(&self, name: &str, token: &str) -> Result<Vec<Unpacked>, SpoolError> {
        let (name, token) = (name.to_owned(), token.to_owned());
        self.run(move |shared| shared.unpack(&name, &token)).await
    }

    async fn finish(&self, name: &str, token: &str) -> Result<(), SpoolError> {
        let (name, token) = (name.to_owned(), token.to_owned());
        self.run(move |shared| {
            if let Some(held) = shared.release(&token) {
                held.take_away(&made(&shared.spool).map_err(spool_error)?, &name, &token)?;
            }
            shared.clear(&token)
        })
        .await
    }

    async fn abandon(&self, token: &str) -> Result<(), SpoolError> {
        let token = token.to_owned();
        self.run(move |shared| {
            shared.release(&token);
            shared.clear(&token)
        })
        .await
    }

    async fn quarantine(&self, name: &str, token: &str, reason: &str) -> Result<(), SpoolError> {
        let (name, token, reason) = (name.to_owned(), token.to_owned(), reason.to_owned());
        self.run(move |shared| {
            if let Some(held) = shared.release(&token) {
                let (from, to) = (made(&shared.spool), made(&shared.quarantine));
                let (from, to) = (from.map_err(spool_error)?, to.map_err(spool_error)?);
                held.put_aside(&from, &to, &name)?;
                write_reason(&to, &name, &reason).map_err(spool_error)?;
            }
            shared.clear(&token)
        })
        .await
    }

    async fn release(&self, name: &str) -> Result<Option<Arrived>, SpoolError> {
        let name = name.to_owned();
        self.run(move |shared| {
            let (from, to) = (made(&shared.quarantine), made(&shared.spool));
            let (from, to) = (from.map_err(spool_error)?, to.map_err(spool_error)?);
            let held = from.file(&name).map_err(spool_error)?;
            let Some((file, _)) = held else { return Ok(None) };
            let size = file.metadata().map_err(spool_error)?.len();
            let released = taking::transfer(&from, &to, &name).map_err(spool_error)?;
            let _ = from.unlink(&reason_name(&name));
            Ok(released.then_some(Arrived { name, size }))
        })
        .await
    }

    async fn sweep(&self) -> Result<Vec<(String, String)>, SpoolError> {
        self.run(|shared| shared.sweep().map_err(spool_error)).await
    }
}

impl Shared {
    fn unpack(&self, name: &str, token: &str) -> Result<Vec<Unpacked>, SpoolError> {
        let spool = made(&self.spool).map_err(spool_error)?;
        let opened = spool.file(name).map_err(spool_error)?;
        let (file, stat) = opened.ok_or(SpoolError::Gone)?;
        let work = made(&self.work).map_err(spool_error)?;
        let dir = work.make_sub(work_name(token)).map_err(spool_error)?;
        let mut lock = dir.create(LOCK).map_err(spool_error)?;
        // Where there are no locks, claims run out.
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap_or_default();
        lock.write_all(name.as_bytes()).map_err(spool_error)?;
        self.hold(Held::new(token, &stat, lock));
        let limits = Limits::default();
        let formats = archive::unpack(file, &dir, &limits).map_err(|error| match error {
            ArchiveError::Bad(reason) => SpoolError::Bad(reason),
            ArchiveError::Io(error) => spool_error(error),
        })?;
        let root = self.work.join(work_name(token));
        formats.into_iter().map(|format| found(&root, &dir, format)).collect()
    }

    fn hold(&self, held: Held) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(held);
    }

    /// Lets go of the archive that this token unpacked.
    fn release(&self, token: &str) -> Option<Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let at = held.iter().position(|held| held.token == token)?;
        Some(held.swap_remove(at))
    }

    fn clear(&self, token: &str) -> Result<(), SpoolError> {
        let work = made(&self.work).map_err(spool_error)?;
        work.remove_tree(work_name(token)).map_err(spool_error)
    }

    /// Directories of work that nobody has locked are left by a crash, and uploads that nobody continues for a week by
    /// their senders.
    fn sweep(&self) -> io::Result<Vec<(String, String)>> {
        let mut left = Vec::new();
        if let Some(spool) = opened(&self.spool)? {
            uploads::sweep(&spool)?;
        }
        let Some(work) = opened(&self.work)? else { return Ok(left) };
        for name in work.names()? {
            let token = name.to_str().and_then(|name| name.strip_prefix(WORK));
            let (Some(token), Some(dir)) = (token, work.sub(&name)?) else { continue };
            match dir.file(LOCK)? {
                Some((lock, _)) => {
                    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                        continue;
                    }
                    let mut archive = String::new();
                    lock.take(NAME_MAX).read_to_string(&mut archive)?;
                    left.push((archive, token.to_owned()));
                }
                // One that is being made has no lock yet.
                None if !dir.is_older_than(BEING_MADE)? => continue,
                None => {}
            }
            work.remove_tree(&name)?;
        }
        Ok(left)
    }
}

/// A format that was unpacked, with its metadata.
fn found(root: &Path, dir: &Dir, format: Format) -> Result<Unpacked, SpoolError> {
    let Format { book, fault } = format;
    let path = root.join(book.format.as_str()).join(book.record_id.as_str());
    let metadata = match fault {
        Some(fault) => Err(fault),
        None => read_metadata(dir, &book).map_err(spool_error)?,
    };
    Ok(Unpacked { book, dir: path, metadata })
}

fn read_metadata(dir: &Dir, book: &app::ports::Book) -> io::Result<Result<Vec<u8>, String>> {
    let none = || Ok(Err("has no metadata.xml".to_owned()));
    let Some(format) = dir.sub(book.format.as_str())? else { return none() };
    let Some(record) = format.sub(book.record_id.as_str())? else { return none() };
    let Some((file, _)) = record.file(METADATA)? else { return none() };
    let mut bytes = Vec::new();
    // One byte beyond what is allowed tells that it is too long.
    file.take(METADATA_MAX).read_to_end(&mut bytes)?;
    Ok(Ok(bytes))
}

/// Copies a file into the spool, unless it is there already.
fn bring(file: &Path, spool: &Dir) -> Result<Arrived, SpoolError> {
    let name = file.file_name().and_then(OsStr::to_str).filter(|name| growth::is_archive(name));
    let no_name = || SpoolError::Bad("its name is not that of an archive".to_owned());
    let name = name.ok_or_else(no_name)?;
    let unreadable = |error: io::Error| SpoolError::Bad(error.to_string());
    let mut source = File::open(file).map_err(unreadable)?;
    let metadata = source.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(SpoolError::Bad("it is no file".to_owned()));
    }
    let there = spool.file(name).map_err(spool_error)?;
    let is_it = |stat: &Stat| (stat.st_dev, stat.st_ino) == (metadata.dev(), metadata.ino());
    if there.is_some_and(|(_, stat)| is_it(&stat)) {
        return Ok(Arrived { name: name.to_owned(), size: metadata.len() });
    }
    let unfinished = format!(".brought-{}~{name}", OsEntropy.uuid());
    let mut target = spool.create(&unfinished).map_err(spool_error)?;
    let copied = io::copy(&mut source, &mut target).and_then(|size| {
        target.sync_all().and_then(|()| spool.replace(&unfinished, spool, name)).map(|()| size)
    });
    match copied {
        Ok(size) => Ok(Arrived { name: name.to_owned(), size }),
        Err(error) => {
            let _ = spool.unlink(&unfinished);
            Err(spool_error(error))
        }
    }
}

fn write_reason(dir: &Dir, name: &str, reason: &str) -> io::Result<()> {
    let name = reason_name(name);
    let unfinished = format!(".{name}");
    let _ = dir.unlink(&unfinished);
    let mut file = dir.create(&unfinished)?;
    writeln!(file, "{reason}")?;
    dir.replace(&unfinished, dir, &name)
}

fn reason_name(name: &str) -> String {
    format!("{name}.reason.txt")
}

fn work_name(token: &str) -> String {
    format!("{WORK}{token}")
}

/// A directory, if it is there.
fn opened(path: &Path) -> io::Result<Option<Dir>> {
    match Dir::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// A directory, made if it is not there.
fn made(path: &Path) -> io::Result<Dir> {
    std::fs::create_dir_all(path)?;
    Dir::open(path)
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
