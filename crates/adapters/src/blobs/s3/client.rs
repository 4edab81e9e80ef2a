//! Requests to S3: signed, bounded in time and size, tried again when it is busy. Signatures stand in URLs, so no URL is
//! ever logged.

use std::time::Duration;

use app::ports::{BlobBytes, BlobError, BlobInfo, ByteSpan};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use rustls::ClientConfig;
use rusty_s3::actions::{DeleteObjectsResponse, ListObjectsV2, ObjectIdentifier};
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use tokio::time::{sleep, timeout};

use super::content::{S3Body, S3Content};
use super::transfer::TransferLimits;

/// How long a signed URL is good for.
pub(super) const URL_LIFETIME: Duration = Duration::from_secs(3600);
/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the head of an answer, once all is sent.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a file that are sent in so many seconds at least.
const MIN_BYTES_PER_S: u64 = 64 * 1024;
/// Longest answer that is read whole.
const MAX_RESPONSE_BYTES: usize = 16 << 20;
/// Tries of one request.
const MAX_TRIES: u32 = 4;
/// Time before the second try; it doubles with each further one.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// Keys that S3 removes with one request.
const MAX_DELETED_KEYS: usize = 1000;
/// What stands in a key as it is, in the header that names what is copied.
pub(super) const KEY_ENCODE_SET: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Where a bucket is, and who may use it.
#[derive(Clone)]
pub struct S3Settings {
    /// `S3_BUCKET_NAME`.
    pub bucket: String,
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ENDPOINT_URL`; none: Amazon's.
    pub endpoint: Option<String>,
    /// `AWS_ACCESS_KEY_ID`.
    pub key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_key: String,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<String>,
    /// What is done in one request.
    pub limits: TransferLimits,
}

/// A bucket and how to reach it.
#[derive(Clone)]
pub(super) struct S3Client {
    pub(super) bucket: Bucket,
    pub(super) credentials: Credentials,
    pub(super) limits: TransferLimits,
    client: Client<HttpsConnector<HttpConnector>, S3Body>,
}

impl std::fmt::Debug for S3Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("bucket", &self.bucket.name()).finish_non_exhaustive()
    }
}

/// Why a request was not answered.
enum S3Failure {
    /// It was waited for long enough.
    Timeout,
    /// It may go better at once.
    Retryable(BlobError),
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct ListPage {
    pub(super) keys: Vec<(String, u64)>,
    pub(super) prefixes: Vec<String>,
    pub(super) next_token: Option<String>,
}

/// Something that S3 should not answer.
pub(super) fn s3_error(what: &str) -> BlobError {
    BlobError::Unavailable(format!("S3: {what}"))
}

impl S3Client {
    pub(super) fn new(access: S3Settings) -> Result<Self, String> {
        let amazon = || format!("https://s3.{}.amazonaws.com", access.region);
        let endpoint = access.endpoint.unwrap_or_else(amazon);
        let url =
            url::Url::parse(&endpoint).map_err(|_| "AWS_ENDPOINT_URL is no URL".to_owned())?;
        // A bucket in the path is understood everywhere, whatever its name.
        let bucket = Bucket::new(url, UrlStyle::Path, access.bucket, access.region)
            .map_err(|error| format!("the bucket cannot be addressed: {error}"))?;
        let credentials = match access.session_token {
            Some(token) => Credentials::new_with_token(access.key_id, access.secret_key, token),
            None => Credentials::new(access.key_id, access.secret_key),
        };
        Ok(Self { bucket, credentials, limits: access.limits, client: build_client() })
    }

    /// Keys below a prefix.
    pub(super) async fn list_page(
        &self,
        prefix: &str,
        limit: Option<usize>,
        next: Option<&str>,
    ) -> Result<ListPage, BlobError> {
        let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
        action.with_prefix(prefix);
        if let Some(limit) = limit {
            action.with_max_keys(limit);
        }
        if let Some(next) = next {
            action.with_continuation_token(next);
        }
        self.send_list(action).await
    }

    /// Names between a prefix and the next slash.
    pub(super) async fn list_prefixes(
        &self,
        prefix: &str,
        after: Option<&str>,
        next: Option<&str>,
    ) -> Result<ListPage, BlobError> {
        let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
        action.with_prefix(prefix);
        action.with_delimiter("/");
        if let Some(after) = after {
            action.with_start_after(after);
        }
        if let Some(next) = next {
            action.with_continuation_token(next);
        }
        self.send_list(action).await
    }

    async fn send_list(&self, action: ListObjectsV2<'_>) -> Result<ListPage, BlobError> {
        let url = action.sign(URL_LIFETIME);
        let response = self.send_checked("GET", url.as_str(), &[], &S3Content::empty()).await?;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let list =
            ListObjectsV2::parse_response(&text).map_err(|_| s3_error("an unreadable list"))?;
        Ok(ListPage {
            keys: list
                .contents
                .into_iter()
                .map(|one| (one.key, one.size.unwrap_or_default()))
                .collect(),
            prefixes: list.common_prefixes.into_iter().map(|one| one.prefix).collect(),
            next_token: list.next_continuation_token,
        })
    }

    /// Removes objects, however many; those that are not there are no failure.
    pub(super) async fn delete_objects(&self, keys: &[String]) -> Result<(), BlobError> {
        for keys in keys.chunks(MAX_DELETED_KEYS) {
            let keys: Vec<_> = keys.iter().cloned().map(ObjectIdentifier::new).collect();
            let mut action = self.bucket.delete_objects(Some(&self.credentials), keys.iter());
            action.set_quiet(true);
            let url = action.sign(URL_LIFETIME);
            let (body, digest) = action.body_with_md5();
            let digest = HeaderValue::from_str(&digest).map_err(|_| s3_error("a digest"))?;
            let digest = [(HeaderName::from_static("content-md5"), digest)];
            let content = S3Content::Bytes(body.into());
            let response = self.send_checked("POST", url.as_str(), &digest, &content).await?;
            let text = String::from_utf8_lossy(response.body()).into_owned();
            let removed = DeleteObjectsResponse::parse(&text)
                .map_err(|_| s3_error("an unreadable answer to a removal"))?;
            if let Some(error) = removed.errors.first() {
                return Err(s3_error(&format!("objects were not removed: {}", error.code)));
            }
        }
        Ok(())
    }

    pub(super) async fn fetch_info(&self, key: &str) -> Result<Option<BlobInfo>, BlobError> {
        let action = self.bucket.head_object(Some(&self.credentials), key);
        let url = action.sign(URL_LIFETIME);
        let response = self.send("HEAD", url.as_str(), &[], &S3Content::empty()).await?;
        match response.status() {
            StatusCode::OK => parse_info(response.headers()).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(s3_error(&format!("status {status}"))),
        }
    }

    pub(super) async fn open_object(
        &self,
        key: &str,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        // There is no way to ask for nothing.
        if span.is_some_and(|span| span.start >= span.end) {
            return Ok(self.fetch_info(key).await?.map(|info| (info, stream::empty().boxed())));
        }
        let action = self.bucket.get_object(Some(&self.credentials), key);
        let url = action.sign(URL_LIFETIME);
        let mut headers = Vec::new();
        if let Some(ByteSpan { start: from, end: to }) = span {
            let range = format!("bytes={from}-{}", to - 1);
            let range = HeaderValue::from_str(&range).map_err(|_| s3_error("a range"))?;
            headers.push((header::RANGE, range));
        }
        let response = self.send("GET", url.as_str(), &headers, &S3Content::empty()).await?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
                let info = parse_info(response.headers())?;
                let pieces = response.into_body().into_data_stream();
                let broken = |error: hyper::Error| s3_error(&error.to_string());
                Ok(Some((info, pieces.map_err(broken).boxed())))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(read_error(response).await),
        }
    }

    /// A request that has to succeed, and its answer whole.
    pub(super) async fn send_checked(
        &self,
        method: &str,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        content: &S3Content,
    ) -> Result<Response<Bytes>, BlobError> {
        let response = self.send(method, url, headers, content).await?;
        if !response.status().is_success() {
            return Err(read_error(response).await);
        }
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, read_body(body).await?))
    }

    /// Sends a request until it is answered by other words than that S3 is busy.
    async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        content: &S3Content,
    ) -> Result<Response<Incoming>, BlobError> {
        let mut wait = RETRY_DELAY;
        for left in (0..MAX_TRIES).rev() {
            let sent = self.send_once(method, url, headers, content).await;
            let busy = |response: &Response<Incoming>| {
                response.status().is_server_error()
                    || response.status() == StatusCode::TOO_MANY_REQUESTS
            };
            match sent {
                Ok(response) if left == 0 || !busy(&response) => return Ok(response),
                // Who is silent for so long is not asked again by somebody who waits.
                Err(S3Failure::Timeout) => return Err(s3_error("no answer in time")),
                Err(S3Failure::Retryable(error)) if left == 0 => return Err(error),
                _ => sleep(wait).await,
            }
            wait *= 2;
        }
        Err(s3_error("no answer"))
    }

    async fn send_once(
        &self,
        method: &str,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        content: &S3Content,
    ) -> Result<Response<Incoming>, S3Failure> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if method != "GET" && method != "HEAD" {
            request = request.header(header::CONTENT_LENGTH, content.size());
        }
        let broken =
            |error: &dyn std::fmt::Display| S3Failure::Retryable(s3_error(&error.to_string()));
        let body = content.open_body().await.map_err(|error| broken(&error))?;
        let request = request.body(body).map_err(|error| broken(&error))?;
        let time = RESPONSE_TIMEOUT + Duration::from_secs(content.size() / MIN_BYTES_PER_S);
        match timeout(time, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => Err(S3Failure::Timeout),
        }
    }
}

fn build_client() -> Client<HttpsConnector<HttpConnector>, S3Body> {
    let tls = ClientConfig::builder()
        .with_native_roots()
        .unwrap_or_else(|_| ClientConfig::builder().with_webpki_roots())
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(https)
}

fn parse_info(headers: &HeaderMap) -> Result<BlobInfo, BlobError> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // Of a part, the whole stands behind the slash.
    let whole = text(header::CONTENT_RANGE).and_then(|range| range.rsplit_once('/'));
    let size = whole.map(|(_, size)| size).or_else(|| text(header::CONTENT_LENGTH));
    let size = size.and_then(|size| size.parse().ok());
    let modified = text(header::LAST_MODIFIED).and_then(|it| httpdate::parse_http_date(it).ok());
    let tag = text(header::ETAG).unwrap_or_default().trim_matches('"').to_owned();
    let size = size.ok_or_else(|| s3_error("an object without a size"))?;
    Ok(BlobInfo { size, modified_at: modified, etag: tag })
}

async fn read_body(mut body: Incoming) -> Result<Bytes, BlobError> {
    let mut whole = BytesMut::new();
    loop {
        let frame = timeout(RESPONSE_TIMEOUT, body.frame()).await;
        let frame = frame.map_err(|_| s3_error("the answer does not end"))?;
        let Some(frame) = frame else { return Ok(whole.freeze()) };
        let frame = frame.map_err(|error| s3_error(&error.to_string()))?;
        let piece = frame.into_data().unwrap_or_default();
        if whole.len() + piece.len() > MAX_RESPONSE_BYTES {
            return Err(s3_error("an answer that is too long"));
        }
        whole.extend_from_slice(&piece);
    }
}

/// What S3 says that is wrong: its key, which holds no secret.
async fn read_error(response: Response<Incoming>) -> BlobError {
    let status = response.status();
    let text = read_body(response.into_body()).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code: String =
        code.map_or("", |(code, _)| code).chars().filter(char::is_ascii_alphanumeric).collect();
    s3_error(&format!("status {} {code}", status.as_u16()))
}
