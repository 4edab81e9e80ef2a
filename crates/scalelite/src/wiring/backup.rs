//! What backups consist of with these settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapters::backup::{
    self, BackupError, BackupHeader, BackupSource, DataFiles, RestoreRequest, SharedStore,
};
use adapters::directory_marks::{DirectoryMarks, WatchedDir};
use adapters::postgres::PgStore;
use adapters::redis::RedisStore;
use app::blocking::BACKUPS;
use tokio::runtime::Handle;

use super::WiringError;
use super::data_dir::{expected_data_dir, find_data_dir};
use super::recordings::FSTAB;
use crate::config::stores::{RecordingStoreUrl, STORE_FILE, StateStoreUrl};
use crate::config::{Config, StoreSettings};

/// Makes and restores backups of the stores of the settings.
#[derive(Clone)]
pub struct Backups {
    source: BackupSource,
    data_dir: PathBuf,
}

/// A backup as people are told of it.
pub struct BackupInfo {
    /// When it was made, in milliseconds since 1970.
    pub created_at: i64,
    /// The kinds of its stores.
    pub stores: Vec<String>,
    /// The version of the program that has made it.
    pub program: String,
    /// Whether the schedule has made it.
    pub is_scheduled: bool,
}

impl From<BackupHeader> for BackupInfo {
    fn from(header: BackupHeader) -> Self {
        let BackupHeader { created_at, stores, program, is_scheduled, .. } = header;
        Self { created_at, stores, program, is_scheduled }
    }
}

impl Backups {
    /// Creates what makes backups. Nothing is opened yet.
    ///
    /// # Errors
    /// When TLS for a shared store cannot be set up, or this user may not use the data directory.
    pub fn new(config: &Config, stores: &StoreSettings) -> Result<Self, WiringError> {
        let data_dir = match stores.needs_data_dir() {
            true => find_data_dir(config)?,
            false => expected_data_dir(config),
        };
        let embedded = stores.needs_data_dir().then(|| data_dir.join(STORE_FILE));
        let mut shared = Vec::new();
        if let StateStoreUrl::Redis(options) = &stores.state {
            shared.push(SharedStore::Redis(Arc::new(RedisStore::new(options.clone()))));
        }
        if let (StateStoreUrl::Postgres(options), _) | (_, RecordingStoreUrl::Postgres(options)) =
            (&stores.state, &stores.recordings)
        {
            let store = PgStore::new(options.clone()).map_err(WiringError::Shared)?;
            shared.push(SharedStore::Postgres(Arc::new(store)));
        }
        let trash = config.recording_publish_dir.with_file_name("deleted");
        let recordings = [
            &config.recording_spool_dir,
            &config.recording_work_dir,
            &config.recording_publish_dir,
            &config.recording_unpublish_dir,
        ];
        let excluded = recordings
            .into_iter()
            .chain([&trash])
            .chain(&config.recording_trash_dir)
            .chain(&config.recording_quarantine_dir)
            .chain(&config.playback_player_dir)
            .chain(&config.backup_dir);
        let (state, recordings) = stores.describe();
        let source = BackupSource {
            embedded,
            shared,
            places: vec![state, recordings],
            data_files: DataFiles { dir: data_dir.clone(), excluded: excluded.cloned().collect() },
            program: env!("CARGO_PKG_VERSION").to_owned(),
            is_scheduled: false,
        };
        Ok(Self { source, data_dir })
    }

    /// The same, for backups of the schedule.
    #[must_use]
    pub fn scheduled(mut self) -> Self {
        self.source.is_scheduled = true;
        self
    }

    /// Why the directory of scheduled backups cannot be used: it is missing or not mounted.
    #[must_use]
    pub fn find_directory_problem(&self, dir: &Path) -> Option<String> {
        let dir = WatchedDir {
            setting: "BACKUP_DIR",
            path: dir.to_owned(),
            default_path: "",
            is_made_on_demand: false,
        };
        let marks = DirectoryMarks::new(vec![dir], &self.data_dir, PathBuf::from(FSTAB));
        marks.check().err().map(|error| error.to_string())
    }

    /// Writes a backup to a file, or replaces the backup that it is.
    ///
    /// # Errors
    /// When a store cannot be read, or the file cannot be written. It is as before then.
    pub async fn write(&self, file: &Path) -> Result<BackupInfo, WiringError> {
        let (source, file, runtime) = (self.source.clone(), file.to_owned(), Handle::current());
        let written = BACKUPS.run(move || backup::write_backup(&source, &file, &runtime)).await;
        Ok(finish(written)?.into())
    }

    /// Restores a backup. Nothing may have the stores open.
    ///
    /// # Errors
    /// When the backup does not fit, something would be overwritten without `force`, or a store cannot be written.
    pub async fn restore(&self, file: &Path, force: bool) -> Result<BackupInfo, WiringError> {
        let request = RestoreRequest {
            file: file.to_owned(),
            data_dir: self.data_dir.clone(),
            store: self.data_dir.join(STORE_FILE),
            uses_embedded: self.source.embedded.is_some(),
            shared: self.source.shared.clone(),
            force,
        };
        let runtime = Handle::current();
        let restored = BACKUPS.run(move || backup::restore(&request, &runtime)).await;
        Ok(finish(restored)?.into())
    }
}

/// Reads what a file says that it is; `None` if it is no backup.
#[must_use]
pub fn describe_backup(file: &Path) -> Option<BackupInfo> {
    backup::read_header(file).ok().map(BackupInfo::from)
}

/// Checks that a file is a whole backup.
///
/// # Errors
/// When it is not.
pub fn verify_backup(file: &Path) -> Result<BackupInfo, WiringError> {
    let verified = backup::verify(file).map_err(WiringError::Backup)?;
    Ok(verified.0.into())
}

fn finish(
    result: Result<Result<BackupHeader, BackupError>, app::blocking::BlockingError>,
) -> Result<BackupHeader, WiringError> {
    let aborted = |error: app::blocking::BlockingError| BackupError::Refused(error.to_string());
    result.map_err(aborted).and_then(|result| result).map_err(WiringError::Backup)
}
