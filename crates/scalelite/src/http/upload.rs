//! `/scalelite/recordings/upload/<record_id>`: BBB servers send archives of recordings here, in one piece or in several.
//!
//! `RESPONSE_HEAD` tells in `Upload-Offset` how much is here. `INSERT` sends all of it; `PATCH` (or `INSERT` with `Content-Range`)
//! goes on from there. What is whole is compared with `Repr-Digest` (or, sent in one piece, `Content-Digest`) of
//! RFC 9530, and handed over to the import.

use std::sync::Arc;

use app::ports::{UploadBytes, UploadError, Uploads};
use app::recordings::upload;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ServerId;
use domain::recording::RecordId;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;
use tokio::sync::Semaphore;

use super::body;
use super::respond::{self, ResponseBody};
use super::route::{ApiRequest, HttpResponse, HttpState};

/// The call's name for the log.
pub(super) const CALL_NAME: &str = "upload";
/// Uploads at a time; more are asked to come back.
const MAX_CONCURRENT_UPLOADS: usize = 16;
/// When they are to come back, in seconds.
const RETRY_AFTER_S: u16 = 30;
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");

/// What uploads need.
pub struct UploadService {
    uploads: Arc<dyn Uploads>,
    max_bytes: u64,
    slots: Semaphore,
}

impl UploadService {
    /// Archives of so many bytes at most.
    pub fn new(uploads: Arc<dyn Uploads>, bytes_max: u64) -> Self {
        Self { uploads, max_bytes: bytes_max, slots: Semaphore::new(MAX_CONCURRENT_UPLOADS) }
    }
}

/// Why an upload is refused.
struct UploadRefusal {
    status: StatusCode,
    reason: String,
    /// Where it goes on.
    offset: Option<u64>,
}

impl UploadRefusal {
    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, reason: why.into(), offset: None }
    }
}

impl From<UploadError> for UploadRefusal {
    fn from(error: UploadError) -> Self {
        let (status, offset) = match error {
            UploadError::Busy => (StatusCode::CONFLICT, None),
            UploadError::WrongOffset(offset) => (StatusCode::CONFLICT, Some(offset)),
            UploadError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
            UploadError::Interrupted => (StatusCode::BAD_REQUEST, None),
            UploadError::DigestMismatch => (StatusCode::UNPROCESSABLE_ENTITY, Some(0)),
            UploadError::Full => (StatusCode::INSUFFICIENT_STORAGE, None),
            UploadError::Unavailable(ref why) => {
                tracing::error!(why, "upload failed");
                let why = "the archive cannot be stored";
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, why);
            }
        };
        Self { status, reason: error.to_string(), offset }
    }
}

/// Answers a request about an upload.
pub(super) async fn handle_call(
    gate: &HttpState,
    record_id: &str,
    incomer: ApiRequest,
) -> HttpResponse {
    let is_head = incomer.method == Method::HEAD;
    match handle_upload(gate, record_id, incomer).await {
        Ok((status, received)) => {
            let mut response = respond::json(status, &json!({ "received": received }));
            response.headers_mut().insert(UPLOAD_OFFSET, HeaderValue::from(received));
            if is_head {
                *response.body_mut() = respond::empty_body();
            }
            HttpResponse::ok(CALL_NAME, response)
        }
        Err(refused) => {
            let mut outcome = HttpResponse::ok(CALL_NAME, refusal_response(&refused));
            outcome.result = refused.reason;
            outcome
        }
    }
}

fn refusal_response(refused: &UploadRefusal) -> Response<ResponseBody> {
    let mut response = respond::json(refused.status, &json!({ "error": refused.reason }));
    let headers = response.headers_mut();
    if let Some(offset) = refused.offset {
        headers.insert(UPLOAD_OFFSET, HeaderValue::from(offset));
    }
    match refused.status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        _ => {}
    }
    response
}

async fn handle_upload(
    gate: &HttpState,
    record_id: &str,
    incomer: ApiRequest,
) -> Result<(StatusCode, u64), UploadRefusal> {
    if gate.app.policy.recording_disabled {
        return Err(UploadRefusal::new(StatusCode::NOT_FOUND, "recordings are not imported here"));
    }
    let uploading = &gate.upload_service;
    let record_id = RecordId::parse(record_id);
    let record_id = record_id
        .ok_or_else(|| UploadRefusal::new(StatusCode::BAD_REQUEST, "no id of a recording"))?;
    let sender = authorise_sender(gate, &incomer.headers, &record_id).await?;
    match incomer.method {
        Method::HEAD | Method::GET => {
            Ok((StatusCode::OK, uploading.uploads.count_received_bytes(&record_id).await?))
        }
        Method::PUT | Method::PATCH => {
            let received = receive_archive(uploading, &record_id, incomer).await?;
            tracing::info!(server = sender.0, record = %record_id, bytes = received.1, "upload");
            Ok(received)
        }
        _ => {
            Err(UploadRefusal::new(StatusCode::METHOD_NOT_ALLOWED, "HEAD, PUT or PATCH is needed"))
        }
    }
}

async fn authorise_sender(
    gate: &HttpState,
    headers: &HeaderMap,
    record_id: &RecordId,
) -> Result<ServerId, UploadRefusal> {
    let given =
        header_text(headers, &header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
    let unknown = || UploadRefusal::new(StatusCode::UNAUTHORIZED, "no valid token of a server");
    let token = given.ok_or_else(unknown)?;
    match upload::find_sender(&gate.app, token.trim(), record_id).await {
        Ok(sender) => sender.ok_or_else(unknown),
        Err(error) => {
            tracing::error!(%error, "servers cannot be read");
            Err(UploadRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "servers cannot be read"))
        }
    }
}

