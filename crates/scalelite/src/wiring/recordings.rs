//! Builds the storage, retention, import and upload of recordings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapters::blobs::directories::DirectoryBlobs;
use adapters::blobs::s3::{S3Blobs, S3Settings, TransferLimits};
use adapters::blobs::transfer::BlobsCopier;
use adapters::directory_marks::{DirectoryMarks, WatchedDir};
use adapters::spool::{ArchiveLimits, SpoolDir, UploadDir, UploadLimits};
use app::App;
use app::ports::{Blobs, Uploads};
use app::recordings::claimed_blobs::ClaimedBlobs;
use app::recordings::import::{ImportRules, Importer};
use app::recordings::retention::Retention;
use app::recordings::storage_move::FormatCopier;
use domain::recording::catalog::{MetadataMatch, RecordingFilter, TenantScope};

use super::WiringError;
use crate::config::Config;
use crate::config::settings::SETTINGS;
use crate::config::values::Secret;

/// The file systems that are mounted at the start of the machine.
pub(super) const FSTAB: &str = "/etc/fstab";

/// Builds the storage of recording files: directories, or a bucket with S3_RECORDING.
///
/// # Errors
/// When the settings of S3 are not valid.
pub(super) fn build_blobs(
    config: &Config,
    marks: &Arc<DirectoryMarks>,
) -> Result<Arc<dyn Blobs>, WiringError> {
    if config.s3_recording {
        return build_s3_blobs(config);
    }
    Ok(Arc::new(open_directories(config).guarded_by(marks.clone())))
}

/// Builds the storage of recording files in the directories of the settings.
pub fn build_directory_blobs(config: &Config) -> Arc<dyn Blobs> {
    Arc::new(open_directories(config))
}

/// Why a directory that must exist cannot be used, and what to do about it; `None` if it can. `fstab` lists the file
/// systems that are mounted at the start of the machine.
pub fn find_directory_fault(
    setting: &'static str,
    dir: &Path,
    data_dir: &Path,
    fstab: &Path,
) -> Option<(String, String)> {
    let watched =
        WatchedDir { setting, path: dir.to_owned(), default_path: "", is_made_on_demand: false };
    let marks = DirectoryMarks::new(vec![watched], data_dir, fstab.to_owned());
    let fault = marks.find_faults().into_iter().next()?;
    Some((fault.reason, fault.advice))
}

fn open_directories(config: &Config) -> DirectoryBlobs {
    let [published, unpublished] = [&config.recording_publish_dir, &config.recording_unpublish_dir];
    let trash = config.recording_trash_dir.clone();
    DirectoryBlobs::with_link_roots(
        published.clone(),
        unpublished.clone(),
        trash.unwrap_or_else(|| published.with_file_name("deleted")),
        config.recording_link_roots.0.clone(),
    )
}

/// Builds the marks of the directories that keep recordings; of none with RECORDING_DISABLED or without a database.
pub fn build_directory_marks(config: &Config, data_dir: &Path) -> Arc<DirectoryMarks> {
    let dir = |setting: &'static str, path: &PathBuf| {
        let default_path = SETTINGS.iter().find(|one| one.name == setting);
        let default_path = default_path.map_or("", |setting| setting.default);
        let is_made_on_demand = setting != "RECORDING_SPOOL_DIR";
        WatchedDir { setting, path: path.clone(), default_path, is_made_on_demand }
    };
    let mut dirs = Vec::new();
    if !config.recording_disabled && !config.db_disabled {
        dirs.push(dir("RECORDING_SPOOL_DIR", &config.recording_spool_dir));
        if !config.s3_recording {
            dirs.push(dir("RECORDING_PUBLISH_DIR", &config.recording_publish_dir));
            dirs.push(dir("RECORDING_UNPUBLISH_DIR", &config.recording_unpublish_dir));
        }
    }
    Arc::new(DirectoryMarks::new(dirs, data_dir, PathBuf::from(FSTAB)))
}

/// Builds the storage of recording files in the bucket of the settings.
///
/// # Errors
/// When the settings of S3 are missing or not valid.
pub fn build_s3_blobs(config: &Config) -> Result<Arc<dyn Blobs>, WiringError> {
    config.check_s3().map_err(WiringError::Setting)?;
    let blobs = S3Blobs::new(build_s3_access(config)).map_err(WiringError::Setting)?;
    Ok(Arc::new(blobs))
}

/// The directory of published recordings below a directory to which a library is moved.
pub fn published_below(dir: &Path) -> PathBuf {
    dir.join("published")
}

