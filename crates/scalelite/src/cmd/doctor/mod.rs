//! `doctor`: checks everything the balancer depends on, and reports problems with advice. It continues
//! after a failure as far as possible, so that one run reports all problems.

mod certificate;
mod directories;
mod report;
mod settings;

use std::path::Path;

use app::admin::{doctor, recordings};
use app::ports::{Finding, FindingLevel};

use crate::config::stores::{STORE_FILE, StoreSettings};
use crate::config::{Config, Sources, read_store_settings, stores};
use crate::wiring::data_dir::{Creation, expected_data_dir, find_data_dir};
use crate::wiring::recordings::build_directory_marks;
use crate::{telemetry, wiring};

use super::{CommandFailure, build_runtime};

/// Runs all checks and prints the findings. Fails if a check fails.
pub fn run(sources: &Sources, as_json: bool) -> Result<(), CommandFailure> {
    let findings = collect_findings(sources)?;
    if as_json {
        report::print_findings_json(&findings);
    } else {
        report::print_findings(&findings);
    }
    let failed = findings.iter().any(|finding| finding.level == FindingLevel::Fail);
    if failed { Err(CommandFailure(String::new())) } else { Ok(()) }
}

fn collect_findings(sources: &Sources) -> Result<Vec<Finding>, CommandFailure> {
    let mut findings = Vec::new();
    let read = Config::read(sources);
    let settings = read.as_ref().map(|(_, settings)| settings.as_slice());
    findings.push(settings::check_configuration(settings));
    findings.extend(settings::check_env_file(sources));
    findings.extend(settings::check_values(settings.unwrap_or_default()));
    findings.extend(settings::check_variables(sources));
    let Ok((config, _)) = read else {
        let reason = "the configuration must be corrected first";
        findings.extend(["stores", "servers"].map(|check| Finding::skipped(check, reason)));
        return Ok(findings);
    };
    let _log = telemetry::start(config.log_level, config.log_format, Some(rust_log(sources)));
    let stores = read_store_settings(&config, sources);
    let dir = match find_data_dir(&config) {
        Err(error) if stores.as_ref().is_ok_and(StoreSettings::needs_data_dir) => {
            let advice =
                "run doctor as the user of the server, or name the directory: SCALELITE_DATA_DIR";
            findings.push(Finding::fail("data directory", error.to_string(), advice));
            let reason = "the data directory cannot be used";
            findings.extend(["stores", "servers"].map(|check| Finding::skipped(check, reason)));
            return Ok(findings);
        }
        found => found.unwrap_or_else(|_| expected_data_dir(&config)),
    };
    findings.extend(directories::check_data_dir(&dir));
    let faults = build_directory_marks(&config, &dir).find_faults();
    findings.extend(directories::check_recording_dirs(&config, sources, &faults));
    findings.extend(directories::check_backups(&config, wiring::current_time()));
    findings.extend(certificate::check_files(&config));
    match stores {
        Ok(stores) => {
            let stores = stores.into_read_only();
            findings.push(settings::check_secret(&config, &stores));
            findings.extend(build_runtime(false)?.block_on(check_pool(&config, &stores, &dir)));
        }
        Err(error) => {
            let advice = "correct it; docs/configuration.md describes the settings";
            findings.push(Finding::fail("stores", error, advice));
            findings.push(Finding::skipped("servers", "no store to read them from"));
        }
    }
    Ok(findings)
}

/// The log directives: nothing is logged unless RUST_LOG is set, since the findings report all problems.
fn rust_log(sources: &Sources) -> &str {
    sources.variable("RUST_LOG").unwrap_or("off")
}

/// Checks the stores, and the servers that are stored in them.
async fn check_pool(config: &Config, stores: &StoreSettings, dir: &Path) -> Vec<Finding> {
    if !stores.is_shared() && !dir.join(STORE_FILE).exists() {
        // A check must not create the store.
        if let Err(error) = wiring::stores::check_may_create(&dir.join(STORE_FILE)) {
            let servers = Finding::skipped("servers", "the store is lost");
            let advice = "check that the data directory is the right one, and mounted";
            return vec![Finding::fail("store", error.to_string(), advice), servers];
        }
        let reason = "no store yet; it is created on first start";
        return ["store", "servers"].map(|check| Finding::skipped(check, reason)).to_vec();
    }
    let (state, recordings) = stores.describe();
    let wired = match wiring::wire(config, stores, Creation::Nothing) {
        Ok(wired) => wired,
        Err(error) => {
            let advice = "check that the store exists and that this user has access";
            let servers = Finding::skipped("servers", "the store cannot be used");
            return vec![Finding::fail("store", error.to_string(), advice), servers];
        }
    };
    let locations = format!("servers and meetings in {state}, recordings in {recordings}");
    let mut findings = vec![Finding::ok("stores", locations)];
    // PostgreSQL is opened for reading only; its inspector checks the access.
    if !matches!(stores.state, stores::StateStoreUrl::Postgres(_)) {
        findings.push(check_access(&wired).await);
    }
    for store in &wired.inspectors {
        findings.extend(store.inspect().await);
    }
    findings.extend(certificate::check_acme(config, &wired.certificate_state).await);
    findings.extend(check_links(&wired).await);
    findings.extend(doctor::check_servers(&wired.app).await);
    findings
}

/// Names the symbolic links in the directories of recordings that are not followed.
async fn check_links(wired: &wiring::WiredApp) -> Vec<Finding> {
    let advice = "add the directory that it leads to to RECORDING_LINK_ROOTS, or remove the link";
    let check = "recordings: links";
    match recordings::list_refused_links(&wired.app).await {
        Ok(links) => links.into_iter().map(|link| Finding::warn(check, link, advice)).collect(),
        Err(error) => vec![Finding::warn(check, error.to_string(), advice)],
    }
}

async fn check_access(wired: &wiring::WiredApp) -> Finding {
    match wired.app.pool.check_store().await {
        Ok(()) => Finding::ok("store: access", "can be read and written"),
        Err(error) => {
            let advice =
                "check that the store runs and is not full, and that this user may write to it";
            Finding::fail("store: access", error.to_string(), advice)
        }
    }
}
