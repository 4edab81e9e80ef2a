//! Marks that say that a store had servers. One lies in the data directory, for a store whose file is
//! lost; one beside it, for a directory that is lost or not mounted.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Name of the mark in the data directory.
const INNER_NAME: &str = "store-mark";
/// Longest mark that is read, in bytes.
const MAX_MARK_BYTES: u64 = 4096;
/// Follows the id, for whoever finds the file.
const EXPLANATION: &str = "The store of Scalelite with this id had servers. As long as this file \
    exists, `scalelite serve` starts with an empty store only with --accept-empty.";

/// The places of the marks of one store.
#[derive(Clone, Debug)]
pub(super) struct Marks(Vec<PathBuf>);

impl Marks {
    pub(super) fn of_store(store: &Path) -> Self {
        let dir = store.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        let mut places = vec![dir.join(INNER_NAME)];
        // The path is made absolute, so that `.` and `data/` have a name.
        let full_dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        if let (Some(parent), Some(name)) = (full_dir.parent(), full_dir.file_name())
            && is_trusted(parent)
        {
            places.push(parent.join(format!(".{}.{INNER_NAME}", name.to_string_lossy())));
        }
        Self(places)
    }

    /// Returns the id in a mark, and where the mark is; `None` without a mark.
    pub(super) fn read(&self) -> Option<(String, PathBuf)> {
        self.0.iter().find_map(|path| Some((read_mark(path)?, path.clone())))
    }

    /// Writes the marks that are missing or have another id; succeeds if there is one then. Users that
    /// may not write beside the data directory have only the mark in it.
    pub(super) fn write(&self, id: &str) -> io::Result<()> {
        let mut result = Err(io::ErrorKind::NotFound.into());
        for path in &self.0 {
            let is_there = read_mark(path).is_some_and(|marked| marked == id);
            match if is_there { Ok(()) } else { write_mark(path, id) } {
                Ok(()) => result = Ok(()),
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "store mark not written");
                    if result.is_err() {
                        result = Err(error);
                    }
                }
            }
        }
        result
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        for path in &self.0 {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether not everybody can leave files in a directory, such as in /tmp.
fn is_trusted(dir: &Path) -> bool {
    std::fs::metadata(dir).is_ok_and(|metadata| metadata.mode() & 0o002 == 0)
}

/// Returns the id in a mark; `None` if there is none.
fn read_mark(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MAX_MARK_BYTES).read_to_string(&mut text).ok()?;
    let id = text.lines().next().unwrap_or_default().trim();
    (!id.is_empty()).then(|| id.to_owned())
}

fn write_mark(path: &Path, id: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!("-{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    let written = file
        .write_all(format!("{id}\n{EXPLANATION}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
