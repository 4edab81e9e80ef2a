//! A process of the balancer: the real use cases on the shared store, and its periodic jobs. A crash
//! stops all of them wherever they are.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::forecaster;
use app::memory::{MemoryBlobs, MemoryPoolStore, PlainSealer};
use app::policy::Policy;
use app::poll::Rechecks;
use app::ports::{
    CallbackClient, CallbackClientError, CallbackRequest, Clock as _, Entropy as _, JobClaim,
    StoreError,
};
use app::server_backup;
use app::state::{
    ChangeBudgets, ClockWatch, ResponseTimes, Revivals, ServerBackup, SharedForecast,
    SuspectChecks, WatchedClock,
};
use app::tenancy::TenantCache;
use app::{App, callbacks, end_callbacks, poll};
use async_trait::async_trait;
use bbb::Query;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::checkers;
use super::faulty_store::FaultyStore;
use super::front_end::finish_use_case;
use super::mutant::Mutant;
use super::network::NetworkClient;
use super::replica_process::ReplicaProcess;
use super::scenario::POLL_INTERVAL_MS;
use super::sim_run::SimRun;
use super::use_case::{UseCase, UseCaseKind};
use crate::seeded_rng::SeededRng;

// Names and intervals of the periodic jobs, as in the product's process.
const POLL_JOB: &str = "polls";
const RECHECK_JOB: &str = "rechecks";
const RECHECKS_PER_INTERVAL: i64 = 12;
const CYCLES_PER_VERSION: u64 = 10;
const MAX_JITTER: Duration = Duration::from_millis(100);
const RETRY_DELAY: Duration = Duration::from_secs(1);
const FORECAST_INTERVAL: Duration = Duration::from_secs(10);
const END_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// How late [`Mutant::TellsEndsLate`] is.
const LATE_MESSAGE: Duration = Duration::from_secs(120);

/// The parts of a replica that its tasks share.
#[derive(Clone)]
pub(crate) struct ReplicaContext {
    sim: Arc<SimRun>,
    process: Arc<ReplicaProcess>,
    tenant_cache: Arc<TenantCache>,
    forecast: Arc<SharedForecast>,
    server_backup: Arc<ServerBackup>,
    response_times: Arc<ResponseTimes>,
    clock_watch: Arc<ClockWatch>,
    change_budgets: Arc<ChangeBudgets>,
    revivals: Arc<Revivals>,
    suspect_checks: Arc<SuspectChecks>,
    policy: Arc<Policy>,
}

/// A replica.
pub(crate) struct Replica {
    context: ReplicaContext,
    calls: JoinSet<()>,
    /// The periodic jobs; aborted when the set is dropped.
    _jobs: JoinSet<()>,
}

/// Tells front-ends of ends, and checks that they may be told.
struct FrontEndClient(Arc<SimRun>);

#[async_trait]
impl CallbackClient for FrontEndClient {
    async fn send_callback(&self, request: CallbackRequest) -> Result<u16, CallbackClientError> {
        let times = match self.0.store.mutant() {
            Some(Mutant::TellsEndsTwice) => 2,
            Some(Mutant::TellsEndsLate) => {
                sleep(LATE_MESSAGE).await;
                1
            }
            _ => 1,
        };
        for _ in 0..times {
            checkers::told_ends::check_told(&self.0, &request.url);
        }
        Ok(200)
    }
}

impl ReplicaContext {
    fn new(sim: Arc<SimRun>, number: usize, offset_ms: i64, rng: SeededRng) -> Self {
        let mut policy = sim.scenario.policy();
        if sim.store.mutant() == Some(Mutant::AdoptsWithoutBound) {
            policy.poll.max_adoptions = usize::MAX;
        }
        let policy = Arc::new(policy);
        let process = Arc::new(ReplicaProcess::new(sim.clone(), number, offset_ms, rng));
        // Replicas read tenants outside of any use case.
        let use_case = Arc::new(UseCase::new(0, number, UseCaseKind::Internal, sim.now()));
        let store = Arc::new(FaultyStore::new(sim.clone(), process.clone(), use_case));
        let (create, join) = (policy.create_rules.clone(), policy.join_rules.clone());
        let tenant_cache = Arc::new(TenantCache::new(store, create, join));
        Self {
            sim,
            process,
            tenant_cache,
            forecast: Arc::default(),
            server_backup: Arc::default(),
            response_times: Arc::default(),
            clock_watch: Arc::new(ClockWatch::new()),
            change_budgets: Arc::default(),
            revivals: Arc::default(),
            suspect_checks: Arc::default(),
            policy,
        }
    }

