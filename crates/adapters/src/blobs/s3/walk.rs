//! The files of a local directory that are to be uploaded.

use std::io;
use std::path::{Path, PathBuf};

use app::ports::BlobError;
use domain::recording::FilePath;

/// A file of a directory.
#[derive(Clone, Debug)]
pub(super) struct LocalFile {
    /// Within the directory.
    pub(super) path: String,
    /// On this machine.
    pub(super) source: PathBuf,
    /// Bytes.
    pub(super) size: u64,
}

/// All regular files below a directory; no link is followed.
pub(super) async fn list_local_files(dir: &Path) -> Result<Vec<LocalFile>, BlobError> {
    let dir = dir.to_owned();
    let walked = tokio::task::spawn_blocking(move || walk_dir(&dir)).await;
    let broken = |error: &dyn std::fmt::Display| BlobError::Unavailable(error.to_string());
    walked.map_err(|error| broken(&error))?.map_err(|error| broken(&error))
}

fn walk_dir(dir: &Path) -> io::Result<Vec<LocalFile>> {
    let mut found = Vec::new();
    let mut dirs = vec![(dir.to_owned(), String::new())];
    while let Some((dir, above)) = dirs.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(|name| format!("{above}{name}")) else {
                continue;
            };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push((entry.path(), format!("{name}/")));
            } else if kind.is_file() && FilePath::parse(&name).is_some() {
                found.push(LocalFile {
                    path: name,
                    source: entry.path(),
                    size: entry.metadata()?.len(),
                });
            }
        }
    }
    Ok(found)
}
