//! Gets and renews the certificate by ACME, and takes over what another replica has got.

use std::time::Duration;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};
use crate::tls::acme::renewal::Renewal;

/// Wait after the store has failed.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Keeps the certificate up to date.
pub struct CertificateRenewal {
    pub renewal: Renewal,
}

impl PeriodicJob for CertificateRenewal {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "certificate_renewal",
            failure: "certificate not looked at",
            interval: Duration::from_secs(30),
            initial_delay: Duration::ZERO,
            retry_delay: RETRY_DELAY,
            // Each process takes over what the others have got; the store lets one of them order.
            shared: false,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        Ok(NextRun::After(self.renewal.look().await?))
    }
}
