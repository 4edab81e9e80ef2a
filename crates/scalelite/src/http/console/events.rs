//! Live pages by server-sent events: the live part of a page is rendered every second, and sent when it has changed. A reader that is slow gets
//! fewer of them: nothing is rendered before the last one is taken.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use super::CALL_NAME;
use super::session::Viewer;
use super::view::View;
use crate::http::message::HttpResponse;
use crate::http::respond::{self, ResponseBody};
use crate::http::state::HttpState;

/// How often a page is rendered.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long nothing may be sent, so that proxies and clients know that the stream lives.
const MAX_SILENCE: Duration = Duration::from_secs(15);
/// How long a stream lasts. The browser then begins another one by itself.
const MAX_LENGTH: Duration = Duration::from_secs(10 * 60);
/// Streams of this process at once.
const MAX_STREAMS: usize = 100;

/// The streams that are open.
#[derive(Debug)]
pub(super) struct LiveStreams(Arc<Semaphore>);

impl Default for LiveStreams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_STREAMS)))
    }
}

/// A stream of one page to one viewer.
struct LiveStream {
    state: Arc<HttpState>,
    view: View,
    viewer: Viewer,
    /// What was sent last; `None` before the first time.
    sent: Option<String>,
    sent_at: Instant,
    ends_at: Instant,
    has_ended: bool,
    _permit: OwnedSemaphorePermit,
}

/// Begins a stream.
pub(super) fn stream(state: &Arc<HttpState>, query: &str, viewer: Viewer) -> HttpResponse {
    let query = bbb::Query::parse(query);
    let target = query.get("of").unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let view = path.strip_prefix("/scalelite").and_then(|path| View::parse(path, query));
    let Some(view) = view.filter(|view| view.is_live() && viewer.may(view.needed_scope())) else {
        return HttpResponse::ok(CALL_NAME, respond::text(StatusCode::NOT_FOUND, "no such page\n"));
    };
    let Ok(permit) = state.console.streams.0.clone().try_acquire_owned() else {
        let text = "too many pages are open\n";
        return HttpResponse::ok(CALL_NAME, respond::text(StatusCode::SERVICE_UNAVAILABLE, text));
    };
    let now = Instant::now();
    let live = LiveStream {
        state: state.clone(),
        view,
        viewer,
        sent: None,
        sent_at: now,
        ends_at: now + MAX_LENGTH,
        has_ended: false,
        _permit: permit,
    };
    let pieces = stream::unfold(live, |mut live| async move {
        let piece = live.next().await?;
        Some((piece, live))
    });
    HttpResponse::ok(CALL_NAME, to_response(pieces))
}

/// Tells a page that nobody is signed in any more.
pub(super) fn sign_out() -> HttpResponse {
    let bye = stream::once(async { Bytes::from_static(b"event: bye\ndata:\n\n") });
    HttpResponse::ok(CALL_NAME, to_response(bye))
}

fn to_response(
    pieces: impl futures_util::Stream<Item = Bytes> + Send + 'static,
) -> Response<ResponseBody> {
    let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    let mut response = respond::text(StatusCode::OK, Bytes::new());
    *response.body_mut() = StreamBody::new(frames).map_err(|never| match never {}).boxed_unsync();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would keep events until its buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl LiveStream {
    /// Returns what is sent next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.sent.is_some() {
                sleep(INTERVAL).await;
            }
            if self.has_ended || Instant::now() >= self.ends_at || self.state.background.is_closed()
            {
                return None;
            }
            if let Some(piece) = self.render().await {
                self.sent_at = Instant::now();
                return Some(piece);
            }
            if self.sent_at.elapsed() >= MAX_SILENCE {
                self.sent_at = Instant::now();
                return Some(Bytes::from_static(b": still here\n\n"));
            }
        }
    }

    /// Renders the page; returns an event if it has changed.
    async fn render(&mut self) -> Option<Bytes> {
        if !self.viewer.is_valid(&self.state.app).await {
            self.has_ended = true;
            return Some(Bytes::from_static(b"event: bye\ndata:\n\n"));
        }
        // While a store fails, the page stays as it is: its time tells how old it is.
        let page = self.view.render(&self.state, &self.viewer).await;
        let live = match page {
            Ok(page) => page.live,
            Err(super::view::PageError::NotFound(what)) => {
                format!("<p>This {what} is no longer there.</p>")
            }
            Err(_) => return None,
        };
        if self.sent.as_ref() == Some(&live) {
            return None;
        }
        let mut event = String::with_capacity(live.len() + 64);
        event.push_str("event: view\n");
        for line in live.lines() {
            event.push_str("data: ");
            event.push_str(line);
            event.push('\n');
        }
        event.push('\n');
        self.sent = Some(live);
        Some(event.into())
    }
}
