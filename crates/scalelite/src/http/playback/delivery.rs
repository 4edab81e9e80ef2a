//! A file on its way to a browser: whole, in part, compressed or not at all, with the headers that go with it.

use std::time::Duration;

use app::playback::Playback;
use app::ports::{BlobBytes, BlobError, BlobInfo, ByteSpan};
use domain::recording::playback_access::PlaybackPermit;
use domain::recording::{FilePath, FileType};
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use super::conditions::{self, FileVersion, RangeOutcome};
use super::player::PlayerFiles;
use super::{PlaybackError, PlaybackResult, gzip};
use crate::http::respond::{self, ResponseBody};

/// The shortest text that is worth compressing, in bytes.
const MIN_GZIP_BYTES: u64 = 1024;
/// How long the next piece of a file may take to come.
const MAX_PIECE_WAIT: Duration = Duration::from_secs(30);
/// So often a file is looked at again that changes while we look.
const MAX_READ_ATTEMPTS: u32 = 3;

/// Where files come from.
pub(super) enum FileSource<'a> {
    /// A recording that may be watched.
    Recording(&'a Playback, &'a PlaybackPermit),
    /// BBB's player.
    Player(PlayerFiles<'a>),
}

impl FileSource<'_> {
    /// What is known of a file.
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

/// How files of a source are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileHeaders {
    /// Whether they are to be kept, not shown.
    pub(super) is_attachment: bool,
    /// What caches may do.
    pub(super) cache_control: &'static str,
    /// What pages may load and do.
    pub(super) security_policy: &'static str,
}

/// How the bytes are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContentCoding {
    /// As they are.
    Identity,
    /// Compressed already, in a file beside the one that is meant.
    StoredGzip,
    /// Compressed on their way.
    StreamedGzip,
}

/// Sends a file, or finds that there is none.
pub(super) async fn send_file(
    source: &FileSource<'_>,
    path: &FilePath,
    method: &Method,
    headers: &HeaderMap,
    manner: FileHeaders,
) -> PlaybackResult {
    let kind = FileType::from_name(path.name());
    let gzip = kind.is_text && gzip::is_accepted(headers) && !headers.contains_key(header::RANGE);
    let request = FileRequest { source, method, headers, file_type: kind, file_headers: manner };
    if gzip
        && let Some(neighbour) = FilePath::parse(&format!("{}.gz", path.as_str()))
        && let Some(info) = source.info(&neighbour).await?
    {
        return request.send(&neighbour, info, ContentCoding::StoredGzip).await;
    }
    let Some(info) = source.info(path).await? else { return Ok(None) };
    let spelling = if gzip && info.size > MIN_GZIP_BYTES {
        ContentCoding::StreamedGzip
    } else {
        ContentCoding::Identity
    };
    request.send(path, info, spelling).await
}

