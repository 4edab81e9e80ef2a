//! Request bodies: forms are read whole and have small limits, slides and archives are streamed.
//! Every body has a longest length and a longest pause.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use app::api::ApiError;
use app::ports::BackendBody;
use bbb::Query;
use bbb::call::{BodyKind, ContentType};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use headers::{ContentLength, HeaderMapExt as _};
use http::{HeaderMap, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Longest form whose query is signed, in bytes.
const MAX_FORM_BYTES: u64 = 4 << 20;
/// Longest form that is read to find a checksum in it, in bytes. Anybody can send such a form.
const MAX_UNSIGNED_FORM_BYTES: u64 = 256 << 10;
/// Longest pause between two pieces of a body.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause between two pieces of a body that is discarded.
const MAX_DISCARD_PAUSE: Duration = Duration::from_secs(1);
/// Longest time for which a body is discarded.
const MAX_DISCARD_TIME: Duration = Duration::from_secs(10);

/// The body of a request, read from the connection on demand. Clones share one body.
#[derive(Clone)]
pub(super) struct IncomingBody(Arc<SharedBody>);

struct SharedBody {
    body: Mutex<Incoming>,
    /// Whether the body was read to its end.
    ended: AtomicBool,
}

impl IncomingBody {
    pub(super) fn new(body: Incoming) -> Self {
        let ended = AtomicBool::new(body.is_end_stream());
        Self(Arc::new(SharedBody { body: Mutex::new(body), ended }))
    }

    /// Returns whether the body was read to its end. If not, the connection must be closed after
    /// the response, because the rest of the body would be taken for a request.
    pub(super) fn is_at_end(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    async fn next_frame(&self) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        let mut body = self.0.body.lock().await;
        let frame = body.frame().await;
        if frame.is_none() || body.is_end_stream() {
            self.0.ended.store(true, Ordering::Release);
        }
        frame
    }

    /// Reads and drops the rest of the body, for [`MAX_DISCARD_TIME`] at most. Many clients send
    /// the whole body before they read the response; if the connection were closed earlier, they
    /// would fail without having seen it.
    pub(super) async fn discard(&self) {
        let reading = async {
            while let Ok(Some(Ok(_))) = timeout(MAX_DISCARD_PAUSE, self.next_frame()).await {}
        };
        let _ = timeout(MAX_DISCARD_TIME, reading).await;
    }
}

/// The content of a request body.
pub(super) enum RequestContent {
    /// The body is empty.
    None,
    /// A form that was not read yet.
    Form(RequestForm),
    /// XML, streamed.
    Xml(BackendBody),
}

/// A form that was not read yet.
pub(super) struct RequestForm {
    pieces: ByteStream,
    /// The `Content-Type` of a multipart form, which names the boundary; `None` for a URL-encoded
    /// form.
    multipart_header: Option<String>,
}

pub(super) type ByteStream = BoxStream<'static, io::Result<Bytes>>;

impl RequestForm {
    /// Reads the form. A form whose query is signed may be longer.
    pub(super) async fn read(self, signed: bool) -> Result<Query, ApiError> {
        let max_bytes = if signed { MAX_FORM_BYTES } else { MAX_UNSIGNED_FORM_BYTES };
        match self.multipart_header {
            Some(header) => read_multipart(&header, self.pieces, max_bytes).await,
            None => {
                let form = collect_bytes(self.pieces, max_bytes).await?;
                Ok(Query::parse(&String::from_utf8_lossy(&form)))
            }
        }
    }
}

/// Determines the content of a POST body without reading more than its first piece.
pub(super) async fn read_content(
    headers: &HeaderMap,
    body: IncomingBody,
    kind: BodyKind,
    max_bytes: u64,
) -> Result<RequestContent, ApiError> {
    let length = read_length(headers, max_bytes)?;
    let Some(pieces) = open_stream(body, max_bytes).await else {
        return Ok(RequestContent::None);
    };
    let header = content_type(headers);
    let content_type = ContentType::parse(header);
    if !content_type.is_allowed_as(kind) {
        return Err(ApiError::UnsupportedContentType);
    }
    Ok(match content_type {
        ContentType::Xml => RequestContent::Xml(BackendBody {
            content_type: "application/xml".to_owned(),
            length,
            stream: pieces,
        }),
        ContentType::Multipart => {
            RequestContent::Form(RequestForm { pieces, multipart_header: Some(header.to_owned()) })
        }
        _ => RequestContent::Form(RequestForm { pieces, multipart_header: None }),
    })
}

/// Returns the field `file` of a multipart form whose query is signed; empty if there is none.
pub(super) async fn read_file(headers: &HeaderMap, body: IncomingBody) -> Result<Bytes, ApiError> {
    read_length(headers, MAX_FORM_BYTES)?;
    let header = content_type(headers);
    // Other types are refused even without a body.
    multer::parse_boundary(header).map_err(multipart_error)?;
    let Some(pieces) = open_stream(body, MAX_FORM_BYTES).await else { return Ok(Bytes::new()) };
    let mut form = open_multipart(header, pieces, MAX_FORM_BYTES)?;
    while let Some(field) = form.next_field().await.map_err(multipart_error)? {
        if field.name() == Some("file") {
            return field.bytes().await.map_err(multipart_error);
        }
    }
    Ok(Bytes::new())
}

/// Returns the body as a stream of pieces.
pub(super) async fn stream_body(body: IncomingBody, max_bytes: u64) -> ByteStream {
    open_stream(body, max_bytes).await.unwrap_or_else(|| stream::empty().boxed())
}

/// Reads a small body whole; empty if there is none.
pub(super) async fn read_whole(
    headers: &HeaderMap,
    body: IncomingBody,
    max_bytes: u64,
) -> Result<Bytes, ApiError> {
    read_length(headers, max_bytes)?;
    match open_stream(body, max_bytes).await {
        Some(pieces) => collect_bytes(pieces, max_bytes).await,
        None => Ok(Bytes::new()),
    }
}

/// Reads a small form; `None` if the body is empty.
pub(super) async fn read_form(
    headers: &HeaderMap,
    body: IncomingBody,
    max_bytes: u64,
) -> Result<Option<Query>, ApiError> {
    read_length(headers, max_bytes)?;
    let Some(pieces) = open_stream(body, max_bytes).await else { return Ok(None) };
    let header = content_type(headers);
    if ContentType::parse(header) == ContentType::Multipart {
        return read_multipart(header, pieces, max_bytes).await.map(Some);
    }
    let form = collect_bytes(pieces, max_bytes).await?;
    Ok(Some(Query::parse(&String::from_utf8_lossy(&form))))
}

/// Returns the value of `Content-Type`, or an empty string.
pub(super) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Returns `Content-Length`, if it is given and within the limit.
fn read_length(headers: &HeaderMap, max_bytes: u64) -> Result<Option<u64>, ApiError> {
    let length = headers.typed_get::<ContentLength>().map(|length| length.0);
    if length.is_some_and(|length| length > max_bytes) {
        return Err(ApiError::TooLarge);
    }
    Ok(length)
}

/// Returns the body as a stream of pieces, or `None` if it is empty, whatever its headers say.
async fn open_stream(body: IncomingBody, max_bytes: u64) -> Option<ByteStream> {
    let mut pieces = stream::unfold((body, max_bytes, false), next_piece).boxed();
    let first = pieces.next().await?;
    Some(stream::iter([first]).chain(pieces).boxed())
}

/// Returns the next piece that is not empty. The stream ends after an error.
async fn next_piece(
    (body, remaining, failed): (IncomingBody, u64, bool),
) -> Option<(io::Result<Bytes>, (IncomingBody, u64, bool))> {
    if failed {
        return None;
    }
    loop {
        let Ok(frame) = timeout(MAX_PAUSE, body.next_frame()).await else {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the sender paused for too long");
            return Some((Err(error), (body, 0, true)));
        };
        let data = match frame? {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => return Some((Err(io::Error::other(error)), (body, 0, true))),
        };
        if data.is_empty() {
            continue;
        }
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        return Some(match remaining.checked_sub(length) {
            Some(remaining) => (Ok(data), (body, remaining, false)),
            None => (Err(io::Error::from(io::ErrorKind::FileTooLarge)), (body, 0, true)),
        });
    }
}

async fn collect_bytes(mut pieces: ByteStream, max_bytes: u64) -> Result<Bytes, ApiError> {
    let mut collected = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        // The error may also be a broken connection; then no client is left to read it.
        let piece = piece.map_err(|_| ApiError::TooLarge)?;
        let length = collected.len().saturating_add(piece.len());
        if u64::try_from(length).unwrap_or(u64::MAX) > max_bytes {
            return Err(ApiError::TooLarge);
        }
        collected.extend_from_slice(&piece);
    }
    Ok(collected.freeze())
}

