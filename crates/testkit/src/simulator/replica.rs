//! A process of the balancer: the real use cases on the shared store, its own poll loop, and
//! crashes that leave everything as it is at that moment.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::keeper::{self, Keeper};
use app::memory::{MemoryBlobs, MemoryCluster};
use app::planner::{self, Planner};
use app::policy::Policy;
use app::poll::Rechecks;
use app::ports::{Clock as _, Courier, CourierError, Entropy as _, Letter, StoreError, Turn};
use app::tenancy::TenantCache;
use app::{App, poll};
use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::clock::Life;
use super::dice::Dice;
use super::door::Door;
use super::front_end::finish;
use super::line::Line;
use super::op::{Kind, Op};
use super::scenario::POLL_INTERVAL_MS;
use super::world::World;

/// The names of the works of which replicas take turns, and their rhythm, as in the life of the
/// process.
const POLLS: &str = "polls";
const RECHECK: &str = "rechecks";
const RECHECKS: i64 = 12;
const CYCLES_PER_VERSION: u64 = 10;
const JITTER_MAX: Duration = Duration::from_millis(100);
const TRY_AGAIN: Duration = Duration::from_secs(1);
const FORESEE_EVERY: Duration = Duration::from_secs(10);

/// What a replica is made of; cheap to clone for its tasks.
#[derive(Clone)]
pub(crate) struct Body {
    world: Arc<World>,
    life: Arc<Life>,
    cache: Arc<TenantCache>,
    planner: Arc<Planner>,
    keeper: Arc<Keeper>,
    policy: Arc<Policy>,
}

/// A replica.
pub(crate) struct Replica {
    body: Body,
    calls: JoinSet<()>,
    /// Aborted when they are dropped.
    _loops: JoinSet<()>,
}

/// There are no callbacks in what is simulated, and so nobody to call.
struct Nobody;

#[async_trait]
impl Courier for Nobody {
    async fn post(&self, _: Letter) -> Result<u16, CourierError> {
        Err(CourierError::Refused("nobody".to_owned()))
    }
}

impl Body {
    fn new(world: Arc<World>, number: usize, offset_ms: i64, dice: Dice) -> Self {
        let policy = Arc::new(world.scenario.policy());
        let life = Arc::new(Life::new(world.clone(), number, offset_ms, dice));
        // Its tenants belong to no use case.
        let op = Arc::new(Op::new(0, number, Kind::House, world.now()));
        let door = Arc::new(Door::new(world.clone(), life.clone(), op));
        let (create, join) = (policy.create_rules.clone(), policy.join_rules.clone());
        let cache = Arc::new(TenantCache::new(door, create, join));
        let (planner, keeper) = Default::default();
        Self { world, life, cache, planner, keeper, policy }
    }

    /// The world it is in.
    #[must_use]
    pub(crate) fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Begins a use case, with an application that knows whose it is.
    #[must_use]
    pub(crate) fn begin(&self, kind: Kind) -> (App, Arc<Op>) {
        let op = self.world.begin(self.life.replica, kind);
        (self.app(&op), op)
    }

    fn app(&self, op: &Arc<Op>) -> App {
        let door = Arc::new(Door::new(self.world.clone(), self.life.clone(), op.clone()));
        App {
            cluster: door.clone(),
            history: door.clone(),
            planner: self.planner.clone(),
            keeper: self.keeper.clone(),
            turns: door.clone(),
            tenants: door,
            tenant_cache: self.cache.clone(),
            // Recordings are no part of what is simulated.
            records: None,
            blobs: Arc::new(MemoryBlobs::default()),
            tokens: Arc::new(MemoryCluster::default()),
            courier: Arc::new(Nobody),
            bbb: Arc::new(Line::new(self.world.clone(), self.life.clone(), op.clone())),
            clock: self.life.clone(),
            entropy: self.life.clone(),
            policy: self.policy.clone(),
        }
    }

    /// An application for what the replica does for itself.
    fn house(&self) -> App {
        self.app(&Arc::new(Op::new(0, self.life.replica, Kind::House, self.world.now())))
    }

