//! A request body that can be sent several times: the part that the first attempt has read is kept,
//! up to a limit, and the rest is read from the client by the next attempt.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use crate::ports::BackendBody;

/// Maximum number of bytes of a body that are kept.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// A body, and the part of it that was read.
pub(crate) struct ReplayableBody {
    content_type: String,
    length: Option<u64>,
    source: Arc<Mutex<BodySource>>,
}

struct BodySource {
    /// The part that was not read yet; `None` while an attempt reads it.
    rest: Option<BoxStream<'static, io::Result<Bytes>>>,
    kept_chunks: Vec<Bytes>,
    kept_bytes: usize,
    /// Whether all of it was read.
    ended: bool,
    /// Whether more was read than is kept, or reading failed. Then the body cannot be sent again.
    incomplete: bool,
}

impl ReplayableBody {
    pub(crate) fn new(body: BackendBody) -> Self {
        let source = BodySource {
            rest: Some(body.stream),
            kept_chunks: Vec::new(),
            kept_bytes: 0,
            ended: false,
            incomplete: false,
        };
        let source = Arc::new(Mutex::new(source));
        Self { content_type: body.content_type, length: body.length, source }
    }

    /// Returns its content type and all of its bytes, if an attempt has read it to its end and it has at
    /// most so many.
    pub(crate) fn read_whole(&self, max_bytes: usize) -> Option<(String, Bytes)> {
        let source = lock(&self.source);
        // HTTP clients stop reading when they have as many bytes as were announced.
        let announced = u64::try_from(source.kept_bytes).ok();
        let is_whole = source.ended || announced.is_some() && announced == self.length;
        if source.incomplete || !is_whole || source.kept_bytes > max_bytes {
            return None;
        }
        Some((self.content_type.clone(), source.kept_chunks.concat().into()))
    }

    /// Returns the body from its beginning. `None` if it cannot be sent again, or while another
    /// attempt reads it.
    pub(crate) fn body(&self) -> Option<BackendBody> {
        let (kept_chunks, rest) = {
            let mut source = lock(&self.source);
            if source.incomplete {
                return None;
            }
            (source.kept_chunks.clone(), source.rest.take()?)
        };
        let borrowed = BorrowedBody { source: Arc::clone(&self.source), rest: Some(rest) };
        let kept = stream::iter(kept_chunks.into_iter().map(Ok));
        let stream = kept.chain(stream::unfold(borrowed, BorrowedBody::next_chunk)).boxed();
        Some(BackendBody { content_type: self.content_type.clone(), length: self.length, stream })
    }
}

fn lock(source: &Mutex<BodySource>) -> std::sync::MutexGuard<'_, BodySource> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The rest of a body while one attempt reads it. It is returned to the source when the attempt
/// ends.
struct BorrowedBody {
    source: Arc<Mutex<BodySource>>,
    rest: Option<BoxStream<'static, io::Result<Bytes>>>,
}

impl BorrowedBody {
    async fn next_chunk(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let Some(chunk) = self.rest.as_mut()?.next().await else {
            lock(&self.source).ended = true;
            return None;
        };
        let mut source = lock(&self.source);
        match &chunk {
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
        Some((chunk, self))
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

    fn replayable_body(chunks: &[usize]) -> ReplayableBody {
        let chunks: Vec<io::Result<Bytes>> =
            chunks.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        let stream = stream::iter(chunks).boxed();
        ReplayableBody::new(BackendBody {
            content_type: "text/xml".to_owned(),
            length: None,
            stream,
        })
    }

    async fn read(body: BackendBody, chunks: usize) -> usize {
        body.stream.take(chunks).map(|chunk| chunk.unwrap().len()).collect::<Vec<_>>().await.len()
    }

    #[tokio::test]
    async fn every_attempt_gets_the_whole_body() {
        let replayable = replayable_body(&[10, 20, 30]);
        drop(replayable.body().unwrap());
        assert_eq!(read(replayable.body().unwrap(), 2).await, 2);
        assert_eq!(read(replayable.body().unwrap(), 9).await, 3);
        assert_eq!(read(replayable.body().unwrap(), 9).await, 3);
        let body = replayable.body().unwrap();
        assert!(replayable.body().is_none(), "one attempt at a time");
        drop(body);
        assert!(replayable.body().is_some());
    }

    #[tokio::test]
    async fn the_whole_body_is_known_when_it_was_read() {
        let replayable = replayable_body(&[10, 20]);
        assert_eq!(read(replayable.body().unwrap(), 2).await, 2);
        assert_eq!(replayable.read_whole(30), None, "there may be more");
        assert_eq!(read(replayable.body().unwrap(), 9).await, 2);
        assert_eq!(replayable.read_whole(30).unwrap().1.len(), 30);
        assert_eq!(replayable.read_whole(29), None);
        let announced = ReplayableBody { length: Some(30), ..replayable_body(&[10, 20]) };
        assert_eq!(read(announced.body().unwrap(), 2).await, 2);
        assert_eq!(announced.read_whole(30).unwrap().0, "text/xml");
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_sent_once() {
        let replayable = replayable_body(&[MAX_KEPT_BYTES, 1]);
        assert_eq!(read(replayable.body().unwrap(), 9).await, 2);
        assert!(replayable.body().is_none());
    }
}
