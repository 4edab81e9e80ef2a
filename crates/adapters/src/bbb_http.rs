//! Sends calls to BigBlueButton servers over HTTP/1.1.
//!
//! It uses hyper and not a higher-level client, because those rewrite URLs and the URL that is sent must be exactly the
//! one that was signed. It follows no redirects, keeps no cookies and repeats no calls. Calls are limited in time, size
//! and number of connections.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use app::ports::{
    BackendBody, BackendCall, BackendResponse, BbbClient, CallError, CallPriority, CallTimeouts,
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use domain::Timestamp;
use http::{HeaderMap, Request, Response, Uri, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::name_lookup::ServerNames;

/// Number of idle connections that are kept for each server.
const MAX_IDLE_PER_SERVER: usize = 32;
/// How long an idle connection is kept. Shorter than the keep-alive time of BBB's web server, so that this side closes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The buffer of a connection. One that grew with the responses would stay as large as the longest list, for every server.
const READ_BUFFER_BYTES: usize = 16 << 10;
const USER_AGENT: &str = concat!("scalelite/", env!("CARGO_PKG_VERSION"));

/// The header by which web servers pass on the id of a request.
const REQUEST_ID_HEADER: &str = "x-request-id";

type HyperClient = Client<HttpsConnector<HttpConnector<ServerNames>>, RequestBody>;

/// A client for all servers of the pool.
pub struct HttpBbbClient {
    client: HyperClient,
    /// For each server, by the authority of its URL, the permits for calls of front-ends. There are as many entries as
    /// servers.
    call_slots: Mutex<HashMap<String, Arc<Semaphore>>>,
    calls_per_server: usize,
}

impl HttpBbbClient {
    /// Creates a client that trusts the system's certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honored), or
    /// Mozilla's if the system has none.
    ///
    /// `max_connect_ms` is the longest time for connecting, whatever the timeouts of a call say. `calls_per_server` is the
    /// largest number of calls of front-ends that are in flight to one server at the same time; polls are not counted and
    /// do not wait.
    #[must_use]
    pub fn new(max_connect_ms: u64, calls_per_server: usize) -> Self {
        let tls = ClientConfig::builder()
            .with_native_roots()
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "system certificates not available, using Mozilla's");
                ClientConfig::builder().with_webpki_roots()
            })
            .with_no_client_auth();
        let client = build_client(tls, max_connect_ms);
        Self { client, call_slots: Mutex::default(), calls_per_server }
    }

    /// Returns the permits for calls of front-ends to this server.
    fn find_slots(&self, uri: &Uri) -> Arc<Semaphore> {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let mut slots = self.call_slots.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.get(authority) {
            Some(slots) => slots.clone(),
            None => {
                let new_slots = Arc::new(Semaphore::new(self.calls_per_server));
                slots.insert(authority.to_owned(), new_slots.clone());
                new_slots
            }
        }
    }
}

fn build_client(tls: ClientConfig, connect_ms: u64) -> HyperClient {
    let mut tcp = HttpConnector::new_with_resolver(ServerNames);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(Duration::from_millis(connect_ms)));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_SERVER)
        .pool_timer(TokioTimer::new())
        .http1_read_buf_exact_size(READ_BUFFER_BYTES)
        // This repeats only requests of which no byte was sent because an idle connection had just been closed.
        .retry_canceled_requests(true)
        .build(https)
}

#[async_trait]
impl BbbClient for HttpBbbClient {
    async fn send_call(&self, call: BackendCall) -> Result<BackendResponse, CallError> {
        let uri: Uri = call
            .url
            .parse()
            .map_err(|_| CallError::Unreachable("the URL is invalid or too long".to_owned()))?;
        let mut request = Request::builder().uri(uri).header(header::USER_AGENT, USER_AGENT);
        if let Some(id) = &call.request_id {
            request = request.header(REQUEST_ID_HEADER, &**id);
        }
        let request_body = match call.body {
            Some(body) => {
                request = request.method("POST").header(header::CONTENT_TYPE, &body.content_type);
                RequestBody::from_backend_body(body)
            }
            None => RequestBody::empty(),
        };
        let progress = request_body.progress.clone();
        let request = request
            .body(request_body)
            .map_err(|_| CallError::Unreachable("the request cannot be built".to_owned()))?;
        let slots = self.find_slots(request.uri());
        let response_timeout = Duration::from_millis(call.timeouts.response_ms);
        // The semaphore is never closed, so only the timeout can be an error here.
        let _slot = match call.priority {
            CallPriority::Internal => None,
            CallPriority::FrontEnd => {
                timeout(response_timeout, slots.acquire()).await.map(Some).map_err(|_| {
                    CallError::Unreachable("too many calls to this server are in flight".to_owned())
                })?
            }
        };
        let response = self.send_request(request, &progress, call.timeouts).await?;
        let (status, date) = (response.status().as_u16(), parse_date(response.headers()));
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = timeout(response_timeout, read_body(response, call.max_response_bytes)).await;
        let body = body.map_err(|_| CallError::Timeout(call.timeouts.response_ms))??;
        Ok(BackendResponse { status, location, body, date })
    }
}

