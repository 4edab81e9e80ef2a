//! Bodies of requests: forms are read whole and are small, slides are passed on as they come, and
//! nothing is longer or slower than it may be.

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
use http::{HeaderMap, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Longest form of a caller who signed the query, in bytes.
const MAX_FORM_BYTES: u64 = 4 << 20;
/// Longest form that is read to find its checksum, in bytes: anybody can send one.
const MAX_UNSIGNED_FORM_BYTES: u64 = 256 << 10;
/// How long a sender may pause.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How long a sender may pause in what nobody wants to read.
const MAX_DISCARD_PAUSE: Duration = Duration::from_secs(1);
/// How long what nobody wants is read at most.
const MAX_DISCARD_TIME: Duration = Duration::from_secs(10);

/// A request's body, as it comes. Clones read from the same one.
#[derive(Clone)]
pub(super) struct IncomingBody(Arc<SharedBody>);

struct SharedBody {
    body: Mutex<Incoming>,
    /// Whether nothing of it is left on the connection.
    ended: AtomicBool,
}

impl IncomingBody {
    pub(super) fn new(body: Incoming) -> Self {
        let ended = AtomicBool::new(body.is_end_stream());
        Self(Arc::new(SharedBody { body: Mutex::new(body), ended }))
    }

    /// Whether it was read to its end. If not, the connection must be closed after the answer:
    /// what is left would be taken for a request.
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

    /// Reads what is left. Many clients send all of a body before they read: if the connection
    /// were closed on them, they would fail without having seen the answer.
    pub(super) async fn discard(&self) {
        let reading = async {
            while let Ok(Some(Ok(_))) = timeout(MAX_DISCARD_PAUSE, self.next_frame()).await {}
        };
        // Who has not ended by then does not want to.
        let _ = timeout(MAX_DISCARD_TIME, reading).await;
    }
}

/// What a request carries.
pub(super) enum RequestContent {
    /// Nothing.
    None,
    /// Parameters, not yet read.
    Form(RequestForm),
    /// XML, on its way.
    Xml(BackendBody),
}

/// A form that was not read yet.
pub(super) struct RequestForm {
    pieces: ByteStream,
    /// The whole header if it is of the multipart kind: it names the boundary.
    multipart_header: Option<String>,
}

pub(super) type ByteStream = BoxStream<'static, io::Result<Bytes>>;

impl RequestForm {
    /// Reads it, as far as its sender may be trusted.
    pub(super) async fn read(self, signed: bool) -> Result<Query, ApiError> {
        let bytes_max = if signed { MAX_FORM_BYTES } else { MAX_UNSIGNED_FORM_BYTES };
        match self.multipart_header {
            Some(header) => read_multipart(&header, self.pieces, bytes_max).await,
            None => {
                let form = collect_bytes(self.pieces, bytes_max).await?;
                Ok(Query::parse(&String::from_utf8_lossy(&form)))
            }
        }
    }
}

/// Finds out what the body of a POST is; of a body that is none, nothing is left to read.
pub(super) async fn read_content(
    headers: &HeaderMap,
    body: IncomingBody,
    kind: BodyKind,
    bytes_max: u64,
) -> Result<RequestContent, ApiError> {
    let length = read_length(headers, bytes_max)?;
    let Some(pieces) = open_stream(body, bytes_max).await else {
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

/// The first file of a form of the multipart kind, which its sender signed for; empty if there is none.
pub(super) async fn read_file(headers: &HeaderMap, body: IncomingBody) -> Result<Bytes, ApiError> {
    read_length(headers, MAX_FORM_BYTES)?;
    let refused = |error: multer::Error| match error {
        multer::Error::StreamSizeExceeded { .. } => ApiError::TooLarge,
        _ => ApiError::UnsupportedContentType,
    };
    let boundary = multer::parse_boundary(content_type(headers)).map_err(refused)?;
    let Some(pieces) = open_stream(body, MAX_FORM_BYTES).await else { return Ok(Bytes::new()) };
    let limit = multer::SizeLimit::new().whole_stream(MAX_FORM_BYTES);
    let constraints = multer::Constraints::new().size_limit(limit);
    let mut form = multer::Multipart::with_constraints(pieces, boundary, constraints);
    while let Some(field) = form.next_field().await.map_err(refused)? {
        if field.name() == Some("file") {
            return field.bytes().await.map_err(refused);
        }
    }
    Ok(Bytes::new())
}

/// The body in pieces, as it comes.
pub(super) async fn stream_body(body: IncomingBody, bytes_max: u64) -> ByteStream {
    open_stream(body, bytes_max).await.unwrap_or_else(|| stream::empty().boxed())
}

/// Reads a small body whole; empty if there is none.
pub(super) async fn read_whole(
    headers: &HeaderMap,
    body: IncomingBody,
    bytes_max: u64,
) -> Result<Bytes, ApiError> {
    read_length(headers, bytes_max)?;
    match open_stream(body, bytes_max).await {
        Some(pieces) => collect_bytes(pieces, bytes_max).await,
        None => Ok(Bytes::new()),
    }
}

/// The header's value, or nothing.
pub(super) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn read_length(headers: &HeaderMap, bytes_max: u64) -> Result<Option<u64>, ApiError> {
    let value = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = value.and_then(|text| text.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max) {
        return Err(ApiError::TooLarge);
    }
    Ok(length)
}

/// The body in pieces, or `None` if it is empty, whatever its headers say.
async fn open_stream(body: IncomingBody, bytes_max: u64) -> Option<ByteStream> {
    let mut pieces = stream::unfold((body, bytes_max, false), next_piece).boxed();
    let first = pieces.next().await?;
    Some(stream::iter([first]).chain(pieces).boxed())
}

/// The next piece; after an error there is none.
async fn next_piece(
    (body, left, ended): (IncomingBody, u64, bool),
) -> Option<(io::Result<Bytes>, (IncomingBody, u64, bool))> {
    if ended {
        return None;
    }
    loop {
        let Ok(frame) = timeout(MAX_PAUSE, body.next_frame()).await else {
            let error = io::Error::new(io::ErrorKind::TimedOut, "its sender pauses for too long");
            return Some((Err(error), (body, 0, true)));
        };
        let data = match frame? {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => return Some((Err(io::Error::other(error)), (body, 0, true))),
        };
        if data.is_empty() {
            continue;
        }
        return Some(match left.checked_sub(u64::try_from(data.len()).unwrap_or(u64::MAX)) {
            Some(left) => (Ok(data), (body, left, false)),
            None => (Err(io::Error::from(io::ErrorKind::FileTooLarge)), (body, 0, true)),
        });
    }
}

async fn collect_bytes(mut pieces: ByteStream, bytes_max: u64) -> Result<Bytes, ApiError> {
    let mut collected = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        // A body that breaks off has nobody left who waits for the answer.
        let piece = piece.map_err(|_| ApiError::TooLarge)?;
        let length = collected.len().saturating_add(piece.len());
        if u64::try_from(length).unwrap_or(u64::MAX) > bytes_max {
            return Err(ApiError::TooLarge);
        }
        collected.extend_from_slice(&piece);
    }
    Ok(collected.freeze())
}

/// The text fields of a multipart form; files are no parameters.
async fn read_multipart(
    header: &str,
    pieces: ByteStream,
    bytes_max: u64,
) -> Result<Query, ApiError> {
    let bad = |_| ApiError::UnsupportedContentType;
    let boundary = multer::parse_boundary(header).map_err(bad)?;
    let limit = multer::SizeLimit::new().whole_stream(bytes_max);
    let constraints = multer::Constraints::new().size_limit(limit);
    let mut form = multer::Multipart::with_constraints(pieces, boundary, constraints);
    let mut query = Query::default();
    let refused = |error: multer::Error| match error {
        multer::Error::StreamSizeExceeded { .. } => ApiError::TooLarge,
        _ => ApiError::UnsupportedContentType,
    };
    while let Some(field) = form.next_field().await.map_err(refused)? {
        let Some(name) = field.name().map(str::to_owned) else {
            continue;
        };
        if field.file_name().is_some() {
            continue;
        }
        query.push(&name, &field.text().await.map_err(refused)?);
    }
    Ok(query)
}
