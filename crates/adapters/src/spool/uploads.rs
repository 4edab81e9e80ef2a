//! Uploads of archives into the spool. An incomplete upload is a file whose name begins with a dot, so it is not imported.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use app::blocking::UPLOADS;
use app::ports::{Clock as _, UploadBytes, UploadError, UploadId, Uploads};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use rustix::fs::{FlockOperation, Stat, flock};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use super::make_dir;
use crate::confined_dir::ConfinedDir;
use crate::directory_marks::{DirectoryMarks, check_guard};
use crate::entropy::SystemClock;
use crate::leftovers;

/// Prefix of the names of incomplete uploads. The name of the archive follows.
const UPLOAD_PREFIX: &str = ".upload-";
/// An upload is abandoned if it was not continued for this long.
const ABANDONED_AFTER_S: i64 = 7 * 86_400;
/// Size of the buffer for writing, and for reading when the digest is checked.
const BUFFER_BYTES: usize = 1 << 20;

/// Bytes that an upload must bring within [`PACE_WINDOW`] to keep its place.
const MIN_WINDOW_BYTES: u64 = 256 * 1024;
/// The time within which an upload must make progress.
const PACE_WINDOW: Duration = Duration::from_secs(60);

/// Limits of uploads.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    /// `RECORDING_UPLOAD_QUOTA_BYTES`: bytes that one server may have in uploads that are not complete.
    pub quota_bytes: u64,
    /// `RECORDING_MIN_FREE`: bytes of the file system that are left free.
    pub min_free: u64,
}

/// Receives uploads into the spool directory.
#[derive(Clone, Debug)]
pub struct UploadDir {
    spool: PathBuf,
    limits: UploadLimits,
    /// Says whether the spool may be used.
    marks: Option<Arc<DirectoryMarks>>,
}

impl UploadDir {
    /// Creates a receiver for the directory of `RECORDING_SPOOL_DIR`.
    #[must_use]
    pub fn new(spool: PathBuf, limits: UploadLimits) -> Self {
        Self { spool, limits, marks: None }
    }

    /// Receives nothing while directories that are marked are missing or not mounted.
    #[must_use]
    pub fn guarded_by(self, marks: Arc<DirectoryMarks>) -> Self {
        Self { marks: Some(marks), ..self }
    }

    /// Runs `work` with the spool directory, on a thread for blocking operations.
    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, UploadError> + Send + 'static,
    ) -> Result<T, UploadError> {
        let (spool, marks) = (self.spool.clone(), self.marks.clone());
        let guarded = move || {
            check_guard(marks.as_ref()).map_err(upload_error)?;
            work(&spool)
        };
        match UPLOADS.run(guarded).await {
            Ok(result) => result,
            Err(error) => Err(UploadError::Unavailable(error.to_string())),
        }
    }
}

#[async_trait]
impl Uploads for UploadDir {
    async fn count_received_bytes(&self, upload: &UploadId) -> Result<u64, UploadError> {
        let name = unfinished_name(upload);
        self.run_blocking(move |spool| {
            let dir = make_dir(spool).map_err(upload_error)?;
            let file = dir.open_file(name).map_err(upload_error)?;
            Ok(file.map_or(0, |(_, stat)| u64::try_from(stat.st_size).unwrap_or_default()))
        })
        .await
    }

    async fn append_upload(
        &self,
        upload: &UploadId,
        offset: u64,
        total: u64,
        mut bytes: UploadBytes,
    ) -> Result<u64, UploadError> {
        let (opened, limits) = (upload.clone(), self.limits);
        let file = self
            .run_blocking(move |spool| open_upload(spool, &opened, offset, total, limits))
            .await?;
        let mut writer = UploadWriter { file: Arc::new(file), buffer: Vec::new() };
        let mut pace = Pace::new();
        let mut received = offset;
        let result = loop {
            match pace.await_chunk(&mut bytes).await {
                None => break Err(UploadError::Stalled),
                Some(None) => break Ok(()),
                Some(Some(Err(_))) => break Err(UploadError::Interrupted),
                Some(Some(Ok(chunk))) => {
                    let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                    let new_length = received.saturating_add(length);
                    if new_length > total {
                        break Err(UploadError::TooLarge);
                    }
                    writer.write(&chunk).await?;
                    received = new_length;
                }
            }
        };
        // The bytes received so far are kept even if the upload was interrupted.
        writer.flush().await?;
        result.map(|()| received)
    }

    async fn complete_upload(
        &self,
        upload: &UploadId,
        sha256: [u8; 32],
    ) -> Result<(), UploadError> {
        let upload = upload.clone();
        self.run_blocking(move |spool| complete_upload(spool, &upload, sha256)).await
    }
}

/// The name of the file of an upload that is not complete.
pub(super) fn unfinished_name(upload: &UploadId) -> String {
    format!("{}{}", uploader_prefix(upload), upload.archive_name())
}

/// How the names of a server's uploads begin.
fn uploader_prefix(upload: &UploadId) -> String {
    format!("{UPLOAD_PREFIX}{}-", upload.uploader)
}

/// Watches the pace of an upload, so that one that stalls does not keep its place.
struct Pace {
    window_end: Instant,
    window_bytes: u64,
}

impl Pace {
    fn new() -> Self {
        Self { window_end: Instant::now() + PACE_WINDOW, window_bytes: 0 }
    }

