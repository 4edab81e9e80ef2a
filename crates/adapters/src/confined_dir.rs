//! Access to files below a directory by handles of the operating system. No operation follows a link, so nothing outside
//! the directory is read or written, whatever it contains. Only regular files are opened.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use app::ports::Clock as _;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use crate::entropy::SystemClock;

/// Nesting depth at which recursive operations fail. Recordings are less deep; each level holds one handle open.
const MAX_DEPTH: usize = 64;
const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// A directory that is held open.
#[derive(Debug)]
pub(crate) struct ConfinedDir(OwnedFd);

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirEntry {
    /// The name.
    pub(crate) name: OsString,
    /// The kind.
    pub(crate) kind: EntryKind,
    /// The size of a regular file, in bytes.
    pub(crate) size: u64,
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
    /// A symbolic link; never followed, copied as it is.
    Link,
    /// Anything else, such as a device or a pipe; never opened or copied.
    Other,
}

impl ConfinedDir {
    /// Opens a directory that the administrator has configured. Links in this path are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens a subdirectory. Returns `None` if there is none, or if the name belongs to something else.
    pub(crate) fn open_dir(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.0, check_name(&name)?, flags, Mode::empty());
        none_if_absent(opened.map(Self))
    }

    /// Opens a subdirectory, and creates it if it does not exist.
    pub(crate) fn make_dir(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.0, check_name(&name)?, DIR_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let not_a_dir = || io::Error::new(io::ErrorKind::NotADirectory, "not a directory");
        self.open_dir(name)?.ok_or_else(not_a_dir)
    }

    /// Opens a regular file for reading. Returns `None` if there is none, or if the name belongs to something else.
    pub(crate) fn open_file(&self, name: impl AsRef<OsStr>) -> io::Result<Option<(File, Stat)>> {
        // Without NONBLOCK, opening a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.0, check_name(&name)?, flags, Mode::empty());
        let Some(file) = none_if_absent(opened)? else {
            return Ok(None);
        };
        let stat = rustix::fs::fstat(&file)?;
        let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok(is_regular.then(|| (File::from(file), stat)))
    }

    /// Creates a file. Fails with [`io::ErrorKind::AlreadyExists`] if anything has this name.
    pub(crate) fn create_file(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.0, check_name(&name)?, flags, FILE_MODE)?))
    }

    /// Makes a symbolic link. Fails with [`io::ErrorKind::AlreadyExists`] if anything has this name.
    pub(crate) fn make_link(&self, name: &str, target: &Path) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.0, check_name(&name)?)?)
    }

    /// Returns the kind of an entry; `None` if there is none of this name.
    pub(crate) fn entry_kind(&self, name: &str) -> io::Result<Option<EntryKind>> {
        let stat = rustix::fs::statat(&self.0, check_name(&name)?, AtFlags::SYMLINK_NOFOLLOW);
        Ok(none_if_absent(stat)?.map(|stat| build_entry(OsString::new(), &stat).kind))
    }

    /// Returns the names of the symbolic links in the directory, sorted.
    pub(crate) fn links(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            // Some file systems do not say of what kind an entry is.
            let may_be_link = matches!(entry.file_type(), FileType::Symlink | FileType::Unknown);
            if may_be_link && name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a file for reading and writing, and creates it if it does not exist.
    pub(crate) fn open_or_create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.0, check_name(&name)?, flags, FILE_MODE)?))
    }

    /// Opens a regular file so that it can be locked: NFS locks only files that are open for writing. Returns `None` if
    /// there is none, or if the name belongs to something else.
    pub(crate) fn open_for_locking(&self, name: impl AsRef<OsStr>) -> io::Result<Option<File>> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.0, check_name(&name)?, flags, Mode::empty());
        Ok(none_if_absent(opened)?.map(File::from))
    }

    /// Returns how many bytes are free for this user on the file system of the directory; `None` if it does not tell.
    pub(crate) fn count_free_bytes(&self) -> io::Result<Option<u64>> {
        let space = rustix::fs::fstatvfs(&self.0)?;
        let tells = space.f_blocks > 0;
        Ok(tells.then(|| space.f_bavail.saturating_mul(space.f_frsize)))
    }

    /// Whether the directory was last modified longer ago than `age`.
    pub(crate) fn is_older_than(&self, age: std::time::Duration) -> io::Result<bool> {
        let modified = rustix::fs::fstat(&self.0)?.st_mtime;
        let seconds = SystemClock.now().0 / 1000 - modified;
        Ok(u64::try_from(seconds).is_ok_and(|seconds| seconds > age.as_secs()))
    }

    /// Returns the entries of the directory, sorted by name.
    pub(crate) fn entries(&self) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for name in self.names()? {
            match rustix::fs::statat(&self.0, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => entries.push(build_entry(name, &stat)),
                // Removed since the names were read.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(entries)
    }

    /// Returns the names in the directory, sorted.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Renames an entry. Fails with [`io::ErrorKind::AlreadyExists`] if the target exists.
    pub(crate) fn rename(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.0, name, &to.0, to_name, flags) {
            // The file system does not support the flag, as for example NFS.
            Err(Errno::INVAL | Errno::NOSYS) => self.rename_without_flags(name, to, to_name),
            result => Ok(result?),
        }
    }

    /// Renames an entry whose name may be any, within the directory. Fails with [`io::ErrorKind::AlreadyExists`] if the new
    /// name is taken.
    pub(crate) fn rename_os(&self, name: &OsStr, to_name: &str) -> io::Result<()> {
        if self.entry_kind(to_name)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(rustix::fs::renameat(&self.0, check_name(&name)?, &self.0, to_name)?)
    }

    /// Renames an entry without replacing another one, on file systems without `RENAME_NOREPLACE`. A file gets a second
    /// name first, which fails if the name is taken. A directory is renamed, which fails if the target is not empty.
    fn rename_without_flags(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        match rustix::fs::linkat(&self.0, name, &to.0, to_name, AtFlags::empty()) {
            Ok(()) => self.unlink(name),
            Err(Errno::PERM | Errno::ISDIR) => self.replace(name, to, to_name),
            Err(error) => Err(error.into()),
        }
    }

    /// Renames a file. A file with the new name is replaced.
    pub(crate) fn replace(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, name, &to.0, to_name)?)
    }

    /// Exchanges two entries in one step. Returns false if the file system cannot do that.
    pub(crate) fn exchange(
        &self,
        name: &str,
        other_dir: &Self,
        other_name: &str,
    ) -> io::Result<bool> {
        let flags = RenameFlags::EXCHANGE;
        match rustix::fs::renameat_with(&self.0, name, &other_dir.0, other_name, flags) {
            Err(Errno::INVAL | Errno::NOSYS) => Ok(false),
            result => Ok(result.map(|()| true)?),
        }
    }

    /// Removes a file.
    pub(crate) fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes a directory with everything in it, or a file. A missing entry is not an error. Links are removed, not
    /// followed.
    pub(crate) fn remove_tree(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        self.remove_tree_at(name.as_ref(), 0)
    }

    fn remove_tree_at(&self, name: &OsStr, depth: usize) -> io::Result<()> {
        let Some(dir) = self.open_dir(name)? else {
            return none_if_absent(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())).map(drop);
        };
        check_depth(depth)?;
        for entry in dir.entries()? {
            match entry.kind {
                EntryKind::Dir => dir.remove_tree_at(&entry.name, depth + 1)?,
                EntryKind::File | EntryKind::Link | EntryKind::Other => {
                    let removed = rustix::fs::unlinkat(&dir.0, &entry.name, AtFlags::empty());
                    none_if_absent(removed)?;
                }
            }
        }
        none_if_absent(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)).map(drop)
    }

    /// Copies all subdirectories, regular files and links into another directory. Other entries are left out.
    pub(crate) fn copy_into(&self, to: &Self) -> io::Result<()> {
        self.copy_into_at(to, 0)
    }

    fn copy_into_at(&self, to: &Self, depth: usize) -> io::Result<()> {
        check_depth(depth)?;
        for entry in self.entries()? {
            match entry.kind {
                EntryKind::Dir => {
                    if let Some(from) = self.open_dir(&entry.name)? {
                        from.copy_into_at(&to.make_dir(&entry.name)?, depth + 1)?;
                    }
                }
                EntryKind::File => {
                    if let Some((mut from, _)) = self.open_file(&entry.name)? {
                        io::copy(&mut from, &mut to.create_file(&entry.name)?)?;
                    }
                }
                EntryKind::Link => {
                    let target = rustix::fs::readlinkat(&self.0, &entry.name, Vec::new())?;
                    rustix::fs::symlinkat(&target, &to.0, &entry.name)?;
                }
                EntryKind::Other => {}
            }
        }
        Ok(())
    }

    /// Calls `visit` with the path and the size in bytes of every regular file below this directory.
    pub(crate) fn walk(&self, visit: &mut dyn FnMut(&str, u64)) -> io::Result<()> {
        self.walk_at("", visit, 0)
    }

    fn walk_at(
        &self,
        parent: &str,
        visit: &mut dyn FnMut(&str, u64),
        depth: usize,
    ) -> io::Result<()> {
        check_depth(depth)?;
        for entry in self.entries()? {
            // A name that is not UTF-8 cannot occur in a request.
            let Some(name) = entry.name.to_str() else { continue };
            match entry.kind {
                EntryKind::File => visit(&format!("{parent}{name}"), entry.size),
                EntryKind::Dir => {
                    if let Some(dir) = self.open_dir(name)? {
                        dir.walk_at(&format!("{parent}{name}/"), visit, depth + 1)?;
                    }
                }
                EntryKind::Link | EntryKind::Other => {}
            }
        }
        Ok(())
    }

    /// Waits until the names in the directory are on disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Waits until everything written to the file system is on disk. This is one wait for any number of files.
    pub(crate) fn sync_filesystem(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

impl AsFd for ConfinedDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Checks that a name is a single path component and not `.` or `..`.
fn check_name<S: AsRef<OsStr>>(name: &S) -> io::Result<&OsStr> {
    let name = name.as_ref();
    let bytes = name.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file name"));
    }
    Ok(name)
}

fn build_entry(name: OsString, stat: &Stat) -> DirEntry {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => EntryKind::Dir,
        FileType::RegularFile => EntryKind::File,
        FileType::Symlink => EntryKind::Link,
        _ => EntryKind::Other,
    };
    DirEntry { name, kind, size: u64::try_from(stat.st_size).unwrap_or_default() }
}

/// Returns `None` for errors that mean that the entry is missing or is of another kind.
fn none_if_absent<T>(result: Result<T, Errno>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn check_depth(depth: usize) -> io::Result<()> {
    if depth < MAX_DEPTH {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "directories are nested too deeply"))
}