/// Reads the text fields of a multipart form; files are not parameters.
async fn read_multipart(
    header: &str,
    pieces: ByteStream,
    max_bytes: u64,
) -> Result<Query, ApiError> {
    let mut form = open_multipart(header, pieces, max_bytes)?;
    let mut query = Query::default();
    while let Some(field) = form.next_field().await.map_err(multipart_error)? {
        let Some(name) = field.name().map(str::to_owned) else {
            continue;
        };
        if field.file_name().is_some() {
            continue;
        }
        query.push(&name, &field.text().await.map_err(multipart_error)?);
    }
    Ok(query)
}

fn open_multipart(
    header: &str,
    pieces: ByteStream,
    max_bytes: u64,
) -> Result<multer::Multipart<'static>, ApiError> {
    let boundary = multer::parse_boundary(header).map_err(multipart_error)?;
    let limit = multer::SizeLimit::new().whole_stream(max_bytes);
    let constraints = multer::Constraints::new().size_limit(limit);
    Ok(multer::Multipart::with_constraints(pieces, boundary, constraints))
}

fn multipart_error(error: multer::Error) -> ApiError {
    match error {
        multer::Error::StreamSizeExceeded { .. } => ApiError::TooLarge,
        _ => ApiError::UnsupportedContentType,
    }
}
