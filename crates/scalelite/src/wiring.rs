//! The composition root: from settings to a running application. The only place that names
//! adapters.

mod playback;
mod recordings;
pub mod stores;

use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapters::bbb_http::HttpBbbClient;
use adapters::callback_client::HttpCallbackClient;
use adapters::entropy::{OsEntropy, SystemClock};
use app::App;
use app::policy::{Policy, RecordingRules};
use app::ports::{self, CallTimeouts, Inspect};
use app::recordings::import::Importer;
use app::tenancy::TenantCache;
use bbb::Algorithm;
use domain::health::Thresholds;
use domain::load::LoadPolicy;
use domain::parameters::ParameterRules;
use domain::placement::PlacementRules;
use domain::poll::PollPolicy;
use domain::voice_bridge::VoiceBridgePolicy;

use self::stores::OpenedStores;
use crate::config::stores::STORE_FILE;
use crate::config::values::Secret;
use crate::config::{Config, StoreSettings};
use crate::http::playback::PlaybackService;
use crate::output::print_note;

/// Where the state is kept if nobody says otherwise and we may write there.
const SYSTEM_DIR: &str = "/var/lib/scalelite";
/// Where it is kept else.
const LOCAL_DIR: &str = "scalelite-data";
const SECRET_FILE: &str = "secret";

/// Something of the surroundings is not as it must be; the text is for administrators.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// A directory or file.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// The store.
    #[error("{0}: {1}")]
    Store(PathBuf, ports::StoreError),
    /// A store elsewhere.
    #[error(transparent)]
    Shared(ports::StoreError),
    /// Several replicas need one secret.
    #[error("LOADBALANCER_SECRET must be set: all replicas on {0} need the same one")]
    SecretNeeded(String),
    /// The file of an embedded store that should be there.
    #[error("{0}: there is no store")]
    NoStore(PathBuf),
    /// Several replicas need one secret for cookies.
    #[error(
        "SECRET_KEY_BASE must be set: all replicas on {0} sign cookies for protected recordings with it"
    )]
    KeyBaseNeeded(String),
    /// A setting about recordings that is not as it must be.
    #[error("{0}")]
    Setting(String),
    /// The settings name no store at all, which they cannot.
    #[error("there is no store")]
    NoStores,
}

/// A wired application and where its state is.
pub struct WiredApp {
    /// The application.
    pub app: App,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Whether the secret is one that we made.
    pub secret_is_generated: bool,
    /// The stores, for a closer look.
    pub inspectors: Vec<Arc<dyn Inspect>>,
    /// Recordings, unless there are none.
    pub recordings: Option<Arc<dyn ports::Recordings>>,
    /// Imports of recordings, unless there is no database for them or they are switched off.
    pub importer: Option<Importer>,
    /// Uploads of recordings into the spool.
    pub uploads: Arc<dyn ports::Uploads>,
    /// Where recordings are watched, unless there are none.
    pub playback: Option<Arc<PlaybackService>>,
}

