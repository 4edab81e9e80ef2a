//! Lists the files of a local directory that is to be uploaded.

use std::io;
use std::path::{Path, PathBuf};

use app::blocking::IMPORTS;
use app::ports::BlobError;
use domain::recording::FilePath;

/// A regular file below the directory.
#[derive(Clone, Debug)]
pub(super) struct LocalFile {
    /// Path within the directory, with slashes.
    pub(super) path: String,
    /// Path on this machine.
    pub(super) source: PathBuf,
    /// Size in bytes.
    pub(super) size: u64,
}

/// Lists all regular files below a directory. Links are not followed.
pub(super) async fn list_local_files(dir: &Path) -> Result<Vec<LocalFile>, BlobError> {
    let dir = dir.to_owned();
    let walked = IMPORTS.run(move || walk_dir(&dir)).await;
    let unavailable = |error: &dyn std::fmt::Display| BlobError::Unavailable(error.to_string());
    walked.map_err(|error| unavailable(&error))?.map_err(|error| unavailable(&error))
}

fn walk_dir(dir: &Path) -> io::Result<Vec<LocalFile>> {
    let mut files = Vec::new();
    let mut dirs = vec![(dir.to_owned(), String::new())];
    while let Some((dir, parent)) = dirs.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            let Some(path) = entry.file_name().to_str().map(|name| format!("{parent}{name}"))
            else {
                continue;
            };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push((entry.path(), format!("{path}/")));
            } else if kind.is_file() && FilePath::parse(&path).is_some() {
                files.push(LocalFile { path, source: entry.path(), size: entry.metadata()?.len() });
            }
        }
    }
    Ok(files)
}
