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

use app::ports::{BackendAnswer, BackendBody, BackendCall, BbbClient, CallError, Lane, Patience};
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
const IDLE_MAX_PER_SERVER: usize = 32;
/// Below the keep-alive time of BBB's web server, so that it is we who close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const USER_AGENT: &str = concat!("scalelite/", env!("CARGO_PKG_VERSION"));

type HyperClient = Client<HttpsConnector<HttpConnector>, Upload>;

/// A client for all servers of the pool.
pub struct BbbHttp {
    client: HyperClient,
    /// What each server may have under way, by its authority. As many entries as servers.
    slots: Mutex<HashMap<String, Arc<Semaphore>>>,
    calls_per_server: usize,
}

impl BbbHttp {
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
        let client = client(tls, connect_ms_max);
        Self { client, slots: Mutex::default(), calls_per_server }
    }

    /// What this server may have under way.
    fn slots_of(&self, uri: &Uri) -> Arc<Semaphore> {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
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

fn client(tls: ClientConfig, connect_ms: u64) -> HyperClient {
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
        .pool_max_idle_per_host(IDLE_MAX_PER_SERVER)
        .pool_timer(TokioTimer::new())
        // Only requests of which no byte was sent, when an idle connection had just closed.
        .retry_canceled_requests(true)
        .build(https)
}

#[async_trait]
impl BbbClient for BbbHttp {
    async fn send(&self, call: BackendCall) -> Result<BackendAnswer, CallError> {
        let uri: Uri = call
            .url
            .parse()
            .map_err(|_| CallError::Unreachable("the URL is not valid, or too long".to_owned()))?;
        let mut request = Request::builder().uri(uri).header(header::USER_AGENT, USER_AGENT);
        let upload = match call.body {
            Some(body) => {
                request = request.method("POST").header(header::CONTENT_TYPE, &body.content_type);
                Upload::of(body)
            }
            None => Upload::none(),
        };
        let progress = upload.progress.clone();
        let request = request
            .body(upload)
            .map_err(|_| CallError::Unreachable("the request cannot be sent".to_owned()))?;
        let slots = self.slots_of(request.uri());
        let waited = Duration::from_millis(call.patience.response_ms);
        // The semaphore is never closed: what can fail is only the wait.
        let _slot = match call.lane {
            Lane::Poller => None,
            Lane::FrontEnd => timeout(waited, slots.acquire()).await.map(Some).map_err(|_| {
                CallError::Unreachable("too many calls to this server are under way".to_owned())
            })?,
        };
        let response = self.answer(request, &progress, call.patience).await?;
        let (status, date) = (response.status().as_u16(), date(response.headers()));
        let body = timeout(waited, collect(response, call.answer_bytes_max)).await;
        let body = body.map_err(|_| CallError::Timeout(call.patience.response_ms))??;
        Ok(BackendAnswer { status, body, date })
    }
}

impl BbbHttp {
    /// Sends the request and waits for the head of the answer: first for a connection (with name
    /// look-up and TLS), then for the answer, each with its own patience.
    async fn answer(
        &self,
        mut request: Request<Upload>,
        progress: &Notify,
        patience: Patience,
    ) -> Result<Response<Incoming>, CallError> {
        let mut connection = capture_connection(&mut request);
        let mut sending = std::pin::pin!(self.client.request(request));
        tokio::select! {
            biased;
            response = &mut sending => return response.map_err(|error| classify(&error)),
            _ = connection.wait_for_connection_metadata() => {}
            () = sleep(Duration::from_millis(patience.connect_ms)) => {
                let text = format!("no connection within {} ms", patience.connect_ms);
                return Err(CallError::Unreachable(text));
            }
        }
        tokio::select! {
            biased;
            response = &mut sending => response.map_err(|error| classify(&error)),
            () = silence(progress, Duration::from_millis(patience.response_ms)) => {
                Err(CallError::Timeout(patience.response_ms))
            }
        }
    }
}

/// Returns when nothing has moved for that long.
async fn silence(progress: &Notify, patience: Duration) {
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
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp)
}

async fn collect(response: Response<Incoming>, bytes_max: usize) -> Result<Bytes, CallError> {
    let mut body = response.into_body();
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| CallError::Broken(innermost(&error)))?;
        if let Ok(data) = frame.into_data() {
            if collected.len() + data.len() > bytes_max {
                return Err(CallError::TooLarge(bytes_max));
            }
            collected.extend_from_slice(&data);
        }
    }
    Ok(collected.freeze())
}

fn classify(error: &hyper_util::client::legacy::Error) -> CallError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(upload) = cause.downcast_ref::<UploadError>() {
            return match upload.0.kind() {
                io::ErrorKind::FileTooLarge => CallError::UploadTooLarge,
                _ => CallError::Upload(upload.0.to_string()),
            };
        }
        source = cause.source();
    }
    let reason = innermost(error);
    if error.is_connect() { CallError::Unreachable(reason) } else { CallError::Broken(reason) }
}

/// The root of the matter: outer errors only say that sending a request failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A request's body: nothing, or a stream on its way through us.
struct Upload {
    body: Option<BackendBody>,
    left: Option<u64>,
    progress: Arc<Notify>,
}

/// The sender of a body failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UploadError(io::Error);

impl Upload {
    fn none() -> Self {
        Self { body: None, left: Some(0), progress: Arc::default() }
    }

    fn of(body: BackendBody) -> Self {
        Self { left: body.length, body: Some(body), progress: Arc::default() }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let piece = std::task::ready!(body.stream.as_mut().poll_next(context));
        self.progress.notify_one();
        Poll::Ready(piece.map(|piece| {
            let piece = piece.map_err(UploadError)?;
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            self.left = self.left.map(|left| left.saturating_sub(length));
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