/// Opens the stores and connects everything. Redis and PostgreSQL are connected to when they are
/// first needed.
///
/// # Errors
/// When the data directory, the secret or a store cannot be used.
pub fn wire(config: &Config, stores: &StoreSettings) -> Result<WiredApp, WiringError> {
    let given = configured_secrets(config);
    let needs_dir = stores.needs_data_dir() || given.is_empty();
    let data_dir = if needs_dir { prepare_data_dir(config)? } else { expected_data_dir(config) };
    let OpenedStores { stores: house, recording_store: records, inspectors: inspect } =
        stores::open_stores(stores, &data_dir)?;
    let own_secret = given.is_empty();
    let secrets = match own_secret {
        false => given,
        // One that this machine makes would not be the other replicas'.
        true if stores.is_shared() => return Err(WiringError::SecretNeeded(stores.describe().0)),
        true => vec![load_pool_secret(&data_dir)?],
    };
    let policy = build_policy(config, secrets);
    let (create_rules, join_rules) = (policy.create_rules.clone(), policy.join_rules.clone());
    let calls_per_server = usize::try_from(config.max_connections_per_server.0);
    let bbb =
        HttpBbbClient::new(policy.timeouts.connect_ms, calls_per_server.unwrap_or(usize::MAX));
    let app = App {
        pool: house.state.clone(),
        history: house.state.clone(),
        forecast: Arc::default(),
        server_backup: Arc::default(),
        odd_answers: Arc::default(),
        periodic_jobs: house.state.clone(),
        tenant_cache: Arc::new(TenantCache::new(house.state.clone(), create_rules, join_rules)),
        tenants: house.state.clone(),
        recording_store: records,
        blobs: recordings::build_blobs(config)?,
        tokens: house.state.clone(),
        bbb: Arc::new(bbb),
        callback_client: Arc::new(HttpCallbackClient::new(config.callback_allow.0.clone())),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        policy: Arc::new(policy),
    };
    let theatre = playback::build_playback_service(config, stores, &app, &data_dir)?.map(Arc::new);
    let importer = recordings::build_importer(config, &app);
    let (recordings, uploads) = (house.recordings, recordings::build_uploads(config));
    Ok(WiredApp {
        app,
        data_dir,
        secret_is_generated: own_secret,
        inspectors: inspect,
        recordings,
        importer,
        uploads,
        playback: theatre,
    })
}

/// Where the state would be kept, without making anything.
pub fn expected_data_dir(config: &Config) -> PathBuf {
    if let Some(dir) = &config.data_dir {
        return dir.clone();
    }
    let system = PathBuf::from(SYSTEM_DIR);
    let above = system.parent().unwrap_or(&system);
    let usable = if system.exists() { prepare_dir(&system) } else { may_write(above) };
    if usable.is_ok() { system } else { PathBuf::from(LOCAL_DIR) }
}

/// Whether files can be made in a directory, by making one that nobody sees.
///
/// # Errors
/// Why they cannot.
pub fn may_write(dir: &Path) -> io::Result<()> {
    tempfile::tempfile_in(dir).map(drop)
}

/// The directory of the state, made if need be, readable by its owner only.
fn prepare_data_dir(config: &Config) -> Result<PathBuf, WiringError> {
    if let Some(dir) = &config.data_dir {
        return match prepare_dir(dir) {
            Ok(()) => Ok(dir.clone()),
            Err(error) => Err(WiringError::File(dir.clone(), error)),
        };
    }
    let system = PathBuf::from(SYSTEM_DIR);
    let Err(refused) = prepare_dir(&system) else {
        return Ok(system);
    };
    // Of a directory that we may not look into, that is all we can know.
    if system.exists() {
        print_note(format!("{SYSTEM_DIR} cannot be used ({refused}): using ./{LOCAL_DIR}"));
    }
    let local = PathBuf::from(LOCAL_DIR);
    prepare_dir(&local).map_err(|error| WiringError::File(local.clone(), error))?;
    Ok(local)
}

/// A store that exists is not tried by writing: a full disk must not keep anybody from looking.
fn prepare_dir(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let store = dir.join(STORE_FILE);
    if store.exists() {
        return std::fs::OpenOptions::new().write(true).open(store).map(drop);
    }
    may_write(dir)
}

/// The front-ends' secrets, if any are given.
fn configured_secrets(config: &Config) -> Vec<String> {
    let one = config.loadbalancer_secret.iter().map(|Secret(secret)| secret.clone());
    let more = config.loadbalancer_secrets.iter().flat_map(|Secret(list)| list.split(':'));
    one.chain(more.map(str::to_owned)).filter(|secret| !secret.is_empty()).collect()
}

/// The secret of a pool for which none is given.
fn load_pool_secret(data_dir: &Path) -> Result<String, WiringError> {
    let path = data_dir.join(SECRET_FILE);
    load_or_create_secret(&path).map_err(|error| WiringError::File(path, error))
}

