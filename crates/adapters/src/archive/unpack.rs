//! Unpacks an archive into one directory for each format of each recording.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write as _};

use app::ports::RecordingFormatId;
use domain::recording::FilePath;

use super::links::{LinkCopier, SymbolicLinks};
use super::paths::{self, PathPlace};
use super::space::SpaceWatch;
use super::tar::{TarEntry, TarEntryKind, TarReader};
use super::{ArchiveError, ArchiveLimits, decompress, invalid_archive};
use crate::confined_dir::ConfinedDir;

/// Size of the read buffer.
const BUFFER_BYTES: usize = 256 * 1024;
/// Nesting depth of directories within a format. Real recordings have four levels.
const MAX_DEPTH: usize = 24;
/// Maximum number of files of one format that are named as left out.
const MAX_LEFT_OUT: usize = 5;

/// A format that was found in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExtractedFormat {
    pub(crate) format_id: RecordingFormatId,
    /// Why the format cannot be used, if it cannot.
    pub(crate) fault: Option<String>,
    /// Files that were left out, and why.
    pub(crate) left_out: Vec<String>,
}

/// What is known of a format while the archive is unpacked.
#[derive(Debug, Default)]
struct FormatState {
    fault: Option<String>,
    left_out: Vec<String>,
    links: SymbolicLinks,
}

/// Unpacks a whole archive into the empty directory `target`. Compressed archives are recognized by their content.
pub(crate) fn unpack(
    file: File,
    target: &ConfinedDir,
    limits: &ArchiveLimits,
) -> Result<Vec<ExtractedFormat>, ArchiveError> {
    let max_copied_bytes = limits.max_expanded_bytes(file.metadata()?.len()).min(limits.max_bytes);
    let source = decompress::open(file, limits)?;
    let unpacker = ArchiveUnpacker {
        target,
        limits,
        formats: BTreeMap::new(),
        last_dir: None,
        buffer: vec![0; BUFFER_BYTES],
        links: LinkCopier::new(max_copied_bytes, limits, MAX_DEPTH),
        space: SpaceWatch::new(target, limits.min_free),
    };
    unpacker.unpack_all(TarReader::new(source))
}

/// The state of unpacking one archive.
struct ArchiveUnpacker<'a> {
    target: &'a ConfinedDir,
    limits: &'a ArchiveLimits,
    formats: BTreeMap<RecordingFormatId, FormatState>,
    /// The directory of the last file, with its path. The next file is usually in the same directory.
    last_dir: Option<(String, ConfinedDir)>,
    buffer: Vec<u8>,
    links: LinkCopier,
    space: SpaceWatch<'a>,
}

