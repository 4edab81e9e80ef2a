//! Calls to BigBlueButton servers over HTTP/1.1. Built on hyper and not on a friendlier client
//! because those rewrite URLs, and what is signed must be what is sent. No redirects, no cookies,
//! no second tries; bounded in time, size and connections.

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

/// Idle connections kept for each server.
const MAX_IDLE_PER_SERVER: usize = 32;
/// Below the keep-alive time of BBB's web server, so that it is we who close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const USER_AGENT: &str = concat!("scalelite/", env!("CARGO_PKG_VERSION"));

type HyperClient = Client<HttpsConnector<HttpConnector>, RequestBody>;

/// A client for all servers of the pool.
pub struct HttpBbbClient {
    client: HyperClient,
    /// What each server may have under way, by its authority. As many entries as servers.
    call_slots: Mutex<HashMap<String, Arc<Semaphore>>>,
    calls_per_server: usize,
}

impl HttpBbbClient {
    /// A client with the system's certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded),
    /// or Mozilla's where the system has none. No connection takes longer to stand than the
    /// longest patience with one; no server has more than so many calls of front-ends at a
    /// time; polls do not wait for them.
    #[must_use]
    pub fn new(connect_ms_max: u64, calls_per_server: usize) -> Self {
        let tls = ClientConfig::builder()
            .with_native_roots()
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "no system certificates, using Mozilla's");
                ClientConfig::builder().with_webpki_roots()
            })
            .with_no_client_auth();
        let client = build_client(tls, connect_ms_max);
        Self { client, call_slots: Mutex::default(), calls_per_server }
    }

    /// What this server may have under way.
    fn find_slots(&self, uri: &Uri) -> Arc<Semaphore> {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let mut slots = self.call_slots.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.get(authority) {
            Some(slots) => slots.clone(),
            None => {
                let fresh = Arc::new(Semaphore::new(self.calls_per_server));
                slots.insert(authority.to_owned(), fresh.clone());
                fresh
            }
        }
    }
}

fn build_client(tls: ClientConfig, connect_ms: u64) -> HyperClient {
    let mut tcp = HttpConnector::new();
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
        // Only requests of which no byte was sent, when an idle connection had just closed.
        .retry_canceled_requests(true)
        .build(https)
}

#[async_trait]
impl BbbClient for HttpBbbClient {
    async fn send_call(&self, call: BackendCall) -> Result<BackendResponse, CallError> {
        let uri: Uri = call
            .url
            .parse()
            .map_err(|_| CallError::Unreachable("the URL is not valid, or too long".to_owned()))?;
        let mut request = Request::builder().uri(uri).header(header::USER_AGENT, USER_AGENT);
        let upload = match call.body {
            Some(body) => {
                request = request.method("POST").header(header::CONTENT_TYPE, &body.content_type);
                RequestBody::from_backend_body(body)
            }
            None => RequestBody::empty(),
        };
        let progress = upload.progress.clone();
        let request = request
            .body(upload)
            .map_err(|_| CallError::Unreachable("the request cannot be sent".to_owned()))?;
        let slots = self.find_slots(request.uri());
        let waited = Duration::from_millis(call.timeouts.response_ms);
        // The semaphore is never closed: what can fail is only the wait.
        let _slot = match call.priority {
            CallPriority::Internal => None,
            CallPriority::FrontEnd => {
                timeout(waited, slots.acquire()).await.map(Some).map_err(|_| {
                    CallError::Unreachable("too many calls to this server are under way".to_owned())
                })?
            }
        };
        let response = self.send_request(request, &progress, call.timeouts).await?;
        let (status, date) = (response.status().as_u16(), parse_date(response.headers()));
        let body = timeout(waited, read_body(response, call.max_response_bytes)).await;
        let body = body.map_err(|_| CallError::Timeout(call.timeouts.response_ms))??;
        Ok(BackendResponse { status, body, date })
    }
}

impl HttpBbbClient {
    /// Sends the request and waits for the head of the answer: first for a connection (with name
    /// look-up and TLS), then for the answer, each with its own patience.
    async fn send_request(
        &self,
        mut request: Request<RequestBody>,
        progress: &Notify,
        patience: CallTimeouts,
    ) -> Result<Response<Incoming>, CallError> {
        let mut connection = capture_connection(&mut request);
        let mut sending = std::pin::pin!(self.client.request(request));
        tokio::select! {
            biased;
            response = &mut sending => return response.map_err(|error| classify_error(&error)),
            _ = connection.wait_for_connection_metadata() => {}
            () = sleep(Duration::from_millis(patience.connect_ms)) => {
                let text = format!("no connection within {} ms", patience.connect_ms);
                return Err(CallError::Unreachable(text));
            }
        }
        tokio::select! {
            biased;
            response = &mut sending => response.map_err(|error| classify_error(&error)),
            () = wait_until_idle(progress, Duration::from_millis(patience.response_ms)) => {
                Err(CallError::Timeout(patience.response_ms))
            }
        }
    }
}

/// Returns when nothing has moved for that long.
async fn wait_until_idle(progress: &Notify, patience: Duration) {
    loop {
        let deadline = Instant::now() + patience;
        tokio::select! {
            biased;
            () = progress.notified() => {}
            () = sleep_until(deadline) => return,
        }
    }
}

/// The clock of whoever answers.
fn parse_date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp)
}

async fn read_body(response: Response<Incoming>, bytes_max: usize) -> Result<Bytes, CallError> {
    let mut body = response.into_body();
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| CallError::ConnectionLost(root_cause(&error)))?;
        if let Ok(data) = frame.into_data() {
            if collected.len() + data.len() > bytes_max {
                return Err(CallError::ResponseTooLarge(bytes_max));
            }
            collected.extend_from_slice(&data);
        }
    }
    Ok(collected.freeze())
}

fn classify_error(error: &hyper_util::client::legacy::Error) -> CallError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(upload) = cause.downcast_ref::<RequestBodyError>() {
            return match upload.0.kind() {
                io::ErrorKind::FileTooLarge => CallError::UploadTooLarge,
                _ => CallError::UploadInterrupted(upload.0.to_string()),
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

/// The root of the matter: outer errors only say that sending a request failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A request's body: nothing, or a stream on its way through us.
struct RequestBody {
    body: Option<BackendBody>,
    remaining_bytes: Option<u64>,
    progress: Arc<Notify>,
}

/// The sender of a body failed.
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
        let piece = std::task::ready!(body.stream.as_mut().poll_next(context));
        self.progress.notify_one();
        Poll::Ready(piece.map(|piece| {
            let piece = piece.map_err(RequestBodyError)?;
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            self.remaining_bytes = self.remaining_bytes.map(|left| left.saturating_sub(length));
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining_bytes == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining_bytes.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