    /// Returns the run that the replica is part of.
    #[must_use]
    pub(crate) fn sim(&self) -> &Arc<SimRun> {
        &self.sim
    }

    /// Begins a use case, and returns an application whose store and network belong to it.
    #[must_use]
    pub(crate) fn begin_use_case(&self, kind: UseCaseKind) -> (App, Arc<UseCase>) {
        let use_case = self.sim.begin_use_case(self.process.replica, kind);
        (self.build_app(&use_case), use_case)
    }

    fn build_app(&self, use_case: &Arc<UseCase>) -> App {
        let store =
            Arc::new(FaultyStore::new(self.sim.clone(), self.process.clone(), use_case.clone()));
        App {
            pool: store.clone(),
            kept_creates: store.clone(),
            sealer: Arc::new(PlainSealer),
            revivals: self.revivals.clone(),
            suspect_checks: self.suspect_checks.clone(),
            wrong_pins: Arc::default(),
            keycloak_tokens: Arc::default(),
            history: store.clone(),
            forecast: self.forecast.clone(),
            server_backup: self.server_backup.clone(),
            known_claims: Arc::default(),
            session_budget: Arc::default(),
            known_twins: Arc::default(),
            meters: Arc::default(),
            change_budgets: self.change_budgets.clone(),
            response_times: self.response_times.clone(),
            odd_answers: Arc::default(),
            shared_lists: Arc::default(),
            known_hosts: Arc::default(),
            failing_recipients: Arc::default(),
            periodic_jobs: store.clone(),
            samples: Arc::new(MemoryPoolStore::default()),
            tenants: store,
            tenant_cache: self.tenant_cache.clone(),
            recording_store: Some(self.sim.records.clone()),
            blobs: Arc::new(MemoryBlobs::default()),
            tokens: Arc::new(MemoryPoolStore::default()),
            management_tokens: Arc::new(MemoryPoolStore::default()),
            token_cache: Arc::default(),
            audit: Arc::new(MemoryPoolStore::default()),
            audit_queue: Arc::default(),
            requests: Arc::new(MemoryPoolStore::default()),
            drains: Arc::new(MemoryPoolStore::default()),
            callback_client: Arc::new(FrontEndClient(self.sim.clone())),
            bbb: Arc::new(NetworkClient::new(
                self.sim.clone(),
                self.process.clone(),
                use_case.clone(),
            )),
            clock: Arc::new(WatchedClock::new(self.process.clone(), self.clock_watch.clone())),
            clock_watch: self.clock_watch.clone(),
            entropy: self.process.clone(),
            policy: self.policy.clone(),
        }
    }

    /// Returns an application for what the replica does for itself.
    fn build_internal_app(&self) -> App {
        self.build_app(&Arc::new(UseCase::new(
            0,
            self.process.replica,
            UseCaseKind::Internal,
            self.sim.now(),
        )))
    }

    /// Polls all servers whenever this replica claims the job, as the product's process does.
    async fn poll_forever(self) {
        let interval = Duration::from_millis(POLL_INTERVAL_MS.unsigned_abs());
        loop {
            let wait = self.poll_when_due().await;
            let jitter = MAX_JITTER.mul_f64(self.process.generate_fraction());
            sleep(wait.min(interval) + jitter).await;
        }
    }

    /// Polls failed servers more often, whenever this replica claims the job.
    async fn recheck_forever(self) {
        let (step_ms, rechecks) = (POLL_INTERVAL_MS / RECHECKS_PER_INTERVAL, Rechecks::default());
        loop {
            let jitter = MAX_JITTER.mul_f64(self.process.generate_fraction());
            sleep(Duration::from_millis(step_ms.unsigned_abs()) + jitter).await;
            if let Ok(JobClaim::Claimed(_)) = self.claim_run(RECHECK_JOB, step_ms, false).await {
                let (app, use_case) = self.begin_use_case(UseCaseKind::Poll);
                // After a failure the next recheck follows soon.
                let _ = rechecks.start_due(&app).await;
                finish_use_case(&self.sim, &use_case);
            }
        }
    }

