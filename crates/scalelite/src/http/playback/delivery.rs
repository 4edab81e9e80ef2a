//! Sends a file to a browser: whole, in part or compressed, with the headers that belong to it.

use std::time::Duration;

use app::playback::Playback;
use app::ports::{BlobBytes, BlobError, BlobInfo, ByteSpan};
use domain::recording::playback_access::PlaybackPermit;
use domain::recording::{FilePath, FileType};
use futures_util::stream::{self, StreamExt as _};
use headers::{AcceptRanges, ContentLength, ContentRange, HeaderMapExt as _, LastModified};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use super::conditions::{self, FileVersion, RangeOutcome};
use super::error::{PlaybackError, PlaybackResult};
use super::gzip;
use super::player_files::PlayerFiles;
use crate::http::respond::{self, ResponseBody};

/// Shortest text that is compressed, in bytes.
const MIN_GZIP_BYTES: u64 = 1024;
/// Longest wait for the next piece of a file.
const MAX_PIECE_WAIT: Duration = Duration::from_secs(30);
/// Number of attempts to open a file that changes between reading its information and opening it.
const MAX_READ_ATTEMPTS: u32 = 3;

/// Where files are read from.
pub(super) enum FileSource<'a> {
    /// A recording that the client may watch.
    Recording(&'a Playback, &'a PlaybackPermit),
    /// BBB's player.
    Player(PlayerFiles<'a>),
}

impl FileSource<'_> {
    /// Returns size, time and tag of a file; `None` if it does not exist.
    pub(super) async fn info(&self, path: &FilePath) -> Result<Option<BlobInfo>, BlobError> {
        match self {
            Self::Recording(playback, permit) => playback.read_file_info(permit, path).await,
            Self::Player(files) => files.info(path).await,
        }
    }

    async fn open(
        &self,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        match self {
            Self::Recording(playback, permit) => playback.open_file(permit, path, span).await,
            Self::Player(files) => files.open(path, span).await,
        }
    }
}

/// Headers that all files of a source have in common.
#[derive(Clone, Debug)]
pub(super) struct FileHeaders {
    /// Whether browsers save the files instead of showing them.
    pub(super) is_attachment: bool,
    /// `Cache-Control`.
    pub(super) cache_control: &'static str,
    /// `Content-Security-Policy`.
    pub(super) security_policy: HeaderValue,
}

/// How a file is encoded in the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContentCoding {
    /// Not compressed.
    Identity,
    /// Sent from a compressed file (`.gz`) that is stored beside the requested one.
    StoredGzip,
    /// Compressed while it is sent.
    StreamedGzip,
}

/// Sends a file; returns `None` if it does not exist.
pub(super) async fn send_file(
    source: &FileSource<'_>,
    path: &FilePath,
    method: &Method,
    headers: &HeaderMap,
    file_headers: FileHeaders,
) -> PlaybackResult {
    let file_type = FileType::from_name(path.name());
    let may_compress =
        file_type.is_text && gzip::is_accepted(headers) && !headers.contains_key(header::RANGE);
    let request = FileRequest { source, method, headers, file_type, file_headers };
    if may_compress
        && let Some(compressed_file) = FilePath::parse(&format!("{}.gz", path.as_str()))
        && let Some(info) = source.info(&compressed_file).await?
    {
        return request.send(&compressed_file, info, ContentCoding::StoredGzip).await;
    }
    let Some(info) = source.info(path).await? else { return Ok(None) };
    let coding = if may_compress && info.size > MIN_GZIP_BYTES {
        ContentCoding::StreamedGzip
    } else {
        ContentCoding::Identity
    };
    request.send(path, info, coding).await
}

/// A request for a file that exists.
struct FileRequest<'a> {
    source: &'a FileSource<'a>,
    method: &'a Method,
    headers: &'a HeaderMap,
    file_type: FileType,
    file_headers: FileHeaders,
}

