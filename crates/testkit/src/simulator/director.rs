//! The course of one run: the world is set up, things happen, all trouble ends, and when it is
//! quiet everything must be as it should.

use std::sync::Arc;
use std::time::Duration;

use app::ports::Tenants as _;
use domain::tenant::Lrs;
use domain::{AdminState, Server, ServerId, Tenant};
use tokio::time::sleep;

use super::Options;
use super::checkers::{self, Quiet};
use super::dice::Dice;
use super::front_end;
use super::log::Log;
use super::machine::Machine;
use super::op::{Kind, Op};
use super::replica::Replica;
use super::report::Report;
use super::scenario::{POLL_INTERVAL_MS, Scenario};
use super::vault::Vault;
use super::weather::{Fault, Outage, Spell, Weather};
use super::workload::{Action, SERVERS_MAX, Workload, host, tenant};
use super::world::World;

/// So many intervals of polls it is quiet before the last look.
const QUIET_INTERVALS: i64 = 5;
/// The most that use cases may need to end once all trouble has.
const DRAIN_MS: i64 = 180_000;

/// A run under way.
struct Stage {
    world: Arc<World>,
    replicas: Vec<Option<Replica>>,
    /// When crashed replicas are back, in ms since the run began.
    returns: Vec<i64>,
    dice: Dice,
}

/// Makes the run of a seed.
pub(crate) async fn direct(seed: u64, options: Options) -> Report {
    let mut dice = Dice::new(seed);
    let scenario = Scenario::draw(&mut dice, &options.rules);
    let weather = Weather::new(dice.fork(), scenario.store_ms_max);
    let log = Log { traces: options.trace, ..Log::default() };
    let vault = Vault::new(options.mutant);
    let world = World::new(scenario.clone(), options.rules, vault, weather, log);
    let mut workload = Workload::new(scenario.clone(), dice.fork());
    let mut stage = Stage::set(Arc::new(world), dice).await;
    stage.world.say(|| format!("{scenario:?}"));
    for step in 1..=scenario.steps {
        sleep(Duration::from_millis(workload.pause_ms())).await;
        stage.world.log().step = step;
        stage.bring_back();
        let running = front_end::running_keys(&stage.world);
        let action = workload.next(&running);
        stage.world.say(|| format!("--- {step}: {action:?}"));
        stage.act(action, &mut workload).await;
        if !stage.world.log().violations.is_empty() {
            return stage.report(seed);
        }
    }
    stage.settle().await;
    stage.report(seed)
}

impl Stage {
    async fn set(world: Arc<World>, mut dice: Dice) -> Self {
        let scenario = &world.scenario;
        for number in 1..=SERVERS_MAX {
            let machine = Machine::new(&host(number));
            world.machines().insert(machine.host.clone(), machine);
        }
        for number in 1..=scenario.servers {
            let server = world.machines().get(&host(number)).map(pooled);
            if let Some(server) = server {
                let _ = app::ports::Cluster::add_server(world.vault.as_ref(), server).await;
            }
        }
        for number in 1..=scenario.tenants {
            let id = tenant(number);
            let (name, secrets) = (format!("name-of-{id}"), format!("secret-of-{id}"));
            let tenant = Tenant { id, name, secrets, lrs: Lrs::default() };
            let _ = world.vault.add_tenant(tenant).await;
        }
        world.changed(&Op::new(0, 0, Kind::House, world.now()), "begin").await;
        let count = scenario.replicas;
        let replicas = (0..count).map(|number| {
            let offset_ms = signed(&mut dice, world.scenario.skew_ms);
            Some(Replica::start(&world, number, offset_ms, dice.fork()))
        });
        let replicas = replicas.collect();
        Self { world, replicas, returns: vec![0; count], dice }
    }

    /// Crashed replicas whose time has come start again.
    fn bring_back(&mut self) {
        let now = self.world.elapsed_ms();
        for number in 0..self.replicas.len() {
            if self.replicas[number].is_none() && self.returns[number] <= now {
                let offset_ms = signed(&mut self.dice, self.world.scenario.skew_ms);
                let replica = Replica::start(&self.world, number, offset_ms, self.dice.fork());
                self.replicas[number] = Some(replica);
                self.world.say(|| format!("replica {number} starts again"));
            }
        }
    }

    /// A replica that can take a call, if any can.
    fn replica(&mut self, wanted: usize) -> Option<&mut Replica> {
        let count = self.replicas.len();
        let at =
            (0..count).map(|n| (wanted + n) % count).find(|at| self.replicas[*at].is_some())?;
        self.replicas[at].as_mut()
    }

