//! Files below a directory, reached by handles: whatever lies there, no step follows a link, so nothing outside is
//! read or written. Only regular files are opened.

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

/// Deeper than any recording; a handle is held for each step.
const MAX_DEPTH: usize = 64;
const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// A directory that is held open.
#[derive(Debug)]
pub(crate) struct ConfinedDir(OwnedFd);

/// What a directory has in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirEntry {
    /// Its name.
    pub(crate) name: OsString,
    /// What it is.
    pub(crate) kind: EntryKind,
    /// Bytes, of a regular file.
    pub(crate) size: u64,
}

/// What may be in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
    /// A link, a device, a pipe: nothing that we touch.
    Other,
}

impl ConfinedDir {
    /// Opens a directory that the administrator named; a link to it is his business.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// A directory in it; `None` if there is none, or something else of that name.
    pub(crate) fn open_dir(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.0, check_name(&name)?, flags, Mode::empty());
        none_if_absent(opened.map(Self))
    }

    /// A directory in it, made if it is not there.
    pub(crate) fn make_dir(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.0, check_name(&name)?, DIR_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let strange = || io::Error::new(io::ErrorKind::NotADirectory, "is no directory");
        self.open_dir(name)?.ok_or_else(strange)
    }

    /// A regular file in it, to read; `None` if there is none, or something else of that name.
    pub(crate) fn open_file(&self, name: impl AsRef<OsStr>) -> io::Result<Option<(File, Stat)>> {
        // Opening a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.0, check_name(&name)?, flags, Mode::empty());
        let Some(file) = none_if_absent(opened)? else {
            return Ok(None);
        };
        let stat = rustix::fs::fstat(&file)?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok(regular.then(|| (File::from(file), stat)))
    }

    /// A file in it, new: an error of the kind `AlreadyExists` if anything has that name.
    pub(crate) fn create_file(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.0, check_name(&name)?, flags, FILE_MODE)?))
    }

    /// A file in it, to read and write, made if it is not there.
    pub(crate) fn open_or_create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.0, check_name(&name)?, flags, FILE_MODE)?))
    }

    /// Whether it was changed last longer ago than that.
    pub(crate) fn is_older_than(&self, age: std::time::Duration) -> io::Result<bool> {
        let changed = rustix::fs::fstat(&self.0)?.st_mtime;
        let seconds = SystemClock.now().0 / 1000 - changed;
        Ok(u64::try_from(seconds).is_ok_and(|seconds| seconds > age.as_secs()))
    }

    /// What is in it, in the order of names.
    pub(crate) fn entries(&self) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for name in self.names()? {
            match rustix::fs::statat(&self.0, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => entries.push(build_entry(name, &stat)),
                // Gone since.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(entries)
    }

    /// The names in it, in order.
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

    /// Moves what has that name; the target must not exist.
    pub(crate) fn rename(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.0, name, &to.0, to_name, flags) {
            // A file system that does not know the flag, such as NFS.
            Err(Errno::INVAL | Errno::NOSYS) => self.rename_without_flags(name, to, to_name),
            done => Ok(done?),
        }
    }

    /// A second name of a file is refused where something has it; a directory with anything in it is not replaced.
    fn rename_without_flags(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        match rustix::fs::linkat(&self.0, name, &to.0, to_name, AtFlags::empty()) {
            Ok(()) => self.unlink(name),
            Err(Errno::PERM | Errno::ISDIR) => self.replace(name, to, to_name),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves a file, in place of what has that name.
    pub(crate) fn replace(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, name, &to.0, to_name)?)
    }

    /// Lets two names change places in one step; false if the file system cannot.
    pub(crate) fn exchange(&self, name: &str, other: &Self, other_name: &str) -> io::Result<bool> {
        let flags = RenameFlags::EXCHANGE;
        match rustix::fs::renameat_with(&self.0, name, &other.0, other_name, flags) {
            Err(Errno::INVAL | Errno::NOSYS) => Ok(false),
            done => Ok(done.map(|()| true)?),
        }
    }

    /// Removes a file.
    pub(crate) fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes a directory with all that is in it; nothing happens if there is none. Links in it are removed, not
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
                EntryKind::File | EntryKind::Other => {
                    let removed = rustix::fs::unlinkat(&dir.0, &entry.name, AtFlags::empty());
                    none_if_absent(removed)?;
                }
            }
        }
        none_if_absent(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)).map(drop)
    }

    /// Copies all directories and regular files into another directory, and nothing else.
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
                EntryKind::Other => {}
            }
        }
        Ok(())
    }

    /// Calls for every regular file below, with its path.
    pub(crate) fn walk(&self, visit: &mut dyn FnMut(&str, u64)) -> io::Result<()> {
        self.walk_at("", visit, 0)
    }

    fn walk_at(
        &self,
        above: &str,
        visit: &mut dyn FnMut(&str, u64),
        depth: usize,
    ) -> io::Result<()> {
        check_depth(depth)?;
        for entry in self.entries()? {
            // What is not UTF-8 has no name that anybody could ask for.
            let Some(name) = entry.name.to_str() else { continue };
            match entry.kind {
                EntryKind::File => visit(&format!("{above}{name}"), entry.size),
                EntryKind::Dir => {
                    if let Some(dir) = self.open_dir(name)? {
                        dir.walk_at(&format!("{above}{name}/"), visit, depth + 1)?;
                    }
                }
                EntryKind::Other => {}
            }
        }
        Ok(())
    }

    /// Waits until its names are on disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Waits until all that was written to its file system is on disk: one wait, however many files there are.
    pub(crate) fn sync_filesystem(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

impl AsFd for ConfinedDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A name that stays in its directory.
fn check_name<S: AsRef<OsStr>>(name: &S) -> io::Result<&OsStr> {
    let name = name.as_ref();
    let strange = matches!(name.as_bytes(), b"" | b"." | b"..") || name.as_bytes().contains(&b'/');
    if strange { Err(io::Error::new(io::ErrorKind::InvalidInput, "no name")) } else { Ok(name) }
}

fn build_entry(name: OsString, stat: &Stat) -> DirEntry {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => EntryKind::Dir,
        FileType::RegularFile => EntryKind::File,
        _ => EntryKind::Other,
    };
    DirEntry { name, kind, size: u64::try_from(stat.st_size).unwrap_or_default() }
}

/// What is not there, or is no directory, or is a link, is none.
fn none_if_absent<T>(result: Result<T, Errno>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn check_depth(depth: usize) -> io::Result<()> {
    let deep = || io::Error::new(io::ErrorKind::InvalidInput, "directories are nested too deeply");
    if depth < MAX_DEPTH { Ok(()) } else { Err(deep()) }
}
