//! The directories in which recordings are stored, one for each visibility, and the blocking operations on them.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use app::ports::{BlobInfo, MoveOutcome, RecordingFormatId, Visibility};
use domain::recording::FilePath;

use super::file_reader::blob_info;
use super::places::{FormatDir, FormatPlace, LinkRoots};
use super::staging::StagingDir;
use crate::blobs::lock_number;
use crate::confined_dir::{ConfinedDir, EntryKind};

/// Number of locks. Each recording belongs to one of them; moves of two recordings wait for each other only if both belong
/// to the same one.
const LOCK_COUNT: usize = 256;

/// The paths of the directories, and the roots below which links in them may lead.
#[derive(Debug)]
pub(super) struct VisibilityDirs {
    published: PathBuf,
    unpublished: PathBuf,
    trash: PathBuf,
    pub(super) link_roots: LinkRoots,
    locks: Vec<Mutex<()>>,
}

impl VisibilityDirs {
    pub(super) fn new(
        published: PathBuf,
        unpublished: PathBuf,
        trash: PathBuf,
        link_roots: Vec<PathBuf>,
    ) -> Self {
        let locks = (0..LOCK_COUNT).map(|_| Mutex::default()).collect();
        Self { published, unpublished, trash, link_roots: LinkRoots::new(link_roots), locks }
    }

    pub(super) fn dir_path(&self, visibility: Visibility) -> &Path {
        match visibility {
            Visibility::Published => &self.published,
            Visibility::Unpublished => &self.unpublished,
            Visibility::Trash => &self.trash,
        }
    }

