//! A process of the balancer: the real use cases on the shared store, its own poll loop, and
//! crashes that leave everything as it is at that moment.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::forecaster;
use app::memory::{MemoryBlobs, MemoryPoolStore};
use app::policy::Policy;
use app::poll::Rechecks;
use app::ports::{
    CallbackClient, CallbackClientError, CallbackRequest, Clock as _, Entropy as _, JobClaim,
    StoreError,
};
use app::server_backup;
use app::state::{ServerBackup, SharedForecast};
use app::tenancy::TenantCache;
use app::{App, poll};
use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::faulty_store::FaultyStore;
use super::front_end::finish_use_case;
use super::network::NetworkClient;
use super::replica_process::ReplicaProcess;
use super::rng::SimRng;
use super::scenario::POLL_INTERVAL_MS;
use super::sim_run::SimRun;
use super::use_case::{UseCase, UseCaseKind};

/// The names of the works of which replicas take turns, and their rhythm, as in the life of the
/// process.
const POLL_JOB: &str = "polls";
const RECHECK_JOB: &str = "rechecks";
const RECHECKS_PER_INTERVAL: i64 = 12;
const CYCLES_PER_VERSION: u64 = 10;
const MAX_JITTER: Duration = Duration::from_millis(100);
const RETRY_DELAY: Duration = Duration::from_secs(1);
const FORECAST_INTERVAL: Duration = Duration::from_secs(10);

/// What a replica is made of; cheap to clone for its tasks.
#[derive(Clone)]
pub(crate) struct ReplicaContext {
    sim: Arc<SimRun>,
    process: Arc<ReplicaProcess>,
    tenant_cache: Arc<TenantCache>,
    forecast: Arc<SharedForecast>,
    server_backup: Arc<ServerBackup>,
    policy: Arc<Policy>,
}

/// A replica.
pub(crate) struct Replica {
    context: ReplicaContext,
    calls: JoinSet<()>,
    /// Aborted when they are dropped.
    _loops: JoinSet<()>,
}

/// There are no callbacks in what is simulated, and so nobody to call.
struct NoCallbackClient;

#[async_trait]
impl CallbackClient for NoCallbackClient {
    async fn post_callback(&self, _: CallbackRequest) -> Result<u16, CallbackClientError> {
        Err(CallbackClientError::Refused("nobody".to_owned()))
    }
}

impl ReplicaContext {
    fn new(world: Arc<SimRun>, number: usize, offset_ms: i64, dice: SimRng) -> Self {
        let policy = Arc::new(world.scenario.policy());
        let life = Arc::new(ReplicaProcess::new(world.clone(), number, offset_ms, dice));
        // Its tenants belong to no use case.
        let op = Arc::new(UseCase::new(0, number, UseCaseKind::Internal, world.now()));
        let door = Arc::new(FaultyStore::new(world.clone(), life.clone(), op));
        let (create, join) = (policy.create_rules.clone(), policy.join_rules.clone());
        let cache = Arc::new(TenantCache::new(door, create, join));
        let (forecast, server_backup) = Default::default();
        Self { sim: world, process: life, tenant_cache: cache, forecast, server_backup, policy }
    }

    /// The world it is in.
    #[must_use]
    pub(crate) fn sim(&self) -> &Arc<SimRun> {
        &self.sim
    }

    /// Begins a use case, with an application that knows whose it is.
    #[must_use]
    pub(crate) fn begin_use_case(&self, kind: UseCaseKind) -> (App, Arc<UseCase>) {
        let op = self.sim.begin_use_case(self.process.replica, kind);
        (self.build_app(&op), op)
    }

    fn build_app(&self, op: &Arc<UseCase>) -> App {
        let door = Arc::new(FaultyStore::new(self.sim.clone(), self.process.clone(), op.clone()));
        App {
            pool: door.clone(),
            history: door.clone(),
            forecast: self.forecast.clone(),
            server_backup: self.server_backup.clone(),
            odd_answers: Arc::default(),
            periodic_jobs: door.clone(),
            tenants: door,
            tenant_cache: self.tenant_cache.clone(),
            // Recordings are no part of what is simulated.
            recording_store: None,
            blobs: Arc::new(MemoryBlobs::default()),
            tokens: Arc::new(MemoryPoolStore::default()),
            callback_client: Arc::new(NoCallbackClient),
            bbb: Arc::new(NetworkClient::new(self.sim.clone(), self.process.clone(), op.clone())),
            clock: self.process.clone(),
            entropy: self.process.clone(),
            policy: self.policy.clone(),
        }
    }