/// A request for a file that is there.
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
        spelling: ContentCoding,
    ) -> PlaybackResult {
        for _ in 0..MAX_READ_ATTEMPTS {
            let share = self.range_outcome(&info, spelling);
            let span = match share {
                RangeOutcome::Whole => None,
                RangeOutcome::Part(span) => Some(span),
                RangeOutcome::NotModified | RangeOutcome::NotSatisfiable => {
                    return self.build_response(&info, share, spelling, None).map(Some);
                }
            };
            if self.method == Method::HEAD {
                return self.build_response(&info, share, spelling, None).map(Some);
            }
            let Some((opened, bytes)) = self.source.open(path, span).await? else {
                return Ok(None);
            };
            // What was decided is about the file that was looked at.
            if opened.etag == info.etag {
                return self.build_response(&info, share, spelling, Some(bytes)).map(Some);
            }
            info = opened;
        }
        Err(PlaybackError::Internal("a file changes all the time"))
    }

    fn range_outcome(&self, info: &BlobInfo, spelling: ContentCoding) -> RangeOutcome {
        let tag = entity_tag(info, spelling);
        let version = FileVersion { tag: &tag, modified: info.modified_at, size: info.size };
        conditions::evaluate_conditions(
            self.method,
            self.headers,
            version,
            spelling == ContentCoding::Identity,
        )
    }

    fn build_response(
        &self,
        info: &BlobInfo,
        share: RangeOutcome,
        spelling: ContentCoding,
        bytes: Option<BlobBytes>,
    ) -> Result<Response<ResponseBody>, PlaybackError> {
        let mut response = Response::new(respond::empty_body());
        *response.status_mut() = match share {
            RangeOutcome::Whole => StatusCode::OK,
            RangeOutcome::Part(_) => StatusCode::PARTIAL_CONTENT,
            RangeOutcome::NotModified => StatusCode::NOT_MODIFIED,
            RangeOutcome::NotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        };
        let headers = response.headers_mut();
        self.set_headers(headers, info, spelling)?;
        let length = match share {
            RangeOutcome::Whole => Some(info.size),
            RangeOutcome::Part(ByteSpan { start: from, end: to }) => {
                let range = format!("bytes {from}-{}/{}", to - 1, info.size);
                set_header(headers, header::CONTENT_RANGE, &range)?;
                Some(to - from)
            }
            RangeOutcome::NotModified => None,
            RangeOutcome::NotSatisfiable => {
                let range = format!("bytes */{}", info.size);
                set_header(headers, header::CONTENT_RANGE, &range)?;
                Some(0)
            }
        };
        if let Some(length) = length.filter(|_| spelling != ContentCoding::StreamedGzip) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if let Some(bytes) = bytes {
            let bytes = with_timeout(bytes);
            let packed = spelling == ContentCoding::StreamedGzip;
            let bytes = if packed { gzip::compress(bytes) } else { bytes };
            *response.body_mut() = respond::stream_body(bytes);
        }
        Ok(response)
    }

    fn set_headers(
        &self,
        headers: &mut HeaderMap,
        info: &BlobInfo,
        spelling: ContentCoding,
    ) -> Result<(), PlaybackError> {
        set_header(headers, header::CONTENT_TYPE, &self.file_type.content_type_header())?;
        set_header(headers, header::ETAG, &format!("\"{}\"", entity_tag(info, spelling)))?;
        if let Some(modified) = info.modified_at {
            set_header(headers, header::LAST_MODIFIED, &httpdate::fmt_http_date(modified))?;
        }
        if spelling == ContentCoding::Identity {
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
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
        set_security_headers(headers, self.file_headers.security_policy);
        Ok(())
    }
}

/// Changes with the spelling: to a cache, these are different things.
fn entity_tag(info: &BlobInfo, spelling: ContentCoding) -> String {
    match spelling {
        ContentCoding::StreamedGzip => format!("{}-gz", info.etag),
        ContentCoding::Identity | ContentCoding::StoredGzip => info.etag.clone(),
    }
}

/// What keeps browsers from making more of what is sent than it is.
pub(super) fn set_security_headers(headers: &mut HeaderMap, policy: &'static str) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
}

fn set_header(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), PlaybackError> {
    let value = HeaderValue::from_str(value)
        .map_err(|_| PlaybackError::Internal("a value that cannot stand in a header"))?;
    headers.insert(name, value);
    Ok(())
}

/// The same bytes, as long as they keep coming.
fn with_timeout(bytes: BlobBytes) -> BlobBytes {
    let pieces = stream::unfold(Some(bytes), |bytes| async {
        let mut bytes = bytes?;
        match tokio::time::timeout(MAX_PIECE_WAIT, bytes.next()).await {
            Ok(piece) => piece.map(|piece| (piece, Some(bytes))),
            Err(_) => {
                let error = BlobError::Unavailable("no more bytes come".to_owned());
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
    async fn bytes_that_do_not_come_are_not_waited_for() {
        let first = stream::iter([Ok(Bytes::from_static(b"a"))]);
        let mut bytes = with_timeout(first.chain(stream::pending()).boxed());
        assert_eq!(bytes.next().await.unwrap().unwrap(), "a");
        assert!(bytes.next().await.unwrap().is_err());
        assert!(bytes.next().await.is_none());
    }
}
