//! Unpacks an archive into one directory for each format of each recording.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};

use app::ports::RecordingFormatId;
use domain::recording::{FilePath, FormatName, RecordId};
use flate2::read::MultiGzDecoder;

use super::tar::{TarEntry, TarEntryKind, TarReader};
use super::{ArchiveError, ArchiveLimits, invalid_archive};
use crate::confined_dir::ConfinedDir;

/// Size of the read buffer.
const BUFFER_BYTES: usize = 256 * 1024;
/// Nesting depth of directories within a format. Real recordings have four levels.
const MAX_DEPTH: usize = 24;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A format that was found in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExtractedFormat {
    pub(crate) format_id: RecordingFormatId,
    /// Why the format cannot be used, if it cannot.
    pub(crate) fault: Option<String>,
}

/// Unpacks a whole archive into the empty directory `target`. Archives compressed with gzip are recognized by their
/// content.
pub(crate) fn unpack(
    mut file: File,
    target: &ConfinedDir,
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
        let max_bytes = size.saturating_mul(limits.max_ratio).saturating_add(1 << 20);
        let source = BufReader::with_capacity(BUFFER_BYTES, file);
        let decoded =
            BoundedReader { source: MultiGzDecoder::new(source), remaining_bytes: max_bytes };
        return ArchiveUnpacker::new(target, limits).unpack_all(TarReader::new(decoded));
    }
    ArchiveUnpacker::new(target, limits)
        .unpack_all(TarReader::new(BufReader::with_capacity(BUFFER_BYTES, file)))
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

/// The state of unpacking one archive.
struct ArchiveUnpacker<'a> {
    target: &'a ConfinedDir,
    limits: &'a ArchiveLimits,
    /// Formats found so far, with the reason why each cannot be used, if there is one.
    formats: BTreeMap<RecordingFormatId, Option<String>>,
    /// The directory of the last file, with its path. The next file is usually in the same directory.
    last_dir: Option<(String, ConfinedDir)>,
    buffer: Vec<u8>,
}

impl<'a> ArchiveUnpacker<'a> {
    fn new(target: &'a ConfinedDir, limits: &'a ArchiveLimits) -> Self {
        Self {
            target,
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
                    "the archive has more than {} entries",
                    self.limits.max_entries
                )));
            }
            if bytes > self.limits.max_bytes {
                return Err(invalid_archive(format!(
                    "the archive holds more than {} bytes",
                    self.limits.max_bytes
                )));
            }
            self.unpack_entry(&entry, &mut archive)?;
        }
        let formats = self.formats.into_iter();
        Ok(formats.map(|(format_id, fault)| ExtractedFormat { format_id, fault }).collect())
    }

    fn unpack_entry<R: Read>(
        &mut self,
        entry: &TarEntry,
        archive: &mut TarReader<R>,
    ) -> Result<(), ArchiveError> {
        let path = escape_path(&entry.path);
        let parts = split_path(&entry.path)
            .ok_or_else(|| invalid_archive(format!("{path}: not a valid path")))?;
        let [format, record_id, path_in_format @ ..] = &parts[..] else {
            // Entries for `./` and `presentation/` are allowed.
            return match entry.kind {
                TarEntryKind::Dir => Ok(()),
                _ => Err(invalid_archive(format!("{path}: belongs to no recording"))),
            };
        };
        if path_in_format.is_empty() && entry.kind != TarEntryKind::Dir {
            return Err(invalid_archive(format!("{path}: belongs to no recording")));
        }
        let names = FormatName::parse(format).zip(RecordId::parse(record_id));
        let (format, record_id) = names.ok_or_else(|| {
            invalid_archive(format!("{path}: does not begin with a format and a record id"))
        })?;
        let format_id = RecordingFormatId { format, record_id };
        if self.formats.entry(format_id.clone()).or_default().is_some() {
            return Ok(());
        }
        let fault = match entry.kind {
            TarEntryKind::Unsupported(description) => Some(format!("is {description}")),
            TarEntryKind::Dir if path_in_format.is_empty() => None,
            _ if path_in_format.len() > MAX_DEPTH => Some("is nested too deeply".to_owned()),
            _ if FilePath::parse(&path_in_format.join("/")).is_none() => {
                Some("is not a valid path".to_owned())
            }
            TarEntryKind::Dir => {
                self.make_dir(&parts).map(drop).err().map(describe_path_error).transpose()?
            }
            TarEntryKind::File => self.write_file(&parts, archive)?,
        };
        if let Some(fault) = fault {
            self.formats.insert(format_id, Some(format!("{path} {fault}")));
        }
        Ok(())
    }

    /// Writes a file. Returns what is wrong with its path, if anything is.
    fn write_file<R: Read>(
        &mut self,
        parts: &[&str],
        archive: &mut TarReader<R>,
    ) -> Result<Option<String>, ArchiveError> {
        let Some((name, parents)) = parts.split_last() else { return Ok(None) };
        let created = self.make_dir(parents).and_then(|dir| dir.create_file(name));
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

    /// Opens the directory with this path below the target, and creates it if it is missing.
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

/// Describes an error that the path in the archive caused. Other errors are returned as errors.
fn describe_path_error(error: io::Error) -> Result<String, ArchiveError> {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Ok("occurs twice".to_owned()),
        io::ErrorKind::NotADirectory => Ok("is both a file and a directory".to_owned()),
        _ => Err(error.into()),
    }
}

/// Splits a path into its components. Returns `None` if it may lead out of the target directory.
fn split_path(path: &str) -> Option<Vec<&str>> {
    if path.is_empty() || path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').skip_while(|part| *part == ".").collect();
    (!parts.iter().any(|part| matches!(*part, "" | "." | ".."))).then_some(parts)
}

/// Returns a path for use in messages: at most 120 characters, with special characters escaped.
fn escape_path(path: &str) -> String {
    let short: String = path.chars().take(120).collect();
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
