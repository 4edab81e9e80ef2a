//! A body that can be sent a second time: what the first try has taken of it is kept, up to a
//! limit, and what it has not taken is still to come.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use crate::ports::BackendBody;

/// The most that is kept of a body.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// A body and what was taken of it.
pub(crate) struct ReplayableBody {
    content_type: String,
    length: Option<u64>,
    source: Arc<Mutex<BodySource>>,
}

struct BodySource {
    /// Absent while a try holds it.
    rest: Option<BoxStream<'static, io::Result<Bytes>>>,
    kept_chunks: Vec<Bytes>,
    kept_bytes: usize,
    /// Whether more was taken than is kept, or a try broke off with the rest.
    incomplete: bool,
}

impl ReplayableBody {
    pub(crate) fn new(body: BackendBody) -> Self {
        let source = BodySource {
            rest: Some(body.stream),
            kept_chunks: Vec::new(),
            kept_bytes: 0,
            incomplete: false,
        };
        let source = Arc::new(Mutex::new(source));
        Self { content_type: body.content_type, length: body.length, source }
    }

    /// The body from its beginning; nothing if too much of it is gone.
    pub(crate) fn body(&self) -> Option<BackendBody> {
        let (taken, rest) = {
            let mut source = lock(&self.source);
            if source.incomplete {
                return None;
            }
            (source.kept_chunks.clone(), source.rest.take()?)
        };
        let lent = BorrowedBody { source: Arc::clone(&self.source), rest: Some(rest) };
        let again = stream::iter(taken.into_iter().map(Ok));
        let stream = again.chain(stream::unfold(lent, BorrowedBody::next_chunk)).boxed();
        Some(BackendBody { content_type: self.content_type.clone(), length: self.length, stream })
    }
}

fn lock(source: &Mutex<BodySource>) -> std::sync::MutexGuard<'_, BodySource> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The rest of a body in the hands of one try; it goes back when that is over.
struct BorrowedBody {
    source: Arc<Mutex<BodySource>>,
    rest: Option<BoxStream<'static, io::Result<Bytes>>>,
}

impl BorrowedBody {
    async fn next_chunk(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let piece = self.rest.as_mut()?.next().await?;
        let mut source = lock(&self.source);
        match &piece {
            Ok(bytes) if source.kept_bytes + bytes.len() <= MAX_KEPT_BYTES => {
                source.kept_bytes += bytes.len();
                source.kept_chunks.push(bytes.clone());
            }
            _ => {
                source.incomplete = true;
                source.kept_chunks.clear();
            }
        }
        drop(source);
        Some((piece, self))
    }
}

impl Drop for BorrowedBody {
    fn drop(&mut self) {
        lock(&self.source).rest = self.rest.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replayable_body(pieces: &[usize]) -> ReplayableBody {
        let pieces: Vec<io::Result<Bytes>> =
            pieces.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        let stream = stream::iter(pieces).boxed();
        ReplayableBody::new(BackendBody {
            content_type: "text/xml".to_owned(),
            length: None,
            stream,
        })
    }

    async fn read(body: BackendBody, pieces: usize) -> usize {
        body.stream.take(pieces).map(|piece| piece.unwrap().len()).collect::<Vec<_>>().await.len()
    }

    #[tokio::test]
    async fn every_try_gets_all_of_it() {
        let replay = replayable_body(&[10, 20, 30]);
        drop(replay.body().unwrap());
        assert_eq!(read(replay.body().unwrap(), 2).await, 2);
        assert_eq!(read(replay.body().unwrap(), 9).await, 3);
        assert_eq!(read(replay.body().unwrap(), 9).await, 3);
        let body = replay.body().unwrap();
        assert!(replay.body().is_none(), "one try at a time");
        drop(body);
        assert!(replay.body().is_some());
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_sent_once() {
        let replay = replayable_body(&[MAX_KEPT_BYTES, 1]);
        assert_eq!(read(replay.body().unwrap(), 9).await, 2);
        assert!(replay.body().is_none());
    }
}
