//! Restores a backup. Nothing is changed before the whole backup has been read and found whole, and before everything is
//! on disk that will be put in place.
//!
//! Files are first written into a directory of the data directory. Renaming that directory is the moment in which the
//! restore happens: from then on whoever opens the store puts the files in place first, also after a kill in between. PostgreSQL and Redis take
//! all of their parts in one transaction each.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use app::ports::StoreError;
use tokio::runtime::Handle;

use super::read::{BackupReader, verify};
use super::{BackupError, BackupHeader, DATA_PREFIX, EMBEDDED_PART, SharedStore};
use crate::postgres::TableRestore;
use crate::redis::KeyRestore;
use crate::sqlite::{self, StoreLock};

/// The directory in which files are collected.
const STAGED_DIR: &str = "restore-staged";
/// The same directory, once the restore has happened.
const READY_DIR: &str = "restore-ready";
/// The embedded store, in that directory.
const STAGED_STORE: &str = "store.db";
/// The files of the data directory, in that directory.
const STAGED_FILES: &str = "files";

/// What is to be restored, and where.
pub struct RestoreRequest {
    /// The backup.
    pub file: PathBuf,
    /// The data directory.
    pub data_dir: PathBuf,
    /// The file of the embedded store, in the data directory.
    pub store: PathBuf,
    /// Whether the settings use an embedded store.
    pub uses_embedded: bool,
    /// The shared stores of the settings.
    pub shared: Vec<SharedStore>,
    /// Whether what is there may be replaced.
    pub force: bool,
}

/// Restores a backup. Blocks; shared stores are used on the runtime. After a failure, and after a kill at any time, each
/// store is as it was or as in the backup.
///
/// # Errors
/// When the backup is not whole or does not fit, something would be overwritten, or a store cannot be written.
pub fn restore(request: &RestoreRequest, runtime: &Handle) -> Result<BackupHeader, BackupError> {
    let (header, _) = verify(&request.file)?;
    check_kinds(request, &header)?;
    make_dir(&request.data_dir)?;
    let Some(_lock) = StoreLock::take(&request.store)? else {
        return Err(BackupError::Refused(format!(
            "{} is in use: stop the balancer (and other commands) first",
            request.store.display()
        )));
    };
    // One that was interrupted is finished, so that this one replaces a whole state.
    put_in_place(&request.data_dir, &request.store)?;
    if !request.force {
        refuse_overwriting(request, runtime)?;
    }
    let staged = request.data_dir.join(STAGED_DIR);
    remove_dir(&staged)?;
    let mut restores = begin_shared(request)?;
    stage_parts(request, &staged, &mut restores)?;
    commit(request, &staged, restores, runtime)?;
    Ok(header)
}

