//! TLS of the process: its socket, its certificate, and the jobs that keep it up to date.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::background::{CertificateExpiry, CertificateFilesJob, CertificateRenewal, JobRunner};
use crate::config::Config;
use crate::http::TlsServer;
use crate::http::listen::Listener;
use crate::output::time::format_time;
use crate::tls::CertificateHolder;
use crate::tls::acme::answers::ChallengeAnswers;
use crate::tls::acme::renewal::{Renewal, RenewalRules};
use crate::tls::files::CertificateFiles;
use crate::wiring::{WiredApp, certificates};

/// The socket with TLS and what belongs to it.
pub struct TlsParts {
    pub listener: Listener,
    pub server: Arc<TlsServer>,
    pub holder: Arc<CertificateHolder>,
    files: Option<CertificateFiles>,
    /// Taken by the job that uses it.
    renewal: Mutex<Option<Renewal>>,
}

impl TlsParts {
    /// Reads the certificate and opens the socket; `None` without TLS.
    ///
    /// # Errors
    /// When there is no certificate that can be used, or the socket cannot be opened.
    pub async fn open(config: &Config, wired: &WiredApp) -> Result<Option<Self>, String> {
        if !config.has_tls() {
            return Ok(None);
        }
        let (holder, files) = (wired.certificate.clone(), config.certificate_files());
        if let Some(files) = &files {
            load_files(config, wired, files, &holder).await?;
        }
        let challenges = config.acme.then(|| wired.challenge_answers.clone());
        let renewal = match &challenges {
            Some(challenges) => Some(build_renewal(config, wired, &holder, challenges).await?),
            None => None,
        };
        let listener = Listener::open(config.tls_bind.as_ref(), config.tls_port).await?;
        let server = TlsServer::new(holder.clone(), challenges.clone(), config.tls_http2)?;
        let (server, renewal) = (Arc::new(server), Mutex::new(renewal));
        Ok(Some(Self { listener, server, holder, files, renewal }))
    }

    /// Returns the address of the socket as a URL.
    pub fn url(&self) -> String {
        self.listener.url().replacen("http://", "https://", 1)
    }

    /// Starts the jobs that keep the certificate up to date.
    pub fn start_jobs(
        &self,
        config: &Config,
        wired: &WiredApp,
        stop: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        let (runner, clock) = (JobRunner::new(&wired.app, stop.clone()), &wired.app.clock);
        let holder = self.holder.clone();
        let mut jobs = vec![runner.start(CertificateExpiry { holder, clock: clock.clone() })];
        if let Some(files) = self.files.clone() {
            let (holder, hosts) = (self.holder.clone(), config.certificate_hosts());
            jobs.push(runner.start(CertificateFilesJob::new(files, holder, hosts, clock.clone())));
        }
        let renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner).take();
        jobs.extend(renewal.map(|renewal| runner.start(CertificateRenewal { renewal })));
        jobs
    }
}

/// Puts the certificate of the files into use. One that has ended or is for another host is better than none.
async fn load_files(
    config: &Config,
    wired: &WiredApp,
    files: &CertificateFiles,
    holder: &CertificateHolder,
) -> Result<(), String> {
    let certificate = files.parse(&files.read().await?)?;
    for reason in certificate.facts.problems(&config.certificate_hosts(), wired.app.clock.now()) {
        tracing::warn!(reason, "certificate not as it should be");
    }
    let names = certificate.facts.names.join(",");
    let not_after = format_time(certificate.facts.not_after);
    tracing::info!(names, not_after, "certificate read");
    holder.set(certificate);
    Ok(())
}

/// Builds what gets the certificate by ACME.
async fn build_renewal(
    config: &Config,
    wired: &WiredApp,
    holder: &Arc<CertificateHolder>,
    challenges: &ChallengeAnswers,
) -> Result<Renewal, String> {
    let rules = RenewalRules {
        directory: config.acme_directory.clone(),
        hosts: config.certificate_hosts(),
        challenges: config.acme_challenge.0.clone(),
        owner: wired.app.entropy.generate_uuid(),
    };
    let authority = certificates::build_authority(config)?;
    let (state, challenges) = (wired.certificate_state.clone(), challenges.clone());
    let renewal = Renewal::new(rules, state, authority, challenges, holder.clone());
    // On an embedded store no other process can have begun an order that is still under way.
    if !wired.stores.is_shared()
        && let Err(error) = renewal.forget_order().await
    {
        tracing::warn!(%error, "certificate state not read");
    }
    Ok(renewal)
}
