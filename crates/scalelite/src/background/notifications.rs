//! Looks for problems that administrators must know of, and sends what there is to tell. Three jobs: the problems of the pool, which one replica
//! looks for; those of this process, which knows them also while no store can be reached; and one for each channel, so that none waits for another.

use std::sync::Arc;
use std::time::Duration;

use app::App;
use app::health::HealthBoard;
use app::notifications::{
    Channel, FoundProblem, NotificationCenter, ProblemKind, find_part_problems, watch_pool,
};
use app::ports::Clock;
use tokio::task::JoinHandle;

use super::runner::{JobResult, JobRunner, NextRun, PeriodicJob, Schedule};
use crate::tls::CertificateHolder;
use crate::tls::certificate::show_time;
use crate::wiring::WiredApp;

/// Time between two looks at the pool.
const POOL_INTERVAL: Duration = Duration::from_secs(5);
/// Time between two looks at this process.
const PROCESS_INTERVAL: Duration = Duration::from_secs(2);
/// Time between two looks at what waits in a channel.
const SEND_INTERVAL: Duration = Duration::from_secs(1);

/// Starts the jobs, if there is a channel.
pub(super) fn start(
    wired: &WiredApp,
    watches_pool: bool,
    runner: &JobRunner,
) -> Vec<JoinHandle<()>> {
    let Some(center) = &wired.notifications else { return Vec::new() };
    let mut tasks = vec![runner.start(ProcessWatch {
        center: center.clone(),
        health: wired.health.clone(),
        certificate: wired.certificate.clone(),
        clock: wired.app.clock.clone(),
    })];
    if watches_pool {
        let (app, center) = (wired.app.clone(), center.clone());
        tasks.push(runner.start(PoolWatch { app, center }));
    }
    let channels = center.channels().iter().cloned();
    tasks.extend(channels.map(|channel| runner.start(Sending { channel })));
    tasks
}

struct PoolWatch {
    app: App,
    center: Arc<NotificationCenter>,
}

impl PeriodicJob for PoolWatch {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "notifications",
            failure: "problems of the pool not looked for",
            interval: POOL_INTERVAL,
            initial_delay: Duration::from_secs(1),
            retry_delay: POOL_INTERVAL,
            shared: true,
            interruptible: false,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        watch_pool(&self.app, &self.center).await?;
        Ok(NextRun::Scheduled)
    }
}

struct ProcessWatch {
    center: Arc<NotificationCenter>,
    health: Arc<HealthBoard>,
    certificate: Arc<CertificateHolder>,
    clock: Arc<dyn Clock>,
}

impl ProcessWatch {
    fn find_problems(&self) -> Vec<FoundProblem> {
        let mut problems = find_part_problems(&self.health.report(), self.center.balancer());
        let now = self.clock.now();
        if let Some(facts) = self.certificate.facts().filter(|facts| facts.ends_soon(now)) {
            let names = facts.names.join(", ");
            let cause = self.certificate.status().problem.unwrap_or_default();
            let reason = format!("It is valid until {}. {cause}", show_time(facts.not_after));
            let kind = ProblemKind::CertificateEnds;
            problems.push(FoundProblem::new(kind, "", &names, reason.trim_end()));
        }
        problems
    }
}

impl PeriodicJob for ProcessWatch {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "process_problems",
            failure: "problems of this process not looked for",
            interval: PROCESS_INTERVAL,
            initial_delay: PROCESS_INTERVAL,
            retry_delay: PROCESS_INTERVAL,
            shared: false,
            interruptible: false,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        self.center.watch_process(self.find_problems());
        Ok(NextRun::Scheduled)
    }
}

struct Sending {
    channel: Arc<Channel>,
}

impl PeriodicJob for Sending {
    fn schedule(&self) -> Schedule {
        Schedule {
            name: "notification_sending",
            failure: "notifications not sent",
            interval: SEND_INTERVAL,
            initial_delay: Duration::ZERO,
            retry_delay: SEND_INTERVAL,
            shared: false,
            interruptible: true,
        }
    }

    async fn run(&mut self, _run_number: u64) -> JobResult {
        self.channel.send_due().await;
        Ok(NextRun::Scheduled)
    }
}
