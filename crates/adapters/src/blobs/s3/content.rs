//! Bodies of requests to S3: bytes in memory, or a part of a file that is read while it is sent.

use std::io::SeekFrom;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, TryStreamExt as _};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// Size of one read from a file.
const CHUNK_BYTES: usize = 256 * 1024;

pub(super) type S3Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// The content of a request body. A body can be opened from it again for each try.
#[derive(Clone, Debug)]
pub(super) enum S3Content {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A part of a file.
    File {
        path: PathBuf,
        /// The first byte of the part.
        offset: u64,
        /// The length of the part, in bytes.
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
            Self::File { path, offset, size } => {
                let mut file = File::open(path).await?;
                file.seek(SeekFrom::Start(*offset)).await?;
                let chunks = stream::try_unfold(file.take(*size), |mut file| async {
                    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
                    let count = file.read_buf(&mut chunk).await?;
                    Ok::<_, std::io::Error>((count > 0).then(|| (chunk.freeze(), file)))
                });
                Ok(StreamBody::new(chunks.map_ok(Frame::data)).boxed_unsync())
            }
        }
    }
}