impl HttpBbbClient {
    /// Sends the request and returns when the response headers have arrived. Connecting (with name lookup and TLS) and
    /// waiting for the response have separate timeouts.
    async fn send_request(
        &self,
        mut request: Request<RequestBody>,
        progress: &Notify,
        timeouts: CallTimeouts,
    ) -> Result<Response<Incoming>, CallError> {
        let mut connection = capture_connection(&mut request);
        let mut sending = std::pin::pin!(self.client.request(request));
        tokio::select! {
            biased;
            response = &mut sending => return response.map_err(|error| classify_error(&error)),
            _ = connection.wait_for_connection_metadata() => {}
            () = sleep(Duration::from_millis(timeouts.connect_ms)) => {
                let text = format!("no connection within {} ms", timeouts.connect_ms);
                return Err(CallError::Unreachable(text));
            }
        }
        tokio::select! {
            biased;
            response = &mut sending => response.map_err(|error| classify_error(&error)),
            () = wait_until_idle(progress, Duration::from_millis(timeouts.response_ms)) => {
                Err(CallError::Timeout(timeouts.response_ms))
            }
        }
    }
}

/// Returns once the request body has made no progress for this long.
async fn wait_until_idle(progress: &Notify, idle_timeout: Duration) {
    loop {
        let deadline = Instant::now() + idle_timeout;
        tokio::select! {
            biased;
            () = progress.notified() => {}
            () = sleep_until(deadline) => return,
        }
    }
}

/// Reads the server's clock from the header `Date`.
fn parse_date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_millis()).ok().map(Timestamp)
}

async fn read_body(response: Response<Incoming>, max_bytes: usize) -> Result<Bytes, CallError> {
    let mut body = response.into_body();
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| CallError::ConnectionLost(root_cause(&error)))?;
        if let Ok(data) = frame.into_data() {
            if collected.len() + data.len() > max_bytes {
                return Err(CallError::ResponseTooLarge(max_bytes));
            }
            collected.extend_from_slice(&data);
        }
    }
    Ok(collected.freeze())
}

fn classify_error(error: &hyper_util::client::legacy::Error) -> CallError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(body_error) = cause.downcast_ref::<RequestBodyError>() {
            return match body_error.0.kind() {
                io::ErrorKind::FileTooLarge => CallError::UploadTooLarge,
                _ => CallError::UploadInterrupted(body_error.0.to_string()),
            };
        }
        source = cause.source();
    }
    let reason = root_cause(error);
    if error.is_connect() {
        CallError::Unreachable(reason)
    } else {
        CallError::ConnectionLost(reason)
    }
}

/// Returns the text of the innermost error. The outer errors only say that sending a request failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The body of a request: empty, or a stream that is forwarded from the caller.
struct RequestBody {
    body: Option<BackendBody>,
    /// Bytes not yet sent, if the length is known.
    remaining_bytes: Option<u64>,
    /// Notified for each chunk that is sent.
    progress: Arc<Notify>,
}

/// An error of the stream from which a body is forwarded.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct RequestBodyError(io::Error);

impl RequestBody {
    fn empty() -> Self {
        Self { body: None, remaining_bytes: Some(0), progress: Arc::default() }
    }

    fn from_backend_body(body: BackendBody) -> Self {
        Self { remaining_bytes: body.length, body: Some(body), progress: Arc::default() }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let chunk = std::task::ready!(body.stream.as_mut().poll_next(context));
        self.progress.notify_one();
        Poll::Ready(chunk.map(|chunk| {
            let chunk = chunk.map_err(RequestBodyError)?;
            let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            self.remaining_bytes =
                self.remaining_bytes.map(|remaining| remaining.saturating_sub(length));
            Ok(Frame::data(chunk))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining_bytes == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining_bytes.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
