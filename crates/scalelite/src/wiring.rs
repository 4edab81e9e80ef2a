//! Builds the application from the settings: opens the stores and connects all adapters. Only this
//! module and the parsing of store addresses use the crate `adapters`.

pub mod backup;
pub mod certificates;
pub mod data_dir;
pub mod health;
pub mod local_time;
pub mod notifications;
pub mod original;
mod playback;
mod policy;
pub mod recordings;
pub mod remote;
pub mod secret_file;
pub mod stores;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapters::backup::finish_restore;
use adapters::bbb_http::HttpBbbClient;
use adapters::callback_client::HttpCallbackClient;
use adapters::directory_marks::DirectoryMarks;
use adapters::entropy::{OsEntropy, SystemClock};
use adapters::sealing::AesSealer;
use app::App;
use app::health::HealthBoard;
use app::notifications::NotificationCenter;
use app::policy::Policy;
use app::ports::{self, EmbeddedStore, Inspect};
use app::recordings::import::Importer;
use app::state::{ClockWatch, WatchedClock};
use app::store_migration::Stores;
use app::tenancy::TenantCache;

use self::backup::Backups;
use self::data_dir::{Creation, expected_data_dir, prepare_data_dir};
use self::policy::build_policy;
use self::secret_file::{load_or_create_secret, load_secret};
use self::stores::OpenedStores;
use crate::config::stores::{RecordingStoreUrl, STORE_FILE};
use crate::config::values::Secret;
use crate::config::{Config, StoreSettings};
use crate::http::playback::PlaybackService;
use crate::metrics::{MeetingCurves, RequestMeters};
use crate::tls::CertificateHolder;
use crate::tls::acme::answers::ChallengeAnswers;
use crate::tls::acme::state::SharedState;

/// File of the generated secret, in the data directory.
const SECRET_FILE: &str = "secret";

/// Why the application cannot be built. The text is for administrators.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// A directory or file cannot be used.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// An embedded store cannot be opened.
    #[error("{0}: {1}")]
    Store(PathBuf, ports::StoreError),
    /// Redis or PostgreSQL cannot be used.
    #[error(transparent)]
    Shared(ports::StoreError),
    /// A shared store requires a configured secret: each replica would generate another one.
    #[error("LOADBALANCER_SECRET must be set: all replicas on {0} need the same one")]
    SecretNeeded(String),
    /// The embedded store to read from does not exist.
    #[error("{0}: store not found")]
    NoStore(PathBuf),
    /// A command found no store at these places.
    #[error(
        "there is no store: looked for {0}. `scalelite serve` makes it; if the server runs with other settings, put them into \
         /etc/scalelite/scalelite.env or name their file: --env-file FILE"
    )]
    NoStoreFound(String),
    /// A shared store with protected recordings requires a configured key for access cookies.
    #[error(
        "SECRET_KEY_BASE must be set: all replicas on {0} sign cookies for protected recordings with it"
    )]
    KeyBaseNeeded(String),
    /// A setting about recordings is wrong.
    #[error("{0}")]
    Setting(String),
    /// A backup was not made or not restored.
    #[error(transparent)]
    Backup(adapters::backup::BackupError),
    /// The settings have no state store. This does not happen: without Redis and PostgreSQL, the store
    /// is embedded.
    #[error("no store is configured")]
    NoStores,
}

/// The application with the parts that only some commands use.
#[derive(Clone)]
pub struct WiredApp {
    /// The application.
    pub app: App,
    /// What replicas share of the certificate that they get by ACME.
    pub certificate_state: SharedState,
    /// Answers to the authority of certificates.
    pub challenge_answers: ChallengeAnswers,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Whether the data directory holds a store or the generated secret.
    pub uses_data_dir: bool,
    /// The parts of what the process needs, as they were found last.
    pub health: Arc<HealthBoard>,
    /// The certificate in use; none without TLS.
    pub certificate: Arc<CertificateHolder>,
    /// What is counted of requests.
    pub request_meters: Arc<RequestMeters>,
    /// The users of running meetings over the last hours.
    pub meeting_curves: Arc<MeetingCurves>,
    /// Where the stores are.
    pub stores: StoreSettings,
    /// Whether the secret was generated, since none is configured.
    pub secret_is_generated: bool,
    /// The key that signs access cookies.
    key_base: String,
    /// The stores, for `doctor`.
    pub inspectors: Vec<Arc<dyn Inspect>>,
    /// The embedded store, if it keeps the servers.
    pub embedded: Option<Arc<dyn EmbeddedStore>>,
    /// The recording store; `None` with DB_DISABLED.
    pub recordings: Option<Arc<dyn ports::RecordingStore>>,
    /// The directories of recordings: none with RECORDING_DISABLED or without a database.
    pub recording_dirs: Arc<DirectoryMarks>,
    /// The importer of recordings; `None` without a database or with RECORDING_DISABLED.
    pub importer: Option<Importer>,
    /// Uploads of recordings into the spool.
    pub uploads: Arc<dyn ports::Uploads>,
    /// What makes the scheduled backups; `None` without BACKUP_DIR.
    pub backups: Option<Backups>,
    /// What sends notifications; `None` without a channel.
    pub notifications: Option<Arc<NotificationCenter>>,
    /// Playback of recordings; `None` without a database or with RECORDING_DISABLED.
    pub playback: Option<Arc<PlaybackService>>,
}

