//! The course of one run: the world is set up, things happen, all trouble ends, and when it is
//! quiet everything must be as it should.

use std::sync::Arc;
use std::time::Duration;

use app::ports::Tenants as _;
use domain::tenant::Lrs;
use domain::{AdminState, Server, ServerId, Tenant};
use tokio::time::sleep;

use super::SimulationOptions;
use super::checkers::{self, FinalState};
use super::fault_schedule::{CallFault, FaultPeriod, FaultSchedule, StoreOutage};
use super::front_end;
use super::log::RunLog;
use super::replica::Replica;
use super::report::RunReport;
use super::scenario::{POLL_INTERVAL_MS, Scenario};
use super::sim_run::SimRun;
use super::sim_server::SimServer;
use super::store_proxy::StoreProxy;
use super::use_case::{UseCase, UseCaseKind};
use super::workload::{Action, MAX_SERVERS, Workload, server_host, tenant_id};
use crate::seeded_rng::SeededRng;

/// So many intervals of polls it is quiet before the last look.
const SETTLE_INTERVALS: i64 = 5;
/// The most that use cases may need to end once all trouble has.
const MAX_DRAIN_MS: i64 = 180_000;

/// A run under way.
struct RunScheduler {
    sim: Arc<SimRun>,
    replicas: Vec<Option<Replica>>,
    /// When crashed replicas are back, in ms since the run began.
    restart_at_ms: Vec<i64>,
    rng: SeededRng,
}

/// Makes the run of a seed.
pub(crate) async fn execute_run(seed: u64, options: SimulationOptions) -> RunReport {
    let mut dice = SeededRng::new(seed);
    let scenario = Scenario::draw(&mut dice, &options.rules);
    let weather = FaultSchedule::new(dice.fork(), scenario.max_store_latency_ms);
    let log = RunLog { keeps_trace: options.trace, ..RunLog::default() };
    let vault = StoreProxy::new(options.mutant);
    let world = SimRun::new(scenario.clone(), options.rules, vault, weather, log);
    let mut workload = Workload::new(scenario.clone(), dice.fork());
    let mut stage = RunScheduler::set_up(Arc::new(world), dice).await;
    stage.sim.write_trace(|| format!("{scenario:?}"));
    for step in 1..=scenario.steps {
        sleep(Duration::from_millis(workload.draw_pause_ms())).await;
        stage.sim.log().step = step;
        stage.restart_replicas();
        let running = front_end::running_keys(&stage.sim);
        let action = workload.draw_action(&running);
        stage.sim.write_trace(|| format!("--- {step}: {action:?}"));
        stage.perform_action(action, &mut workload).await;
        if !stage.sim.log().violations.is_empty() {
            return stage.into_report(seed);
        }
    }
    stage.wait_until_settled().await;
    stage.into_report(seed)
}

impl RunScheduler {
    async fn set_up(world: Arc<SimRun>, mut dice: SeededRng) -> Self {
        let scenario = &world.scenario;
        for number in 1..=MAX_SERVERS {
            let machine = SimServer::new(&server_host(number));
            world.servers().insert(machine.host.clone(), machine);
        }
        for number in 1..=scenario.servers {
            let server = world.servers().get(&server_host(number)).map(to_pool_server);
            if let Some(server) = server {
                let _ = app::ports::PoolStore::add_server(world.store.as_ref(), server).await;
            }
        }
        for number in 1..=scenario.tenants {
            let id = tenant_id(number);
            let (name, secrets) = (format!("name-of-{id}"), format!("secret-of-{id}"));
            let tenant = Tenant { id, name, secrets, lrs: Lrs::default() };
            let _ = world.store.add_tenant(tenant).await;
        }
        world
            .check_store_change(&UseCase::new(0, 0, UseCaseKind::Internal, world.now()), "begin")
            .await;
        let count = scenario.replicas;
        let replicas = (0..count).map(|number| {
            let offset_ms = draw_offset_ms(&mut dice, world.scenario.skew_ms);
            Some(Replica::start(&world, number, offset_ms, dice.fork()))
        });
        let replicas = replicas.collect();
        Self { sim: world, replicas, restart_at_ms: vec![0; count], rng: dice }
    }