/// Reads the secret that was made on the first start, or makes it. Of two processes that start at
/// the same time one makes it and the other reads it.
fn load_or_create_secret(path: &Path) -> io::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        kept => return check_secret(&kept?),
    }
    let made = OsEntropy.secret();
    let directory = path.parent().unwrap_or(Path::new("."));
    // Temporary files are readable by their owner only.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    writeln!(file, "{made}")?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(made),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            check_secret(&std::fs::read_to_string(path)?)
        }
        Err(error) => Err(error.error),
    }
}

fn check_secret(kept: &str) -> io::Result<String> {
    let empty = io::Error::new(io::ErrorKind::InvalidData, "is empty: delete it to get a new one");
    if kept.trim().is_empty() { Err(empty) } else { Ok(kept.trim().to_owned()) }
}

fn build_policy(config: &Config, secrets: Vec<String>) -> Policy {
    let rules = |exclude: &[String], defaults: &[_], overrides: &[_]| ParameterRules {
        exclude: exclude.to_vec(),
        defaults: defaults.to_vec(),
        overrides: overrides.to_vec(),
    };
    let minutes = |minutes: u32| i64::from(minutes) * 60_000;
    let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    Policy {
        secrets,
        algorithms: config.checksum_algorithm.unwrap_or_default(),
        signing_algorithm: config
            .checksum_algorithm
            .map_or(Algorithm::Sha256, bbb::Algorithms::strongest_algorithm),
        url_host: config.url_host.clone(),
        build_number: config.build_number.clone(),
        multitenancy: config.multitenancy_enabled,
        get_meetings_disabled: config.get_meetings_api_disabled,
        recording_disabled: config.recording_disabled,
        recordings: RecordingRules {
            filter_required: config.get_recordings_api_filtered,
            protection_enabled: config.protected_recordings_enabled,
            token_lifetime_ms: minutes(config.protected_recordings_token_timeout.0),
            trash_ms: minutes(config.recording_trash_days.0) * 24 * 60,
            retention: recordings::build_retention(config),
            forget_ms: config.recording_forget_days.map(|days| minutes(days.0) * 24 * 60),
        },
        server_id_is_hostname: config.server_id_is_hostname,
        max_meeting_duration_min: config.max_meeting_duration.map(|minutes| minutes.0),
        create_rules: rules(
            &config.create_exclude_params.0,
            &config.default_create_params.0,
            &config.override_create_params.0,
        ),
        join_rules: rules(
            &config.join_exclude_params.0,
            &config.default_join_params.0,
            &config.override_join_params.0,
        ),
        voice_bridge: VoiceBridgePolicy {
            length: config.voice_bridge_len.0,
            min_length: config.voice_bridge_min.0,
            max_length: config.voice_bridge_max.0,
            use_external: config.use_external_voice_bridge,
        },
        poll: build_poll_policy(config),
        placement: PlacementRules {
            policy: config.placement_policy.0,
            untagged_may_use_tagged: config.untagged_may_use_tagged,
            max_tier_load: f64::from(config.tier_load_max.0),
        },
        history: config.placement_history.0,
        timeouts: CallTimeouts {
            connect_ms: config.connect_timeout.ms(),
            response_ms: config.response_timeout.ms(),
        },
        poll_timeout_ms: config.poller_wait_timeout.ms(),
        poll_concurrency: usize::try_from(config.poller_threads.0).unwrap_or(usize::MAX),
        meeting_ttl_ms: ms(config.default_meeting_ttl.ms()),
        max_upload_ms: ms(config.request_timeout.ms()),
    }
}

fn build_poll_policy(config: &Config) -> PollPolicy {
    let minutes = |minutes: u32| i64::from(minutes) * 60_000;
    PollPolicy {
        thresholds: Thresholds {
            healthy: config.server_healthy_threshold.0,
            unhealthy: config.server_unhealthy_threshold.0,
        },
        load: LoadPolicy {
            min_user_count: config.load_min_user_count.0,
            join_buffer_ms: minutes(config.load_join_buffer_time.0),
        },
        grace_ms: i64::from(config.meeting_grace.0) * 1000,
    }
}
