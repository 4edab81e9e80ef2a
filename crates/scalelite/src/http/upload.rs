//! `/scalelite/recordings/upload/<record_id>`: BBB servers upload archives of recordings, in one
//! request or in several.
//!
//! `HEAD` returns the number of stored bytes in `Upload-Offset`. `PUT` sends the whole archive;
//! `PATCH` (or `PUT` with `Content-Range`) continues at that offset. A complete archive must match
//! `Repr-Digest` (or, if sent in one request, `Content-Digest`) of RFC 9530; then it is imported.

use app::ports::{UploadBytes, UploadError, UploadId};
use app::recordings::upload::{self, UploadRightError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ServerId;
use domain::recording::RecordId;
use headers::authorization::Bearer;
use headers::{Authorization, ContentRange, HeaderMapExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use super::body;
use super::message::{ApiRequest, HttpResponse};
use super::respond::{self, ResponseBody};
use super::state::HttpState;
use super::upload_service::UploadService;

/// Name of the call in the log.
pub(super) const CALL_NAME: &str = "upload";
/// Time after which a refused client may retry, in seconds.
const RETRY_AFTER_S: u16 = 30;
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");

/// A refused upload.
struct UploadRefusal {
    status: StatusCode,
    reason: String,
    /// Offset at which the upload can continue.
    offset: Option<u64>,
}

impl UploadRefusal {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), offset: None }
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
            UploadError::Full | UploadError::QuotaExceeded => {
                (StatusCode::INSUFFICIENT_STORAGE, None)
            }
            UploadError::Stalled => (StatusCode::REQUEST_TIMEOUT, None),
            UploadError::Unavailable(ref error) => {
                tracing::error!(error, "storing an upload failed");
                let reason = "the archive cannot be stored";
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, reason);
            }
        };
        Self { status, reason: error.to_string(), offset }
    }
}

/// Answers a request for an upload.
pub(super) async fn handle_call(
    state: &HttpState,
    record_id: &str,
    request: ApiRequest,
) -> HttpResponse {
    let is_head = request.method == Method::HEAD;
    match handle_upload(state, record_id, request).await {
        Ok((status, received_bytes)) => {
            let mut response = respond::json(status, &json!({ "received": received_bytes }));
            response.headers_mut().insert(UPLOAD_OFFSET, HeaderValue::from(received_bytes));
            if is_head {
                *response.body_mut() = respond::empty_body();
            }
            HttpResponse::ok(CALL_NAME, response)
        }
        Err(refusal) => {
            let mut response = HttpResponse::ok(CALL_NAME, refusal_response(&refusal));
            response.result = refusal.reason;
            response
        }
    }
}

