//! BBB's player, a program in the browser whose files lie in a directory of the operator's. Its paths are those of
//! pages that it makes itself, so what is no file is its first page.

use std::io;
use std::path::{Path as OsPath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use app::ports::{BlobBytes, BlobError, BlobInfo, ByteSpan};
use bytes::BytesMut;
use domain::recording::FilePath;
use domain::recording::RecordingFormatId;
use futures_util::stream::{self, StreamExt as _};
use http::StatusCode;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::delivery::{self, FileHeaders, FileSource};
use super::paths::RelativePath;
use super::{PlaybackResult, PlaybackService};
use crate::http::respond;
use crate::http::route::ApiRequest;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What the player may do: it shows videos of other sites that were shown in the meeting.
const SECURITY_POLICY: &str = "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: https:; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob: https:; media-src 'self' data: blob: https:; \
    frame-src 'self' https:; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'none'; \
    frame-ancestors *";

/// Sends a file of the player, or its first page.
pub(super) async fn send_file(
    theatre: &Arc<PlaybackService>,
    path: Option<RelativePath>,
    incomer: &ApiRequest,
) -> PlaybackResult {
    let Some(path) = path else { return Ok(None) };
    let Some(dir) = &theatre.player_dir else {
        return Ok(redirect_to_listing(&path));
    };
    let source = FileSource::Player(PlayerFiles { dir });
    let manner = FileHeaders {
        is_attachment: false,
        cache_control: "no-cache",
        security_policy: SECURITY_POLICY,
    };
    let (method, headers) = (&incomer.method, &incomer.headers);
    if let Some(file) = path.file.as_ref().filter(|_| !path.trailing_slash) {
        let sent = delivery::send_file(&source, file, method, headers, manner).await?;
        // A script that is not there is not a page.
        if sent.is_some() || file.as_str().starts_with("static/") {
            return Ok(sent);
        }
    }
    let Some(first) = FilePath::parse("index.html") else { return Ok(None) };
    delivery::send_file(&source, &first, method, headers, manner).await
}

/// Without a player: the plain page that a recording has anyway.
fn redirect_to_listing(path: &RelativePath) -> Option<http::Response<respond::ResponseBody>> {
    let wish = RecordingFormatId::parse(path.file.as_ref()?.as_str(), "presentation")?;
    respond::redirect_with_status(StatusCode::TEMPORARY_REDIRECT, &format!("{}/", wish.subject()))
}

/// The files of the player.
pub(super) struct PlayerFiles<'a> {
    pub(super) dir: &'a OsPath,
}

impl PlayerFiles<'_> {
    fn full_path(&self, path: &FilePath) -> PathBuf {
        self.dir.join(path.as_str())
    }

    /// What is known of a file.
    pub(super) async fn info(&self, path: &FilePath) -> Result<Option<BlobInfo>, BlobError> {
        match tokio::fs::metadata(self.full_path(path)).await {
            Ok(there) if there.is_file() => Ok(Some(file_info(&there))),
            Ok(_) => Ok(None),
            Err(error) => missing_or_error(error),
        }
    }

    /// A file's bytes, or a part of them.
    pub(super) async fn open(
        &self,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        let mut file = match File::open(self.full_path(path)).await {
            Ok(file) => file,
            Err(error) => return missing_or_error(error),
        };
        let there = file.metadata().await.map_err(unavailable)?;
        if !there.is_file() {
            return Ok(None);
        }
        let info = file_info(&there);
        let span = span.unwrap_or(ByteSpan { start: 0, end: info.size });
        file.seek(io::SeekFrom::Start(span.start)).await.map_err(unavailable)?;
        Ok(Some((info, stream_file(file.take(span.end.saturating_sub(span.start))))))
    }
}

fn stream_file(file: tokio::io::Take<File>) -> BlobBytes {
    let pieces = stream::try_unfold(file, |mut file| async {
        let mut piece = BytesMut::with_capacity(CHUNK_BYTES);
        let count = file.read_buf(&mut piece).await.map_err(unavailable)?;
        Ok((count > 0).then(|| (piece.freeze(), file)))
    });
    pieces.boxed()
}

fn file_info(there: &std::fs::Metadata) -> BlobInfo {
    let modified = there.modified().ok();
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    BlobInfo {
        size: there.len(),
        modified_at: modified.map(|_| UNIX_EPOCH + Duration::from_secs(since.as_secs())),
        etag: format!("{:x}-{:x}", since.as_nanos(), there.len()),
    }
}

fn missing_or_error<T>(error: io::Error) -> Result<Option<T>, BlobError> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
        _ => Err(unavailable(error)),
    }
}

fn unavailable(error: io::Error) -> BlobError {
    BlobError::Unavailable(error.to_string())
}
