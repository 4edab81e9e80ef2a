//! One connection of HTTP/2. Its requests have the limits of any request; here are those of the connection: how many requests at a time, how
//! much memory, how long it may be idle or leave responses unread.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutWriter;

use super::active_requests::{ActiveRequests, TrackedBody};
use super::connections::{MeteredStream, OpenConnection};
use super::listen::{CurrentState, MAX_HEAD_BYTES, MAX_WRITE_STALL};
use super::respond;
use super::route::{Audience, handle};

/// Largest number of requests at a time. Browsers send the requests of a page together.
const MAX_STREAMS: u32 = 32;
/// Bytes of a body that a client may send before they are read.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The same for all bodies of a connection.
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Bytes of a response that wait for the network.
const SEND_BUFFER: usize = 16 * 1024;
/// Requests that a client has given up before they were looked at; more end the connection.
const MAX_RESET_STREAMS: usize = 32;
/// Time between two questions whether an idle client is still there, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long a connection that is being closed may stay without a request.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// Serves a connection until its client closes it, it is idle or not wanted any longer, or the process stops.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    open: Arc<OpenConnection>,
    (state, audience): (CurrentState, Audience),
    idle_timeout: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let mut stream = TimeoutWriter::new(MeteredStream::without_heads(stream, open.clone()));
    stream.set_timeout(Some(MAX_WRITE_STALL));
    let active = ActiveRequests::new();
    let (connection_of_streams, requests) = (open.clone(), active.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (state, connection) = (state.borrow().clone(), connection_of_streams.new_stream());
        let guard = requests.start(connection.clone());
        async move {
            let response = if connection.hold_head(&request) {
                handle(state, audience, connection, request).await
            } else {
                respond::text(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "")
            };
            Ok::<_, Infallible>(response.map(|body| TrackedBody::new(body, guard)))
        }
    });
    let stream = TokioIo::new(Box::pin(stream));
    let mut connection = pin!(builder().serve_connection(stream, service));
    let mut is_closing = false;
    loop {
        let idle_limit = if is_closing { CLOSE_GRACE } else { idle_timeout };
        // Errors of a connection are its client's: it disconnected or sent no HTTP.
        tokio::select! {
            _ = connection.as_mut() => break,
            () = open.wait_until_unwanted() => break,
            () = open.wait_until_stalled(MAX_WRITE_STALL) => break,
            _ = stop.wait_for(|stop| *stop), if !is_closing => {}
            () = active.wait_until_idle(idle_limit) => {
                if is_closing {
                    break;
                }
            }
        }
        connection.as_mut().graceful_shutdown();
        is_closing = true;
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_RESET_STREAMS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}