impl FileRequest<'_> {
    async fn send(
        &self,
        path: &FilePath,
        mut info: BlobInfo,
        coding: ContentCoding,
    ) -> PlaybackResult {
        for _ in 0..MAX_READ_ATTEMPTS {
            let range = self.range_outcome(&info, coding);
            let span = match range {
                RangeOutcome::Whole => None,
                RangeOutcome::Part(span) => Some(span),
                RangeOutcome::NotModified | RangeOutcome::NotSatisfiable => {
                    return self.build_response(&info, range, coding, None).map(Some);
                }
            };
            if self.method == Method::HEAD {
                return self.build_response(&info, range, coding, None).map(Some);
            }
            let Some((opened_info, bytes)) = self.source.open(path, span).await? else {
                return Ok(None);
            };
            // The range and the headers hold only for the version that was evaluated.
            if opened_info.etag == info.etag {
                return self.build_response(&info, range, coding, Some(bytes)).map(Some);
            }
            info = opened_info;
        }
        Err(PlaybackError::Internal("a file changed during every attempt to read it"))
    }

    fn range_outcome(&self, info: &BlobInfo, coding: ContentCoding) -> RangeOutcome {
        let tag = entity_tag(info, coding);
        let version = FileVersion { tag: &tag, modified: info.modified_at, size: info.size };
        let has_ranges = coding == ContentCoding::Identity;
        conditions::evaluate_conditions(self.method, self.headers, version, has_ranges)
    }

    fn build_response(
        &self,
        info: &BlobInfo,
        range: RangeOutcome,
        coding: ContentCoding,
        bytes: Option<BlobBytes>,
    ) -> Result<Response<ResponseBody>, PlaybackError> {
        let mut response = Response::new(respond::empty_body());
        *response.status_mut() = match range {
            RangeOutcome::Whole => StatusCode::OK,
            RangeOutcome::Part(_) => StatusCode::PARTIAL_CONTENT,
            RangeOutcome::NotModified => StatusCode::NOT_MODIFIED,
            RangeOutcome::NotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        };
        let headers = response.headers_mut();
        self.set_headers(headers, info, coding)?;
        let length = match range {
            RangeOutcome::Whole => Some(info.size),
            RangeOutcome::Part(ByteSpan { start, end }) => {
                let content_range = ContentRange::bytes(start..end, info.size);
                let invalid = |_| PlaybackError::Internal("a range without an end");
                headers.typed_insert(content_range.map_err(invalid)?);
                Some(end - start)
            }
            RangeOutcome::NotModified => None,
            RangeOutcome::NotSatisfiable => {
                headers.typed_insert(ContentRange::unsatisfied_bytes(info.size));
                Some(0)
            }
        };
        if let Some(length) = length.filter(|_| coding != ContentCoding::StreamedGzip) {
            headers.typed_insert(ContentLength(length));
        }
        if let Some(bytes) = bytes {
            let bytes = with_timeout(bytes);
            let is_compressed = coding == ContentCoding::StreamedGzip;
            let bytes = if is_compressed { gzip::compress(bytes) } else { bytes };
            *response.body_mut() = respond::stream_body(bytes);
        }
        Ok(response)
    }

    fn set_headers(
        &self,
        headers: &mut HeaderMap,
        info: &BlobInfo,
        coding: ContentCoding,
    ) -> Result<(), PlaybackError> {
        set_header(headers, header::CONTENT_TYPE, &self.file_type.content_type_header())?;
        set_header(headers, header::ETAG, &format!("\"{}\"", entity_tag(info, coding)))?;
        if let Some(modified) = info.modified_at {
            headers.typed_insert(LastModified::from(modified));
        }
        if coding == ContentCoding::Identity {
            headers.typed_insert(AcceptRanges::bytes());
        } else {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if self.file_type.is_text {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if self.file_headers.is_attachment {
            let attachment = HeaderValue::from_static("attachment");
            headers.insert(header::CONTENT_DISPOSITION, attachment);
        }
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static(self.file_headers.cache_control),
        );
        respond::set_security_headers(headers, self.file_headers.security_policy.clone());
        Ok(())
    }
}

/// Returns the entity tag of a file, which differs by coding, because caches must not mix up the
/// compressed and the original file.
fn entity_tag(info: &BlobInfo, coding: ContentCoding) -> String {
    match coding {
        ContentCoding::StreamedGzip => format!("{}-gz", info.etag),
        ContentCoding::Identity | ContentCoding::StoredGzip => info.etag.clone(),
    }
}

fn set_header(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), PlaybackError> {
    let value = HeaderValue::from_str(value)
        .map_err(|_| PlaybackError::Internal("a value is not valid in a header"))?;
    headers.insert(name, value);
    Ok(())
}

/// Ends a stream with an error if its next piece takes longer than [`MAX_PIECE_WAIT`].
fn with_timeout(bytes: BlobBytes) -> BlobBytes {
    let pieces = stream::unfold(Some(bytes), |bytes| async {
        let mut bytes = bytes?;
        match tokio::time::timeout(MAX_PIECE_WAIT, bytes.next()).await {
            Ok(piece) => piece.map(|piece| (piece, Some(bytes))),
            Err(_) => {
                let error = BlobError::Unavailable("reading the file timed out".to_owned());
                Some((Err(error), None))
            }
        }
    });
    pieces.boxed()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stalled_stream_ends_with_an_error() {
        let first = stream::iter([Ok(Bytes::from_static(b"a"))]);
        let mut bytes = with_timeout(first.chain(stream::pending()).boxed());
        assert_eq!(bytes.next().await.unwrap().unwrap(), "a");
        assert!(bytes.next().await.unwrap().is_err());
        assert!(bytes.next().await.is_none());
    }
}
