//! Says in the log, once a day, that the certificate in use ends soon: long before it does, somebody must find out why it is not renewed.

use std::sync::Arc;
use std::time::Duration;

use app::ports::Clock;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};
use crate::output::time::format_time;
use crate::tls::CertificateHolder;
use crate::tls::certificate::CertificateFacts;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Looks at the certificate in use.
pub struct CertificateExpiry {
    pub holder: Arc<CertificateHolder>,
    pub clock: Arc<dyn Clock>,
}

impl PeriodicJob for CertificateExpiry {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "certificate_expiry",
            failure: "certificate not looked at",
            interval: INTERVAL,
            initial_delay: Duration::ZERO,
            retry_delay: INTERVAL,
            // Each process may have a certificate of its own.
            shared: false,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        let now = self.clock.now();
        let facts = self.holder.facts();
        if let Some(facts) = facts.filter(|facts| facts.ends_soon(now)) {
            warn(&facts, self.holder.status().problem, facts.days_left(now));
        }
        Ok(NextRun::Scheduled)
    }
}

fn warn(facts: &CertificateFacts, reason: Option<String>, days_left: i64) {
    let not_after = format_time(facts.not_after);
    let names = facts.names.join(",");
    tracing::warn!(names, not_after, days_left, reason, "certificate ends soon and is not renewed");
}