    /// Waits for the next chunk; `None` if too little has come within the time.
    async fn await_chunk(&mut self, bytes: &mut UploadBytes) -> Option<Option<io::Result<Bytes>>> {
        loop {
            let chunk = timeout_at(self.window_end, bytes.next()).await.ok();
            if let Some(Some(Ok(chunk))) = &chunk {
                let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                self.window_bytes = self.window_bytes.saturating_add(length);
            }
            // A sender of single bytes is never awaited until the end of the window.
            let now = Instant::now();
            if now >= self.window_end {
                if self.window_bytes < MIN_WINDOW_BYTES {
                    return None;
                }
                *self = Self { window_end: now + PACE_WINDOW, window_bytes: 0 };
            }
            if chunk.is_some() {
                return chunk;
            }
        }
    }
}

/// Writes an upload in large pieces, on the threads for uploads.
struct UploadWriter {
    file: Arc<File>,
    buffer: Vec<u8>,
}

impl UploadWriter {
    async fn write(&mut self, chunk: &[u8]) -> Result<(), UploadError> {
        self.buffer.extend_from_slice(chunk);
        if self.buffer.len() >= BUFFER_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), UploadError> {
        let (file, buffer) = (Arc::clone(&self.file), std::mem::take(&mut self.buffer));
        let written = UPLOADS.run(move || (&*file).write_all(&buffer)).await;
        let written = written.map_err(|error| UploadError::Unavailable(error.to_string()))?;
        written.map_err(upload_error)
    }
}

/// Opens and locks the file of an upload at `offset`, which must be its end; an offset of 0 starts the upload anew.
/// Fails if the whole upload would exceed the quota of its server, or the space.
fn open_upload(
    spool: &Path,
    upload: &UploadId,
    offset: u64,
    total: u64,
    limits: UploadLimits,
) -> Result<File, UploadError> {
    let dir = make_dir(spool).map_err(upload_error)?;
    let name = unfinished_name(upload);
    let others = count_other_bytes(&dir, upload, &name).map_err(upload_error)?;
    if others.saturating_add(total) > limits.quota_bytes {
        return Err(UploadError::QuotaExceeded);
    }
    let mut file = dir.open_or_create(&name).map_err(upload_error)?;
    lock_file(&file)?;
    let size = file.metadata().map_err(upload_error)?.len();
    if offset == 0 {
        file.set_len(0).map_err(upload_error)?;
    } else if offset != size {
        return Err(UploadError::WrongOffset(size));
    }
    let needed = total.saturating_sub(offset).saturating_add(limits.min_free);
    if dir.count_free_bytes().map_err(upload_error)?.is_some_and(|free| free < needed) {
        return Err(UploadError::Full);
    }
    file.seek(io::SeekFrom::Start(offset)).map_err(upload_error)?;
    Ok(file)
}

/// Counts the bytes of the other uploads of a server that are not complete.
fn count_other_bytes(dir: &ConfinedDir, upload: &UploadId, name: &str) -> io::Result<u64> {
    let prefix = uploader_prefix(upload);
    let mut bytes = 0_u64;
    for other in dir.names()? {
        if other == *name || !other.to_str().is_some_and(|other| other.starts_with(&prefix)) {
            continue;
        }
        if let Some((_, stat)) = dir.open_file(&other)? {
            bytes = bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or_default());
        }
    }
    Ok(bytes)
}

fn complete_upload(spool: &Path, upload: &UploadId, sha256: [u8; 32]) -> Result<(), UploadError> {
    let dir = make_dir(spool).map_err(upload_error)?;
    let unfinished = unfinished_name(upload);
    let Some(file) = dir.open_for_locking(&unfinished).map_err(upload_error)? else {
        return Err(UploadError::WrongOffset(0));
    };
    lock_file(&file)?;
    if hash_file(&file).map_err(upload_error)? != sha256 {
        dir.unlink(&unfinished).map_err(upload_error)?;
        return Err(UploadError::DigestMismatch);
    }
    file.sync_all().map_err(upload_error)?;
    rename_to_archive(&dir, &unfinished, &upload.archive_name()).map_err(upload_error)
}

fn rename_to_archive(dir: &ConfinedDir, unfinished: &str, name: &str) -> io::Result<()> {
    dir.replace(unfinished, dir, name)?;
    dir.sync()
}

/// Removes abandoned uploads.
pub(super) fn remove_abandoned(spool: &ConfinedDir, path: &Path) -> io::Result<()> {
    let now = SystemClock.now().0 / 1000;
    for name in spool.names()? {
        let Some(name) = name.to_str().filter(|name| name.starts_with(UPLOAD_PREFIX)) else {
            continue;
        };
        let is_old = |stat: &Stat| now - stat.st_mtime > ABANDONED_AFTER_S;
        let removed = match spool.open_file(name) {
            Ok(Some((_, stat))) if is_old(&stat) => spool.unlink(name),
            opened => opened.map(drop),
        };
        if let Err(error) = removed {
            leftovers::warn_once(&path.join(name), &error);
        }
    }
    Ok(())
}

fn hash_file(mut file: &File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// Locks the file of an upload, since only one request may write to it. A crash releases the lock.
fn lock_file(file: &File) -> Result<(), UploadError> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(UploadError::Busy),
        // On a file system without locks nothing is locked; a single sender writes from the beginning to the end.
        _ => Ok(()),
    }
}

fn upload_error(error: io::Error) -> UploadError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => UploadError::Full,
        _ => UploadError::Unavailable(error.to_string()),
    }
}
