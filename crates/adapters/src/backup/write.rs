//! Writes a backup.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use app::ports::Clock as _;
use rustix::fs::{FlockOperation, flock};
use tokio::runtime::Handle;

use super::archive::ArchiveWriter;
use super::{
    BackupError, BackupHeader, DATA_PREFIX, DataFiles, EMBEDDED_PART, FORMAT_VERSION, HEADER_NAME,
    MANIFEST_NAME, Manifest, SharedStore, read,
};
use crate::entropy::SystemClock;
use crate::{postgres, redis, sqlite};

/// What is put into a backup.
#[derive(Clone)]
pub struct BackupSource {
    /// The embedded store, if there is one.
    pub embedded: Option<PathBuf>,
    /// The shared stores.
    pub shared: Vec<SharedStore>,
    /// Where the stores are, for people.
    pub places: Vec<String>,
    /// The files of the data directory.
    pub data_files: DataFiles,
    /// The version of the program.
    pub program: String,
    /// Whether the backup is made by the schedule.
    pub is_scheduled: bool,
}

/// Writes a backup to a file, which it replaces if that is a backup. Only the owner can read it. If this fails, or is
/// killed, the file is as it was. Blocks; shared stores are read on the runtime.
///
/// # Errors
/// When a store cannot be read, or the file cannot be written.
pub fn write_backup(
    source: &BackupSource,
    file: &Path,
    runtime: &Handle,
) -> Result<BackupHeader, BackupError> {
    check_target(file)?;
    let partial = name_beside(file, ".partial");
    let locked = open_partial(&partial)?;
    let copy = name_beside(file, ".partial-db");
    let written = write_parts(source, &locked, &copy, runtime)
        .and_then(|header| {
            // What cannot be read back is no backup.
            read::verify(&partial)?;
            Ok(header)
        })
        .and_then(|header| {
            let failed = |error| BackupError::File(file.to_owned(), error);
            std::fs::rename(&partial, file).map_err(failed)?;
            sync_parent(file).map_err(failed)?;
            Ok(header)
        });
    let _ = std::fs::remove_file(&copy);
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written.map_err(|error| match error {
        // The file that was asked for is what administrators know.
        BackupError::File(path, error) if path == partial || path == copy => {
            BackupError::File(file.to_owned(), error)
        }
        error => error,
    })
}

/// Refuses to replace what is no backup.
fn check_target(file: &Path) -> Result<(), BackupError> {
    let refuse = |reason: &str| Err(BackupError::Unusable(file.to_owned(), reason.to_owned()));
    match std::fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::File(file.to_owned(), error)),
        Ok(metadata) if metadata.is_dir() => refuse("is a directory: name a file in it"),
        Ok(metadata) if !metadata.is_file() => refuse("is no regular file"),
        Ok(metadata) if metadata.len() == 0 => Ok(()),
        Ok(_) if read::read_header(file).is_ok() => Ok(()),
        Ok(_) => refuse("exists and is no backup: it is not replaced"),
    }
}

/// A hidden name beside a file.
pub(super) fn name_beside(file: &Path, ending: &str) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}{ending}"))
}

/// Opens the file under its preliminary name. What a kill has left there is replaced.
fn open_partial(partial: &Path) -> Result<File, BackupError> {
    let failed = |error: io::Error| BackupError::File(partial.to_owned(), error);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
    let file = options.open(partial).map_err(failed)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Err(BackupError::Refused("a backup to this file is under way".to_owned()));
    }
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    file.set_len(0).map_err(failed)?;
    Ok(file)
}

fn write_parts(
    source: &BackupSource,
    file: &File,
    copy: &Path,
    runtime: &Handle,
) -> Result<BackupHeader, BackupError> {
    let failed = |error: io::Error| BackupError::File(copy.to_owned(), error);
    let embedded = source.embedded.iter().map(|_| "embedded");
    let shared = source.shared.iter().map(SharedStore::kind);
    let header = BackupHeader {
        format: FORMAT_VERSION,
        program: source.program.clone(),
        created_at: SystemClock.now().0,
        is_scheduled: source.is_scheduled,
        stores: embedded.chain(shared).map(str::to_owned).collect(),
        places: source.places.clone(),
    };
    let mut archive = ArchiveWriter::new(file.try_clone().map_err(failed)?);
    add_json(&mut archive, HEADER_NAME, &header).map_err(failed)?;
    if let Some(store) = &source.embedded {
        super::finish_restore(store)?;
        let _ = std::fs::remove_file(copy);
        sqlite::copy_store(store, copy)?;
        let mut copied = File::open(copy).map_err(failed)?;
        archive.add(EMBEDDED_PART, |part| io::copy(&mut copied, part).map(drop)).map_err(failed)?;
        std::fs::remove_file(copy).map_err(failed)?;
    }
    for store in &source.shared {
        add_shared(&mut archive, store, runtime)?;
    }
    for relative in source.data_files.list()? {
        let Some((content, limit)) = source.data_files.open(&relative)? else { continue };
        let name = format!("{DATA_PREFIX}{}", relative.display());
        archive
            .add(&name, |part| io::copy(&mut content.take(limit), part).map(drop))
            .map_err(failed)?;
    }
    let manifest = Manifest { parts: archive.parts().to_vec() };
    add_json(&mut archive, MANIFEST_NAME, &manifest).map_err(failed)?;
    archive.finish().map_err(failed)?;
    Ok(header)
}

fn add_json(
    archive: &mut ArchiveWriter,
    name: &str,
    value: &impl serde::Serialize,
) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(value).map_err(io::Error::other)?;
    archive.add(name, |part| part.write_all(&text))
}

/// What can go wrong while a store is read into the archive.
enum DumpError {
    File(io::Error),
    Store(app::ports::StoreError),
}

impl From<io::Error> for DumpError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

fn add_shared(
    archive: &mut ArchiveWriter,
    store: &SharedStore,
    runtime: &Handle,
) -> Result<(), BackupError> {
    let added = archive.add(store.part_name(), |part| {
        let mut failure = None;
        let mut write_line = |line: &str| {
            let written = part.write_all(line.as_bytes()).and_then(|()| part.write_all(b"\n"));
            written.map_err(|error| {
                let text = app::ports::StoreError::Unavailable(error.to_string());
                failure = Some(error);
                text
            })
        };
        let dumped = match store {
            SharedStore::Redis(store) => runtime.block_on(redis::dump_keys(store, &mut write_line)),
            SharedStore::Postgres(store) => postgres::dump_tables(store, &mut write_line),
        };
        match failure {
            Some(error) => Err(DumpError::File(error)),
            None => dumped.map_err(DumpError::Store),
        }
    });
    added.map_err(|error| match error {
        DumpError::File(error) => BackupError::File(PathBuf::from("the backup"), error),
        DumpError::Store(error) => BackupError::Store(error),
    })
}

/// Waits until a new name in a directory is on disk.
pub(super) fn sync_parent(file: &Path) -> io::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
