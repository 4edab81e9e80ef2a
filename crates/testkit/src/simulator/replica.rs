//! A process of the balancer: the real use cases on the shared store, its own poll loop, and
//! crashes that leave everything as it is at that moment.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::policy::Policy;
use app::ports::{Clock as _, Entropy as _, Turn};
use app::tenancy::TenantCache;
use app::{App, poll};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::clock::Life;
use super::dice::Dice;
use super::door::Door;
use super::line::Line;
use super::op::{Kind, Op};
use super::scenario::POLL_INTERVAL_MS;
use super::world::World;

/// The name of the work of which replicas take turns, and its rhythm, as in the life of the
/// process.
const POLLS: &str = "polls";
const CYCLES_PER_VERSION: u64 = 10;
const JITTER_MAX: Duration = Duration::from_millis(100);
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What a replica is made of; cheap to clone for its tasks.
#[derive(Clone)]
pub(crate) struct Body {
    world: Arc<World>,
    life: Arc<Life>,
    cache: Arc<TenantCache>,
    policy: Arc<Policy>,
}

/// A replica.
pub(crate) struct Replica {
    body: Body,
    calls: JoinSet<()>,
    /// Aborted when it is dropped.
    _poller: JoinSet<()>,
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
        Self { world, life, cache, policy }
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
            turns: door.clone(),
            tenants: door,
            tenant_cache: self.cache.clone(),
            bbb: Arc::new(Line::new(self.world.clone(), self.life.clone(), op.clone())),
            clock: self.life.clone(),
            entropy: self.life.clone(),
            policy: self.policy.clone(),
        }
    }

    /// Polls whenever it is its turn, as the life of the process does.
    async fn poll_forever(self) {
        loop {
            let wait = self.poll_in_turn().await;
            let jitter = JITTER_MAX.mul_f64(self.life.fraction());
            let interval = Duration::from_millis(POLL_INTERVAL_MS.unsigned_abs());
            sleep(wait.min(interval) + jitter).await;
        }
    }

    async fn poll_in_turn(&self) -> Duration {
        let op = Arc::new(Op::new(0, self.life.replica, Kind::House, self.world.now()));
        let turns = self.app(&op).turns;
        let now = self.life.now();
        let cycle = match turns.turn(POLLS, now, POLL_INTERVAL_MS).await {
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
        super::front_end::finish(&self.world, &op);
        if polled.is_ok() { Duration::ZERO } else { TRY_AGAIN }
    }
}

impl Replica {
    /// A replica that starts.
    #[must_use]
    pub(crate) fn start(world: &Arc<World>, number: usize, offset_ms: i64, dice: Dice) -> Self {
        let body = Body::new(world.clone(), number, offset_ms, dice);
        let mut poller = JoinSet::new();
        poller.spawn(body.clone().poll_forever());
        Self { body, calls: JoinSet::new(), _poller: poller }
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
