//! Watches the files of the certificate: a new certificate is put into use, unless it is worse than the one in use.

use std::sync::Arc;
use std::time::Duration;

use app::ports::Clock;

use super::runner::{JobResult, NextRun, PeriodicJob, Schedule};
use crate::output::time::format_time;
use crate::tls::files::{CertificateFiles, FileContents};
use crate::tls::{Certificate, CertificateHolder};

/// Time between two looks. The files are small, and file systems of containers report no changes.
const INTERVAL: Duration = Duration::from_secs(3);

/// Looks at the files of the certificate.
pub struct CertificateFilesJob {
    pub files: CertificateFiles,
    pub holder: Arc<CertificateHolder>,
    /// The hosts that the certificate must be for.
    pub hosts: Vec<String>,
    pub clock: Arc<dyn Clock>,
    /// What was looked at last, and whether it was judged.
    last: Option<(Result<FileContents, String>, bool)>,
}

impl CertificateFilesJob {
    /// A job that begins with the certificate in use.
    pub fn new(
        files: CertificateFiles,
        holder: Arc<CertificateHolder>,
        hosts: Vec<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { files, holder, hosts, clock, last: None }
    }

    fn judge(&self, read: &Result<FileContents, String>) -> Result<(), String> {
        let contents = read.as_ref().map_err(Clone::clone)?;
        let certificate = self.files.parse(contents)?;
        let (now, facts) = (self.clock.now(), &certificate.facts);
        let current = self.holder.facts();
        if current.as_ref() == Some(facts) {
            return Ok(());
        }
        let problems = facts.problems(&self.hosts, now);
        let is_current_better = current
            .is_some_and(|current| current.problems(&self.hosts, now).len() < problems.len());
        if is_current_better {
            return Err(format!("TLS_CERT: {}", problems.join("; ")));
        }
        self.exchange(certificate, &problems);
        Ok(())
    }

    fn exchange(&self, certificate: Certificate, problems: &[String]) {
        let names = certificate.facts.names.join(",");
        let not_after = format_time(certificate.facts.not_after);
        tracing::info!(names, not_after, "certificate exchanged");
        for reason in problems {
            tracing::warn!(reason, "certificate not as it should be");
        }
        self.holder.set(certificate);
    }
}

impl PeriodicJob for CertificateFilesJob {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "certificate_files",
            failure: "certificate files not looked at",
            interval: INTERVAL,
            initial_delay: INTERVAL,
            retry_delay: INTERVAL,
            // Each process has files of its own.
            shared: false,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        let read = self.files.read().await;
        let is_known = self.last.as_ref().is_some_and(|(last, _)| *last == read);
        let is_judged = self.last.as_ref().is_some_and(|(_, is_judged)| *is_judged);
        if !is_known || !is_judged {
            match self.judge(&read) {
                Ok(()) => {
                    self.holder.set_problem(None);
                    self.last = Some((read, true));
                }
                // Certificate and key are written one after the other: what is wrong is looked at once more.
                Err(_) if !is_known => self.last = Some((read, false)),
                Err(reason) => {
                    if self.holder.set_problem(Some(reason.clone())) {
                        tracing::error!(reason, "new certificate not used, the one in use stays");
                    }
                    self.last = Some((read, true));
                }
            }
        }
        Ok(NextRun::Scheduled)
    }
}