    /// Crashed replicas whose time has come start again.
    fn restart_replicas(&mut self) {
        let now = self.sim.elapsed_ms();
        for number in 0..self.replicas.len() {
            if self.replicas[number].is_none() && self.restart_at_ms[number] <= now {
                let offset_ms = draw_offset_ms(&mut self.rng, self.sim.scenario.skew_ms);
                let replica = Replica::start(&self.sim, number, offset_ms, self.rng.fork());
                self.replicas[number] = Some(replica);
                self.sim.write_trace(|| format!("replica {number} starts again"));
            }
        }
    }

    /// A replica that can take a call, if any can.
    fn find_running_replica(&mut self, wanted: usize) -> Option<&mut Replica> {
        let count = self.replicas.len();
        let at =
            (0..count).map(|n| (wanted + n) % count).find(|at| self.replicas[*at].is_some())?;
        self.replicas[at].as_mut()
    }

    async fn perform_action(&mut self, action: Action, workload: &mut Workload) {
        let until = |ms: u64| self.sim.now().plus_ms(i64::try_from(ms).unwrap_or(0));
        match action {
            Action::ServerFaults(host, faults, percent, ms) => {
                let spell = FaultPeriod { host, replica: None, faults, percent, until: until(ms) };
                self.sim.faults().add_fault_period(spell);
            }
            Action::Partition(replica, host, ms) => {
                let faults = vec![CallFault::Refused, CallFault::RequestLost];
                let (replica, until) = (Some(replica), until(ms));
                self.sim.count_event("partitions");
                self.sim.faults().add_fault_period(FaultPeriod {
                    host,
                    replica,
                    faults,
                    percent: 100,
                    until,
                });
            }
            Action::ServerCrash(host, ms) => {
                let (now, until) = (self.sim.now(), until(ms));
                self.sim.count_event("server crashes");
                if let Some(machine) = self.sim.servers().get_mut(&host) {
                    machine.crash(now, until);
                }
            }
            Action::StoreOutage(replica, percent, ms) => {
                let outage = StoreOutage { replica, percent, until: until(ms) };
                self.sim.count_event("outages of the store");
                self.sim.faults().add_store_outage(outage);
            }
            Action::StoreLoss => self.lose_store().await,
            Action::ReplicaCrash(number, ms) => {
                let back_ms = i64::try_from(ms).unwrap_or(0);
                self.restart_at_ms[number] = self.sim.elapsed_ms().saturating_add(back_ms);
                if let Some(replica) = self.replicas[number].take() {
                    replica.crash();
                }
            }
            Action::ClockJump(number, offset_ms) => {
                self.sim.count_event("clock jumps");
                if let Some(replica) = &self.replicas[number] {
                    replica.set_clock(offset_ms);
                }
            }
            call => self.start_calls(call, workload),
        }
    }

