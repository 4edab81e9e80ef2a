//! Sends requests to S3: signed, limited in time and size, and repeated when S3 is busy. No URL is ever logged, since the
//! signature is part of the URL.

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

/// How long a signed URL is valid.
pub(super) const URL_LIFETIME: Duration = Duration::from_secs(3600);
/// Timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of the response headers, in addition to the time allowed for sending the body; also the timeout of each
/// further piece of the response body.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Slowest acceptable upload. The time allowed for a request grows with its body at this rate.
const MIN_BYTES_PER_S: u64 = 64 * 1024;
/// Longest response that is read into memory.
const MAX_RESPONSE_BYTES: usize = 16 << 20;
/// How often one request is sent at most.
const MAX_TRIES: u32 = 4;
/// Delay before the second try; doubled before each further one.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// Number of keys that S3 deletes with one request.
const MAX_DELETED_KEYS: usize = 1000;
/// Characters to be percent-encoded in the header that names the source of a copy.
pub(super) const KEY_ENCODE_SET: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// The address of a bucket and the credentials for it.
#[derive(Clone)]
pub struct S3Settings {
    /// `S3_BUCKET_NAME`.
    pub bucket: String,
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ENDPOINT_URL`; `None` for Amazon's own endpoint of the region.
    pub endpoint: Option<String>,
    /// `AWS_ACCESS_KEY_ID`.
    pub key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_key: String,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<String>,
    /// Sizes from which on transfers are split into parts.
    pub limits: TransferLimits,
}

/// A client for one bucket.
#[derive(Clone)]
pub(super) struct S3Client {
    pub(super) bucket: Bucket,
    pub(super) credentials: Credentials,
    pub(super) limits: TransferLimits,
    client: Client<HttpsConnector<HttpConnector>, S3Body>,
}

impl std::fmt::Debug for S3Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Client").field("bucket", &self.bucket.name()).finish_non_exhaustive()
    }
}

/// Why one try of a request got no response.
enum S3Failure {
    /// The response did not come in time.
    Timeout,
    /// Any other error: another try may succeed.
    Retryable(BlobError),
}

/// One page of a listing.
#[derive(Debug)]
pub(super) struct ListPage {
    /// Keys and sizes of objects.
    pub(super) keys: Vec<(String, u64)>,
    /// Common prefixes, each with the slash at its end.
    pub(super) prefixes: Vec<String>,
    /// The token for the next page, if there is one.
    pub(super) next_token: Option<String>,
}

/// Builds an error of this storage.
pub(super) fn s3_error(reason: &str) -> BlobError {
    BlobError::Unavailable(format!("S3: {reason}"))
}

impl S3Client {
    pub(super) fn new(settings: S3Settings) -> Result<Self, String> {
        let default_endpoint = || format!("https://s3.{}.amazonaws.com", settings.region);
        let endpoint = settings.endpoint.unwrap_or_else(default_endpoint);
        let url = url::Url::parse(&endpoint)
            .map_err(|_| "AWS_ENDPOINT_URL is not a valid URL".to_owned())?;
        // Every S3 service accepts the bucket in the path, whatever the name of the bucket.
        let bucket = Bucket::new(url, UrlStyle::Path, settings.bucket, settings.region)
            .map_err(|error| format!("invalid name of the bucket or its endpoint: {error}"))?;
        let credentials = match settings.session_token {
            Some(token) => Credentials::new_with_token(settings.key_id, settings.secret_key, token),
            None => Credentials::new(settings.key_id, settings.secret_key),
        };
        Ok(Self { bucket, credentials, limits: settings.limits, client: build_client() })
    }

    /// Lists keys below a prefix, one page at a time.
    pub(super) async fn list_page(
        &self,
        prefix: &str,
        limit: Option<usize>,
        next_token: Option<&str>,
    ) -> Result<ListPage, BlobError> {
        let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
        action.with_prefix(prefix);
        if let Some(limit) = limit {
            action.with_max_keys(limit);
        }
        if let Some(token) = next_token {
            action.with_continuation_token(token);
        }
        self.send_list(action).await
    }

    /// Lists the names between a prefix and the next slash, one page at a time.
    pub(super) async fn list_prefixes(
        &self,
        prefix: &str,
        after: Option<&str>,
        next_token: Option<&str>,
    ) -> Result<ListPage, BlobError> {
        let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
        action.with_prefix(prefix);
        action.with_delimiter("/");
        if let Some(after) = after {
            action.with_start_after(after);
        }
        if let Some(token) = next_token {
            action.with_continuation_token(token);
        }
        self.send_list(action).await
    }

    async fn send_list(&self, action: ListObjectsV2<'_>) -> Result<ListPage, BlobError> {
        let url = action.sign(URL_LIFETIME);
        let response = self.send_checked("GET", url.as_str(), &[], &S3Content::empty()).await?;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let list = ListObjectsV2::parse_response(&text)
            .map_err(|_| s3_error("invalid response to a listing"))?;
        Ok(ListPage {
            keys: list
                .contents
                .into_iter()
                .map(|object| (object.key, object.size.unwrap_or_default()))
                .collect(),
            prefixes: list.common_prefixes.into_iter().map(|common| common.prefix).collect(),
            next_token: list.next_continuation_token,
        })
    }

    /// Deletes any number of objects. Missing objects are not an error.
    pub(super) async fn delete_objects(&self, keys: &[String]) -> Result<(), BlobError> {
        for keys in keys.chunks(MAX_DELETED_KEYS) {
            let keys: Vec<_> = keys.iter().cloned().map(ObjectIdentifier::new).collect();
            let mut action = self.bucket.delete_objects(Some(&self.credentials), keys.iter());
            action.set_quiet(true);
            let url = action.sign(URL_LIFETIME);
            let (body, digest) = action.body_with_md5();
            let digest = HeaderValue::from_str(&digest)
                .map_err(|_| s3_error("invalid digest of a request"))?;
            let headers = [(HeaderName::from_static("content-md5"), digest)];
            let content = S3Content::Bytes(body.into());
            let response = self.send_checked("POST", url.as_str(), &headers, &content).await?;
            let text = String::from_utf8_lossy(response.body()).into_owned();
            let result = DeleteObjectsResponse::parse(&text)
                .map_err(|_| s3_error("invalid response to a deletion"))?;
            if let Some(error) = result.errors.first() {
                return Err(s3_error(&format!("objects not deleted: {}", error.code)));
            }
        }
        Ok(())
    }

    /// Returns size, time and entity tag of an object, or `None` if it does not exist.
    pub(super) async fn fetch_info(&self, key: &str) -> Result<Option<BlobInfo>, BlobError> {
        let action = self.bucket.head_object(Some(&self.credentials), key);
        let url = action.sign(URL_LIFETIME);
        let response =
            self.send("HEAD", url.as_str(), &[], &S3Content::empty(), Duration::ZERO).await?;
        match response.status() {
            StatusCode::OK => parse_info(response.headers()).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(s3_error(&format!("status {status}"))),
        }
    }

    /// Opens an object or a part of it for reading. Returns `None` if it does not exist.
    pub(super) async fn open_object(
        &self,
        key: &str,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        // An HTTP range cannot be empty.
        if span.is_some_and(|span| span.start >= span.end) {
            return Ok(self.fetch_info(key).await?.map(|info| (info, stream::empty().boxed())));
        }
        let action = self.bucket.get_object(Some(&self.credentials), key);
        let url = action.sign(URL_LIFETIME);
        let mut headers = Vec::new();
        if let Some(ByteSpan { start, end }) = span {
            let range = format!("bytes={start}-{}", end - 1);
            let range = HeaderValue::from_str(&range).map_err(|_| s3_error("invalid range"))?;
            headers.push((header::RANGE, range));
        }
        let response =
            self.send("GET", url.as_str(), &headers, &S3Content::empty(), Duration::ZERO).await?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
                let info = parse_info(response.headers())?;
                let chunks = response.into_body().into_data_stream();
                let chunks = chunks.map_err(|error: hyper::Error| s3_error(&error.to_string()));
                Ok(Some((info, chunks.boxed())))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(read_error(response).await),
        }
    }

    /// Sends a request and reads the whole response. A status other than success is an error.
    pub(super) async fn send_checked(
        &self,
        method: &str,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        content: &S3Content,
    ) -> Result<Response<Bytes>, BlobError> {
        let no_work = Duration::ZERO;
        self.send_work(method, url, headers, content, no_work).await
    }

    /// Like [`Self::send_checked`], for requests that make S3 work before it answers: it gets so much more time.
    pub(super) async fn send_work(
        &self,
        method: &str,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        content: &S3Content,
        work_time: Duration,
    ) -> Result<Response<Bytes>, BlobError> {
        let response = self.send(method, url, headers, content, work_time).await?;
        if !response.status().is_success() {
            return Err(read_error(response).await);
        }
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, read_body(body, work_time).await?))
    }

    /// Sends a request, and repeats it while S3 is busy (a 5xx status or 429) or the connection fails.
    async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        content: &S3Content,
        work_time: Duration,
    ) -> Result<Response<Incoming>, BlobError> {
        let mut delay = RETRY_DELAY;
        for tries_left in (0..MAX_TRIES).rev() {
            let result = self.send_once(method, url, headers, content, work_time).await;
            let is_busy = |response: &Response<Incoming>| {
                response.status().is_server_error()
                    || response.status() == StatusCode::TOO_MANY_REQUESTS
            };
            match result {
                Ok(response) if tries_left == 0 || !is_busy(&response) => return Ok(response),
                // The caller has already waited long enough: a timeout is not followed by another try.
                Err(S3Failure::Timeout) => return Err(s3_error("no response in time")),
                Err(S3Failure::Retryable(error)) if tries_left == 0 => return Err(error),
                _ => sleep(delay).await,
            }
            delay *= 2;
        }
        Err(s3_error("no response"))
    }

    async fn send_once(
        &self,
        method: &str,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        content: &S3Content,
        work_time: Duration,
    ) -> Result<Response<Incoming>, S3Failure> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if method != "GET" && method != "HEAD" {
            request = request.header(header::CONTENT_LENGTH, content.size());
        }
        let retryable =
            |error: &dyn std::fmt::Display| S3Failure::Retryable(s3_error(&error.to_string()));
        let body = content.open_body().await.map_err(|error| retryable(&error))?;
        let request = request.body(body).map_err(|error| retryable(&error))?;
        let send_time = Duration::from_secs(content.size() / MIN_BYTES_PER_S);
        match timeout(RESPONSE_TIMEOUT + send_time + work_time, self.client.request(request)).await
        {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(retryable(&error)),
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
    // For a part of an object, the size of the whole object is behind the slash.
    let range = text(header::CONTENT_RANGE).and_then(|range| range.rsplit_once('/'));
    let size = range.map(|(_, size)| size).or_else(|| text(header::CONTENT_LENGTH));
    let size = size.and_then(|size| size.parse().ok());
    let modified_at =
        text(header::LAST_MODIFIED).and_then(|date| httpdate::parse_http_date(date).ok());
    let etag = text(header::ETAG).unwrap_or_default().trim_matches('"').to_owned();
    let size = size.ok_or_else(|| s3_error("no size in the response"))?;
    Ok(BlobInfo { size, modified_at, etag })
}

/// Reads a response. S3 may begin one and go on working, so that the rest comes later.
async fn read_body(mut body: Incoming, work_time: Duration) -> Result<Bytes, BlobError> {
    let mut collected = BytesMut::new();
    loop {
        let frame = timeout(RESPONSE_TIMEOUT + work_time, body.frame()).await;
        let frame = frame.map_err(|_| s3_error("the response body did not end in time"))?;
        let Some(frame) = frame else { return Ok(collected.freeze()) };
        let frame = frame.map_err(|error| s3_error(&error.to_string()))?;
        let data = frame.into_data().unwrap_or_default();
        if collected.len() + data.len() > MAX_RESPONSE_BYTES {
            return Err(s3_error("the response is too long"));
        }
        collected.extend_from_slice(&data);
    }
}

/// Builds an error from the status and the error code of a response, neither of which contains a secret.
async fn read_error(response: Response<Incoming>) -> BlobError {
    let status = response.status();
    let text = read_body(response.into_body(), Duration::ZERO).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code: String =
        code.map_or("", |(code, _)| code).chars().filter(char::is_ascii_alphanumeric).collect();
    s3_error(&format!("status {} {code}", status.as_u16()))
}
