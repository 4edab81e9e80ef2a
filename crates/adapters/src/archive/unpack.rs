//! From an archive to directories, format by format.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};

use app::ports::RecordingFormatId;
use domain::recording::{FilePath, FormatName, RecordId};
use flate2::read::MultiGzDecoder;

use super::tar::{TarEntry, TarEntryKind, TarReader};
use super::{ArchiveError, ArchiveLimits, invalid_archive};
use crate::confined_dir::ConfinedDir;

/// Bytes that are copied at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// Directories within a format, one in the other. Real ones have four.
const MAX_DEPTH: usize = 24;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What became of a format: nothing, or why it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExtractedFormat {
    pub(crate) format_id: RecordingFormatId,
    pub(crate) fault: Option<String>,
}

/// Unpacks a whole archive into an empty directory.
pub(crate) fn unpack(
    mut file: File,
    into: &ConfinedDir,
    limits: &ArchiveLimits,
) -> Result<Vec<ExtractedFormat>, ArchiveError> {
    let size = file.metadata()?.len();
    let mut magic = [0; 2];
    let is_gzip = size > 2 && {
        file.read_exact(&mut magic)?;
        magic == GZIP_MAGIC
    };
    file.rewind()?;
    if is_gzip {
        let most = size.saturating_mul(limits.max_ratio).saturating_add(1 << 20);
        let source = BufReader::with_capacity(BUFFER_BYTES, file);
        let decoded = BoundedReader { source: MultiGzDecoder::new(source), remaining_bytes: most };
        return ArchiveUnpacker::new(into, limits).unpack_all(TarReader::new(decoded));
    }
    ArchiveUnpacker::new(into, limits)
        .unpack_all(TarReader::new(BufReader::with_capacity(BUFFER_BYTES, file)))
}

/// A stream that is an error beyond its bound.
struct BoundedReader<R> {
    source: R,
    remaining_bytes: u64,
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let swollen =
            || io::Error::new(io::ErrorKind::InvalidData, "it is much too well compressed");
        let used = u64::try_from(count).unwrap_or(u64::MAX);
        self.remaining_bytes = self.remaining_bytes.checked_sub(used).ok_or_else(swollen)?;
        Ok(count)
    }
}

struct ArchiveUnpacker<'a> {
    target: &'a ConfinedDir,
    limits: &'a ArchiveLimits,
    formats: BTreeMap<RecordingFormatId, Option<String>>,
    /// The directory of the last file, which is most often that of the next one too.
    last_dir: Option<(String, ConfinedDir)>,
    buffer: Vec<u8>,
}

impl<'a> ArchiveUnpacker<'a> {
    fn new(into: &'a ConfinedDir, limits: &'a ArchiveLimits) -> Self {
        Self {
            target: into,
            limits,
            formats: BTreeMap::new(),
            last_dir: None,
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    fn unpack_all<R: Read>(
        mut self,
        mut archive: TarReader<R>,
    ) -> Result<Vec<ExtractedFormat>, ArchiveError> {
        let (mut entries, mut bytes) = (0_u64, 0_u64);
        while let Some(entry) = archive.next_entry()? {
            entries += 1;
            bytes = bytes.saturating_add(entry.size);
            if entries > self.limits.max_entries {
                return Err(invalid_archive(format!(
                    "it has more than {} entries",
                    self.limits.max_entries
                )));
            }
            if bytes > self.limits.max_bytes {
                return Err(invalid_archive(format!(
                    "it holds more than {} bytes",
                    self.limits.max_bytes
                )));
            }
            self.unpack_entry(&entry, &mut archive)?;
        }
        let formats = self.formats.into_iter();
        Ok(formats.map(|(book, fault)| ExtractedFormat { format_id: book, fault }).collect())
    }

    fn unpack_entry<R: Read>(
        &mut self,
        entry: &TarEntry,
        archive: &mut TarReader<R>,
    ) -> Result<(), ArchiveError> {
        let shown = escape_path(&entry.path);
        let parts =
            split_path(&entry.path).ok_or_else(|| invalid_archive(format!("{shown}: no path")))?;
        let [format, record_id, within @ ..] = &parts[..] else {
            // `./` and `presentation/`.
            return match entry.kind {
                TarEntryKind::Dir => Ok(()),
                _ => Err(invalid_archive(format!("{shown}: belongs to no recording"))),
            };
        };
        if within.is_empty() && entry.kind != TarEntryKind::Dir {
            return Err(invalid_archive(format!("{shown}: belongs to no recording")));
        }
        let book = FormatName::parse(format).zip(RecordId::parse(record_id));
        let (format, record_id) =
            book.ok_or_else(|| invalid_archive(format!("{shown}: no format and recording")))?;
        let book = RecordingFormatId { format, record_id };
        if self.formats.entry(book.clone()).or_default().is_some() {
            return Ok(());
        }
        let fault = match entry.kind {
            TarEntryKind::Unsupported(what) => Some(format!("is {what}")),
            TarEntryKind::Dir if within.is_empty() => None,
            _ if within.len() > MAX_DEPTH => Some("lies too deep".to_owned()),
            _ if FilePath::parse(&within.join("/")).is_none() => Some("is no path".to_owned()),
            TarEntryKind::Dir => {
                self.make_dir(&parts).map(drop).err().map(describe_path_error).transpose()?
            }
            TarEntryKind::File => self.write_file(&parts, archive)?,
        };
        if let Some(fault) = fault {
            self.formats.insert(book, Some(format!("{shown} {fault}")));
        }
        Ok(())
    }

    /// Writes a file; says what is wrong with its place.
    fn write_file<R: Read>(
        &mut self,
        parts: &[&str],
        archive: &mut TarReader<R>,
    ) -> Result<Option<String>, ArchiveError> {
        let Some((name, above)) = parts.split_last() else { return Ok(None) };
        let created = self.make_dir(above).and_then(|dir| dir.create_file(name));
        let mut file = match created {
            Ok(file) => file,
            Err(error) => return describe_path_error(error).map(Some),
        };
        loop {
            let count = archive.read(&mut self.buffer)?;
            if count == 0 {
                return Ok(None);
            }
            file.write_all(&self.buffer[..count])?;
        }
    }

    /// The directory of that path, made if need be.
    fn make_dir(&mut self, parts: &[&str]) -> io::Result<&ConfinedDir> {
        let path = parts.join("/");
        if self.last_dir.as_ref().is_none_or(|(last, _)| *last != path) {
            let mut dir: Option<ConfinedDir> = None;
            for part in parts {
                dir = Some(dir.as_ref().unwrap_or(self.target).make_dir(part)?);
            }
            self.last_dir = dir.map(|dir| (path, dir));
        }
        Ok(self.last_dir.as_ref().map_or(self.target, |(_, dir)| dir))
    }
}

/// What a path that cannot be made says of the archive; other errors say nothing of it.
fn describe_path_error(error: io::Error) -> Result<String, ArchiveError> {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Ok("occurs twice".to_owned()),
        io::ErrorKind::NotADirectory => Ok("is both file and directory".to_owned()),
        _ => Err(error.into()),
    }
}

/// The parts of a path that leads nowhere else.
fn split_path(path: &str) -> Option<Vec<&str>> {
    if path.is_empty() || path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').skip_while(|part| *part == ".").collect();
    (!parts.iter().any(|part| matches!(*part, "" | "." | ".."))).then_some(parts)
}

/// A path as it may stand in reports.
fn escape_path(path: &str) -> String {
    let short: String = path.chars().take(120).collect();
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
