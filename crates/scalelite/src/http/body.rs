//! Request bodies: forms are read whole and have small limits, slides and archives are streamed.
//! Every body has a longest length and a longest pause. What is kept of it takes memory from a budget that all requests share.

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
use tokio::time::{Instant, timeout};

use super::connections::OpenConnection;

/// Longest form whose query is signed, in bytes.
const MAX_FORM_BYTES: u64 = 4 << 20;
/// Longest form that is read to find a checksum in it, in bytes. Anybody can send such a form.
const MAX_UNSIGNED_FORM_BYTES: u64 = 256 << 10;
/// Longest pause between two pieces of a body.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Longest time of a body whose sender has not proven who it is.
const MAX_UNPROVEN_TIME: Duration = Duration::from_secs(30);
/// Memory that a byte of a form takes while it is read and parsed, in bytes.
const FORM_BYTE_COST: u64 = 4;
/// Memory that a parameter of a form takes, in bytes.
const PARAMETER_COST: u64 = 64;
/// Memory that a byte of another body takes while it is read, in bytes: buffers grow by doubling.
const WHOLE_BYTE_COST: u64 = 2;
/// Memory that a byte of a streamed body takes.
const STREAMED_BYTE_COST: u64 = 0;
/// Longest pause between two pieces of a body that is discarded.
const MAX_DISCARD_PAUSE: Duration = Duration::from_secs(1);
/// Longest time for which a body is discarded.
const MAX_DISCARD_TIME: Duration = Duration::from_secs(10);

/// The body of a request, read from the connection on demand. Clones share one body.
#[derive(Clone)]
pub(super) struct IncomingBody(Arc<SharedBody>);

struct SharedBody {
    body: Mutex<Incoming>,
    connection: Arc<OpenConnection>,
    started: Instant,
    /// Whether the body was read to its end.
    ended: AtomicBool,
}

impl IncomingBody {
    pub(super) fn new(body: Incoming, connection: Arc<OpenConnection>) -> Self {
        let ended = AtomicBool::new(body.is_end_stream());
        let (body, started) = (Mutex::new(body), Instant::now());
        Self(Arc::new(SharedBody { body, connection, started, ended }))
    }

    /// Takes note that the sender of the request has proven who it is, and waits for its turn.
    pub(super) async fn prove_sender(&self) {
        self.0.connection.prove().await;
    }

    /// Reserves memory until the request ends.
    ///
    /// # Errors
    /// [`ApiError::Busy`] if there is not as much.
    pub(super) fn hold(&self, bytes: u64) -> Result<(), ApiError> {
        if self.0.connection.hold(bytes) { Ok(()) } else { Err(ApiError::Busy) }
    }

    /// Returns how long the next piece may take.
    fn max_pause(&self) -> Duration {
        match self.0.connection.is_proven() {
            true => MAX_PAUSE,
            false => MAX_UNPROVEN_TIME.saturating_sub(self.0.started.elapsed()),
        }
    }

    /// Returns whether the body was read to its end. If not, the connection must be closed after
    /// the response, because the rest of the body would be taken for a request.
    pub(super) fn is_at_end(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    async fn next_frame(&self) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        let mut body = self.0.body.lock().await;
        self.0.connection.wait_for_body();
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
        if self.is_at_end() {
            return;
        }
        let reading = async {
            let _permit = self.0.connection.wait_for_discard().await;
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
    body: IncomingBody,
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
            None => parse_form(&self.body, &collect_bytes(self.pieces, max_bytes).await?),
        }
    }
}

/// Parses a URL-encoded form.
fn parse_form(body: &IncomingBody, form: &[u8]) -> Result<Query, ApiError> {
    let parameters = form.iter().filter(|byte| **byte == b'&').count();
    body.hold(u64::try_from(parameters).unwrap_or(u64::MAX).saturating_mul(PARAMETER_COST))?;
    Ok(Query::parse(&String::from_utf8_lossy(form)))
}

/// Checks what the head says about a body, before anything of it is read.
///
/// # Errors
/// When the body is longer than `max_bytes`, or the call does not accept its type.
pub(super) fn check_head(
    headers: &HeaderMap,
    kind: BodyKind,
    max_bytes: u64,
) -> Result<(), ApiError> {
    let length = read_length(headers, max_bytes)?;
    // A chunked body may turn out to be empty.
    let is_allowed = ContentType::parse(content_type(headers)).is_allowed_as(kind);
    if length.is_some() && !is_allowed { Err(ApiError::UnsupportedContentType) } else { Ok(()) }
}

/// Returns whether the head announces a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    matches!(
        ContentType::parse(content_type(headers)),
        ContentType::UrlEncoded | ContentType::Multipart
    )
}