/// Opens the stores and builds the application. Connections to Redis and PostgreSQL are made when they
/// are first used.
///
/// # Errors
/// When the data directory, the secret or a store cannot be used, or is missing and must not be created.
pub fn wire(
    config: &Config,
    stores: &StoreSettings,
    creation: Creation,
) -> Result<WiredApp, WiringError> {
    let configured = find_configured_secrets(config, stores)?;
    let secret_is_generated = configured.is_empty();
    // A restore that was interrupted is finished before anything is read.
    finish_restore(&expected_data_dir(config).join(STORE_FILE)).map_err(WiringError::Shared)?;
    let (stores, data_dir) = prepare_stores(config, stores, creation)?;
    let opened = stores::open_stores(&stores, &data_dir)?;
    let OpenedStores { stores: kept, recording_store, inspectors, embedded } = opened;
    let Stores { state, recordings } = kept;
    let generated = if secret_is_generated { load_pool_secret(&data_dir, creation)? } else { None };
    let policy = build_policy(config, configured.into_iter().chain(generated).collect());
    let marks = recordings::build_directory_marks(config, &data_dir);
    let mut app = build_app(config, state.clone(), recording_store, policy, &marks)?;
    app.blobs = recordings::claim_changes(app.blobs.clone(), &app);
    let key_base = playback::load_key_base(config, &stores, &data_dir, creation)?;
    let playback = playback::build_playback_service(config, &app, key_base.clone())?;
    let backups = config.backup_dir.as_ref().map(|_| Backups::new(config, &stores)).transpose()?;
    let certificate_state = certificates::share_state(&app, state);
    Ok(WiredApp {
        data_dir,
        uses_data_dir: stores.needs_data_dir() || secret_is_generated,
        health: Arc::default(),
        certificate: Arc::default(),
        request_meters: Arc::new(RequestMeters::new(app.clock.now())),
        meeting_curves: Arc::default(),
        stores,
        secret_is_generated,
        key_base,
        inspectors,
        embedded,
        recordings,
        importer: recordings::build_importer(config, &app, &marks),
        uploads: recordings::build_uploads(config, &marks),
        recording_dirs: marks,
        backups,
        challenge_answers: ChallengeAnswers::new(certificate_state.clone()),
        certificate_state,
        notifications: notifications::build_center(config)?,
        playback: playback.map(Arc::new),
        app,
    })
}

/// The clock of the machine.
pub fn clock() -> Arc<dyn ports::Clock> {
    Arc::new(SystemClock)
}

/// The application on these stores, before changes of files are claimed in them.
fn build_app(
    config: &Config,
    state: Arc<dyn ports::StateStore>,
    recording_store: Option<Arc<dyn ports::RecordingStore>>,
    policy: Policy,
    marks: &Arc<DirectoryMarks>,
) -> Result<App, WiringError> {
    let (create_rules, join_rules) = (policy.create_rules.clone(), policy.join_rules.clone());
    let clock_watch = Arc::new(ClockWatch::new());
    Ok(App {
        pool: state.clone(),
        kept_creates: state.clone(),
        sealer: Arc::new(build_sealer(config, &policy)),
        revivals: Arc::default(),
        suspect_checks: Arc::default(),
        wrong_pins: Arc::default(),
        keycloak_tokens: Arc::default(),
        history: state.clone(),
        forecast: Arc::default(),
        server_backup: Arc::default(),
        known_claims: Arc::default(),
        session_budget: Arc::default(),
        known_twins: Arc::default(),
        meters: Arc::default(),
        change_budgets: Arc::default(),
        response_times: Arc::default(),
        odd_answers: Arc::default(),
        shared_lists: Arc::default(),
        known_hosts: Arc::default(),
        failing_recipients: Arc::default(),
        periodic_jobs: state.clone(),
        samples: state.clone(),
        tenant_cache: Arc::new(TenantCache::new(state.clone(), create_rules, join_rules)),
        tenants: state.clone(),
        recording_store,
        blobs: recordings::build_blobs(config, marks)?,
        tokens: state.clone(),
        management_tokens: state.clone(),
        token_cache: Arc::default(),
        audit: state.clone(),
        audit_queue: Arc::default(),
        requests: state.clone(),
        drains: state.clone(),
        bbb: Arc::new(build_bbb_client(config, &policy)),
        callback_client: Arc::new(HttpCallbackClient::new(config.callback_allow.0.clone())),
        clock: Arc::new(WatchedClock::new(Arc::new(SystemClock), clock_watch.clone())),
        clock_watch,
        entropy: Arc::new(OsEntropy),
        policy: Arc::new(policy),
    })
}