    async fn poll_when_due(&self) -> Duration {
        let cycle = match self.claim_run(POLL_JOB, POLL_INTERVAL_MS, true).await {
            Ok(JobClaim::NotBefore(due)) => {
                let wait_ms = due.ms_since(self.process.now());
                return Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
            }
            Ok(JobClaim::Claimed(cycle)) => cycle,
            Err(_) => return RETRY_DELAY,
        };
        let (app, use_case) = self.begin_use_case(UseCaseKind::Poll);
        self.sim.count_event("poll cycles");
        let polled =
            poll::poll_all_servers(&app, cycle % CYCLES_PER_VERSION == 1, Some(cycle)).await;
        finish_use_case(&self.sim, &use_case);
        if polled.is_ok() { Duration::ZERO } else { RETRY_DELAY }
    }

    async fn claim_run(
        &self,
        job: &str,
        interval_ms: i64,
        saves_servers: bool,
    ) -> Result<JobClaim, StoreError> {
        let app = self.build_internal_app();
        if saves_servers {
            server_backup::save_or_restore(&app).await?;
        }
        app.periodic_jobs.claim_run(job, app.clock.now(), interval_ms).await
    }

    /// Refreshes the load forecast, as the product's process does.
    async fn forecast_forever(self) {
        loop {
            // After a failure the previous forecast stays in use.
            let _ = forecaster::refresh(&self.build_internal_app()).await;
            sleep(FORECAST_INTERVAL).await;
        }
    }
}

impl ReplicaContext {
    /// Receives what servers report of ends, and checks whether meetings are over.
    async fn check_ends_forever(self) {
        loop {
            sleep(END_CHECK_INTERVAL).await;
            let app = self.build_internal_app();
            let reports: Vec<String> = {
                let mut sim_servers = self.sim.servers();
                sim_servers
                    .values_mut()
                    .flat_map(|it| std::mem::take(&mut it.end_reports))
                    .collect()
            };
            for report in reports {
                let _ = end_callbacks::accept_end_report(&app, &Query::parse(&report)).await;
            }
            // After a failure of the store, end callbacks are checked later.
            let _ = end_callbacks::settle_due_ends(&app).await;
        }
    }

    /// Sends the messages to front-ends.
    async fn deliver_forever(self) {
        loop {
            sleep(END_CHECK_INTERVAL).await;
            let _ = callbacks::deliver_due(&self.build_internal_app()).await;
        }
    }
}

impl Replica {
    /// Starts a replica.
    #[must_use]
    pub(crate) fn start(sim: &Arc<SimRun>, number: usize, offset_ms: i64, rng: SeededRng) -> Self {
        let context = ReplicaContext::new(sim.clone(), number, offset_ms, rng);
        let mut jobs = JoinSet::new();
        jobs.spawn(context.clone().poll_forever());
        jobs.spawn(context.clone().recheck_forever());
        jobs.spawn(context.clone().forecast_forever());
        jobs.spawn(context.clone().check_ends_forever());
        jobs.spawn(context.clone().deliver_forever());
        Self { context, calls: JoinSet::new(), _jobs: jobs }
    }

    /// Returns the context for a new use case.
    #[must_use]
    pub(crate) fn context(&self) -> &ReplicaContext {
        &self.context
    }

    /// Runs a use case in a task of its own.
    pub(crate) fn spawn(&mut self, call: impl Future<Output = ()> + Send + 'static) {
        self.collect_finished();
        self.calls.spawn(call);
    }

    /// Removes the finished use cases, and returns how many are still running. A panic is a
    /// violation.
    pub(crate) fn collect_finished(&mut self) -> usize {
        while let Some(ended) = self.calls.try_join_next() {
            let panicked = ended.is_err_and(|error| error.is_panic());
            let result = if panicked { Err("a use case panicked".to_owned()) } else { Ok(()) };
            self.context.sim.record_check("use_cases_do_not_panic", result);
        }
        self.calls.len()
    }

    /// Sets how far its clock is ahead of the true time.
    pub(crate) fn set_clock(&self, offset_ms: i64) {
        self.context.process.set_clock_offset_ms(offset_ms);
    }

    /// Crashes the replica, whatever it is doing.
    pub(crate) fn crash(self) {
        self.context.process.kill();
        let replica = self.context.process.replica;
        self.context.sim.expectations().running.retain(|_, use_case| use_case.replica != replica);
        self.context.sim.count_event("replica crashes");
    }
}