/// Finishes a restore that has happened, if its files are not in place yet. Called before a store is opened.
///
/// # Errors
/// When the files cannot be put in place.
pub fn finish_restore(store: &Path) -> Result<(), StoreError> {
    if !is_restore_unfinished(store) {
        return Ok(());
    }
    let data_dir = store.parent().filter(|dir| !dir.as_os_str().is_empty());
    let data_dir = data_dir.unwrap_or(Path::new("."));
    let Some(_lock) = StoreLock::take_soon(store)? else {
        let reason =
            "a backup was restored, and another process still uses the store before it: stop that";
        return Err(StoreError::Unavailable(reason.to_owned()));
    };
    put_in_place(data_dir, store).map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// Whether the files of a restore that has happened are not in place yet.
pub(crate) fn is_restore_unfinished(store: &Path) -> bool {
    store.with_file_name(READY_DIR).exists()
}

/// Refuses a backup of other stores than those of the settings.
fn check_kinds(request: &RestoreRequest, header: &BackupHeader) -> Result<(), BackupError> {
    let embedded = request.uses_embedded.then_some("embedded");
    let used: Vec<&str> =
        embedded.into_iter().chain(request.shared.iter().map(SharedStore::kind)).collect();
    if header.stores == used {
        return Ok(());
    }
    let reason = format!(
        "is a backup of {}; the settings name {}: restore it with the settings it was made with, and then use \
         `scalelite migrate-store`",
        header.stores.join(" and "),
        used.join(" and ")
    );
    Err(BackupError::Unusable(request.file.clone(), reason))
}

fn refuse_overwriting(request: &RestoreRequest, runtime: &Handle) -> Result<(), BackupError> {
    let refuse = |place: String, content: String| {
        let text = format!("{place} has {content}: --force replaces it");
        Err(BackupError::Refused(text))
    };
    if request.uses_embedded
        && let Some(content) = sqlite::describe_content(&request.store)
    {
        return refuse(request.store.display().to_string(), content);
    }
    for shared in &request.shared {
        let content = match shared {
            SharedStore::Redis(store) => runtime.block_on(crate::redis::describe_content(store))?,
            SharedStore::Postgres(store) => crate::postgres::describe_content(store)?,
        };
        if let Some(content) = content {
            return refuse(shared.kind().to_owned(), content);
        }
    }
    Ok(())
}

/// The changes of shared stores that are not committed yet.
struct SharedRestores {
    redis: Option<KeyRestore>,
    postgres: Option<TableRestore>,
}

fn begin_shared(request: &RestoreRequest) -> Result<SharedRestores, BackupError> {
    let mut restores = SharedRestores { redis: None, postgres: None };
    for shared in &request.shared {
        match shared {
            SharedStore::Redis(store) => restores.redis = Some(KeyRestore::new(store.clone())),
            SharedStore::Postgres(store) => restores.postgres = Some(TableRestore::begin(store)?),
        }
    }
    Ok(restores)
}

/// Writes the parts of the backup to where they can be put in place from, all at once.
fn stage_parts(
    request: &RestoreRequest,
    staged: &Path,
    restores: &mut SharedRestores,
) -> Result<(), BackupError> {
    make_dir(staged)?;
    let mut reader = BackupReader::open(&request.file)?;
    while let Some(name) = reader.next_part()? {
        if name == EMBEDDED_PART {
            let path = staged.join(STAGED_STORE);
            stage_file(&mut reader, &path)?;
            sqlite::check_copied(&path)?;
        } else if let Some(relative) = name.strip_prefix(DATA_PREFIX) {
            let relative = check_relative(relative)
                .ok_or_else(|| reader.unusable(&format!("has a part with a wrong name: {name}")))?;
            let path = staged.join(STAGED_FILES).join(relative);
            make_dir(path.parent().unwrap_or(staged))?;
            stage_file(&mut reader, &path)?;
        } else if let (super::REDIS_PART, Some(redis)) = (name.as_str(), &mut restores.redis) {
            copy_lines(&mut reader, |line| redis.add(line))?;
        } else if let (super::POSTGRES_PART, Some(postgres)) =
            (name.as_str(), &mut restores.postgres)
        {
            copy_lines(&mut reader, |line| postgres.add(line))?;
        } else {
            reader.copy_part(&mut io::sink())?;
        }
    }
    Ok(())
}

fn commit(
    request: &RestoreRequest,
    staged: &Path,
    restores: SharedRestores,
    runtime: &Handle,
) -> Result<(), BackupError> {
    if let Some(postgres) = restores.postgres {
        postgres.commit()?;
    }
    if let Some(redis) = restores.redis {
        runtime.block_on(redis.commit())?;
    }
    let ready = request.data_dir.join(READY_DIR);
    let failed = |error| BackupError::File(ready.clone(), error);
    sync_tree(staged).map_err(failed)?;
    std::fs::rename(staged, &ready).map_err(failed)?;
    sync_dir(&request.data_dir).map_err(failed)?;
    put_in_place(&request.data_dir, &request.store)
}

/// Moves the files of a restore that has happened to their places. May be repeated after a kill at any time.
fn put_in_place(data_dir: &Path, store: &Path) -> Result<(), BackupError> {
    let ready = data_dir.join(READY_DIR);
    if !ready.exists() {
        return Ok(());
    }
    let failed = |error| BackupError::File(ready.clone(), error);
    let new_store = ready.join(STAGED_STORE);
    if new_store.exists() {
        // The log of the former store must not be applied to the new one.
        for ending in ["-wal", "-shm", "-journal"] {
            let mut path = store.as_os_str().to_owned();
            path.push(ending);
            remove_file(Path::new(&path)).map_err(failed)?;
        }
        sync_dir(data_dir).map_err(failed)?;
        std::fs::rename(&new_store, store).map_err(failed)?;
        sqlite::give_to_owner(store);
    }
    let files = ready.join(STAGED_FILES);
    if files.exists() {
        move_files(&files, data_dir).map_err(failed)?;
    }
    sync_dir(data_dir).map_err(failed)?;
    std::fs::remove_dir_all(&ready).map_err(failed)?;
    sync_dir(data_dir).map_err(failed)
}

fn move_files(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            move_files(&entry.path(), &target)?;
        } else {
            std::fs::rename(entry.path(), &target)?;
        }
        sqlite::give_to_owner(&target);
    }
    sync_dir(to)
}

