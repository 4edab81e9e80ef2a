//! The data directory: where it is, and who may create it and the store in it. Only `serve` creates one at a default place: a
//! command that is called without the settings of the server, or as another user, must not work on a second, empty store.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::WiringError;
use super::stores::check_may_create;
use crate::config::Config;
use crate::config::owner::advise_sudo;
use crate::config::stores::STORE_FILE;
use crate::output::print_note;

/// The default data directory, if it is writable.
const SYSTEM_DIR: &str = "/var/lib/scalelite";
/// The default data directory otherwise, relative to the working directory.
const LOCAL_DIR: &str = "scalelite-data";

/// What a process may create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// Directory, store and secret: the server.
    Everything,
    /// A store in the directory that SCALELITE_DATA_DIR names: commands that change something.
    NamedStore,
    /// Nothing: commands that only read.
    Nothing,
}

/// The data directory that the server would use. Creates nothing.
pub fn expected_data_dir(config: &Config) -> PathBuf {
    if let Some(dir) = &config.data_dir {
        return dir.clone();
    }
    let system = PathBuf::from(SYSTEM_DIR);
    let parent = system.parent().unwrap_or(&system);
    let result = if system.exists() { check_dir(&system) } else { may_write(parent) };
    if result.is_ok() { system } else { PathBuf::from(LOCAL_DIR) }
}

/// The data directory for checks that create nothing: the one that commands use, or, if there is no store, the expected one.
///
/// # Errors
/// When this user may not use the default directory.
pub fn find_data_dir(config: &Config) -> Result<PathBuf, WiringError> {
    if config.data_dir.is_some() {
        return Ok(expected_data_dir(config));
    }
    match prepare_data_dir(config, Creation::Nothing) {
        Ok(dir) => Ok(dir),
        Err(error @ WiringError::File(..)) => Err(error),
        Err(_) => Ok(expected_data_dir(config)),
    }
}

/// Checks that files can be created in a directory, by creating one without a name.
///
/// # Errors
/// When no file can be created.
pub fn may_write(dir: &Path) -> io::Result<()> {
    tempfile::tempfile_in(dir).map(drop)
}

/// Returns the data directory. Creates what may be created, accessible by its owner only.
pub(super) fn prepare_data_dir(
    config: &Config,
    creation: Creation,
) -> Result<PathBuf, WiringError> {
    match (creation, &config.data_dir) {
        (Creation::Everything, Some(dir)) => {
            prepare_dir(dir).map_err(|error| dir_failure(dir, &error))?;
            Ok(dir.clone())
        }
        (Creation::Everything, None) => prepare_default_dir(Path::new(SYSTEM_DIR)),
        (_, Some(dir)) => match look_for_store(dir) {
            Ok(true) => Ok(dir.clone()),
            Ok(false) if creation == Creation::NamedStore => {
                check_owner(dir)?;
                prepare_dir(dir).map_err(|error| dir_failure(dir, &error))?;
                Ok(dir.clone())
            }
            Ok(false) => Err(no_store_at(&[dir])),
            Err(error) => Err(dir_failure(dir, &error)),
        },
        (_, None) => find_default_dir(Path::new(SYSTEM_DIR), Path::new(LOCAL_DIR)),
    }
}

/// The default directory for the server.
fn prepare_default_dir(system: &Path) -> Result<PathBuf, WiringError> {
    let Err(reason) = prepare_dir(system) else {
        return Ok(system.to_owned());
    };
    let local = PathBuf::from(LOCAL_DIR);
    if system.exists() {
        // It may hold the state of an earlier start.
        if !local.join(STORE_FILE).exists() {
            return Err(dir_failure(system, &reason));
        }
        print_note(format!("{SYSTEM_DIR} cannot be used ({reason}): using ./{LOCAL_DIR}"));
    }
    prepare_dir(&local).map_err(|error| dir_failure(&local, &error))?;
    Ok(local)
}

/// The default directory that has a store.
fn find_default_dir(system: &Path, local: &Path) -> Result<PathBuf, WiringError> {
    let (in_system, in_local) = (look_for_store(system), look_for_store(local));
    match (in_system, in_local) {
        (Ok(true), _) => Ok(system.to_owned()),
        (Ok(false), Ok(true)) => Ok(local.to_owned()),
        (Err(reason), Ok(true)) => {
            print_note(format!("{}: {reason}: using ./{}", system.display(), local.display()));
            Ok(local.to_owned())
        }
        (Err(reason), _) => Err(dir_failure(system, &reason)),
        (_, Err(reason)) => Err(dir_failure(local, &reason)),
        (Ok(false), Ok(false)) => Err(no_store_at(&[system, local])),
    }
}

/// The error of a command that found no store in these directories: one of them has lost it, or there never was one.
fn no_store_at(dirs: &[&Path]) -> WiringError {
    let places: Vec<PathBuf> = dirs.iter().map(|dir| dir.join(STORE_FILE)).collect();
    let lost = places.iter().find_map(|place| check_may_create(place).err());
    let shown: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    lost.unwrap_or(WiringError::NoStoreFound(shown.join(" and ")))
}

/// Whether a directory has a store that can be used.
///
/// # Errors
/// When that cannot be seen, or this user may not use it.
fn look_for_store(dir: &Path) -> io::Result<bool> {
    match std::fs::metadata(dir.join(STORE_FILE)) {
        Ok(_) => check_dir(dir).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Refuses to make a store in a directory of another user, who could not use it then.
fn check_owner(dir: &Path) -> Result<(), WiringError> {
    // The directory of a process belongs to the user who runs it.
    let users = [dir, Path::new("/proc/self")].map(std::fs::metadata);
    let [Ok(owner), Ok(runner)] = users else { return Ok(()) };
    if owner.uid() == runner.uid() {
        return Ok(());
    }
    let reason = format!("it belongs to another user, and has no store yet: {}", advise_sudo(dir));
    Err(WiringError::File(dir.to_owned(), io::Error::other(reason)))
}

/// Creates a data directory if necessary, and checks that it can be used.
pub(super) fn prepare_dir(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    check_dir(dir)
}

/// Checks that a data directory can be used. If it has a store, nothing is written: commands that only read must work on a
/// full disk.
fn check_dir(dir: &Path) -> io::Result<()> {
    let store = dir.join(STORE_FILE);
    if store.exists() {
        return std::fs::OpenOptions::new().write(true).open(store).map(drop);
    }
    may_write(dir)
}

/// The error of a directory, with the command to use if this user may not use it.
fn dir_failure(dir: &Path, error: &io::Error) -> WiringError {
    let reason = match error.kind() {
        io::ErrorKind::PermissionDenied => format!("{error}: {}", advise_sudo(dir)),
        _ => error.to_string(),
    };
    WiringError::File(dir.to_owned(), io::Error::new(error.kind(), reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_find_a_store_and_make_none() {
        let dir = tempfile::tempdir().unwrap();
        let [system, local] = ["system", "local"].map(|name| dir.path().join(name));
        let find = || find_default_dir(&system, &local);
        let error = find().unwrap_err().to_string();
        let (first, second) = (system.join(STORE_FILE), local.join(STORE_FILE));
        assert!(
            error.contains(&format!("{} and {}", first.display(), second.display())),
            "{error}"
        );
        assert!(!system.exists() && !local.exists());
        std::fs::create_dir(&local).unwrap();
        std::fs::write(&second, "").unwrap();
        assert_eq!(find().unwrap(), local);
        std::fs::create_dir(&system).unwrap();
        assert_eq!(find().unwrap(), local);
        std::fs::write(&first, "").unwrap();
        assert_eq!(find().unwrap(), system);
    }
}
