//! From an archive to directories, format by format.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};

use app::ports::Book;
use domain::recording::{FilePath, FormatName, RecordId};
use flate2::read::MultiGzDecoder;

use super::tar::{Archive, Entry, Kind};
use super::{ArchiveError, Limits, bad};
use crate::beneath::Dir;

/// Bytes that are copied at once.
const PIECE: usize = 256 * 1024;
/// Directories within a format, one in the other. Real ones have four.
const DEPTH_MAX: usize = 24;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What became of a format: nothing, or why it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) book: Book,
    pub(crate) fault: Option<String>,
}

/// Unpacks a whole archive into an empty directory.
pub(crate) fn unpack(
    mut file: File,
    into: &Dir,
    limits: &Limits,
) -> Result<Vec<Format>, ArchiveError> {
    let size = file.metadata()?.len();
    let mut magic = [0; 2];
    let is_gzip = size > 2 && {
        file.read_exact(&mut magic)?;
        magic == GZIP
    };
    file.rewind()?;
    if is_gzip {
        let most = size.saturating_mul(limits.ratio).saturating_add(1 << 20);
        let source = BufReader::with_capacity(PIECE, file);
        let decoded = Bounded { source: MultiGzDecoder::new(source), left: most };
        return Unpacking::new(into, limits).run(Archive::new(decoded));
    }
    Unpacking::new(into, limits).run(Archive::new(BufReader::with_capacity(PIECE, file)))
}

/// A stream that is an error beyond its bound.
struct Bounded<R> {
    source: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let swollen =
            || io::Error::new(io::ErrorKind::InvalidData, "it is much too well compressed");
        let used = u64::try_from(count).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(used).ok_or_else(swollen)?;
        Ok(count)
    }
}

struct Unpacking<'a> {
    into: &'a Dir,
    limits: &'a Limits,
    formats: BTreeMap<Book, Option<String>>,
    /// The directory of the last file, which is most often that of the next one too.
    last: Option<(String, Dir)>,
    buffer: Vec<u8>,
}

impl<'a> Unpacking<'a> {
    fn new(into: &'a Dir, limits: &'a Limits) -> Self {
        Self { into, limits, formats: BTreeMap::new(), last: None, buffer: vec![0; PIECE] }
    }

    fn run<R: Read>(mut self, mut archive: Archive<R>) -> Result<Vec<Format>, ArchiveError> {
        let (mut entries, mut bytes) = (0_u64, 0_u64);
        while let Some(entry) = archive.next()? {
            entries += 1;
            bytes = bytes.saturating_add(entry.size);
            if entries > self.limits.entries {
                return Err(bad(format!("it has more than {} entries", self.limits.entries)));
            }
            if bytes > self.limits.bytes {
                return Err(bad(format!("it holds more than {} bytes", self.limits.bytes)));
            }
            self.take(&entry, &mut archive)?;
        }
        let formats = self.formats.into_iter();
        Ok(formats.map(|(book, fault)| Format { book, fault }).collect())
    }

    fn take<R: Read>(
        &mut self,
        entry: &Entry,
        archive: &mut Archive<R>,
    ) -> Result<(), ArchiveError> {
        let shown = shown(&entry.path);
        let parts = plain(&entry.path).ok_or_else(|| bad(format!("{shown}: no path")))?;
        let [format, record_id, within @ ..] = &parts[..] else {
            // `./` and `presentation/`.
            return match entry.kind {
                Kind::Dir => Ok(()),
                _ => Err(bad(format!("{shown}: belongs to no recording"))),
            };
        };
        if within.is_empty() && entry.kind != Kind::Dir {
            return Err(bad(format!("{shown}: belongs to no recording")));
        }
        let book = FormatName::parse(format).zip(RecordId::parse(record_id));
        let (format, record_id) =
            book.ok_or_else(|| bad(format!("{shown}: no format and recording")))?;
        let book = Book { format, record_id };
        if self.formats.entry(book.clone()).or_default().is_some() {
            return Ok(());
        }
        let fault = match entry.kind {
            Kind::Strange(what) => Some(format!("is {what}")),
            Kind::Dir if within.is_empty() => None,
            _ if within.len() > DEPTH_MAX => Some("lies too deep".to_owned()),
            _ if FilePath::parse(&within.join("/")).is_none() => Some("is no path".to_owned()),
            Kind::Dir => self.above(&parts).map(drop).err().map(fault_of).transpose()?,
            Kind::File => self.file(&parts, archive)?,
        };
        if let Some(fault) = fault {
            self.formats.insert(book, Some(format!("{shown} {fault}")));
        }
        Ok(())
    }

    /// Writes a file; says what is wrong with its place.
    fn file<R: Read>(
        &mut self,
        parts: &[&str],
        archive: &mut Archive<R>,
    ) -> Result<Option<String>, ArchiveError> {
        let Some((name, above)) = parts.split_last() else { return Ok(None) };
        let created = self.above(above).and_then(|dir| dir.create(name));
        let mut file = match created {
            Ok(file) => file,
            Err(error) => return fault_of(error).map(Some),
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
    fn above(&mut self, parts: &[&str]) -> io::Result<&Dir> {
        let path = parts.join("/");
        if self.last.as_ref().is_none_or(|(last, _)| *last != path) {
            let mut dir: Option<Dir> = None;
            for part in parts {
                dir = Some(dir.as_ref().unwrap_or(self.into).make_sub(part)?);
            }
            self.last = dir.map(|dir| (path, dir));
        }
        Ok(self.last.as_ref().map_or(self.into, |(_, dir)| dir))
    }
}

/// What a path that cannot be made says of the archive; other errors say nothing of it.
fn fault_of(error: io::Error) -> Result<String, ArchiveError> {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Ok("occurs twice".to_owned()),
        io::ErrorKind::NotADirectory => Ok("is both file and directory".to_owned()),
        _ => Err(error.into()),
    }
}

/// The parts of a path that leads nowhere else.
fn plain(path: &str) -> Option<Vec<&str>> {
    if path.is_empty() || path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').skip_while(|part| *part == ".").collect();
    (!parts.iter().any(|part| matches!(*part, "" | "." | ".."))).then_some(parts)
}

/// A path as it may stand in reports.
fn shown(path: &str) -> String {
    let short: String = path.chars().take(120).collect();
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
