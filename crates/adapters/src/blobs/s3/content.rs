//! What is sent to S3: bytes, or a part of a file, read while it is sent.

use std::io::SeekFrom;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, TryStreamExt as _};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// Bytes of a file that are read at once.
const CHUNK_BYTES: usize = 256 * 1024;

pub(super) type S3Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What is sent, so that it can be sent again.
#[derive(Clone, Debug)]
pub(super) enum S3Content {
    Bytes(Bytes),
    /// A part of a file.
    File {
        path: PathBuf,
        offset: u64,
        size: u64,
    },
}

impl S3Content {
    pub(super) fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }

    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::File { size, .. } => *size,
        }
    }

    pub(super) async fn open_body(&self) -> std::io::Result<S3Body> {
        match self {
            Self::Bytes(bytes) if bytes.is_empty() => {
                Ok(Empty::new().map_err(|never| match never {}).boxed_unsync())
            }
            Self::Bytes(bytes) => {
                Ok(Full::new(bytes.clone()).map_err(|never| match never {}).boxed_unsync())
            }
            Self::File { path: at, offset: from, size } => {
                let mut file = File::open(at).await?;
                file.seek(SeekFrom::Start(*from)).await?;
                let pieces = stream::try_unfold(file.take(*size), |mut file| async {
                    let mut piece = BytesMut::with_capacity(CHUNK_BYTES);
                    let count = file.read_buf(&mut piece).await?;
                    Ok::<_, std::io::Error>((count > 0).then(|| (piece.freeze(), file)))
                });
                Ok(StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync())
            }
        }
    }
}
