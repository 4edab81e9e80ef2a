//! `doctor`: looks at everything the balancer depends on, and says what is wrong and what to do.
//! It goes on after a failure as far as it can, so that one run tells everything.

mod directories;
mod report;
mod settings;

use std::path::Path;

use app::admin::doctor;
use app::ports::{Finding, FindingLevel};

use crate::config::stores::{STORE_FILE, StoreSettings};
use crate::config::{Config, Sources, read_store_settings, stores};
use crate::{telemetry, wiring};

use super::{CommandFailure, build_runtime};

/// Looks, and prints what it found; fails if anything does.
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
    findings.push(settings::check_configuration(read.as_ref().map(|(_, shown)| shown.as_slice())));
    findings.extend(settings::check_variables(sources));
    let Ok((config, _)) = read else {
        let later = "after the configuration is right";
        findings.extend(["stores", "servers"].map(|check| Finding::skipped(check, later)));
        return Ok(findings);
    };
    let _log = telemetry::start(config.log_level, config.log_format, Some(rust_log(sources)));
    let dir = wiring::expected_data_dir(&config);
    findings.extend(directories::check_data_dir(&dir));
    findings.extend(directories::check_recording_dirs(sources));
    match read_store_settings(&config, sources) {
        Ok(stores) => {
            let stores = stores.into_read_only();
            findings.push(settings::check_secret(&config, &stores));
            findings.extend(build_runtime(false)?.block_on(check_pool(&config, &stores, &dir)));
        }
        Err(error) => {
            let advice = "correct it; docs/configuration.md says what is understood";
            findings.push(Finding::fail("stores", error, advice));
            findings.push(Finding::skipped("servers", "there is no store that knows them"));
        }
    }
    Ok(findings)
}

/// What we have to say is in the findings, unless somebody wants to see everything.
fn rust_log(sources: &Sources) -> &str {
    sources.variable("RUST_LOG").unwrap_or("off")
}

/// Looks at the stores and, by what they hold, at the servers.
async fn check_pool(config: &Config, stores: &StoreSettings, dir: &Path) -> Vec<Finding> {
    if !stores.is_shared() && !dir.join(STORE_FILE).exists() {
        // To make one would be to do more than to look.
        let later = "there is no store yet, the first start makes it";
        return ["store", "servers"].map(|check| Finding::skipped(check, later)).to_vec();
    }
    let (hot, rest) = stores.describe();
    let wired = match wiring::wire(config, stores) {
        Ok(wired) => wired,
        Err(error) => {
            let advice = "see that the store is there and may be used by this user";
            let servers = Finding::skipped("servers", "the store cannot be used");
            return vec![Finding::fail("store", error.to_string(), advice), servers];
        }
    };
    let places = format!("servers and meetings in {hot}, recordings in {rest}");
    let mut findings = vec![Finding::ok("stores", places)];
    // Of a database that we only look at, its own findings say what there is to say.
    if !matches!(stores.state, stores::StateStoreUrl::Postgres(_)) {
        findings.push(check_access(&wired).await);
    }
    for store in &wired.inspectors {
        findings.extend(store.inspect().await);
    }
    findings.extend(doctor::check_servers(&wired.app).await);
    findings
}

async fn check_access(wired: &wiring::WiredApp) -> Finding {
    match wired.app.pool.check_store().await {
        Ok(()) => Finding::ok("store: access", "can be read and written"),
        Err(error) => {
            let advice = "see that the store runs, is not full, and may be written by this user";
            Finding::fail("store: access", error.to_string(), advice)
        }
    }
}