/// Determines the content of a POST body without reading more than its first piece.
pub(super) async fn read_content(
    headers: &HeaderMap,
    body: IncomingBody,
    kind: BodyKind,
    max_bytes: u64,
) -> Result<RequestContent, ApiError> {
    let length = read_length(headers, max_bytes)?;
    let header = content_type(headers);
    let content_type = ContentType::parse(header);
    let cost = if is_form(headers) { FORM_BYTE_COST } else { STREAMED_BYTE_COST };
    let Some(pieces) = open_stream(body.clone(), max_bytes, cost).await else {
        return Ok(RequestContent::None);
    };
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
            let multipart_header = Some(header.to_owned());
            RequestContent::Form(RequestForm { pieces, body, multipart_header })
        }
        _ => RequestContent::Form(RequestForm { pieces, body, multipart_header: None }),
    })
}

/// Returns the field `file` of a multipart form whose query is signed; empty if there is none.
pub(super) async fn read_file(headers: &HeaderMap, body: IncomingBody) -> Result<Bytes, ApiError> {
    read_length(headers, MAX_FORM_BYTES)?;
    let header = content_type(headers);
    // Other types are refused even without a body.
    multer::parse_boundary(header).map_err(multipart_error)?;
    let pieces = open_stream(body, MAX_FORM_BYTES, WHOLE_BYTE_COST).await;
    let Some(pieces) = pieces else { return Ok(Bytes::new()) };
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
    let pieces = open_stream(body, max_bytes, STREAMED_BYTE_COST).await;
    pieces.unwrap_or_else(|| stream::empty().boxed())
}

/// Reads a small body whole; empty if there is none.
pub(super) async fn read_whole(
    headers: &HeaderMap,
    body: IncomingBody,
    max_bytes: u64,
) -> Result<Bytes, ApiError> {
    read_length(headers, max_bytes)?;
    match open_stream(body, max_bytes, WHOLE_BYTE_COST).await {
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
    let pieces = open_stream(body.clone(), max_bytes, FORM_BYTE_COST).await;
    let Some(pieces) = pieces else { return Ok(None) };
    let header = content_type(headers);
    if ContentType::parse(header) == ContentType::Multipart {
        return read_multipart(header, pieces, max_bytes).await.map(Some);
    }
    parse_form(&body, &collect_bytes(pieces, max_bytes).await?).map(Some)
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

/// Returns the body as a stream of pieces, or `None` if it is empty, whatever its headers say. `byte_cost` is the memory that a byte
/// takes.
async fn open_stream(body: IncomingBody, max_bytes: u64, byte_cost: u64) -> Option<ByteStream> {
    let reader = PieceReader { body, remaining: max_bytes, byte_cost, has_failed: false };
    let mut pieces = stream::unfold(reader, PieceReader::next).boxed();
    let first = pieces.next().await?;
    Some(stream::iter([first]).chain(pieces).boxed())
}

/// Reads a body piece by piece, within its limits.
struct PieceReader {
    body: IncomingBody,
    remaining: u64,
    byte_cost: u64,
    has_failed: bool,
}

impl PieceReader {
    /// Returns the next piece that is not empty. The stream ends after an error.
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if self.has_failed {
            return None;
        }
        let piece = self.read().await?;
        self.has_failed = piece.is_err();
        Some((piece, self))
    }

    async fn read(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let Ok(frame) = timeout(self.body.max_pause(), self.body.next_frame()).await else {
                let error =
                    io::Error::new(io::ErrorKind::TimedOut, "the sender paused for too long");
                return Some(Err(error));
            };
            let data = match frame? {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(error) => return Some(Err(io::Error::other(error))),
            };
            if !data.is_empty() {
                return Some(self.count(data));
            }
        }
    }

    fn count(&mut self, data: Bytes) -> io::Result<Bytes> {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let remaining = self.remaining.checked_sub(length);
        self.remaining = remaining.ok_or(io::ErrorKind::FileTooLarge)?;
        let cost = length.saturating_mul(self.byte_cost);
        if cost > 0 && self.body.hold(cost).is_err() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(data)
    }
}

/// Returns the error of a body that cannot be read.
fn read_error(error: &io::Error) -> ApiError {
    match error.kind() {
        io::ErrorKind::OutOfMemory => ApiError::Busy,
        // The error may also be a broken connection; then no client is left to read it.
        _ => ApiError::TooLarge,
    }
}

async fn collect_bytes(mut pieces: ByteStream, max_bytes: u64) -> Result<Bytes, ApiError> {
    let mut collected = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| read_error(&error))?;
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
        multer::Error::StreamReadFailed(cause) => {
            cause.downcast_ref::<io::Error>().map_or(ApiError::TooLarge, read_error)
        }
        _ => ApiError::UnsupportedContentType,
    }
}