/// The stores and the data directory. If the state store is shared, a command works also where there is no embedded store of
/// recordings, without recordings.
fn prepare_stores(
    config: &Config,
    stores: &StoreSettings,
    creation: Creation,
) -> Result<(StoreSettings, PathBuf), WiringError> {
    let mut stores = stores.clone();
    if !stores.needs_data_dir() {
        return Ok((stores, expected_data_dir(config)));
    }
    match prepare_data_dir(config, creation) {
        Ok(dir) => Ok((stores, dir)),
        Err(WiringError::NoStoreFound(_)) if stores.is_shared() => {
            stores.recordings = RecordingStoreUrl::Disabled;
            Ok((stores, expected_data_dir(config)))
        }
        Err(error) => Err(error),
    }
}

/// The time, for commands that need no application.
pub fn current_time() -> domain::Timestamp {
    ports::Clock::now(&SystemClock)
}

impl WiredApp {
    /// The same application with other settings: the stores stay open, and what this process knows is kept.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn rebuild(&self, config: &Config) -> Result<Self, WiringError> {
        let configured = configured_secrets(config);
        let secret_is_generated = configured.is_empty();
        let secrets = match secret_is_generated {
            false => configured,
            true if self.secret_is_generated => self.app.policy.secrets.clone(),
            true => {
                let reason = "LOADBALANCER_SECRET: it was set and is missing now: a restart would generate another one";
                return Err(WiringError::Setting(reason.to_owned()));
            }
        };
        let policy = build_policy(config, secrets);
        let (create_rules, join_rules) = (policy.create_rules.clone(), policy.join_rules.clone());
        let tenants = self.app.tenants.clone();
        let app = App {
            sealer: Arc::new(build_sealer(config, &policy)),
            tenant_cache: Arc::new(TenantCache::new(tenants, create_rules, join_rules)),
            bbb: Arc::new(build_bbb_client(config, &policy)),
            callback_client: Arc::new(HttpCallbackClient::new(config.callback_allow.0.clone())),
            policy: Arc::new(policy),
            ..self.app.clone()
        };
        let playback = playback::build_playback_service(config, &app, self.key_base.clone())?;
        let importer = recordings::build_importer(config, &app, &self.recording_dirs);
        let playback = playback.map(Arc::new);
        Ok(Self { app, playback, importer, secret_is_generated, ..self.clone() })
    }
}

/// The secrets of the front-ends; none if one is to be generated.
fn find_configured_secrets(
    config: &Config,
    stores: &StoreSettings,
) -> Result<Vec<String>, WiringError> {
    let configured = configured_secrets(config);
    if configured.is_empty() && stores.is_shared() {
        // Each replica would generate another secret.
        return Err(WiringError::SecretNeeded(stores.describe().0));
    }
    Ok(configured)
}

/// The secrets of the front-ends, as far as they are configured.
pub fn configured_secrets(config: &Config) -> Vec<String> {
    let first = config.loadbalancer_secret.iter().map(|Secret(secret)| secret.clone());
    let others = config.loadbalancer_secrets.iter().flat_map(|Secret(list)| list.split(':'));
    first.chain(others.map(str::to_owned)).filter(|secret| !secret.is_empty()).collect()
}

/// The secret of a pool for which none is configured: the one that the server has generated. Only the server generates one.
fn load_pool_secret(data_dir: &Path, creation: Creation) -> Result<Option<String>, WiringError> {
    let path = data_dir.join(SECRET_FILE);
    let secret = match creation {
        Creation::Everything => load_or_create_secret(&path).map(Some),
        Creation::NamedStore | Creation::Nothing => load_secret(&path),
    };
    secret.map_err(|error| WiringError::File(path, error))
}

fn build_bbb_client(config: &Config, policy: &Policy) -> HttpBbbClient {
    let calls_per_server = usize::try_from(config.max_connections_per_server.0);
    HttpBbbClient::new(policy.timeouts.connect_ms, calls_per_server.unwrap_or(usize::MAX))
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The sealer of what is stored encrypted: with SECRET_KEY_BASE, if it is set, otherwise with the secrets of
/// the front-ends.
fn build_sealer(config: &Config, policy: &Policy) -> AesSealer {
    let key_base = config.secret_key_base.iter().map(|Secret(key)| key.as_str());
    let secrets = policy.secrets.iter().map(String::as_str);
    AesSealer::new(&key_base.chain(secrets).collect::<Vec<_>>())
}
