//! Checks of the certificate: whether it can be used, is for the hosts that are served, and is renewed in time.

use app::ports::{Clock, Finding};

use crate::config::Config;
use crate::output::time::format_time;
use crate::tls::acme::state::SharedState;
use crate::tls::certificate::{Certificate, CertificateFacts};
use crate::wiring;

const CHECK: &str = "certificate";

/// Checks the files of the certificate.
pub fn check_files(config: &Config) -> Vec<Finding> {
    let Some(files) = config.certificate_files() else { return Vec::new() };
    match files.read_now().and_then(|contents| files.parse(&contents)) {
        Ok(certificate) => vec![judge(config, &certificate.facts, wiring::clock().as_ref(), None)],
        Err(error) => {
            let advice = "put certificate and key there; the server keeps the certificate that it has until it is started again";
            vec![Finding::fail(CHECK, error, advice)]
        }
    }
}

/// Checks the certificate that is got by ACME.
pub async fn check_acme(config: &Config, state: &SharedState) -> Vec<Finding> {
    if !config.acme {
        return Vec::new();
    }
    let advice = "the log of the server says why; docs/tls.md lists what an authority needs";
    let state_read = match state.read().await {
        Ok(read) => read,
        Err(error) => return vec![Finding::fail(CHECK, error.to_string(), advice)],
    };
    let saved = state_read.certificate.as_ref();
    let certificate = saved
        .and_then(|saved| Certificate::read(saved.chain.as_bytes(), saved.key.as_bytes()).ok());
    let problem = state_read.problem;
    vec![match (certificate, problem) {
        (Some(certificate), problem) => {
            judge(config, &certificate.facts, state.clock.as_ref(), problem)
        }
        (None, Some(problem)) => Finding::fail(CHECK, format!("none was got: {problem}"), advice),
        (None, None) => {
            Finding::warn(CHECK, "none yet: a server gets it when it runs", "start the server")
        }
    }]
}

fn judge(
    config: &Config,
    facts: &CertificateFacts,
    clock: &dyn Clock,
    problem: Option<String>,
) -> Finding {
    let now = clock.now();
    let mut problems = facts.problems(&config.certificate_hosts(), now);
    if facts.ends_soon(now) {
        problems.push(format!(
            "it ends on {}, in {} days",
            format_time(facts.not_after),
            facts.days_left(now)
        ));
    }
    problems.extend(problem.map(|problem| format!("it was not renewed: {problem}")));
    if problems.is_empty() {
        let detail =
            format!("for {}, until {}", facts.names.join(", "), format_time(facts.not_after));
        return Finding::ok(CHECK, detail);
    }
    let advice = "renew it; with ACME, the log of the server says why that fails";
    match now.0 >= facts.not_after.0 {
        true => Finding::fail(CHECK, problems.join("; "), advice),
        false => Finding::warn(CHECK, problems.join("; "), advice),
    }
}