    async fn act(&mut self, action: Action, workload: &mut Workload) {
        let until = |ms: u64| self.world.now().plus_ms(i64::try_from(ms).unwrap_or(0));
        match action {
            Action::Spell(host, faults, percent, ms) => {
                let spell = Spell { host, replica: None, faults, percent, until: until(ms) };
                self.world.weather().begin(spell);
            }
            Action::Partition(replica, host, ms) => {
                let faults = vec![Fault::Refused, Fault::Silent];
                let (replica, until) = (Some(replica), until(ms));
                self.world.count("partitions");
                self.world.weather().begin(Spell { host, replica, faults, percent: 100, until });
            }
            Action::ServerCrash(host, ms) => {
                let (now, until) = (self.world.now(), until(ms));
                self.world.count("server crashes");
                if let Some(machine) = self.world.machines().get_mut(&host) {
                    machine.crash(now, until);
                }
            }
            Action::Outage(replica, percent, ms) => {
                let outage = Outage { replica, percent, until: until(ms) };
                self.world.count("outages of the store");
                self.world.weather().begin_outage(outage);
            }
            Action::StoreLoss => self.lose_store().await,
            Action::ReplicaCrash(number, ms) => {
                let back_ms = i64::try_from(ms).unwrap_or(0);
                self.returns[number] = self.world.elapsed_ms().saturating_add(back_ms);
                if let Some(replica) = self.replicas[number].take() {
                    replica.crash();
                }
            }
            Action::Clock(number, offset_ms) => {
                self.world.count("clock jumps");
                if let Some(replica) = &self.replicas[number] {
                    replica.set_clock(offset_ms);
                }
            }
            call => self.call(call, workload),
        }
    }

    fn call(&mut self, action: Action, workload: &mut Workload) {
        let count = match &action {
            Action::Join(_, count) => *count,
            Action::Create(creates) => u64::try_from(creates.len()).unwrap_or(1),
            _ => 1,
        };
        if let Action::Leave(key, count) = &action {
            (0..*count).for_each(|_| front_end::leave(&self.world, key));
            return;
        }
        for number in 0..count {
            let wanted = workload.replica();
            let Some(replica) = self.replica(wanted) else { return };
            let body = replica.body().clone();
            match &action {
                Action::Create(creates) => {
                    let number = usize::try_from(number).unwrap_or(0);
                    if let Some(create) = creates.get(number) {
                        replica.spawn(front_end::create(body, create.clone()));
                    }
                }
                Action::Join(key, _) => replica.spawn(front_end::join(body, key.clone())),
                Action::End(key) => replica.spawn(front_end::end(body, key.clone())),
                Action::Running(key) => replica.spawn(front_end::running(body, key.clone())),
                Action::Info(key) => replica.spawn(front_end::info(body, key.clone())),
                Action::List(tenant) => replica.spawn(front_end::list(body, tenant.clone())),
                Action::Dismiss(key) => replica.spawn(front_end::dismiss(body, key.clone())),
                Action::Server(deed, host) => {
                    replica.spawn(front_end::server(body, *deed, host.clone()));
                }
                _ => {}
            }
        }
    }

    /// Everything is lost, once somebody has seen what there was.
    async fn lose_store(&mut self) {
        if self.world.elapsed_ms() < POLL_INTERVAL_MS * 2 {
            return;
        }
        self.world.count("losses of the store");
        self.world.vault.lose().await;
        self.world.changed(&Op::new(0, 0, Kind::House, self.world.now()), "lost").await;
    }

    /// All trouble ends, what is under way ends, and a while passes.
    async fn settle(&mut self) {
        self.world.say(|| "--- all trouble ends".to_owned());
        self.returns.fill(0);
        self.bring_back();
        for replica in self.replicas.iter().flatten() {
            replica.set_clock(0);
        }
        self.world.weather().clear();
        let now = self.world.now();
        for machine in self.world.machines().values_mut() {
            machine.down_until = machine.down_until.map(|_| now);
            machine.tidy(now);
            machine.frozen = true;
        }
        let deadline = self.world.elapsed_ms() + DRAIN_MS;
        while self.under_way() > 0 && self.world.elapsed_ms() < deadline {
            sleep(Duration::from_secs(1)).await;
        }
        let quiet_ms = u64::try_from(QUIET_INTERVALS * POLL_INTERVAL_MS).unwrap_or(0);
        sleep(Duration::from_millis(quiet_ms)).await;
        let under_way = self.under_way();
        let ledger = self.world.ledger();
        let machines = self.world.machines();
        let quiet = Quiet {
            store: &ledger.last,
            ledger: &ledger,
            machines: &machines,
            rules: &self.world.rules,
            scenario: &self.world.scenario,
            now: self.world.now(),
            under_way,
        };
        for (checker, check) in checkers::QUIET {
            self.world.judge(checker, check(&quiet));
        }
    }

    fn under_way(&mut self) -> usize {
        self.replicas.iter_mut().flatten().map(Replica::reap).sum()
    }

    fn report(self, seed: u64) -> Report {
        let mut log = self.world.log();
        Report {
            seed,
            violations: std::mem::take(&mut log.violations),
            counts: std::mem::take(&mut log.counts),
            trace: std::mem::take(&mut log.trace),
            digest: log.digest,
        }
    }
}

fn signed(dice: &mut Dice, range_ms: i64) -> i64 {
    let range = range_ms.unsigned_abs();
    let drawn = i64::try_from(dice.between(0, 2 * range)).unwrap_or(0);
    drawn - range_ms
}

/// A server of the pool as an administrator has enabled it; polls find out the rest.
fn pooled(machine: &Machine) -> Server {
    let id = ServerId(machine.host.clone());
    let mut server = Server::new(id, machine.url(), machine.secret.clone());
    server.state = AdminState::Enabled;
    server
}
