//! Decompresses archives: gzip and Zstandard, recognized by their content, within limits.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{ArchiveError, ArchiveLimits};

/// Size of the read buffer.
const BUFFER_BYTES: usize = 256 * 1024;
const GZIP_MAGIC: [u8; 4] = [0x1f, 0x8b, 0, 0];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The first bytes of frames that a Zstandard decoder skips; their lowest four bits are free.
const ZSTD_SKIPPABLE_MAGIC: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// Memory that a Zstandard frame may ask for. `zstd -19` asks for 8 MiB.
const MAX_WINDOW_BYTES: u64 = 64 << 20;

/// Opens an archive for reading, decompressed if it is compressed.
pub(super) fn open(mut file: File, limits: &ArchiveLimits) -> Result<Box<dyn Read>, ArchiveError> {
    let max_bytes = limits.max_expanded_bytes(file.metadata()?.len());
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic)?;
    file.rewind()?;
    let source = BufReader::with_capacity(BUFFER_BYTES, file);
    let bounded = |source| Box::new(BoundedReader { source, remaining_bytes: max_bytes });
    let is_skippable = |magic: &[u8]| {
        matches!(magic, [first, rest @ ..]
            if first & 0xf0 == ZSTD_SKIPPABLE_MAGIC[0] && rest == &ZSTD_SKIPPABLE_MAGIC[1..])
    };
    Ok(match magic.as_slice() {
        magic if magic.starts_with(&GZIP_MAGIC[..2]) => {
            bounded(Box::new(MultiGzDecoder::new(source)) as Box<dyn Read>)
        }
        magic if *magic == ZSTD_MAGIC || is_skippable(magic) => {
            bounded(Box::new(ZstdReader::new(source)))
        }
        _ => Box::new(source),
    })
}

/// A reader that fails once more than the given number of bytes was read.
struct BoundedReader<R> {
    source: R,
    remaining_bytes: u64,
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let ratio_error =
            || io::Error::new(io::ErrorKind::InvalidData, "the compression ratio is too high");
        let used = u64::try_from(count).unwrap_or(u64::MAX);
        self.remaining_bytes = self.remaining_bytes.checked_sub(used).ok_or_else(ratio_error)?;
        Ok(count)
    }
}

/// A reader of all frames of a Zstandard file.
struct ZstdReader<R> {
    source: ErrorRecorder<BufReader<R>>,
    decoder: FrameDecoder,
    /// Whether a frame was begun.
    has_frame: bool,
}

impl<R: Read> ZstdReader<R> {
    fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW_BYTES);
        let source = BufReader::with_capacity(BUFFER_BYTES, source);
        Self { source: ErrorRecorder { source, error: None }, decoder, has_frame: false }
    }

    /// Begins the next frame; false at the end of the file.
    fn begin_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.source.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.has_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => self.skip(length.into())?,
                Err(error) => return Err(self.describe(&error)),
            }
        }
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.source.source.by_ref().take(length), &mut io::sink())?;
        if skipped < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Tells errors of the file from errors of what it contains.
    fn describe(&mut self, error: &dyn std::fmt::Display) -> io::Error {
        let cause = self.source.error.take();
        cause.unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
    }
}

impl<R: Read> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let is_over = self.decoder.is_finished() && self.decoder.can_collect() == 0;
            if (!self.has_frame || is_over) && !self.begin_frame()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let next = BlockDecodingStrategy::UptoBlocks(1);
                if let Err(error) = self.decoder.decode_blocks(&mut self.source, next) {
                    return Err(self.describe(&error));
                }
            }
            let count = Read::read(&mut self.decoder, buffer)?;
            // A frame may be empty.
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
        }
    }
}

/// A reader that keeps its last error, which the decoder hides in its own.
struct ErrorRecorder<R> {
    source: R,
    error: Option<io::Error>,
}

impl<R: Read> Read for ErrorRecorder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer).inspect_err(|error| {
            self.error = Some(io::Error::new(error.kind(), error.to_string()));
        })
    }
}
