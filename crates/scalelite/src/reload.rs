//! Takes over changed settings while the server runs, when SIGHUP asks for it: requests that come later are answered by the new
//! settings, and the periodic jobs begin anew with them. Settings that cannot be used change nothing.

use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::background;
use crate::checks::ServingChecks;
use crate::config::reload::Reload;
use crate::config::{Config, Sources, names};
use crate::http::HttpState;
use crate::lifecycle::{self, Roles};
use crate::telemetry::LogFlusher;
use crate::wiring::WiredApp;

/// The periodic jobs of the settings that are in effect.
struct RunningJobs {
    stopper: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl RunningJobs {
    fn start(config: &Config, wired: &WiredApp, roles: Roles) -> Self {
        let (stopper, stop) = watch::channel(false);
        let tasks = background::start_jobs(config, wired, roles, &stop);
        Self { stopper, tasks }
    }

    /// Lets the jobs end. Each finishes what it must finish, such as the import of an archive.
    async fn finish(self) {
        self.stopper.send_replace(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// What a running server consists of, and what can be exchanged in it.
pub struct Reloader<'a> {
    /// Asks for a reload.
    pub hangups: Signal,
    /// Where the settings in effect were read from.
    pub sources: Sources,
    /// The settings in effect.
    pub config: Config,
    /// The application with these settings.
    pub wired: WiredApp,
    /// The work that this process does.
    pub roles: Roles,
    /// The log.
    pub log: &'a LogFlusher,
    /// What answers requests.
    pub state: watch::Sender<Arc<HttpState>>,
}

impl Reloader<'_> {
    /// Runs the periodic jobs, and takes over changed settings, until `stop` becomes true and the jobs have ended.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut jobs = RunningJobs::start(&self.config, &self.wired, self.roles);
        let mut ending: Option<JoinHandle<()>> = None;
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(()) = self.hangups.recv() => {}
            }
            if let Some(task) = ending.take_if(|task| task.is_finished()) {
                let _ = task.await;
            }
            if ending.is_some() {
                // At most two generations of jobs exist: an import may take hours.
                tracing::error!(
                    reason = "jobs of the last reload still end",
                    "settings not reloaded"
                );
            } else if self.take_over() {
                let new = RunningJobs::start(&self.config, &self.wired, self.roles);
                ending = Some(tokio::spawn(std::mem::replace(&mut jobs, new).finish()));
            }
        }
        jobs.finish().await;
        if let Some(task) = ending {
            let _ = task.await;
        }
    }

    /// Reads the settings anew. Returns whether anything has changed.
    fn take_over(&mut self) -> bool {
        let prepared = Reload::read(&self.sources, &self.config).and_then(|reload| {
            let wired = self.wired.rebuild(&reload.config).map_err(|error| error.to_string())?;
            Ok((reload, wired))
        });
        let (reload, wired) = match prepared {
            Ok(prepared) => prepared,
            Err(reason) => {
                tracing::error!(reason, "settings not reloaded");
                return false;
            }
        };
        for warning in &reload.warnings {
            tracing::warn!(reason = warning, "setting corrected");
        }
        log_oddities(&reload.sources);
        for setting in &reload.waiting {
            tracing::warn!(setting, "setting changed: it needs a restart");
        }
        for setting in reload.list_overridden() {
            let reason = "the environment of the process has another value, which precedes";
            tracing::warn!(setting, reason, "line of the environment file has no effect");
        }
        tracing::info!(changed = reload.changed.join(" "), "settings reloaded");
        self.sources = reload.sources;
        if reload.changed.is_empty() {
            return false;
        }
        (self.config, self.wired) = (reload.config, wired);
        self.log.set_level(self.config.log_level, self.sources.variable("RUST_LOG"));
        self.state.send_modify(|state| {
            let mut new = lifecycle::build_http_state(&self.config, &self.wired, Some(&*state));
            new.administration.settings = lifecycle::describe_settings(&self.sources);
            let checks = Arc::new(ServingChecks::new(&self.config, &self.sources, &self.wired));
            new.administration.checks = Some(checks);
            *state = Arc::new(new);
        });
        true
    }
}

/// Logs names that are probably mistyped, and odd lines of the environment file.
pub fn log_oddities(sources: &Sources) {
    for unknown in names::find_unknown(sources) {
        tracing::warn!(setting = unknown.name, hint = unknown.advice(), "unknown setting");
    }
    for note in sources.notes() {
        tracing::warn!(note, "odd line in the environment file");
    }
}