    fn start_calls(&mut self, action: Action, workload: &mut Workload) {
        let count = match &action {
            Action::Join(_, count) => *count,
            Action::Create(creates) => u64::try_from(creates.len()).unwrap_or(1),
            _ => 1,
        };
        if let Action::Leave(key, count) = &action {
            (0..*count).for_each(|_| front_end::leave_meeting(&self.sim, key));
            return;
        }
        for number in 0..count {
            let wanted = workload.draw_replica();
            let Some(replica) = self.find_running_replica(wanted) else { return };
            let body = replica.context().clone();
            match &action {
                Action::Create(creates) => {
                    let number = usize::try_from(number).unwrap_or(0);
                    if let Some(create) = creates.get(number) {
                        replica.spawn(front_end::create_meeting(body, create.clone()));
                    }
                }
                Action::Join(key, _) => replica.spawn(front_end::join_meeting(body, key.clone())),
                Action::End(key) => replica.spawn(front_end::end_meeting(body, key.clone())),
                Action::IsMeetingRunning(key) => {
                    replica.spawn(front_end::is_meeting_running(body, key.clone()))
                }
                Action::GetMeetingInfo(key) => {
                    replica.spawn(front_end::get_meeting_info(body, key.clone()))
                }
                Action::GetMeetings(tenant) => {
                    replica.spawn(front_end::get_meetings(body, tenant.clone()))
                }
                Action::AdminEnd(key) => replica.spawn(front_end::end_as_admin(body, key.clone())),
                Action::ChangeServer(deed, host) => {
                    replica.spawn(front_end::change_server(body, *deed, host.clone()));
                }
                _ => {}
            }
        }
    }

    /// Everything is lost, once somebody has seen what there was.
    async fn lose_store(&mut self) {
        if self.sim.elapsed_ms() < POLL_INTERVAL_MS * 2 {
            return;
        }
        self.sim.count_event("losses of the store");
        self.sim.store.lose_data().await;
        self.sim
            .check_store_change(&UseCase::new(0, 0, UseCaseKind::Internal, self.sim.now()), "lost")
            .await;
    }

    /// All trouble ends, what is under way ends, and a while passes.
    async fn wait_until_settled(&mut self) {
        self.sim.write_trace(|| "--- all trouble ends".to_owned());
        self.restart_at_ms.fill(0);
        self.restart_replicas();
        for replica in self.replicas.iter().flatten() {
            replica.set_clock(0);
        }
        self.sim.faults().clear();
        let now = self.sim.now();
        for machine in self.sim.servers().values_mut() {
            machine.down_until = machine.down_until.map(|_| now);
            machine.advance(now);
            machine.keeps_empty_meetings = true;
        }
        let deadline = self.sim.elapsed_ms() + MAX_DRAIN_MS;
        while self.count_running_calls() > 0 && self.sim.elapsed_ms() < deadline {
            sleep(Duration::from_secs(1)).await;
        }
        let quiet_ms = u64::try_from(SETTLE_INTERVALS * POLL_INTERVAL_MS).unwrap_or(0);
        sleep(Duration::from_millis(quiet_ms)).await;
        let under_way = self.count_running_calls();
        let ledger = self.sim.expectations();
        let machines = self.sim.servers();
        let quiet = FinalState {
            store: &ledger.last_snapshot,
            expectations: &ledger,
            servers: &machines,
            rules: &self.sim.rules,
            scenario: &self.sim.scenario,
            now: self.sim.now(),
            running_calls: under_way,
        };
        for (checker, check) in checkers::FINAL_STATE_CHECKERS {
            self.sim.record_check(checker, check(&quiet));
        }
    }

    fn count_running_calls(&mut self) -> usize {
        self.replicas.iter_mut().flatten().map(Replica::collect_finished).sum()
    }

    fn into_report(self, seed: u64) -> RunReport {
        let mut log = self.sim.log();
        RunReport {
            seed,
            violations: std::mem::take(&mut log.violations),
            counts: std::mem::take(&mut log.counts),
            trace: std::mem::take(&mut log.trace),
            digest: log.digest,
        }
    }
}

fn draw_offset_ms(dice: &mut SeededRng, range_ms: i64) -> i64 {
    let range = range_ms.unsigned_abs();
    let drawn = i64::try_from(dice.draw_u64(0, 2 * range)).unwrap_or(0);
    drawn - range_ms
}

/// A server of the pool as an administrator has enabled it; polls find out the rest.
fn to_pool_server(machine: &SimServer) -> Server {
    let id = ServerId(machine.host.clone());
    let mut server = Server::new(id, machine.url(), machine.secret.clone());
    server.state = AdminState::Enabled;
    server
}
