//! Request targets longer than 64 KiB. The HTTP library ends there, but front-ends send whole
//! welcome texts and JSON in a query, and the limit of this balancer is meant to be ours.
//!
//! The connection is watched where a request begins. A request line whose target is too long for
//! the library reaches it with a short target instead, the long one in a header of our own, and
//! `Connection: close`, so that the watched bytes never have to be told from a next request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use app::ports::Entropy;
use http::HeaderName;
use http::request::Parts;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest target that the library takes, less what a scheme and host might add.
const MAX_LIBRARY_TARGET: usize = 65_000;
/// Longest request line that we take.
const MAX_REQUEST_LINE: usize = 256 * 1024;
/// Carries a long target; removed from every request.
const TARGET_HEADER: HeaderName = HeaderName::from_static("x-scalelite-long-target");
/// Stands for a long target: a path that no client can guess, or it could have a proxy see one
/// path and us another.
#[derive(Clone, Debug)]
pub struct TargetPlaceholder(Arc<str>);

impl TargetPlaceholder {
    /// One that nobody can guess.
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self(format!("/{}", entropy.generate_uuid()).into())
    }
}

/// The target as the client sent it.
pub(super) fn restore_target(parts: &mut Parts, placeholder: &TargetPlaceholder) -> String {
    let carried = parts.headers.remove(TARGET_HEADER);
    let sent = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    match carried {
        Some(target) if sent == &*placeholder.0 => {
            String::from_utf8_lossy(target.as_bytes()).into()
        }
        _ => sent.to_owned(),
    }
}

/// A connection whose request lines are watched.
pub(super) struct LongTargetStream<S> {
    stream: S,
    placeholder: TargetPlaceholder,
    /// Bytes for the library that are not from the stream as they are.
    pending: Vec<u8>,
    delivered: usize,
    state: LineState,
}

#[derive(Clone, Copy, PartialEq)]
enum LineState {
    /// The next byte begins a request.
    Start,
    /// Within a request.
    Inside,
    /// The long line was replaced; what follows belongs to this last request.
    Last,
}

impl<S> LongTargetStream<S> {
    pub(super) fn new(stream: S, placeholder: TargetPlaceholder) -> Self {
        Self { stream, placeholder, pending: Vec::new(), delivered: 0, state: LineState::Start }
    }

    /// Hands over what was held back.
    fn deliver_pending(&mut self, buffer: &mut ReadBuf<'_>) {
        let rest = &self.pending[self.delivered..];
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        self.delivered += length;
        if self.delivered == self.pending.len() {
            self.pending = Vec::new();
            self.delivered = 0;
        }
    }
}

impl<S: AsyncRead + Unpin> LongTargetStream<S> {
    /// Reads until the request line is complete or known to be short.
    fn poll_request_line(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let end = self.pending.iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                self.state = LineState::Inside;
                if end > MAX_LIBRARY_TARGET
                    && let Some(line) = shorten_line(&self.pending[..end], &self.placeholder)
                {
                    self.pending.splice(..=end, line);
                    self.state = LineState::Last;
                }
                return Poll::Ready(Ok(()));
            }
            if self.pending.len() > MAX_REQUEST_LINE || !may_begin_request(&self.pending) {
                self.state = LineState::Inside;
                return Poll::Ready(Ok(()));
            }
            let mut chunk = [0; 8192];
            let mut buffer = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                self.state = LineState::Inside;
                return Poll::Ready(Ok(()));
            }
            self.pending.extend_from_slice(buffer.filled());
        }
    }
}

/// Whether this may be a request line with a path.
fn may_begin_request(bytes: &[u8]) -> bool {
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    match bytes.get(method..) {
        None | Some([]) => method <= 8,
        Some([b' ']) => true,
        Some([b' ', b'/', ..]) => method > 0,
        _ => false,
    }
}

/// `METHOD target VERSION` with the target in a header.
fn shorten_line(line: &[u8], placeholder: &TargetPlaceholder) -> Option<Vec<u8>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let from = line.iter().position(|byte| *byte == b' ')?;
    let to = line.iter().rposition(|byte| *byte == b' ').filter(|to| *to > from)?;
    let target = &line[from + 1..to];
    if target.iter().any(|byte| !(0x21..0x7f).contains(byte)) {
        return None;
    }
    let carrier = TARGET_HEADER;
    let parts: [&[u8]; 8] = [
        &line[..=from],
        placeholder.0.as_bytes(),
        &line[to..],
        b"\r\nConnection: close\r\n",
        carrier.as_str().as_bytes(),
        b": ",
        target,
        b"\r\n",
    ];
    Some(parts.concat())
}

impl<S: AsyncRead + Unpin> AsyncRead for LongTargetStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.state == LineState::Start && self.pending.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            let read = &buffer.filled()[before..];
            let short = match read.iter().position(|byte| *byte == b'\n') {
                Some(end) => end <= MAX_LIBRARY_TARGET,
                None => read.is_empty() || !may_begin_request(read),
            };
            if short {
                // Nearly always: the bytes stay where they were read to.
                self.state = LineState::Inside;
                return Poll::Ready(Ok(()));
            }
            self.pending.extend_from_slice(read);
            buffer.set_filled(before);
        }
        if self.state == LineState::Start {
            ready!(self.poll_request_line(context))?;
        }
        if self.pending.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        self.deliver_pending(buffer);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LongTargetStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.record_response(bytes);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.record_response(slices.first().map_or(&[], |slice| slice));
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S> LongTargetStream<S> {
    /// What is read after an answer begins a request (or is the rest of a body that nobody wants,
    /// which at worst spoils the connection it came on). `100 Continue` is no answer.
    fn record_response(&mut self, written: &[u8]) {
        if self.state == LineState::Inside && !written.starts_with(b"HTTP/1.1 1") {
            self.state = LineState::Start;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use app::memory::CountingEntropy;

    async fn read_through(sent: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        let placeholder = TargetPlaceholder::new(&CountingEntropy::default());
        LongTargetStream::new(io::Cursor::new(sent.to_vec()), placeholder)
            .read_to_end(&mut read)
            .await
            .unwrap();
        read
    }

    #[tokio::test]
    async fn short_and_odd_requests_pass_unchanged() {
        let long_path = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MAX_LIBRARY_TARGET - 100));
        let garbage = "x".repeat(300_000);
        let endless = format!("GET /{}", "a".repeat(2 * MAX_REQUEST_LINE));
        for sent in
            ["GET / HTTP/1.1\r\n\r\n", "", "GET", "\r\n\r\n", &long_path, &garbage, &endless]
        {
            assert_eq!(read_through(sent.as_bytes()).await, sent.as_bytes());
        }
    }

    #[tokio::test]
    async fn a_long_target_travels_in_a_header() {
        let target = format!("/bigbluebutton/api/create?x={}", "a".repeat(100_000));
        let sent = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\nbody");
        let expected = format!(
            "GET /00000000-0000-4000-8000-000000000000 HTTP/1.1\r\nConnection: close\r\nx-scalelite-long-target: {target}\r\n\
             Host: a\r\n\r\nbody"
        );
        assert!(read_through(sent.as_bytes()).await == expected.as_bytes(), "{expected:.60}…");
    }
}
