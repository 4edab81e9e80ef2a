//! Copies local files into the spool.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use app::ports::{Entropy as _, SpoolError, SpooledArchive};
use rustix::fs::Stat;

use super::{growth, names, spool_error};
use crate::confined_dir::ConfinedDir;
use crate::entropy::OsEntropy;

/// Copies a file into the spool, unless it is already a file of the spool.
pub(super) fn copy_into_spool(
    file: &Path,
    spool: &ConfinedDir,
) -> Result<SpooledArchive, SpoolError> {
    let name = file.file_name().map(names::usable_name);
    let name = name.filter(|name| growth::is_archive(name));
    let name_error = || {
        SpoolError::InvalidArchive(
            "the name does not end in .tar, .tar.gz, .tgz or .tar.zst".to_owned(),
        )
    };
    let name = name.ok_or_else(name_error)?;
    let name = name.as_str();
    let unreadable = |error: io::Error| SpoolError::InvalidArchive(error.to_string());
    let mut source = File::open(file).map_err(unreadable)?;
    let metadata = source.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(SpoolError::InvalidArchive("not a regular file".to_owned()));
    }
    let spooled = spool.open_file(name).map_err(spool_error)?;
    let is_source = |stat: &Stat| (stat.st_dev, stat.st_ino) == (metadata.dev(), metadata.ino());
    if spooled.is_some_and(|(_, stat)| is_source(&stat)) {
        return Ok(SpooledArchive { name: name.to_owned(), size: metadata.len() });
    }
    let unfinished = format!(".copying-{}~{name}", OsEntropy.generate_uuid());
    let mut target = spool.create_file(&unfinished).map_err(spool_error)?;
    let copied = io::copy(&mut source, &mut target).and_then(|size| {
        target.sync_all().and_then(|()| spool.replace(&unfinished, spool, name)).map(|()| size)
    });
    match copied {
        Ok(size) => Ok(SpooledArchive { name: name.to_owned(), size }),
        Err(error) => {
            let _ = spool.unlink(&unfinished);
            Err(spool_error(error))
        }
    }
}
