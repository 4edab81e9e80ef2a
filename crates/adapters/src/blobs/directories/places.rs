//! Where the files of formats are, through the symbolic links that administrators put into the directories: a format, a
//! recording, or something in it, on another disk. A link is followed if it leads below one of `RECORDING_LINK_ROOTS`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use app::ports::RecordingFormatId;

use crate::confined_dir::ConfinedDir;
use crate::leftovers;

/// The directory of a format of a recording.
pub(super) struct FormatPlace {
    /// The directory that contains it.
    pub(super) parent: ConfinedDir,
    /// Its name there.
    pub(super) name: String,
    /// The directory itself.
    pub(super) dir: ConfinedDir,
    /// Its path without links.
    pub(super) path: PathBuf,
    /// The directory and the name of the link to it, if a link leads to it.
    pub(super) link: Option<(ConfinedDir, String)>,
}

/// The directory with all recordings of a format.
pub(super) struct FormatDir {
    pub(super) dir: ConfinedDir,
    /// Its path without links.
    pub(super) path: PathBuf,
    /// Whether a link leads to it, so that it may be on another file system.
    pub(super) is_linked: bool,
}

/// The roots below which links may lead.
#[derive(Debug, Default)]
pub(super) struct LinkRoots(Vec<PathBuf>);

impl LinkRoots {
    pub(super) fn new(roots: Vec<PathBuf>) -> Self {
        Self(roots)
    }

    /// Returns where a link leads; `None` if there is nothing, or no link.
    ///
    /// # Errors
    /// When the link leads to something out of the roots.
    pub(super) fn follow(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let is_link = match fs::symlink_metadata(path) {
            Err(error) if is_absent(&error) => return Ok(None),
            metadata => metadata?.is_symlink(),
        };
        let target = match is_link.then(|| fs::canonicalize(path)).transpose() {
            Ok(Some(target)) => target,
            Ok(None) => return Ok(None),
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let roots = self.0.iter().filter_map(|root| fs::canonicalize(root).ok());
        if roots.into_iter().any(|root| target.starts_with(root)) {
            return Ok(Some(target));
        }
        let (path, target) = (path.display(), target.display());
        Err(io::Error::other(format!(
            "{path} is a symbolic link to {target}, which is not in RECORDING_LINK_ROOTS"
        )))
    }

    /// Opens the directory with all recordings of a format; `None` if it does not exist.
    pub(super) fn open_format_dir(
        &self,
        root: &ConfinedDir,
        root_path: &Path,
        format: &str,
    ) -> io::Result<Option<FormatDir>> {
        let path = root_path.join(format);
        if let Some(dir) = root.open_dir(format)? {
            return Ok(Some(FormatDir { dir, path, is_linked: false }));
        }
        let Some(target) = self.follow(&path)? else { return Ok(None) };
        Ok(open(&target)?.map(|dir| FormatDir { dir, path: target, is_linked: true }))
    }

    /// Finds the directory of a format of a recording; `None` if it does not exist.
    ///
    /// # Errors
    /// When it exists, but behind a link that is not followed.
    pub(super) fn find_place(
        &self,
        root: &ConfinedDir,
        root_path: &Path,
        format_id: &RecordingFormatId,
    ) -> io::Result<Option<FormatPlace>> {
        let (format, name) = (format_id.format.as_str(), format_id.record_id.as_str());
        let opened = match self.open_format_dir(root, root_path, format) {
            // Behind the link may be other recordings only.
            Err(_) if !exists(&root_path.join(format).join(name)) => return Ok(None),
            opened => opened?,
        };
        let Some(format_dir) = opened else { return Ok(None) };
        let path = format_dir.path.join(name);
        if let Some(dir) = format_dir.dir.open_dir(name)? {
            let (parent, name) = (format_dir.dir, name.to_owned());
            return Ok(Some(FormatPlace { parent, name, dir, path, link: None }));
        }
        let Some(target) = self.follow(&path)? else { return Ok(None) };
        let named_in = target.parent().zip(target.file_name().and_then(|name| name.to_str()));
        let Some((parent, target_name)) = named_in else { return Ok(None) };
        let Some(dir) = open(&target)? else { return Ok(None) };
        Ok(Some(FormatPlace {
            parent: ConfinedDir::open(parent)?,
            name: target_name.to_owned(),
            dir,
            path: target.clone(),
            link: Some((format_dir.dir, name.to_owned())),
        }))
    }

    /// Returns the result of [`Self::find_place`] for readers: what is behind a link that is not followed does not exist
    /// for them. The link is named in the log.
    pub(super) fn readable<T>(found: io::Result<Option<T>>, path: &Path) -> io::Result<Option<T>> {
        match found {
            Err(error) if error.kind() == io::ErrorKind::Other => {
                leftovers::warn_link_once(path, &error);
                Ok(None)
            }
            found => found,
        }
    }
}

/// Opens a directory; `None` if there is none of this path.
fn open(path: &Path) -> io::Result<Option<ConfinedDir>> {
    match ConfinedDir::open(path) {
        Err(error) if is_absent(&error) => Ok(None),
        opened => opened.map(Some),
    }
}

/// Whether something has this path, or whether that cannot be found out.
fn exists(path: &Path) -> bool {
    !fs::metadata(path).is_err_and(|error| is_absent(&error))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
