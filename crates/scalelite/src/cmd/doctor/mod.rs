//! `doctor`: looks at everything the balancer depends on, and says what is wrong and what to do.
//! It goes on after a failure as far as it can, so that one run tells everything.

mod machine;
mod report;
mod settings;

use std::path::Path;

use app::admin::doctor;
use app::ports::{Finding, Level};

use crate::config::stores::{STORE_FILE, Stores};
use crate::config::{Config, Sources, stores};
use crate::{telemetry, wiring};

use super::{Failure, runtime};

/// Looks, and prints what it found; fails if anything does.
pub fn run(sources: &Sources, as_json: bool) -> Result<(), Failure> {
    let findings = examine(sources)?;
    if as_json {
        report::json(&findings);
    } else {
        report::text(&findings);
    }
    let failed = findings.iter().any(|finding| finding.level == Level::Fail);
    if failed { Err(Failure(String::new())) } else { Ok(()) }
}

fn examine(sources: &Sources) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let read = Config::read(sources);
    findings.push(settings::configuration(read.as_ref().map(|(_, shown)| shown.as_slice())));
    findings.extend(settings::noteworthy(sources));
    let Ok((config, _)) = read else {
        let later = "after the configuration is right";
        findings.extend(["stores", "servers"].map(|check| Finding::skipped(check, later)));
        return Ok(findings);
    };
    let _log = telemetry::start(config.log_level, config.log_format, Some(rust_log(sources)));
    let dir = wiring::expected_data_dir(&config);
    findings.extend(machine::data_dir(&dir));
    findings.extend(machine::recordings(sources));
    match stores(&config, sources) {
        Ok(stores) => {
            let stores = stores.looked_at();
            findings.push(settings::secret(&config, &stores));
            findings.extend(runtime(false)?.block_on(pool(&config, &stores, &dir)));
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
async fn pool(config: &Config, stores: &Stores, dir: &Path) -> Vec<Finding> {
    if !stores.shared() && !dir.join(STORE_FILE).exists() {
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
    if !matches!(stores.hot, stores::Hot::Postgres(_)) {
        findings.push(access(&wired).await);
    }
    for store in &wired.inspect {
        findings.extend(store.inspect().await);
    }
    findings.extend(doctor::servers(&wired.app).await);
    findings
}

async fn access(wired: &wiring::Wired) -> Finding {
    match wired.app.cluster.check().await {
        Ok(()) => Finding::ok("store: access", "can be read and written"),
        Err(error) => {
            let advice = "see that the store runs, is not full, and may be written by this user";
            Finding::fail("store: access", error.to_string(), advice)
        }
    }
}
