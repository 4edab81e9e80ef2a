//! Marks that say that a store had servers. One lies in the data directory, for a store whose file is
//! lost; one beside it, for a directory that was emptied or is not mounted. A directory that somebody
//! has removed and made anew is a new one: its store may begin empty.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Name of the mark in the data directory.
const INNER_NAME: &str = "store-mark";
/// What a mark says of a data directory that is mounted: without the mount another one is in its place.
const MOUNTED: &str = "mounted";
/// Longest mark that is read, in bytes.
const MAX_MARK_BYTES: u64 = 4096;
/// Follows the id, for whoever finds the file.
const EXPLANATION: &str = "The store of Scalelite with this id had servers. As long as this file \
    exists, `scalelite serve` starts with an empty store only with --accept-empty.";

/// The places of the marks of one store.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    /// The data directory.
    dir: PathBuf,
    inner: PathBuf,
    /// The mark beside the data directory, where that is possible.
    outer: Option<PathBuf>,
}

impl Marks {
    pub(super) fn of_store(store: &Path) -> Self {
        let dir = store.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        let inner = dir.join(INNER_NAME);
        // The path is made absolute, so that `.` and `data/` have a name.
        let full_dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let outer = match (full_dir.parent(), full_dir.file_name()) {
            (Some(parent), Some(name)) if is_trusted(parent) => {
                Some(parent.join(format!(".{}.{INNER_NAME}", name.to_string_lossy())))
            }
            _ => None,
        };
        Self { dir: full_dir, inner, outer }
    }

    /// Returns the id in a mark, and where the mark is; `None` without a mark. That of a directory which
    /// is not there any more does not count, unless it was mounted.
    pub(super) fn read(&self) -> Option<(String, PathBuf)> {
        if let Some(mark) = read_mark(&self.inner) {
            return Some((mark.id, self.inner.clone()));
        }
        let path = self.outer.as_ref()?;
        let mark = read_mark(path)?;
        if mark.directory == MOUNTED || mark.directory == describe_directory(&self.dir) {
            return Some((mark.id, path.clone()));
        }
        tracing::warn!(
            dir = %self.dir.display(), mark = %path.display(),
            "the data directory is a new one; the store of the former one had servers"
        );
        None
    }

    /// Writes the marks that are missing or say something else; succeeds if there is one then. Users that
    /// may not write beside the data directory have only the mark in it.
    pub(super) fn write(&self, id: &str) -> io::Result<()> {
        let directory = describe_directory(&self.dir);
        let mut result = Err(io::ErrorKind::NotFound.into());
        for path in self.places() {
            let is_there =
                read_mark(path).is_some_and(|mark| mark.id == id && mark.directory == directory);
            match if is_there { Ok(()) } else { write_mark(path, id, &directory) } {
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
        for path in self.places() {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn places(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.inner].into_iter().chain(&self.outer)
    }
}

/// Describes which directory this is: one that is mounted, or one on the file system of its parent, which
/// is another one after it was removed and made anew. Inodes are used again, times of birth are not.
fn describe_directory(dir: &Path) -> String {
    let Ok(metadata) = std::fs::metadata(dir) else { return "missing".to_owned() };
    let parent = dir.parent().and_then(|parent| std::fs::metadata(parent).ok());
    if parent.is_some_and(|parent| parent.dev() != metadata.dev()) {
        return MOUNTED.to_owned();
    }
    let born = metadata.created().ok();
    let born = born.and_then(|born| born.duration_since(std::time::UNIX_EPOCH).ok());
    let born = born.map_or_else(String::new, |born| format!(", born {}", born.as_nanos()));
    format!("inode {}{born}", metadata.ino())
}

/// Whether not everybody can leave files in a directory, such as in /tmp.
fn is_trusted(dir: &Path) -> bool {
    std::fs::metadata(dir).is_ok_and(|metadata| metadata.mode() & 0o002 == 0)
}

/// What a mark says.
struct Mark {
    id: String,
    /// Which data directory it is about, as [`describe_directory`] describes it.
    directory: String,
}

/// Reads a mark; `None` if there is none.
fn read_mark(path: &Path) -> Option<Mark> {
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MAX_MARK_BYTES).read_to_string(&mut text).ok()?;
    let mut lines = text.lines().map(|line| line.trim().to_owned());
    let id = lines.next().filter(|id| !id.is_empty())?;
    Some(Mark { id, directory: lines.next().unwrap_or_default() })
}

fn write_mark(path: &Path, id: &str, directory: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!("-{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    let written = file
        .write_all(format!("{id}\n{directory}\n{EXPLANATION}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
