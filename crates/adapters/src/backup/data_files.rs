//! The files of the data directory that belong into a backup: generated secrets, certificates and the like. The embedded
//! store is copied otherwise, and recordings, backups and marks of this machine are left out.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::archive::MAX_NAME_BYTES;
use super::{BackupError, DATA_PREFIX};

/// Largest file that is taken, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Most files that are taken.
const MAX_FILES: usize = 2_000;
/// Deepest directory that is looked into, below the data directory.
const MAX_DEPTH: usize = 4;
/// Names that are left out: the store with what lies beside it, marks of this machine, and restores under way.
const LEFT_OUT: [&str; 4] = ["scalelite.db", "store-mark", "directory-marks.json", "restore-"];

/// The data directory, and the directories that may be in it and do not belong to a backup.
#[derive(Clone, Debug)]
pub struct DataFiles {
    /// The data directory.
    pub dir: PathBuf,
    /// Directories that are left out: of recordings, and of backups.
    pub excluded: Vec<PathBuf>,
}

impl DataFiles {
    /// Lists the files, by their paths in the data directory. What is too large or deep is left out, and named in the log.
    pub(super) fn list(&self) -> Result<Vec<PathBuf>, BackupError> {
        let mut found = Vec::new();
        if self.dir.is_dir() {
            self.list_below(&self.dir, 0, &mut found)
                .map_err(|error| BackupError::File(self.dir.clone(), error))?;
        }
        found.sort();
        Ok(found)
    }

    fn list_below(&self, dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let name = entry.file_name();
            let is_left_out = depth == 0
                && name
                    .to_str()
                    .is_none_or(|name| LEFT_OUT.iter().any(|left_out| name.starts_with(left_out)));
            if is_left_out || name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() {
                let is_excluded = self.excluded.iter().any(|excluded| is_same(excluded, &path));
                if !is_excluded && depth < MAX_DEPTH {
                    self.list_below(&path, depth + 1, found)?;
                }
            } else if kind.is_file() {
                self.take(&path, entry.metadata()?.len(), found);
            }
        }
        Ok(())
    }

    fn take(&self, path: &Path, size: u64, found: &mut Vec<PathBuf>) {
        let relative = path.strip_prefix(&self.dir).ok();
        let name = relative.and_then(Path::to_str);
        let fits = name.is_some_and(|name| name.len() + DATA_PREFIX.len() <= MAX_NAME_BYTES);
        match relative.filter(|_| fits && size <= MAX_FILE_BYTES && found.len() < MAX_FILES) {
            Some(relative) => found.push(relative.to_owned()),
            None => {
                tracing::warn!(path = %path.display(), "file of the data directory left out of the backup");
            }
        }
    }

    /// Opens a file of the list, with the number of bytes that are to be read; `None` if it is gone meanwhile.
    pub(super) fn open(&self, relative: &Path) -> Result<Option<(File, u64)>, BackupError> {
        let path = self.dir.join(relative);
        match File::open(&path) {
            Ok(file) => Ok(Some((file, MAX_FILE_BYTES))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BackupError::File(path, error)),
        }
    }
}

/// Whether two paths lead to the same directory.
fn is_same(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b)
}