/// A path that stays in the data directory.
fn check_relative(path: &str) -> Option<&Path> {
    let path = Path::new(path);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (is_plain && path.components().next().is_some()).then_some(path)
}

fn stage_file(reader: &mut BackupReader, path: &Path) -> Result<(), BackupError> {
    let failed = |error| BackupError::File(path.to_owned(), error);
    let mut options = OpenOptions::new();
    let file = options.create_new(true).write(true).mode(0o600).open(path).map_err(failed)?;
    let mut writer = BufWriter::new(file);
    reader.copy_part(&mut writer)?;
    let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)
}

/// Hands the lines of a part to `take`.
fn copy_lines(
    reader: &mut BackupReader,
    mut take: impl FnMut(&str) -> Result<(), StoreError>,
) -> Result<(), BackupError> {
    let mut failure = None;
    let mut lines = LineWriter {
        buffer: Vec::new(),
        take: &mut |line| take(line).inspect_err(|error| failure = Some(error.clone())),
    };
    let copied = reader.copy_part(&mut lines);
    match failure {
        Some(error) => Err(BackupError::Store(error)),
        None => copied,
    }
}

/// Longest line of a part, in bytes.
const MAX_LINE_BYTES: usize = 256 << 20;

struct LineWriter<'a> {
    buffer: Vec<u8>,
    take: &'a mut dyn FnMut(&str) -> Result<(), StoreError>,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.buffer.len() + piece.len() > MAX_LINE_BYTES {
                return Err(io::Error::other("a line of the backup is too long"));
            }
            self.buffer.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::str::from_utf8(&self.buffer).map_err(io::Error::other)?;
                (self.take)(line.trim_end()).map_err(io::Error::other)?;
                self.buffer.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn make_dir(dir: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| BackupError::File(dir.to_owned(), error))
}

fn remove_dir(dir: &Path) -> Result<(), BackupError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackupError::File(dir.to_owned(), error))
        }
        _ => Ok(()),
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kill leaves between the rename and the last step is finished by whoever opens the store.
    #[test]
    fn a_restore_that_was_killed_in_the_middle_is_finished() {
        let root = tempfile::tempdir().unwrap();
        let (data, store) = (root.path().to_owned(), root.path().join("scalelite.db"));
        let ready = data.join(READY_DIR);
        let put = |path: &Path, text: &str| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let read = |name: &str| std::fs::read_to_string(data.join(name)).unwrap_or_default();
        for step in 0..3 {
            for (name, text) in
                [("scalelite.db", "old"), ("scalelite.db-wal", "log"), ("secret", "old")]
            {
                put(&data.join(name), text);
            }
            put(&ready.join(STAGED_STORE), "new");
            put(&ready.join(STAGED_FILES).join("secret"), "new");
            put(&ready.join(STAGED_FILES).join("acme/key"), "new");
            if step > 0 {
                std::fs::remove_file(data.join("scalelite.db-wal")).unwrap();
                std::fs::rename(ready.join(STAGED_STORE), &store).unwrap();
            }
            if step > 1 {
                std::fs::rename(ready.join(STAGED_FILES).join("secret"), data.join("secret"))
                    .unwrap();
            }
            assert!(is_restore_unfinished(&store));
            finish_restore(&store).unwrap();
            assert!(!is_restore_unfinished(&store) && !ready.exists());
            assert_eq!(
                ["scalelite.db", "scalelite.db-wal", "secret", "acme/key"].map(read),
                ["new", "", "new", "new"]
            );
        }
        put(&ready.join(STAGED_STORE), "newer");
        let in_use = StoreLock::take(&store).unwrap().unwrap();
        drop(in_use);
        finish_restore(&store).unwrap();
        assert_eq!(read("scalelite.db"), "newer");
    }

    #[test]
    fn names_of_parts_stay_in_the_data_directory() {
        assert_eq!(check_relative("acme/key"), Some(Path::new("acme/key")));
        for wrong in ["", "/etc/passwd", "../x", "a/../../x", "a/.."] {
            assert_eq!(check_relative(wrong), None, "{wrong}");
        }
    }
}
