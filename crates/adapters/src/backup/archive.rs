//! Writes tar archives whose entries have sizes that are known only afterwards, and counts and digests what is written.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};

use sha2::{Digest as _, Sha256};

use super::BackupPart;

const BLOCK_BYTES: usize = 512;
/// Longest name of an entry, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 99;
/// Sizes from here on do not fit into octal digits.
const MAX_OCTAL_SIZE: u64 = 8 << 30;

/// Writes the entries of an archive.
pub(super) struct ArchiveWriter {
    file: BufWriter<File>,
    parts: Vec<BackupPart>,
}

/// Takes the content of an entry.
pub(super) struct PartWriter<'a> {
    file: &'a mut BufWriter<File>,
    digest: Sha256,
    size: u64,
}

impl Write for PartWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.size += u64::try_from(written).unwrap_or_default();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ArchiveWriter {
    pub(super) fn new(file: File) -> Self {
        Self { file: BufWriter::with_capacity(1 << 18, file), parts: Vec::new() }
    }

    /// Adds an entry with what `write` writes.
    pub(super) fn add<E: From<io::Error>>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut PartWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let header_at = self.file.stream_position()?;
        self.file.write_all(&build_header(name, 0))?;
        let mut part = PartWriter { file: &mut self.file, digest: Sha256::new(), size: 0 };
        write(&mut part)?;
        let (digest, size) = (part.digest.finalize(), part.size);
        let unaligned = usize::try_from(size % BLOCK_BYTES as u64).unwrap_or_default();
        if unaligned > 0 {
            self.file.write_all(&[0; BLOCK_BYTES][unaligned..])?;
        }
        let end = self.file.stream_position()?;
        self.file.seek(SeekFrom::Start(header_at))?;
        self.file.write_all(&build_header(name, size))?;
        self.file.seek(SeekFrom::Start(end))?;
        let sha256 = hex::encode(digest);
        self.parts.push(BackupPart { name: name.to_owned(), size, sha256 });
        Ok(())
    }

    /// The entries so far.
    pub(super) fn parts(&self) -> &[BackupPart] {
        &self.parts
    }

    /// Ends the archive, and waits until it is on disk.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.write_all(&[0; 2 * BLOCK_BYTES])?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

/// The header of an entry: a regular file that only its owner can read.
fn build_header(name: &str, size: u64) -> [u8; BLOCK_BYTES] {
    let mut header = [0; BLOCK_BYTES];
    let mut put = |at: usize, bytes: &[u8]| {
        header.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
    };
    put(0, &name.as_bytes()[..name.len().min(MAX_NAME_BYTES)]);
    put(100, b"0000600\x000000000\x000000000\0");
    if size < MAX_OCTAL_SIZE {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        put(124, &[0x80, 0, 0, 0]);
        put(128, &size.to_be_bytes());
    }
    put(136, b"00000000000\0        0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    header[148..156].copy_from_slice(sum.as_bytes());
    header
}
