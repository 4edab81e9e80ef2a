//! Reads tar archives entry by entry: ustar headers, GNU long names and POSIX extended headers.
//!
//! The crate `tar` (0.4.46) is not used because it reads long names and extended headers of any length into memory; its
//! raw mode leaves these headers to the caller, but ignores sizes in extended headers and accepts a truncated archive.

use std::io::{self, Read};

use super::{ArchiveError, invalid_archive};

const BLOCK_BYTES: usize = 512;
/// Longest name, and longest extended header, in bytes.
const MAX_EXTENSION_BYTES: u64 = 64 * 1024;

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TarEntryKind {
    File,
    Dir,
    HardLink,
    SymbolicLink,
    /// An entry that is never unpacked, with a description such as "a hard link".
    Unsupported(&'static str),
}

/// The path, kind and size of an entry. The size is in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TarEntry {
    pub(crate) path: String,
    /// Whether the path is not UTF-8; then `path` has replacement characters.
    pub(crate) has_odd_name: bool,
    pub(crate) kind: TarEntryKind,
    pub(crate) size: u64,
    /// Where a link leads; empty for other entries.
    pub(crate) link_target: String,
}

/// A reader of tar archives.
pub(crate) struct TarReader<R> {
    source: R,
    /// Bytes of the current entry that were not read yet.
    remaining_bytes: u64,
    /// Padding after the current entry.
    padding_bytes: u64,
}

/// What extension headers say about the entry that follows them.
#[derive(Default)]
struct TarExtension {
    path: Option<Vec<u8>>,
    link_target: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, remaining_bytes: 0, padding_bytes: 0 }
    }

    /// Returns the next entry, or `None` at the end of the archive. Skips the unread part of the previous entry.
    pub(crate) fn next_entry(&mut self) -> Result<Option<TarEntry>, ArchiveError> {
        let mut extension = TarExtension::default();
        loop {
            self.skip_entry()?;
            let Some(header) = self.read_header()? else { return Ok(None) };
            let size = parse_number(&header[124..136])
                .ok_or_else(|| invalid_archive("the size of an entry is not a number"))?;
            match header[156] {
                // Global headers do not matter.
                b'g' => self.begin_entry(size)?,
                b'K' => {
                    let target = self.read_extension(size)?;
                    extension.link_target = Some(trim_at_nul(&target).to_vec());
                }
                b'L' => extension.path = Some(trim_at_nul(&self.read_extension(size)?).to_vec()),
                b'x' => parse_pax(&self.read_extension(size)?, &mut extension)?,
                kind => {
                    let size = extension.size.unwrap_or(size);
                    return self.build_entry(&header, kind, size, extension).map(Some);
                }
            }
        }
    }

    /// Reads from the current entry. Returns 0 at its end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let limit = usize::try_from(self.remaining_bytes).unwrap_or(usize::MAX).min(buffer.len());
        if limit == 0 {
            return Ok(0);
        }
        let count = self.source.read(&mut buffer[..limit]).map_err(classify_read_error)?;
        if count == 0 {
            return Err(invalid_archive("the archive is truncated"));
        }
        self.remaining_bytes -= u64::try_from(count).unwrap_or(self.remaining_bytes);
        Ok(count)
    }

    fn build_entry(
        &mut self,
        header: &[u8; BLOCK_BYTES],
        kind: u8,
        size: u64,
        extension: TarExtension,
    ) -> Result<TarEntry, ArchiveError> {
        self.begin_entry(size)?;
        let path = extension.path.unwrap_or_else(|| header_path(header));
        let has_odd_name = std::str::from_utf8(&path).is_err();
        let path = String::from_utf8_lossy(&path).into_owned();
        let link_target =
            extension.link_target.unwrap_or_else(|| trim_at_nul(&header[157..257]).to_vec());
        let link_target = String::from_utf8_lossy(&link_target).into_owned();
        let kind = match kind {
            _ if extension.sparse => TarEntryKind::Unsupported("a sparse file"),
            // Old archives mark a directory by a slash at the end of a file's name.
            0 | b'0' | b'7' if path.ends_with('/') => TarEntryKind::Dir,
            0 | b'0' | b'7' => TarEntryKind::File,
            b'5' => TarEntryKind::Dir,
            b'1' => TarEntryKind::HardLink,
            b'2' => TarEntryKind::SymbolicLink,
            b'3' | b'4' => TarEntryKind::Unsupported("a device"),
            b'6' => TarEntryKind::Unsupported("a pipe"),
            b'S' => TarEntryKind::Unsupported("a sparse file"),
            _ => TarEntryKind::Unsupported("an entry of unknown type"),
        };
        Ok(TarEntry { path, has_odd_name, kind, size, link_target })
    }

    /// Reads the next header. Returns `None` at the end of the archive.
    fn read_header(&mut self) -> Result<Option<[u8; BLOCK_BYTES]>, ArchiveError> {
        let mut header = [0; BLOCK_BYTES];
        match self.source.read_exact(&mut header) {
            // A complete archive ends with two blocks of zeros.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(invalid_archive("the archive is truncated, or not a tar archive"));
            }
            result => result.map_err(classify_read_error)?,
        }
        if header.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        // The checksum covers the header with its own field filled with blanks.
        let field_sum: u64 = header[148..156].iter().map(|byte| u64::from(*byte)).sum();
        if parse_number(&header[148..156]) != Some(sum - field_sum + 8 * u64::from(b' ')) {
            return Err(invalid_archive("not a tar archive, or damaged"));
        }
        Ok(Some(header))
    }

    fn begin_entry(&mut self, size: u64) -> Result<(), ArchiveError> {
        self.remaining_bytes = size;
        let block = BLOCK_BYTES as u64;
        let padded = size
            .checked_next_multiple_of(block)
            .ok_or_else(|| invalid_archive("the size of an entry is too large"))?;
        self.padding_bytes = padded - size;
        Ok(())
    }

    /// Reads the content of an extension header, which is at most [`MAX_EXTENSION_BYTES`] long.
    fn read_extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > MAX_EXTENSION_BYTES {
            return Err(invalid_archive("a name is too long"));
        }
        self.begin_entry(size)?;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += self.read(&mut bytes[filled..])?;
        }
        Ok(bytes)
    }

    fn skip_entry(&mut self) -> Result<(), ArchiveError> {
        let unread = self.remaining_bytes + self.padding_bytes;
        let skipped = io::copy(&mut self.source.by_ref().take(unread), &mut io::sink());
        (self.remaining_bytes, self.padding_bytes) = (0, 0);
        if skipped.map_err(classify_read_error)? < unread {
            Err(invalid_archive("the archive is truncated"))
        } else {
            Ok(())
        }
    }
}

