//! A body that can be sent a second time: what the first try has taken of it is kept, up to a
//! limit, and what it has not taken is still to come.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use crate::ports::BackendBody;

/// The most that is kept of a body.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// A body and what was taken of it.
pub(crate) struct Replay {
    content_type: String,
    length: Option<u64>,
    source: Arc<Mutex<Source>>,
}

struct Source {
    /// Absent while a try holds it.
    rest: Option<BoxStream<'static, io::Result<Bytes>>>,
    taken: Vec<Bytes>,
    kept_bytes: usize,
    /// Whether more was taken than is kept, or a try broke off with the rest.
    spoilt: bool,
}

impl Replay {
    pub(crate) fn new(body: BackendBody) -> Self {
        let source =
            Source { rest: Some(body.stream), taken: Vec::new(), kept_bytes: 0, spoilt: false };
        let source = Arc::new(Mutex::new(source));
        Self { content_type: body.content_type, length: body.length, source }
    }

    /// The body from its beginning; nothing if too much of it is gone.
    pub(crate) fn body(&self) -> Option<BackendBody> {
        let (taken, rest) = {
            let mut source = lock(&self.source);
            if source.spoilt {
                return None;
            }
            (source.taken.clone(), source.rest.take()?)
        };
        let lent = Lent { source: Arc::clone(&self.source), rest: Some(rest) };
        let again = stream::iter(taken.into_iter().map(Ok));
        let stream = again.chain(stream::unfold(lent, Lent::next)).boxed();
        Some(BackendBody { content_type: self.content_type.clone(), length: self.length, stream })
    }
}

fn lock(source: &Mutex<Source>) -> std::sync::MutexGuard<'_, Source> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The rest of a body in the hands of one try; it goes back when that is over.
struct Lent {
    source: Arc<Mutex<Source>>,
    rest: Option<BoxStream<'static, io::Result<Bytes>>>,
}

impl Lent {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let piece = self.rest.as_mut()?.next().await?;
        let mut source = lock(&self.source);
        match &piece {
            Ok(bytes) if source.kept_bytes + bytes.len() <= KEPT_BYTES_MAX => {
                source.kept_bytes += bytes.len();
                source.taken.push(bytes.clone());
            }
            _ => {
                source.spoilt = true;
                source.taken.clear();
            }
        }
        drop(source);
        Some((piece, self))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        lock(&self.source).rest = self.rest.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(pieces: &[usize]) -> Replay {
        let pieces: Vec<io::Result<Bytes>> =
            pieces.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        let stream = stream::iter(pieces).boxed();
        Replay::new(BackendBody { content_type: "text/xml".to_owned(), length: None, stream })
    }

    async fn read(body: BackendBody, pieces: usize) -> usize {
        body.stream.take(pieces).map(|piece| piece.unwrap().len()).collect::<Vec<_>>().await.len()
    }

    #[tokio::test]
    async fn every_try_gets_all_of_it() {
        let replay = replay(&[10, 20, 30]);
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
    async fn what_is_too_large_is_sent_once() {
        let replay = replay(&[KEPT_BYTES_MAX, 1]);
        assert_eq!(read(replay.body().unwrap(), 9).await, 2);
        assert!(replay.body().is_none());
    }
}