    /// An application for what the replica does for itself.
    fn build_internal_app(&self) -> App {
        self.build_app(&Arc::new(UseCase::new(
            0,
            self.process.replica,
            UseCaseKind::Internal,
            self.sim.now(),
        )))
    }

    /// Polls whenever it is its turn, as the life of the process does.
    async fn poll_forever(self) {
        let interval = Duration::from_millis(POLL_INTERVAL_MS.unsigned_abs());
        loop {
            let wait = self.poll_when_due().await;
            let jitter = MAX_JITTER.mul_f64(self.process.generate_fraction());
            sleep(wait.min(interval) + jitter).await;
        }
    }

    /// Polls servers that failed more often, whenever it is its turn.
    async fn recheck_forever(self) {
        let (step_ms, rechecks) = (POLL_INTERVAL_MS / RECHECKS_PER_INTERVAL, Rechecks::default());
        loop {
            let jitter = MAX_JITTER.mul_f64(self.process.generate_fraction());
            sleep(Duration::from_millis(step_ms.unsigned_abs()) + jitter).await;
            if let Ok(JobClaim::Claimed(_)) = self.claim_run(RECHECK_JOB, step_ms, false).await {
                let (app, op) = self.begin_use_case(UseCaseKind::Poll);
                // Who could not look now looks again soon.
                let _ = rechecks.start_due(&app).await;
                finish_use_case(&self.sim, &op);
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
        let (app, op) = self.begin_use_case(UseCaseKind::Poll);
        self.sim.count_event("cycles");
        let polled =
            poll::poll_all_servers(&app, cycle % CYCLES_PER_VERSION == 1, Some(cycle)).await;
        finish_use_case(&self.sim, &op);
        if polled.is_ok() { Duration::ZERO } else { RETRY_DELAY }
    }

    async fn claim_run(
        &self,
        work: &str,
        interval_ms: i64,
        keeps: bool,
    ) -> Result<JobClaim, StoreError> {
        let app = self.build_internal_app();
        if keeps {
            server_backup::save_or_restore(&app).await?;
        }
        app.periodic_jobs.claim_run(work, app.clock.now(), interval_ms).await
    }

    /// Keeps what placement foresees up to date, as the life of the process does.
    async fn forecast_forever(self) {
        loop {
            // What was foreseen stays.
            let _ = forecaster::refresh(&self.build_internal_app()).await;
            sleep(FORECAST_INTERVAL).await;
        }
    }
}

impl Replica {
    /// A replica that starts.
    #[must_use]
    pub(crate) fn start(world: &Arc<SimRun>, number: usize, offset_ms: i64, dice: SimRng) -> Self {
        let body = ReplicaContext::new(world.clone(), number, offset_ms, dice);
        let mut loops = JoinSet::new();
        loops.spawn(body.clone().poll_forever());
        loops.spawn(body.clone().recheck_forever());
        loops.spawn(body.clone().forecast_forever());
        Self { context: body, calls: JoinSet::new(), _loops: loops }
    }

    /// What its use cases begin with.
    #[must_use]
    pub(crate) fn context(&self) -> &ReplicaContext {
        &self.context
    }

    /// Lets a use case run.
    pub(crate) fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.collect_finished();
        self.calls.spawn(work);
    }

    /// How many of its use cases are under way. One that panicked is a violation.
    pub(crate) fn collect_finished(&mut self) -> usize {
        while let Some(ended) = self.calls.try_join_next() {
            let panicked = ended.is_err_and(|error| error.is_panic());
            let verdict = if panicked { Err("it panicked".to_owned()) } else { Ok(()) };
            self.context.sim.record_check("use_cases_do_not_panic", verdict);
        }
        self.calls.len()
    }

    /// Its clock jumps.
    pub(crate) fn set_clock(&self, offset_ms: i64) {
        self.context.process.set_clock_offset_ms(offset_ms);
    }

    /// It dies in the middle of whatever it does.
    pub(crate) fn crash(self) {
        self.context.process.kill();
        let replica = self.context.process.replica;
        self.context.sim.expectations().running.retain(|_, op| op.replica != replica);
        self.context.sim.count_event("replica crashes");
    }
}