impl ArchiveUnpacker<'_> {
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
            if bytes.saturating_add(self.links.copied_bytes()) > self.limits.max_bytes {
                return Err(invalid_archive(format!(
                    "the archive holds more than {} bytes",
                    self.limits.max_bytes
                )));
            }
            self.unpack_entry(&entry, &mut archive)?;
        }
        self.copy_symbolic_links()?;
        let formats = self.formats.into_iter();
        let extracted = |(format_id, state): (RecordingFormatId, FormatState)| ExtractedFormat {
            format_id,
            fault: state.fault,
            left_out: state.left_out,
        };
        Ok(formats.map(extracted).collect())
    }

    fn unpack_entry<R: Read>(
        &mut self,
        entry: &TarEntry,
        archive: &mut TarReader<R>,
    ) -> Result<(), ArchiveError> {
        let path = paths::escape_path(&entry.path);
        let place = paths::locate(&entry.path)
            .map_err(|reason| invalid_archive(format!("{path}: {reason}")))?;
        let (format_id, parts) = match place {
            PathPlace::Format(format_id, parts) => (format_id, parts),
            // Entries for `./` and `presentation/` are allowed.
            PathPlace::Above if entry.kind == TarEntryKind::Dir => return Ok(()),
            PathPlace::Above => {
                return Err(invalid_archive(format!("{path}: belongs to no recording")));
            }
        };
        if parts.is_empty() && entry.kind != TarEntryKind::Dir {
            return Err(invalid_archive(format!("{path}: belongs to no recording")));
        }
        if self.formats.entry(format_id.clone()).or_default().fault.is_some() {
            return Ok(());
        }
        let fault = self.unpack_into_format(entry, &format_id, &parts, archive)?;
        let state = self.formats.entry(format_id).or_default();
        match fault {
            Some(EntryProblem::Fault(fault)) => state.fault = Some(format!("{path} {fault}")),
            Some(EntryProblem::LeftOut(reason)) => state.leave_out(format!("{path} {reason}")),
            None => {}
        }
        Ok(())
    }

    /// Unpacks an entry of a format. Returns what is wrong with the entry, if anything is.
    fn unpack_into_format<R: Read>(
        &mut self,
        entry: &TarEntry,
        format_id: &RecordingFormatId,
        parts: &[&str],
        archive: &mut TarReader<R>,
    ) -> Result<Option<EntryProblem>, ArchiveError> {
        if let TarEntryKind::Unsupported(description) = entry.kind {
            return Ok(Some(EntryProblem::Fault(format!("is {description}"))));
        }
        if parts.is_empty() {
            return Ok(None);
        }
        if parts.len() > MAX_DEPTH {
            return Ok(Some(EntryProblem::Fault("is nested too deeply".to_owned())));
        }
        // Nobody can ask for such a file, and BBB writes none.
        if entry.has_odd_name || FilePath::parse(&parts.join("/")).is_none() {
            return Ok(Some(EntryProblem::LeftOut("has a name that is not allowed".to_owned())));
        }
        let full_path =
            [&[format_id.format.as_str(), format_id.record_id.as_str()], parts].concat();
        let fault = match entry.kind {
            TarEntryKind::Dir => {
                self.make_dir(&full_path).map(drop).err().map(describe_path_error).transpose()?
            }
            TarEntryKind::File => self.write_file(&full_path, archive)?,
            TarEntryKind::HardLink => {
                let dir = open_format_dir(self.target, format_id)?;
                let space = &mut self.space;
                self.links.copy_hard_link(&dir, format_id, parts, &entry.link_target, space)?
            }
            TarEntryKind::SymbolicLink => {
                let state = self.formats.entry(format_id.clone()).or_default();
                let is_new = state.links.add(parts, &entry.link_target);
                (!is_new).then(|| "occurs twice, or is one of too many links".to_owned())
            }
            TarEntryKind::Unsupported(_) => None,
        };
        Ok(fault.map(EntryProblem::Fault))
    }

    /// Copies what symbolic links lead to, once the whole archive is unpacked.
    fn copy_symbolic_links(&mut self) -> Result<(), ArchiveError> {
        for (format_id, state) in &mut self.formats {
            if state.fault.is_some() {
                continue;
            }
            let dir = open_format_dir(self.target, format_id)?;
            let (links, space) = (&state.links, &mut self.space);
            let problems = self.links.copy_symbolic_links(&dir, format_id, links, space)?;
            state.fault = problems.fault;
            for reason in problems.left_out {
                state.leave_out(reason);
            }
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
            self.space.count(u64::try_from(count).unwrap_or(u64::MAX))?;
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

/// What is wrong with an entry.
enum EntryProblem {
    /// Its format cannot be used.
    Fault(String),
    /// The format is used without it.
    LeftOut(String),
}

impl FormatState {
    fn leave_out(&mut self, reason: String) {
        if self.left_out.len() < MAX_LEFT_OUT {
            self.left_out.push(reason);
        } else if self.left_out.len() == MAX_LEFT_OUT {
            self.left_out.push("and more".to_owned());
        }
    }
}

/// Opens the directory of a format below the target, and creates it if it is missing.
fn open_format_dir(target: &ConfinedDir, format_id: &RecordingFormatId) -> io::Result<ConfinedDir> {
    target.make_dir(format_id.format.as_str())?.make_dir(format_id.record_id.as_str())
}

/// Describes an error that the path in the archive caused. Other errors are returned as errors.
pub(super) fn describe_path_error(error: io::Error) -> Result<String, ArchiveError> {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Ok("occurs twice".to_owned()),
        io::ErrorKind::NotADirectory => Ok("is both a file and a directory".to_owned()),
        _ => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
