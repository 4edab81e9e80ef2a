//! `doctor`: checks everything the balancer depends on, and reports problems with advice. It continues
//! after a failure as far as possible, so that one run reports all problems.

mod report;

use std::path::Path;

use app::ports::{Finding, FindingLevel};

use crate::checks;
use crate::config::stores::{STORE_FILE, StoreSettings};
use crate::config::{Config, Sources, read_store_settings};
use crate::wiring::data_dir::{Creation, expected_data_dir, find_data_dir};
use crate::{telemetry, wiring};

use super::balancer::RemoteBalancer;
use super::{CommandFailure, build_runtime};

/// Runs all checks and prints the findings. Fails if a check fails.
pub fn run(sources: &Sources, as_json: bool) -> Result<(), CommandFailure> {
    print(&collect_findings(sources)?, as_json)
}

/// Runs the checks of another balancer.
pub async fn run_there(remote: &RemoteBalancer, as_json: bool) -> Result<(), CommandFailure> {
    print(&remote.run_checks().await?, as_json)
}

/// Prints the findings. Fails if a check failed.
fn print(findings: &[Finding], as_json: bool) -> Result<(), CommandFailure> {
    if as_json {
        report::print_findings_json(findings);
    } else {
        report::print_findings(findings);
    }
    let failed = findings.iter().any(|finding| finding.level == FindingLevel::Fail);
    if failed { Err(CommandFailure(String::new())) } else { Ok(()) }
}

fn collect_findings(sources: &Sources) -> Result<Vec<Finding>, CommandFailure> {
    let read = Config::read(sources);
    let settings = read.as_ref().map(|(_, settings)| settings.as_slice());
    let mut findings = checks::check_settings(sources, settings);
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
    findings.extend(checks::check_files(&config, sources, &dir));
    match stores {
        Ok(stores) => {
            let stores = stores.into_read_only();
            findings.push(checks::check_secret(&config, &stores));
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
    match wiring::wire(config, stores, Creation::Nothing) {
        Ok(wired) => checks::check_open_stores(config, &wired).await,
        Err(error) => {
            let advice = "check that the store exists and that this user has access";
            let servers = Finding::skipped("servers", "the store cannot be used");
            vec![Finding::fail("store", error.to_string(), advice), servers]
        }
    }
}
