//! The stream of a connection: counts the bytes of heads, reads little at a time from clients that have proven nothing, and gives a refused
//! client the time to read the refusal.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::open_connection::{OpenConnection, Phase};

/// Most bytes of a head that are read at once.
const HEAD_PIECE_BYTES: u64 = 8 * 1024;
/// Most bytes of the body of a client that has proven nothing that are read at once: the HTTP library keeps small buffers for small pieces.
const UNPROVEN_PIECE_BYTES: u64 = 4 * 1024;
/// Longest time for which a refused client may go on sending. If its connection were closed at once, it would not see the refusal.
const MAX_LINGER: Duration = Duration::from_secs(1);
/// Most bytes that are read and dropped meanwhile.
const MAX_LINGER_BYTES: usize = 1 << 20;

/// The stream of an open connection.
pub(in crate::http) struct MeteredStream<S> {
    stream: S,
    connection: Arc<OpenConnection>,
    /// Whether requests come one after the other, each beginning with its head: not in HTTP/2.
    has_heads: bool,
    linger: Linger,
}

/// What happens to bytes that arrive after the last response.
enum Linger {
    NotStarted,
    Started(Pin<Box<Sleep>>, usize),
    Ended,
}

impl<S> MeteredStream<S> {
    pub(in crate::http) fn new(stream: S, connection: Arc<OpenConnection>) -> Self {
        Self { stream, connection, has_heads: true, linger: Linger::NotStarted }
    }

    /// The stream of a connection of HTTP/2, whose library limits what it reads.
    pub(in crate::http) fn without_heads(stream: S, connection: Arc<OpenConnection>) -> Self {
        Self { stream, connection, has_heads: false, linger: Linger::Ended }
    }
}

impl<S: AsyncRead + Unpin> MeteredStream<S> {
    /// Reads at most `limit` bytes.
    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        limit: u64,
    ) -> Poll<io::Result<()>> {
        if u64::try_from(buffer.remaining()).is_ok_and(|remaining| remaining <= limit) {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        Pin::new(&mut (&mut self.stream).take(limit)).poll_read(context, buffer)
    }

    /// Drops what still arrives, until the client closes or has had the time to read.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.linger, Linger::NotStarted) {
            // Only a client that was refused while it sent a head; bodies are discarded elsewhere.
            self.linger = match self.connection.phase() {
                Phase::Head => Linger::Started(Box::pin(tokio::time::sleep(MAX_LINGER)), 0),
                _ => Linger::Ended,
            };
        }
        let Linger::Started(time, dropped_bytes) = &mut self.linger else { return Poll::Ready(()) };
        let mut piece = [0; 4096];
        while *dropped_bytes < MAX_LINGER_BYTES && time.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut piece);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => *dropped_bytes += buffer.filled().len(),
                _ => break,
            }
        }
        self.linger = Linger::Ended;
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MeteredStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.has_heads {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let is_head = matches!(self.connection.phase(), Phase::Idle | Phase::Head);
        let limit = match is_head {
            true => HEAD_PIECE_BYTES,
            false if self.connection.is_proven() => u64::MAX,
            false => UNPROVEN_PIECE_BYTES,
        };
        let before = buffer.filled().len();
        ready!(self.poll_piece(context, buffer, limit))?;
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        if is_head && !bytes.is_empty() {
            return Poll::Ready(self.connection.add_head_bytes(bytes).map_err(io::Error::other));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MeteredStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.connection.set_write_blocked(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.connection.set_write_blocked(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_heads || matches!(self.linger, Linger::NotStarted) {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        ready!(self.poll_linger(context));
        Poll::Ready(Ok(()))
    }
}