    /// Opens the directory of a visibility. Returns `None` if it does not exist.
    pub(super) fn open_dir(&self, visibility: Visibility) -> io::Result<Option<ConfinedDir>> {
        match ConfinedDir::open(self.dir_path(visibility)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Opens the directory of a visibility, and creates it if it does not exist.
    fn make_dir(&self, visibility: Visibility) -> io::Result<ConfinedDir> {
        std::fs::create_dir_all(self.dir_path(visibility))?;
        ConfinedDir::open(self.dir_path(visibility))
    }

    /// Opens the directory with all recordings of a format, and creates it if it does not exist.
    fn make_format_dir(&self, visibility: Visibility, format: &str) -> io::Result<FormatDir> {
        let (root, path) = (self.make_dir(visibility)?, self.dir_path(visibility));
        if let Some(found) = self.link_roots.open_format_dir(&root, path, format)? {
            return Ok(found);
        }
        let dir = root.make_dir(format)?;
        root.sync()?;
        Ok(FormatDir { dir, path: path.join(format), is_linked: false })
    }

    /// Creates a staging directory on the file system of a directory of recordings.
    fn make_staging_dir(&self, visibility: Visibility, at: &FormatDir) -> io::Result<StagingDir> {
        if at.is_linked {
            return StagingDir::new(&at.dir, &at.path);
        }
        StagingDir::new(&self.make_dir(visibility)?, self.dir_path(visibility))
    }

    /// Finds the directory of a format of a recording.
    ///
    /// # Errors
    /// When it is behind a link that is not followed.
    fn find_place(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> io::Result<Option<FormatPlace>> {
        let Some(root) = self.open_dir(visibility)? else { return Ok(None) };
        self.link_roots.find_place(&root, self.dir_path(visibility), format_id)
    }

    /// Opens a format of a recording. What is behind a link that is not followed does not exist.
    pub(super) fn open_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> io::Result<Option<FormatPlace>> {
        let path = self.dir_path(visibility).join(format_id.format.as_str());
        let path = path.join(format_id.record_id.as_str());
        LinkRoots::readable(self.find_place(format_id, visibility), &path)
    }

    /// Locks a recording: no other task of this process moves or removes any of its formats meanwhile. Other processes are
    /// kept from it by a claim in the store.
    fn lock_recording(&self, format_id: &RecordingFormatId) -> MutexGuard<'_, ()> {
        self.locks[lock_number(format_id, self.locks.len())]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether none of the directories exists yet.
    fn is_uninitialized(&self) -> bool {
        Visibility::ALL.into_iter().all(|visibility| !self.dir_path(visibility).exists())
    }

    pub(super) fn locate_format(
        &self,
        format_id: &RecordingFormatId,
    ) -> io::Result<Vec<Visibility>> {
        let visibilities = self.scan_visibilities(format_id)?;
        if !visibilities.is_empty() || self.is_uninitialized() {
            return Ok(visibilities);
        }
        // The format is missing, or another task is moving it: wait until it is done.
        let _lock = self.lock_recording(format_id);
        self.scan_visibilities(format_id)
    }

    fn scan_visibilities(&self, format_id: &RecordingFormatId) -> io::Result<Vec<Visibility>> {
        let mut visibilities = Vec::new();
        for visibility in Visibility::ALL {
            if self.open_format(format_id, visibility)?.is_some() {
                visibilities.push(visibility);
            }
        }
        Ok(visibilities)
    }

    pub(super) fn put_format(
        &self,
        from: &Path,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> io::Result<()> {
        let path_error =
            || io::Error::new(io::ErrorKind::InvalidInput, "the source is not a named directory");
        let name = from.file_name().and_then(OsStr::to_str).ok_or_else(path_error)?;
        let parent = ConfinedDir::open(from.parent().ok_or_else(path_error)?)?;
        // A recording that an administrator has put on another disk stays there.
        let linked = self.find_place(format_id, visibility)?.filter(|place| place.link.is_some());
        let (target, target_name) = match linked {
            Some(FormatPlace { parent, name, path, .. }) => {
                let path = path.parent().map(Path::to_owned).unwrap_or_default();
                (FormatDir { dir: parent, path, is_linked: true }, name)
            }
            None => {
                let format_dir = self.make_format_dir(visibility, format_id.format.as_str())?;
                (format_dir, format_id.record_id.to_string())
            }
        };
        let staging = self.make_staging_dir(visibility, &target)?;
        staging.stage_dir(&parent, name)?;
        let _lock = self.lock_recording(format_id);
        staging.install_format(&target.dir, &target_name)?;
        for other_visibility in Visibility::NOT_DELETED {
            if other_visibility != visibility {
                self.remove_from(format_id, other_visibility)?;
            }
        }
        Ok(())
    }

    pub(super) fn move_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> io::Result<MoveOutcome> {
        if self.is_uninitialized() {
            return Ok(MoveOutcome::Missing);
        }
        let _lock = self.lock_recording(format_id);
        let mut at_target = self.find_place(format_id, visibility)?.is_some();
        let mut outcome = if at_target { MoveOutcome::AlreadyThere } else { MoveOutcome::Missing };
        for source in visibility.other_values() {
            let Some(place) = self.find_place(format_id, source)? else { continue };
            if !at_target {
                self.move_or_copy(&place, format_id, visibility)?;
                at_target = true;
            }
            // After a rename nothing is left at the source; after a copy the old files are.
            self.remove_from(format_id, source)?;
            outcome = MoveOutcome::Moved;
        }
        Ok(outcome)
    }

    /// Moves a format to a visibility where it is not stored yet. Within one file system this is a rename, so the format
    /// is always in one of the two places. To another file system the format is copied. Of a link, only the link moves.
    fn move_or_copy(
        &self,
        place: &FormatPlace,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> io::Result<()> {
        let name = format_id.record_id.as_str();
        let target = self.make_format_dir(visibility, format_id.format.as_str())?;
        if let Some((link_dir, link_name)) = &place.link {
            target.dir.make_link(name, &place.path)?;
            target.dir.sync()?;
            return link_dir.unlink(link_name);
        }
        match place.parent.rename(&place.name, &target.dir, name) {
            Ok(()) => {
                target.dir.sync()?;
                place.parent.sync()
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let staging = self.make_staging_dir(visibility, &target)?;
                staging.stage_dir(&place.parent, &place.name)?;
                staging.install_format(&target.dir, name)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn remove_format(
        &self,
        format_id: &RecordingFormatId,
        from: &[Visibility],
    ) -> io::Result<bool> {
        if self.is_uninitialized() {
            return Ok(false);
        }
        let _lock = self.lock_recording(format_id);
        let mut removed = false;
        for visibility in from {
            removed |= self.remove_from(format_id, *visibility)?;
        }
        Ok(removed)
    }

    /// Removes a format from one visibility. It disappears in one step; its files are removed afterwards. Returns whether
    /// it was there.
    fn remove_from(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> io::Result<bool> {
        let Some(place) = self.find_place(format_id, visibility)? else {
            return self.remove_dangling_link(format_id, visibility).map(|()| false);
        };
        if let Some((link_dir, link_name)) = &place.link {
            place.parent.remove_tree(&place.name)?;
            link_dir.unlink(link_name)?;
            return Ok(true);
        }
        let format_dir = self.make_format_dir(visibility, format_id.format.as_str())?;
        let staging = self.make_staging_dir(visibility, &format_dir)?;
        staging.stage_removal(&place.parent, &place.name)?;
        place.parent.sync()?;
        Ok(true)
    }

    /// Removes a link to a recording whose files are gone, as a crash in the middle of a removal leaves it.
    fn remove_dangling_link(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> io::Result<()> {
        let Some(root) = self.open_dir(visibility)? else { return Ok(()) };
        let Some(format_dir) = root.open_dir(format_id.format.as_str())? else { return Ok(()) };
        let name = format_id.record_id.as_str();
        let is_link = format_dir.entry_kind(name)? == Some(EntryKind::Link);
        if is_link { format_dir.unlink(name) } else { Ok(()) }
    }

    pub(super) fn list_files(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        limit: usize,
    ) -> io::Result<Vec<(FilePath, u64)>> {
        let mut files = Vec::new();
        if let Some(place) = self.open_format(format_id, visibility)? {
            place.dir.walk(&mut |path, size| {
                files.extend(FilePath::parse(path).map(|path| (path, size)));
            })?;
        }
        files.sort_unstable();
        files.truncate(limit);
        Ok(files)
    }

    pub(super) fn open_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
    ) -> io::Result<Option<(File, BlobInfo)>> {
        let Some(place) = self.open_format(format_id, visibility)? else { return Ok(None) };
        let (mut dir, mut dir_path) = (place.dir, place.path);
        let (parents, name) = split_path(path);
        for parent in parents {
            dir_path.push(parent);
            dir = match dir.open_dir(parent)? {
                Some(subdir) => subdir,
                None => match LinkRoots::readable(self.link_roots.follow(&dir_path), &dir_path)? {
                    Some(target) if target.is_dir() => {
                        dir_path.clone_from(&target);
                        ConfinedDir::open(&target)?
                    }
                    _ => return Ok(None),
                },
            };
        }
        if let Some((file, stat)) = dir.open_file(name)? {
            return Ok(Some((file, blob_info(&stat))));
        }
        let path = dir_path.join(name);
        let Some(target) = LinkRoots::readable(self.link_roots.follow(&path), &path)? else {
            return Ok(None);
        };
        let named_in = target.parent().zip(target.file_name());
        let Some((parent, name)) = named_in else { return Ok(None) };
        let opened = ConfinedDir::open(parent)?.open_file(name)?;
        Ok(opened.map(|(file, stat)| (file, blob_info(&stat))))
    }

    pub(super) fn write_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        content: &[u8],
    ) -> io::Result<()> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the recording does not exist");
        let place = self.open_format(format_id, visibility)?.ok_or_else(missing)?;
        let at = self.make_format_dir(visibility, format_id.format.as_str())?;
        let staging = match &place.link {
            Some(_) => StagingDir::new(&place.parent, place.path.parent().unwrap_or(&place.path))?,
            None => self.make_staging_dir(visibility, &at)?,
        };
        let mut dir = place.dir;
        let (parents, name) = split_path(path);
        for parent in parents {
            dir = dir.make_dir(parent)?;
        }
        staging.stage_file(content)?;
        staging.install_file(&dir, name)?;
        dir.sync()
    }

    /// Checks that files can be written for both visibilities of recordings that are not deleted.
    pub(super) fn check_dirs(&self) -> io::Result<()> {
        for visibility in Visibility::NOT_DELETED {
            let staging = StagingDir::new(&self.make_dir(visibility)?, self.dir_path(visibility))?;
            staging.stage_file(b"")?;
        }
        Ok(())
    }
}

/// Splits a path into the names of its directories and the name of the file.
fn split_path(path: &FilePath) -> (Vec<&str>, &str) {
    let mut parents: Vec<&str> = path.as_str().split('/').collect();
    let name = parents.pop().unwrap_or_default();
    (parents, name)
}
