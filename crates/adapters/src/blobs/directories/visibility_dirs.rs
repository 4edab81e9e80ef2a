//! The directories in which recordings are stored, one for each visibility, and the blocking operations on them.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use app::ports::{BlobInfo, MoveOutcome, RecordingFormatId, Visibility};
use domain::recording::{FilePath, FormatName, RecordId};

use super::file_reader::blob_info;
use super::staging::{self, StagingDir};
use crate::blobs::lock_number;
use crate::confined_dir::ConfinedDir;

/// Number of lock files. Each recording belongs to one of them; moves of two recordings wait for each other only if both
/// belong to the same one.
const LOCK_COUNT: usize = 256;

/// The paths of the directories.
#[derive(Debug)]
pub(super) struct VisibilityDirs {
    pub(super) published: PathBuf,
    pub(super) unpublished: PathBuf,
    pub(super) trash: PathBuf,
}

impl VisibilityDirs {
    fn dir_path(&self, visibility: Visibility) -> &Path {
        match visibility {
            Visibility::Published => &self.published,
            Visibility::Unpublished => &self.unpublished,
            Visibility::Trash => &self.trash,
        }
    }

    /// Opens the directory of a visibility. Returns `None` if it does not exist.
    fn open_dir(&self, visibility: Visibility) -> io::Result<Option<ConfinedDir>> {
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

    /// Opens a format of a recording. Returns the directory that contains all recordings of the format, and the
    /// directory of the recording in it.
    fn open_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> io::Result<Option<(ConfinedDir, ConfinedDir)>> {
        let Some(root) = self.open_dir(visibility)? else { return Ok(None) };
        let Some(format_dir) = root.open_dir(format_id.format.as_str())? else { return Ok(None) };
        let recording_dir = format_dir.open_dir(format_id.record_id.as_str())?;
        Ok(recording_dir.map(|recording_dir| (format_dir, recording_dir)))
    }

    /// Locks a recording. No other process or task moves or removes any of its formats while the returned file is open.
    pub(super) fn lock_recording(&self, format_id: &RecordingFormatId) -> io::Result<File> {
        staging::acquire_lock(
            &self.make_dir(Visibility::Published)?,
            lock_number(format_id, LOCK_COUNT),
        )
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
        // The format is missing, or another process is moving it: wait until it is done.
        let _lock = self.lock_recording(format_id)?;
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
        let root = self.make_dir(visibility)?;
        let staging = StagingDir::new(&root)?;
        staging.stage_dir(&parent, name)?;
        let _lock = self.lock_recording(format_id)?;
        staging.install_format(&root, format_id)?;
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
        let _lock = self.lock_recording(format_id)?;
        let mut at_target = self.open_format(format_id, visibility)?.is_some();
        let mut outcome = if at_target { MoveOutcome::AlreadyThere } else { MoveOutcome::Missing };
        for source in visibility.other_values() {
            let Some((format_dir, _)) = self.open_format(format_id, source)? else { continue };
            if !at_target {
                self.move_or_copy(&format_dir, format_id, visibility)?;
                at_target = true;
            }
            // After a rename nothing is left at the source; after a copy the old files are.
            self.remove_from(format_id, source)?;
            outcome = MoveOutcome::Moved;
        }
        Ok(outcome)
    }

    /// Moves a format to a visibility where it is not stored yet. Within one file system this is a rename, so the format
    /// is always in one of the two places. To another file system the format is copied.
    fn move_or_copy(
        &self,
        from: &ConfinedDir,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> io::Result<()> {
        let (root, name) = (self.make_dir(visibility)?, format_id.record_id.as_str());
        let format_dir = root.make_dir(format_id.format.as_str())?;
        match from.rename(name, &format_dir, name) {
            Ok(()) => {
                format_dir.sync()?;
                root.sync()?;
                from.sync()
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let staging = StagingDir::new(&root)?;
                staging.stage_dir(from, name)?;
                staging.install_format(&root, format_id)
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
        let _lock = self.lock_recording(format_id)?;
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
        let Some((format_dir, _)) = self.open_format(format_id, visibility)? else {
            return Ok(false);
        };
        let staging = StagingDir::new(&self.make_dir(visibility)?)?;
        staging.stage_removal(&format_dir, format_id.record_id.as_str())?;
        format_dir.sync()?;
        Ok(true)
    }

    pub(super) fn list_formats(
        &self,
        visibility: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> io::Result<Vec<RecordingFormatId>> {
        let mut format_ids = Vec::new();
        let Some(root) = self.open_dir(visibility)? else { return Ok(format_ids) };
        for name in root.names()? {
            let Some(format) = name.to_str().and_then(FormatName::parse) else { continue };
            if after.is_some_and(|after| format < after.format) {
                continue;
            }
            let Some(format_dir) = root.open_dir(&name)? else { continue };
            for name in format_dir.names()? {
                let Some(record_id) = name.to_str().and_then(RecordId::parse) else { continue };
                let format_id = RecordingFormatId { format: format.clone(), record_id };
                if after.is_some_and(|after| format_id <= *after)
                    || format_dir.open_dir(&name)?.is_none()
                {
                    continue;
                }
                if format_ids.len() >= limit {
                    return Ok(format_ids);
                }
                format_ids.push(format_id);
            }
        }
        Ok(format_ids)
    }

    pub(super) fn list_files(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        limit: usize,
    ) -> io::Result<Vec<(FilePath, u64)>> {
        let mut files = Vec::new();
        if let Some((_, recording_dir)) = self.open_format(format_id, visibility)? {
            recording_dir.walk(&mut |path, size| {
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
        let Some((_, mut dir)) = self.open_format(format_id, visibility)? else { return Ok(None) };
        let (parents, name) = split_path(path);
        for parent in parents {
            let Some(subdir) = dir.open_dir(parent)? else { return Ok(None) };
            dir = subdir;
        }
        Ok(dir.open_file(name)?.map(|(file, stat)| (file, blob_info(&stat))))
    }

    pub(super) fn write_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        content: &[u8],
    ) -> io::Result<()> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the recording does not exist");
        let (_, mut dir) = self.open_format(format_id, visibility)?.ok_or_else(missing)?;
        let (parents, name) = split_path(path);
        for parent in parents {
            dir = dir.make_dir(parent)?;
        }
        let staging = StagingDir::new(&self.make_dir(visibility)?)?;
        staging.stage_file(content)?;
        staging.install_file(&dir, name)?;
        dir.sync()
    }

    /// Checks that files can be written for both visibilities of recordings that are not deleted.
    pub(super) fn check_dirs(&self) -> io::Result<()> {
        for visibility in Visibility::NOT_DELETED {
            let staging = StagingDir::new(&self.make_dir(visibility)?)?;
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
