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
const FORM_BYTES_MAX: u64 = 4 << 20;
/// Longest form that is read to find its checksum, in bytes: anybody can send one.
const UNKNOWN_FORM_BYTES_MAX: u64 = 256 << 10;
/// How long a sender may pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a sender may pause in what nobody wants to read.
const UNWANTED_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long what nobody wants is read at most.
const UNWANTED_TIME_MAX: Duration = Duration::from_secs(10);

/// A request's body, as it comes. Clones read from the same one.
#[derive(Clone)]
pub(super) struct Sent(Arc<Shared>);

struct Shared {
    body: Mutex<Incoming>,
    /// Whether nothing of it is left on the connection.
    ended: AtomicBool,
}

impl Sent {
    pub(super) fn new(body: Incoming) -> Self {
        let ended = AtomicBool::new(body.is_end_stream());
        Self(Arc::new(Shared { body: Mutex::new(body), ended }))
    }

    /// Whether it was read to its end. If not, the connection must be closed after the answer:
    /// what is left would be taken for a request.
    pub(super) fn ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    async fn frame(&self) -> Option<Result<Frame<Bytes>, hyper::Error>> {
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
            while let Ok(Some(Ok(_))) = timeout(UNWANTED_PAUSE_MAX, self.frame()).await {}
        };
        // Who has not ended by then does not want to.
        let _ = timeout(UNWANTED_TIME_MAX, reading).await;
    }
}

/// What a request carries.
pub(super) enum Content {
    /// Nothing.
    None,
    /// Parameters, not yet read.
    Form(Form),
    /// XML, on its way.
    Xml(BackendBody),
}

/// A form that was not read yet.
pub(super) struct Form {
    pieces: Pieces,
    /// The whole header if it is of the multipart kind: it names the boundary.
    multipart: Option<String>,
}

pub(super) type Pieces = BoxStream<'static, io::Result<Bytes>>;

impl Form {
    /// Reads it, as far as its sender may be trusted.
    pub(super) async fn read(self, signed: bool) -> Result<Query, ApiError> {
        let bytes_max = if signed { FORM_BYTES_MAX } else { UNKNOWN_FORM_BYTES_MAX };
        match self.multipart {
            Some(header) => multipart(&header, self.pieces, bytes_max).await,
            None => {
                let form = collect(self.pieces, bytes_max).await?;
                Ok(Query::parse(&String::from_utf8_lossy(&form)))
            }
        }
    }
}

/// Finds out what the body of a POST is; of a body that is none, nothing is left to read.
pub(super) async fn content(
    headers: &HeaderMap,
    body: Sent,
    kind: BodyKind,
    bytes_max: u64,
) -> Result<Content, ApiError> {
    let length = length(headers, bytes_max)?;
    let Some(pieces) = pieces(body, bytes_max).await else {
        return Ok(Content::None);
    };
    let header = content_type(headers);
    let content_type = ContentType::parse(header);
    if !content_type.fits(kind) {
        return Err(ApiError::UnsupportedContentType);
    }
    Ok(match content_type {
        ContentType::Xml => Content::Xml(BackendBody {
            content_type: "application/xml".to_owned(),
            length,
            stream: pieces,
        }),
        ContentType::Multipart => {
            Content::Form(Form { pieces, multipart: Some(header.to_owned()) })
        }
        _ => Content::Form(Form { pieces, multipart: None }),
    })
}

/// The body in pieces, as it comes.
pub(super) async fn stream(body: Sent, bytes_max: u64) -> Pieces {
    pieces(body, bytes_max).await.unwrap_or_else(|| stream::empty().boxed())
}

/// Reads a small body whole; empty if there is none.
pub(super) async fn whole(
    headers: &HeaderMap,
    body: Sent,
    bytes_max: u64,
) -> Result<Bytes, ApiError> {
    length(headers, bytes_max)?;
    match pieces(body, bytes_max).await {
        Some(pieces) => collect(pieces, bytes_max).await,
        None => Ok(Bytes::new()),
    }
}

/// The header's value, or nothing.
pub(super) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn length(headers: &HeaderMap, bytes_max: u64) -> Result<Option<u64>, ApiError> {
    let value = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = value.and_then(|text| text.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max) {
        return Err(ApiError::TooLarge);
    }
    Ok(length)
}

/// The body in pieces, or `None` if it is empty, whatever its headers say.
async fn pieces(body: Sent, bytes_max: u64) -> Option<Pieces> {
    let mut pieces = stream::unfold((body, bytes_max, false), next_piece).boxed();
    let first = pieces.next().await?;
    Some(stream::iter([first]).chain(pieces).boxed())
}

/// The next piece; after an error there is none.
async fn next_piece(
    (body, left, ended): (Sent, u64, bool),
) -> Option<(io::Result<Bytes>, (Sent, u64, bool))> {
    if ended {
        return None;
    }
    loop {
        let Ok(frame) = timeout(PAUSE_MAX, body.frame()).await else {
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

async fn collect(mut pieces: Pieces, bytes_max: u64) -> Result<Bytes, ApiError> {
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
async fn multipart(header: &str, pieces: Pieces, bytes_max: u64) -> Result<Query, ApiError> {
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
