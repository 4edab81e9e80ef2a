//! Uploads are dot-files of the spool until they are whole: nobody imports those.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use app::ports::{Clock as _, UploadBytes, UploadError, Uploads};
use async_trait::async_trait;
use domain::recording::RecordId;
use futures_util::StreamExt as _;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::made;
use crate::beneath::Dir;
use crate::entropy::SystemClock;

/// What their names begin with; the archive's follows.
const UPLOAD: &str = ".upload-";
/// After so long nobody continues an upload, in seconds.
const GIVEN_UP_AFTER_S: i64 = 7 * 86_400;
/// Bytes that are written at once.
const PIECE: usize = 1 << 20;

/// Uploads into the spool.
#[derive(Clone, Debug)]
pub struct UploadDir {
    spool: PathBuf,
}

impl UploadDir {
    /// Into `RECORDING_SPOOL_DIR`.
    #[must_use]
    pub fn new(spool: PathBuf) -> Self {
        Self { spool }
    }

    async fn run<T: Send + 'static>(
        &self,
        record_id: &RecordId,
        work: impl FnOnce(&Path, &str) -> Result<T, UploadError> + Send + 'static,
    ) -> Result<T, UploadError> {
        let (spool, name) = (self.spool.clone(), format!("{record_id}.tar"));
        match tokio::task::spawn_blocking(move || work(&spool, &name)).await {
            Ok(done) => done,
            Err(broken) => Err(UploadError::Unavailable(broken.to_string())),
        }
    }
}

#[async_trait]
impl Uploads for UploadDir {
    async fn received(&self, record_id: &RecordId) -> Result<u64, UploadError> {
        self.run(record_id, |spool, name| {
            let dir = made(spool).map_err(upload_error)?;
            let file = dir.file(format!("{UPLOAD}{name}")).map_err(upload_error)?;
            Ok(file.map_or(0, |(_, stat)| u64::try_from(stat.st_size).unwrap_or_default()))
        })
        .await
    }

    async fn append(
        &self,
        record_id: &RecordId,
        offset: u64,
        total: u64,
        mut bytes: UploadBytes,
    ) -> Result<u64, UploadError> {
        let file = self.run(record_id, move |spool, name| begin(spool, name, offset)).await?;
        let mut writer = BufWriter::with_capacity(PIECE, tokio::fs::File::from_std(file));
        let mut received = offset;
        let mut ended = Ok(());
        while let Some(piece) = bytes.next().await {
            let Ok(piece) = piece else {
                ended = Err(UploadError::Broken);
                break;
            };
            let after = received.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if after > total {
                ended = Err(UploadError::TooLarge);
                break;
            }
            writer.write_all(&piece).await.map_err(upload_error)?;
            received = after;
        }
        // What came counts, also of one that broke off.
        writer.flush().await.map_err(upload_error)?;
        ended.map(|()| received)
    }

    async fn complete(&self, record_id: &RecordId, sha256: [u8; 32]) -> Result<(), UploadError> {
        self.run(record_id, move |spool, name| complete(spool, name, sha256)).await
    }
}

/// Opens the file of an upload at its end, for us alone.
fn begin(spool: &Path, name: &str, offset: u64) -> Result<File, UploadError> {
    let dir = made(spool).map_err(upload_error)?;
    let name = format!("{UPLOAD}{name}");
    let mut file = dir.append(&name).map_err(upload_error)?;
    lock(&file)?;
    let size = file.metadata().map_err(upload_error)?.len();
    if offset == 0 {
        file.set_len(0).map_err(upload_error)?;
    } else if offset != size {
        return Err(UploadError::Offset(size));
    }
    file.seek(io::SeekFrom::Start(offset)).map_err(upload_error)?;
    Ok(file)
}

fn complete(spool: &Path, name: &str, sha256: [u8; 32]) -> Result<(), UploadError> {
    let dir = made(spool).map_err(upload_error)?;
    let unfinished = format!("{UPLOAD}{name}");
    let Some((file, _)) = dir.file(&unfinished).map_err(upload_error)? else {
        return Err(UploadError::Offset(0));
    };
    lock(&file)?;
    if digest(&file).map_err(upload_error)? != sha256 {
        dir.unlink(&unfinished).map_err(upload_error)?;
        return Err(UploadError::Digest);
    }
    file.sync_all().map_err(upload_error)?;
    hand_over(&dir, &unfinished, name).map_err(upload_error)
}

fn hand_over(dir: &Dir, unfinished: &str, name: &str) -> io::Result<()> {
    dir.replace(unfinished, dir, name)?;
    dir.sync()
}

/// Removes uploads that were given up.
pub(super) fn sweep(spool: &Dir) -> io::Result<()> {
    let now = SystemClock.now().0 / 1000;
    for name in spool.names()? {
        let Some(name) = name.to_str().filter(|name| name.starts_with(UPLOAD)) else { continue };
        if spool.file(name)?.is_some_and(|(_, stat)| now - stat.st_mtime > GIVEN_UP_AFTER_S) {
            spool.unlink(name)?;
        }
    }
    Ok(())
}

fn digest(mut file: &File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// One writer at a time; a crash lets go.
fn lock(file: &File) -> Result<(), UploadError> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(UploadError::Busy),
        // A file system without locks: front to back is all that a sender does.
        _ => Ok(()),
    }
}

fn upload_error(error: io::Error) -> UploadError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => UploadError::Full,
        _ => UploadError::Unavailable(error.to_string()),
    }
}