    /// Polls whenever it is its turn, as the life of the process does.
    async fn cycles_forever(self) {
        let interval = Duration::from_millis(POLL_INTERVAL_MS.unsigned_abs());
        loop {
            let wait = self.poll_in_turn().await;
            let jitter = JITTER_MAX.mul_f64(self.life.fraction());
            sleep(wait.min(interval) + jitter).await;
        }
    }

    /// Polls servers that failed more often, whenever it is its turn.
    async fn recheck_forever(self) {
        let (step_ms, rechecks) = (POLL_INTERVAL_MS / RECHECKS, Rechecks::default());
        loop {
            let jitter = JITTER_MAX.mul_f64(self.life.fraction());
            sleep(Duration::from_millis(step_ms.unsigned_abs()) + jitter).await;
            if let Ok(Turn::Yours(_)) = self.turn(RECHECK, step_ms, false).await {
                let (app, op) = self.begin(Kind::Poll);
                // Who could not look now looks again soon.
                let _ = rechecks.begin(&app).await;
                finish(&self.world, &op);
            }
        }
    }

    async fn poll_in_turn(&self) -> Duration {
        let cycle = match self.turn(POLLS, POLL_INTERVAL_MS, true).await {
            Ok(Turn::NotBefore(due)) => {
                let wait_ms = due.ms_since(self.life.now());
                return Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
            }
            Ok(Turn::Yours(cycle)) => cycle,
            Err(_) => return TRY_AGAIN,
        };
        let (app, op) = self.begin(Kind::Poll);
        self.world.count("cycles");
        let polled = poll::all(&app, cycle % CYCLES_PER_VERSION == 1, Some(cycle)).await;
        finish(&self.world, &op);
        if polled.is_ok() { Duration::ZERO } else { TRY_AGAIN }
    }

    async fn turn(&self, work: &str, interval_ms: i64, keeps: bool) -> Result<Turn, StoreError> {
        let app = self.house();
        if keeps {
            keeper::keep(&app).await?;
        }
        app.turns.turn(work, app.clock.now(), interval_ms).await
    }

    /// Keeps what placement foresees up to date, as the life of the process does.
    async fn foresee_forever(self) {
        loop {
            // What was foreseen stays.
            let _ = planner::refresh(&self.house()).await;
            sleep(FORESEE_EVERY).await;
        }
    }
}

impl Replica {
    /// A replica that starts.
    #[must_use]
    pub(crate) fn start(world: &Arc<World>, number: usize, offset_ms: i64, dice: Dice) -> Self {
        let body = Body::new(world.clone(), number, offset_ms, dice);
        let mut loops = JoinSet::new();
        loops.spawn(body.clone().cycles_forever());
        loops.spawn(body.clone().recheck_forever());
        loops.spawn(body.clone().foresee_forever());
        Self { body, calls: JoinSet::new(), _loops: loops }
    }

    /// What its use cases begin with.
    #[must_use]
    pub(crate) fn body(&self) -> &Body {
        &self.body
    }

    /// Lets a use case run.
    pub(crate) fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.reap();
        self.calls.spawn(work);
    }

    /// How many of its use cases are under way. One that panicked is a violation.
    pub(crate) fn reap(&mut self) -> usize {
        while let Some(ended) = self.calls.try_join_next() {
            let panicked = ended.is_err_and(|error| error.is_panic());
            let verdict = if panicked { Err("it panicked".to_owned()) } else { Ok(()) };
            self.body.world.judge("use_cases_do_not_panic", verdict);
        }
        self.calls.len()
    }

    /// Its clock jumps.
    pub(crate) fn set_clock(&self, offset_ms: i64) {
        self.body.life.set_offset(offset_ms);
    }

    /// It dies in the middle of whatever it does.
    pub(crate) fn crash(self) {
        self.body.life.end();
        let replica = self.body.life.replica;
        self.body.world.ledger().under_way.retain(|_, op| op.replica != replica);
        self.body.world.count("replica crashes");
    }
}