fn refusal_response(refusal: &UploadRefusal) -> Response<ResponseBody> {
    let mut response = respond::json(refusal.status, &json!({ "error": refusal.reason }));
    let headers = response.headers_mut();
    if let Some(offset) = refusal.offset {
        headers.insert(UPLOAD_OFFSET, HeaderValue::from(offset));
    }
    match refusal.status {
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

/// Returns the status and the number of stored bytes.
async fn handle_upload(
    state: &HttpState,
    record_id: &str,
    request: ApiRequest,
) -> Result<(StatusCode, u64), UploadRefusal> {
    if state.app.policy.recording_disabled {
        return Err(UploadRefusal::new(StatusCode::NOT_FOUND, "recordings are not imported here"));
    }
    let service = &state.upload_service;
    let record_id = RecordId::parse(record_id)
        .ok_or_else(|| UploadRefusal::new(StatusCode::BAD_REQUEST, "the record id is invalid"))?;
    let (sender, upload) = authorize_sender(state, &request.headers, &record_id).await?;
    request.body.prove_sender().await;
    match request.method {
        Method::HEAD | Method::GET => {
            Ok((StatusCode::OK, service.uploads.count_received_bytes(&upload).await?))
        }
        Method::PUT | Method::PATCH => {
            let (status, bytes) = receive_archive(service, &sender, &upload, request).await?;
            tracing::info!(server = sender.0, record = %record_id, bytes, "upload received");
            Ok((status, bytes))
        }
        _ => Err(UploadRefusal::new(StatusCode::METHOD_NOT_ALLOWED, "use HEAD, PUT or PATCH")),
    }
}

/// Returns the server of the pool whose token the request carries, if it may upload the recording.
async fn authorize_sender(
    state: &HttpState,
    headers: &HeaderMap,
    record_id: &RecordId,
) -> Result<(ServerId, UploadId), UploadRefusal> {
    let token = headers.typed_get::<Authorization<Bearer>>();
    let token = token.as_ref().map_or("", |token| token.token());
    upload::authorize_upload(&state.app, token, record_id).await.map_err(|error| {
        let status = match &error {
            UploadRightError::Forged => StatusCode::UNAUTHORIZED,
            UploadRightError::Disabled | UploadRightError::OthersRecording => StatusCode::CONFLICT,
            UploadRightError::Store(error) => {
                tracing::error!(%error, "right to upload not checked");
                let reason = "servers and recordings cannot be read";
                return UploadRefusal::new(StatusCode::SERVICE_UNAVAILABLE, reason);
            }
        };
        UploadRefusal::new(status, error.to_string())
    })
}

async fn receive_archive(
    service: &UploadService,
    sender: &ServerId,
    upload: &UploadId,
    request: ApiRequest,
) -> Result<(StatusCode, u64), UploadRefusal> {
    let busy = || UploadRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many uploads");
    let _slot = service.slots.take(sender).ok_or_else(busy)?;
    let range = ArchiveRange::from_headers(&request.headers)?;
    if range.total > service.max_bytes {
        return Err(UploadError::TooLarge.into());
    }
    let sha256 = read_digest(&request.headers, range.offset == 0)?;
    // `append_upload` refuses a body that is longer than announced.
    let bytes: UploadBytes = body::stream_body(request.body, u64::MAX).await;
    let uploads = &service.uploads;
    let received = uploads.append_upload(upload, range.offset, range.total, bytes).await?;
    if received < range.total {
        return Ok((StatusCode::ACCEPTED, received));
    }
    uploads.complete_upload(upload, sha256).await?;
    Ok((StatusCode::CREATED, received))
}

/// The part of an archive that a request carries.
#[derive(Debug, PartialEq, Eq)]
struct ArchiveRange {
    /// Position of its first byte.
    offset: u64,
    /// Length of the whole archive, in bytes.
    total: u64,
}

impl ArchiveRange {
    fn from_headers(headers: &HeaderMap) -> Result<Self, UploadRefusal> {
        let number =
            |name: &HeaderName| header_text(headers, name).and_then(|text| text.parse().ok());
        let range = if headers.contains_key(header::CONTENT_RANGE) {
            headers.typed_get::<ContentRange>().and_then(Self::from_content_range)
        } else if headers.contains_key(UPLOAD_OFFSET) {
            let (offset, total) = (number(&UPLOAD_OFFSET), number(&UPLOAD_LENGTH));
            offset.zip(total).map(|(offset, total)| Self { offset, total })
        } else {
            let total = number(&UPLOAD_LENGTH).or_else(|| number(&header::CONTENT_LENGTH));
            let missing =
                || UploadRefusal::new(StatusCode::LENGTH_REQUIRED, "the length is missing");
            Some(Self { offset: 0, total: total.ok_or_else(missing)? })
        };
        let invalid =
            || UploadRefusal::new(StatusCode::BAD_REQUEST, "the range or offset is invalid");
        range.filter(|range| range.offset <= range.total).ok_or_else(invalid)
    }

    fn from_content_range(range: ContentRange) -> Option<Self> {
        let ((offset, last), total) = range.bytes_range().zip(range.bytes_len())?;
        (last < total).then_some(Self { offset, total })
    }
}

/// Reads the SHA-256 of the whole archive. Own code, because a parser of structured fields refuses
/// the whole header if the digest of another algorithm in it is malformed.
fn read_digest(headers: &HeaderMap, is_whole_archive: bool) -> Result<[u8; 32], UploadRefusal> {
    let repr_digest = header_text(headers, &HeaderName::from_static("repr-digest"));
    let content_digest = header_text(headers, &HeaderName::from_static("content-digest"));
    let digests = repr_digest.or(content_digest.filter(|_| is_whole_archive));
    let sha256 = digests.and_then(|text| {
        let mut entries = text.split(',').filter_map(|entry| entry.trim().split_once('='));
        let (_, value) = entries.find(|(name, _)| name.eq_ignore_ascii_case("sha-256"))?;
        let value = value.strip_prefix(':')?.strip_suffix(':')?;
        <[u8; 32]>::try_from(STANDARD.decode(value).ok()?).ok()
    });
    let missing = "Repr-Digest with the sha-256 of the archive is missing";
    sha256.ok_or_else(|| UploadRefusal::new(StatusCode::BAD_REQUEST, missing))
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
        ArchiveRange::from_headers(&headers(pairs)).ok().map(|range| (range.offset, range.total))
    }

    #[test]
    fn a_range_is_read_from_any_of_three_headers() {
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
    fn the_digest_of_a_part_is_not_that_of_the_archive() {
        let value = format!("sha-512=:x:, sha-256=:{}:", STANDARD.encode([7; 32]));
        let whole = headers(&[("repr-digest", &value)]);
        assert_eq!(read_digest(&whole, false).ok(), Some([7; 32]));
        let part = headers(&[("content-digest", &value)]);
        assert_eq!(read_digest(&part, true).ok(), Some([7; 32]));
        assert_eq!(read_digest(&part, false).ok(), None);
        for invalid in ["sha-256=:AAAA:", "sha-256=x", "", "md5=:AAAA:"] {
            assert_eq!(
                read_digest(&headers(&[("repr-digest", invalid)]), true).ok(),
                None,
                "{invalid}"
            );
        }
    }
}
