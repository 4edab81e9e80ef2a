//! Checks of everything that the balancer depends on, for `doctor` and the management API: settings, directories, certificate, stores and
//! servers. They go on after a failure as far as possible, so that one run reports all problems.

mod certificate;
mod directories;
mod settings;

use std::path::{Path, PathBuf};
use std::time::Duration;

use app::admin::{doctor, recordings};
use app::ports::Finding;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::timeout;

pub use self::settings::check_secret;
use crate::config::reading::EffectiveSetting;
use crate::config::stores::StateStoreUrl;
use crate::config::{Config, Sources};
use crate::http::RunChecks;
use crate::wiring::recordings::build_directory_marks;
use crate::wiring::{self, WiredApp};

/// Longest time for which directories are looked at: a file system may hang.
const DIRECTORY_TIME: Duration = Duration::from_secs(10);

/// Checks the settings and where they come from.
pub fn check_settings(
    sources: &Sources,
    read: Result<&[EffectiveSetting], &String>,
) -> Vec<Finding> {
    let mut findings = vec![settings::check_configuration(read)];
    findings.extend(settings::check_env_file(sources));
    findings.extend(settings::check_values(read.unwrap_or_default()));
    findings.extend(settings::check_variables(sources));
    findings
}

/// Checks directories, backups, and the files of the certificate.
pub fn check_files(config: &Config, sources: &Sources, data_dir: &Path) -> Vec<Finding> {
    let mut findings = directories::check_data_dir(data_dir);
    let faults = build_directory_marks(config, data_dir).find_faults();
    findings.extend(directories::check_recording_dirs(config, sources, &faults));
    findings.extend(directories::check_backups(config, wiring::current_time()));
    findings.extend(certificate::check_files(config));
    findings
}

/// Checks the stores that are open, what is in them, and the servers.
pub async fn check_open_stores(config: &Config, wired: &WiredApp) -> Vec<Finding> {
    let (state, recordings) = wired.stores.describe();
    let locations = format!("servers and meetings in {state}, recordings in {recordings}");
    let mut findings = vec![Finding::ok("stores", locations)];
    // PostgreSQL is opened for reading only; its inspector checks the access.
    if !matches!(wired.stores.state, StateStoreUrl::Postgres(_)) {
        findings.push(check_access(wired).await);
    }
    for store in &wired.inspectors {
        findings.extend(store.inspect().await);
    }
    findings.extend(certificate::check_acme(config, &wired.certificate_state).await);
    findings.extend(check_links(wired).await);
    findings.extend(doctor::check_servers(&wired.app).await);
    findings
}

/// Names the symbolic links in the directories of recordings that are not followed.
async fn check_links(wired: &WiredApp) -> Vec<Finding> {
    let advice = "add the directory that it leads to to RECORDING_LINK_ROOTS, or remove the link";
    let check = "recordings: links";
    match recordings::list_refused_links(&wired.app).await {
        Ok(links) => links.into_iter().map(|link| Finding::warn(check, link, advice)).collect(),
        Err(error) => vec![Finding::warn(check, error.to_string(), advice)],
    }
}

async fn check_access(wired: &WiredApp) -> Finding {
    match wired.app.pool.check_store().await {
        Ok(()) => Finding::ok("store: access", "can be read and written"),
        Err(error) => {
            let advice =
                "check that the store runs and is not full, and that this user may write to it";
            Finding::fail("store: access", error.to_string(), advice)
        }
    }
}

/// The checks of a process that serves requests.
pub struct ServingChecks {
    config: Config,
    sources: Sources,
    wired: WiredApp,
}

impl ServingChecks {
    /// Checks of these settings and stores.
    pub fn new(config: &Config, sources: &Sources, wired: &WiredApp) -> Self {
        let (config, sources, wired) = (config.clone(), sources.clone(), wired.clone());
        Self { config, sources, wired }
    }

    async fn run(&self) -> Vec<Finding> {
        let read = Config::read(&self.sources).map(|(_, settings)| settings);
        let mut findings = check_settings(&self.sources, read.as_deref());
        let (config, sources) = (self.config.clone(), self.sources.clone());
        let data_dir: PathBuf = self.wired.data_dir.clone();
        let looking =
            tokio::task::spawn_blocking(move || check_files(&config, &sources, &data_dir));
        match timeout(DIRECTORY_TIME, looking).await {
            Ok(Ok(found)) => findings.extend(found),
            _ => {
                let advice = "look at the file systems of the data directory and the recordings";
                findings.push(Finding::fail("directories", "they do not answer", advice));
            }
        }
        findings.push(check_secret(&self.config, &self.wired.stores));
        findings.extend(check_open_stores(&self.config, &self.wired).await);
        findings
    }
}

impl RunChecks for ServingChecks {
    fn run_checks(&self) -> BoxFuture<'_, Vec<Finding>> {
        self.run().boxed()
    }
}