async fn receive_archive(
    uploading: &UploadService,
    record_id: &RecordId,
    incomer: ApiRequest,
) -> Result<(StatusCode, u64), UploadRefusal> {
    let busy =
        |_| UploadRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many uploads at a time");
    let _slot = uploading.slots.try_acquire().map_err(busy)?;
    let place = ArchiveRange::from_headers(&incomer.headers)?;
    if place.total > uploading.max_bytes {
        return Err(UploadError::TooLarge.into());
    }
    let sha256 = read_digest(&incomer.headers, place.offset == 0)?;
    // What is more than was announced ends it where it is written.
    let bytes: UploadBytes = body::stream_body(incomer.body, u64::MAX).await;
    let uploads = &uploading.uploads;
    let received = uploads.append_upload(record_id, place.offset, place.total, bytes).await?;
    if received < place.total {
        return Ok((StatusCode::ACCEPTED, received));
    }
    uploads.complete_upload(record_id, sha256).await?;
    Ok((StatusCode::CREATED, received))
}

/// Which part of an archive a request carries.
#[derive(Debug, PartialEq, Eq)]
struct ArchiveRange {
    offset: u64,
    total: u64,
}

impl ArchiveRange {
    fn from_headers(headers: &HeaderMap) -> Result<Self, UploadRefusal> {
        let number =
            |name: &HeaderName| header_text(headers, name).and_then(|text| text.parse().ok());
        let place = if let Some(range) = header_text(headers, &header::CONTENT_RANGE) {
            parse_content_range(range)
        } else if headers.contains_key(UPLOAD_OFFSET) {
            let (offset, total) = (number(&UPLOAD_OFFSET), number(&UPLOAD_LENGTH));
            offset.zip(total).map(|(offset, total)| Self { offset, total })
        } else {
            let total = number(&UPLOAD_LENGTH).or_else(|| number(&header::CONTENT_LENGTH));
            let needed = || UploadRefusal::new(StatusCode::LENGTH_REQUIRED, "a length is needed");
            Some(Self { offset: 0, total: total.ok_or_else(needed)? })
        };
        let wrong =
            || UploadRefusal::new(StatusCode::BAD_REQUEST, "range or offset is not understood");
        place.filter(|place| place.offset <= place.total).ok_or_else(wrong)
    }
}

/// Reads `bytes 5-9/10`.
fn parse_content_range(text: &str) -> Option<ArchiveRange> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let (offset, last, total) =
        (from.parse::<u64>().ok()?, to.parse::<u64>().ok()?, total.parse::<u64>().ok()?);
    (offset <= last && last < total).then_some(ArchiveRange { offset, total })
}

/// The SHA-256 of the whole archive, as its sender tells it.
fn read_digest(headers: &HeaderMap, in_one_piece: bool) -> Result<[u8; 32], UploadRefusal> {
    let whole = header_text(headers, &HeaderName::from_static("repr-digest"));
    let part = header_text(headers, &HeaderName::from_static("content-digest"));
    let given = whole.or(part.filter(|_| in_one_piece));
    let sha256 = given.and_then(|text| {
        let mut entries = text.split(',').filter_map(|entry| entry.trim().split_once('='));
        let (_, value) = entries.find(|(name, _)| name.eq_ignore_ascii_case("sha-256"))?;
        let value = value.strip_prefix(':')?.strip_suffix(':')?;
        <[u8; 32]>::try_from(STANDARD.decode(value).ok()?).ok()
    });
    sha256.ok_or_else(|| {
        UploadRefusal::new(
            StatusCode::BAD_REQUEST,
            "Repr-Digest with the archive's sha-256 is needed",
        )
    })
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn parse_range(pairs: &[(&'static str, &str)]) -> Option<(u64, u64)> {
        ArchiveRange::from_headers(&headers(pairs)).ok().map(|place| (place.offset, place.total))
    }

    #[test]
    fn parts_are_named_in_three_ways() {
        assert_eq!(parse_range(&[("content-length", "10")]), Some((0, 10)));
        assert_eq!(parse_range(&[("content-range", "bytes 5-9/10")]), Some((5, 10)));
        assert_eq!(
            parse_range(&[("upload-offset", "10"), ("upload-length", "10")]),
            Some((10, 10))
        );
        assert_eq!(parse_range(&[("upload-offset", "11"), ("upload-length", "10")]), None);
        assert_eq!(parse_range(&[("upload-offset", "5")]), None);
        for range in ["bytes 5-9/*", "bytes 9-5/10", "bytes 5-10/10", "5-9/10", "bytes -5/10"] {
            assert_eq!(parse_range(&[("content-range", range)]), None, "{range}");
        }
        assert_eq!(parse_range(&[]), None);
    }

    #[test]
    fn a_digest_of_a_part_is_none_of_the_whole() {
        let value = format!("sha-512=:x:, sha-256=:{}:", STANDARD.encode([7; 32]));
        let whole = headers(&[("repr-digest", &value)]);
        assert_eq!(read_digest(&whole, false).ok(), Some([7; 32]));
        let part = headers(&[("content-digest", &value)]);
        assert_eq!(read_digest(&part, true).ok(), Some([7; 32]));
        assert_eq!(read_digest(&part, false).ok(), None);
        for bad in ["sha-256=:AAAA:", "sha-256=x", "", "md5=:AAAA:"] {
            assert_eq!(read_digest(&headers(&[("repr-digest", bad)]), true).ok(), None, "{bad}");
        }
    }
}