/// Errors of the decompressor mean that the archive is invalid; all other errors are I/O errors.
fn classify_read_error(error: io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            invalid_archive(format!("the archive is damaged: {error}"))
        }
        _ => ArchiveError::Io(error),
    }
}

fn trim_at_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Returns the path in a header: its prefix and its name.
fn header_path(header: &[u8; BLOCK_BYTES]) -> Vec<u8> {
    let (name, prefix) = (trim_at_nul(&header[..100]), trim_at_nul(&header[345..500]));
    // GNU's format has other fields in the place of the prefix.
    if prefix.is_empty() || &header[257..263] != b"ustar\0" {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// Parses a number that is written in octal digits, or in GNU's binary form.
fn parse_number(field: &[u8]) -> Option<u64> {
    if let [0x80, rest @ ..] = field {
        let (high, low) = rest.split_at(rest.len().checked_sub(8)?);
        let low: [u8; 8] = low.try_into().ok()?;
        return high.iter().all(|byte| *byte == 0).then(|| u64::from_be_bytes(low));
    }
    let text = std::str::from_utf8(trim_at_nul(field)).ok()?.trim();
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// Parses the records of an extended header, each of which is `length key=value\n`.
fn parse_pax(mut bytes: &[u8], extension: &mut TarExtension) -> Result<(), ArchiveError> {
    let damaged = || invalid_archive("an extended header is damaged");
    while !bytes.is_empty() {
        let blank = bytes.iter().position(|byte| *byte == b' ').ok_or_else(damaged)?;
        let digits = std::str::from_utf8(&bytes[..blank]).ok();
        let length: usize = digits.and_then(|digits| digits.parse().ok()).ok_or_else(damaged)?;
        if length > bytes.len() || length < blank + 2 || bytes[length - 1] != b'\n' {
            return Err(damaged());
        }
        let record = &bytes[blank + 1..length - 1];
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(damaged)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        match key {
            b"path" => extension.path = Some(value.to_vec()),
            b"linkpath" => extension.link_target = Some(value.to_vec()),
            b"size" => {
                let text = std::str::from_utf8(value).ok();
                extension.size = Some(text.and_then(|text| text.parse().ok()).ok_or_else(damaged)?);
            }
            _ if key.starts_with(b"GNU.sparse.") => extension.sparse = true,
            _ => {}
        }
        bytes = &bytes[length..];
    }
    Ok(())
}
