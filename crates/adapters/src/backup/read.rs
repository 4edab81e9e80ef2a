//! Reads backups, and checks that they are whole.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{
    BackupError, BackupHeader, BackupPart, FORMAT_VERSION, HEADER_NAME, MANIFEST_NAME, Manifest,
};
use crate::archive::ArchiveError;
use crate::archive::tar::{TarEntryKind, TarReader};

/// Longest first and last entry, in bytes.
const MAX_JSON_BYTES: u64 = 1 << 20;
/// Most parts.
const MAX_PARTS: usize = 10_000;
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 16;

/// A backup that is being read from its beginning to its end.
pub struct BackupReader {
    path: PathBuf,
    tar: TarReader<BufReader<File>>,
    /// What its first entry says.
    pub header: BackupHeader,
    parts: Vec<BackupPart>,
}

/// Reads the first entry of a file.
///
/// # Errors
/// When it cannot be read, or is no backup that this program knows.
pub fn read_header(path: &Path) -> Result<BackupHeader, BackupError> {
    BackupReader::open(path).map(|reader| reader.header)
}

/// Reads a whole file, and compares it with the digests in its list.
///
/// # Errors
/// When it cannot be read, or is not a whole backup.
pub fn verify(path: &Path) -> Result<(BackupHeader, Vec<BackupPart>), BackupError> {
    let mut reader = BackupReader::open(path)?;
    while reader.next_part()?.is_some() {
        reader.copy_part(&mut io::sink())?;
    }
    Ok((reader.header, reader.parts))
}

impl BackupReader {
    /// Opens a backup and reads its first entry.
    ///
    /// # Errors
    /// When it cannot be read, or is no backup that this program knows.
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(|error| BackupError::File(path.to_owned(), error))?;
        let tar = TarReader::new(BufReader::with_capacity(BUFFER_BYTES, file));
        let header = BackupHeader {
            format: 0,
            program: String::new(),
            created_at: 0,
            is_scheduled: false,
            stores: Vec::new(),
            places: Vec::new(),
        };
        let mut reader = Self { path: path.to_owned(), tar, header, parts: Vec::new() };
        let entry = reader.tar.next_entry().ok().flatten();
        let is_backup =
            entry.is_some_and(|entry| entry.path == HEADER_NAME && entry.size < MAX_JSON_BYTES);
        if !is_backup {
            return Err(reader.unusable("is no backup of scalelite"));
        }
        reader.parts.push(BackupPart {
            name: HEADER_NAME.to_owned(),
            size: 0,
            sha256: String::new(),
        });
        let text = reader.read_json()?;
        // A newer format may have other fields.
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let format = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or_default();
        if format > u64::from(FORMAT_VERSION) {
            let program = value.get("program").and_then(serde_json::Value::as_str).unwrap_or("?");
            return Err(reader.unusable(&format!(
                "was made by a newer scalelite ({program}, format {format}; this program knows {FORMAT_VERSION}): \
                 use that one"
            )));
        }
        reader.header = serde_json::from_value(value)
            .map_err(|_| reader.unusable("is damaged: its first entry cannot be read"))?;
        Ok(reader)
    }

    /// Goes on to the next part, and returns its name. At the end, checks that the list agrees with what was read.
    ///
    /// # Errors
    /// When the file is cut off or damaged.
    pub fn next_part(&mut self) -> Result<Option<String>, BackupError> {
        let entry = self.tar.next_entry().map_err(|error| self.classify(error))?;
        let Some(entry) = entry.filter(|entry| entry.kind == TarEntryKind::File) else {
            return Err(self.unusable("is not whole: it has no list of its parts at its end"));
        };
        if entry.path == MANIFEST_NAME {
            return self.check_manifest(entry.size).map(|()| None);
        }
        if self.parts.len() >= MAX_PARTS {
            return Err(self.unusable("has too many parts"));
        }
        let part = BackupPart { name: entry.path.clone(), size: 0, sha256: String::new() };
        self.parts.push(part);
        Ok(Some(entry.path))
    }

    /// Copies the part that was reached. Each part must be copied.
    ///
    /// # Errors
    /// When the file is cut off or damaged, or the copy cannot be written.
    pub fn copy_part(&mut self, to: &mut dyn Write) -> Result<(), BackupError> {
        let mut digest = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut size = 0_u64;
        loop {
            let count = self.tar.read(&mut buffer).map_err(|error| self.classify(error))?;
            if count == 0 {
                break;
            }
            digest.update(&buffer[..count]);
            size += u64::try_from(count).unwrap_or_default();
            to.write_all(&buffer[..count])
                .map_err(|error| BackupError::File(self.path.clone(), error))?;
        }
        if let Some(part) = self.parts.last_mut() {
            part.size = size;
            part.sha256 = hex::encode(digest.finalize());
        }
        Ok(())
    }

    fn read_json(&mut self) -> Result<Vec<u8>, BackupError> {
        let mut text = Vec::new();
        self.copy_part(&mut text)?;
        Ok(text)
    }

    fn check_manifest(&mut self, size: u64) -> Result<(), BackupError> {
        if size > MAX_JSON_BYTES * 8 {
            return Err(self.unusable("is damaged: its list of parts is too long"));
        }
        let read = std::mem::take(&mut self.parts);
        let text = self.read_json()?;
        let manifest: Option<Manifest> = serde_json::from_slice(&text).ok();
        let Some(manifest) = manifest else {
            return Err(self.unusable("is damaged: its list of parts cannot be read"));
        };
        // Only two blocks of zeros follow.
        let end = self.tar.next_entry().map_err(|error| self.classify(error))?;
        if end.is_some() {
            return Err(self.unusable("is damaged: something follows its list of parts"));
        }
        if manifest.parts.len() != read.len() {
            return Err(self.unusable("is damaged: parts are missing"));
        }
        let wrong = manifest.parts.iter().zip(&read).find(|(listed, read)| listed != read);
        if let Some((listed, _)) = wrong {
            return Err(self.unusable(&format!("is damaged: {} has another checksum", listed.name)));
        }
        self.parts = read;
        Ok(())
    }

    fn classify(&self, error: ArchiveError) -> BackupError {
        match error {
            ArchiveError::Invalid(reason) => {
                self.unusable(&format!("is not whole, or damaged: {reason}"))
            }
            ArchiveError::Io(error) => BackupError::File(self.path.clone(), error),
        }
    }

    /// An error about the file.
    pub(super) fn unusable(&self, reason: &str) -> BackupError {
        BackupError::Unusable(self.path.clone(), reason.to_owned())
    }
}