/// Builds the storage of recording files below a directory to which a library is moved.
pub fn build_blobs_below(dir: &Path) -> Arc<dyn Blobs> {
    let [unpublished, trash] = ["unpublished", "deleted"].map(|name| dir.join(name));
    Arc::new(DirectoryBlobs::new(published_below(dir), unpublished, trash))
}

/// Builds what copies formats from one storage to another.
pub fn build_copier(
    config: &Config,
    source: Arc<dyn Blobs>,
    target: Arc<dyn Blobs>,
) -> Box<dyn FormatCopier> {
    Box::new(BlobsCopier { source, target, work_dir: config.recording_work_dir.clone() })
}

/// Puts the claims of the store before all changes of files, if there is a store of recordings.
pub(super) fn claim_changes(blobs: Arc<dyn Blobs>, app: &App) -> Arc<dyn Blobs> {
    let Some(records) = app.recording_store.clone() else { return blobs };
    let (clock, entropy) = (app.clock.clone(), app.entropy.clone());
    Arc::new(ClaimedBlobs { blobs, records, clock, entropy })
}

/// The rule by which recordings are deleted automatically; `None` if they are not.
pub(super) fn build_retention(config: &Config) -> Option<Retention> {
    let days = i64::from(config.recording_retention_days.0);
    let tenant = config.recording_retention_tenant.clone();
    let metadata = config.recording_retention_metadata.iter().flat_map(|pairs| &pairs.0);
    let metadata =
        metadata.map(|(key, value)| (key.to_lowercase(), vec![MetadataMatch::parse(value)]));
    (days > 0).then(|| Retention {
        filter: RecordingFilter { metadata: metadata.collect(), ..RecordingFilter::default() },
        scope: tenant.map_or(TenantScope::All, TenantScope::Tenant),
        keep_ms: days * 86_400_000,
    })
}

/// The access to the bucket. `Config::read` has checked that the required settings are set.
fn build_s3_access(config: &Config) -> S3Settings {
    let secret = |secret: &Option<Secret>| secret.as_ref().map(|Secret(secret)| secret.clone());
    S3Settings {
        bucket: config.s3_bucket_name.clone().unwrap_or_default(),
        region: config.aws_region.clone(),
        endpoint: config.aws_endpoint_url.clone(),
        key_id: config.aws_access_key_id.clone().unwrap_or_default(),
        secret_key: secret(&config.aws_secret_access_key).unwrap_or_default(),
        session_token: secret(&config.aws_session_token),
        limits: TransferLimits::default(),
    }
}

/// Builds the importer of recordings; `None` without a database or with RECORDING_DISABLED.
pub(super) fn build_importer(
    config: &Config,
    app: &App,
    marks: &Arc<DirectoryMarks>,
) -> Option<Importer> {
    let recording_store = app.recording_store.clone().filter(|_| !config.recording_disabled)?;
    let quarantine = config.recording_quarantine_dir.clone();
    let limits = ArchiveLimits {
        max_bytes: config.recording_archive_max_bytes.0,
        max_ratio: config.recording_archive_max_ratio.0.into(),
        min_free: config.recording_min_free.0,
        ..ArchiveLimits::default()
    };
    let dirs = [&config.recording_publish_dir, &config.recording_unpublish_dir];
    let targets = if config.s3_recording { Vec::new() } else { dirs.map(Clone::clone).to_vec() };
    let spool = SpoolDir::with_limits(
        config.recording_spool_dir.clone(),
        config.recording_work_dir.clone(),
        quarantine.unwrap_or_else(|| config.recording_work_dir.join("quarantine")),
        limits,
        targets,
        Some(marks.clone()),
    );
    Some(Importer {
        records: recording_store,
        blobs: app.blobs.clone(),
        spool: Arc::new(spool),
        clock: app.clock.clone(),
        entropy: app.entropy.clone(),
        rules: ImportRules {
            unpublished: config.recording_import_unpublished,
            protected: config.protected_recordings_enabled,
        },
        trash_ms: app.policy.recordings.trash_ms,
        clock_watch: app.clock_watch.clone(),
        space_waits: Arc::default(),
    })
}

/// Builds the uploads into the spool.
pub(super) fn build_uploads(config: &Config, marks: &Arc<DirectoryMarks>) -> Arc<dyn Uploads> {
    let limits = UploadLimits {
        quota_bytes: config.recording_upload_quota_bytes.0,
        min_free: config.recording_min_free.0,
    };
    let uploads = UploadDir::new(config.recording_spool_dir.clone(), limits);
    Arc::new(uploads.guarded_by(marks.clone()))
}
