//! Uploads of archives into the spool. An incomplete upload is a file whose name begins with a dot, so it is not imported.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use app::ports::{Clock as _, UploadBytes, UploadError, Uploads};
use async_trait::async_trait;
use domain::recording::RecordId;
use futures_util::StreamExt as _;
use rustix::fs::{FlockOperation, Stat, flock};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::make_dir;
use crate::confined_dir::ConfinedDir;
use crate::entropy::SystemClock;
use crate::leftovers;

/// Prefix of the names of incomplete uploads. The name of the archive follows.
const UPLOAD_PREFIX: &str = ".upload-";
/// An upload is abandoned if it was not continued for this long.
const ABANDONED_AFTER_S: i64 = 7 * 86_400;
/// Size of the buffer for writing, and for reading when the digest is checked.
const BUFFER_BYTES: usize = 1 << 20;

/// Receives uploads into the spool directory.
#[derive(Clone, Debug)]
pub struct UploadDir {
    spool: PathBuf,
}

impl UploadDir {
    /// Creates a receiver for the directory of `RECORDING_SPOOL_DIR`.
    #[must_use]
    pub fn new(spool: PathBuf) -> Self {
        Self { spool }
    }

    /// Runs `work` with the spool directory and the name of the archive, on a thread for blocking operations.
    async fn run_blocking<T: Send + 'static>(
        &self,
        record_id: &RecordId,
        work: impl FnOnce(&Path, &str) -> Result<T, UploadError> + Send + 'static,
    ) -> Result<T, UploadError> {
        let (spool, name) = (self.spool.clone(), archive_name(record_id));
        match tokio::task::spawn_blocking(move || work(&spool, &name)).await {
            Ok(result) => result,
            Err(error) => Err(UploadError::Unavailable(error.to_string())),
        }
    }
}

#[async_trait]
impl Uploads for UploadDir {
    async fn count_received_bytes(&self, record_id: &RecordId) -> Result<u64, UploadError> {
        self.run_blocking(record_id, |spool, name| {
            let dir = make_dir(spool).map_err(upload_error)?;
            let file = dir.open_file(format!("{UPLOAD_PREFIX}{name}")).map_err(upload_error)?;
            Ok(file.map_or(0, |(_, stat)| u64::try_from(stat.st_size).unwrap_or_default()))
        })
        .await
    }

    async fn append_upload(
        &self,
        record_id: &RecordId,
        offset: u64,
        total: u64,
        mut bytes: UploadBytes,
    ) -> Result<u64, UploadError> {
        let file = self
            .run_blocking(record_id, move |spool, name| open_upload(spool, name, offset))
            .await?;
        let mut writer = BufWriter::with_capacity(BUFFER_BYTES, tokio::fs::File::from_std(file));
        let mut received = offset;
        let mut result = Ok(());
        while let Some(chunk) = bytes.next().await {
            let Ok(chunk) = chunk else {
                result = Err(UploadError::Interrupted);
                break;
            };
            let new_length =
                received.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if new_length > total {
                result = Err(UploadError::TooLarge);
                break;
            }
            writer.write_all(&chunk).await.map_err(upload_error)?;
            received = new_length;
        }
        // The bytes received so far are kept even if the upload was interrupted.
        writer.flush().await.map_err(upload_error)?;
        result.map(|()| received)
    }

    async fn complete_upload(
        &self,
        record_id: &RecordId,
        sha256: [u8; 32],
    ) -> Result<(), UploadError> {
        self.run_blocking(record_id, move |spool, name| complete_upload(spool, name, sha256)).await
    }
}

/// The name of an uploaded archive. The importer lets it contain this recording only.
fn archive_name(record_id: &RecordId) -> String {
    match record_id.is_made_by_bbb() {
        true => format!("{record_id}.tar"),
        false => format!("{record_id}.upload.tar"),
    }
}

/// Opens and locks the file of an upload at `offset`, which must be its end; an offset of 0 starts the upload anew.
fn open_upload(spool: &Path, name: &str, offset: u64) -> Result<File, UploadError> {
    let dir = make_dir(spool).map_err(upload_error)?;
    let name = format!("{UPLOAD_PREFIX}{name}");
    let mut file = dir.open_or_create(&name).map_err(upload_error)?;
    lock_file(&file)?;
    let size = file.metadata().map_err(upload_error)?.len();
    if offset == 0 {
        file.set_len(0).map_err(upload_error)?;
    } else if offset != size {
        return Err(UploadError::WrongOffset(size));
    }
    file.seek(io::SeekFrom::Start(offset)).map_err(upload_error)?;
    Ok(file)
}

fn complete_upload(spool: &Path, name: &str, sha256: [u8; 32]) -> Result<(), UploadError> {
    let dir = make_dir(spool).map_err(upload_error)?;
    let unfinished = format!("{UPLOAD_PREFIX}{name}");
    let Some(file) = dir.open_for_locking(&unfinished).map_err(upload_error)? else {
        return Err(UploadError::WrongOffset(0));
    };
    lock_file(&file)?;
    if hash_file(&file).map_err(upload_error)? != sha256 {
        dir.unlink(&unfinished).map_err(upload_error)?;
        return Err(UploadError::DigestMismatch);
    }
    file.sync_all().map_err(upload_error)?;
    rename_to_archive(&dir, &unfinished, name).map_err(upload_error)
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
