//! The sequence of one run: set up servers, tenants and replicas, execute the steps, end all faults,
//! wait, and check the final state.

use std::sync::Arc;
use std::time::Duration;

use app::ports::Tenants as _;
use domain::tenant::Lrs;
use domain::{AdminState, Server, ServerId, Tenant};
use tokio::time::sleep;

use super::SimulationOptions;
use super::checkers::{self, FinalState};
use super::entries::{server_host, twin_host};
use super::fault_schedule::{CallFault, FaultPeriod, FaultSchedule, StoreOutage};
use super::foreign;
use super::front_end;
use super::hostile;
use super::log::RunLog;
use super::replica::Replica;
use super::report::RunReport;
use super::scenario::{POLL_INTERVAL_MS, Scenario};
use super::server_speed::ServerSpeed;
use super::sim_run::{STORE_LOSS, SimRun};
use super::sim_server::SimServer;
use super::store_proxy::StoreProxy;
use super::use_case::{UseCase, UseCaseKind, meeting_name};
use super::workload::{Action, MAX_SERVERS, Workload, tenant_id, tenant_name};
use crate::seeded_rng::SeededRng;

/// Poll intervals that pass without faults and calls before the final state is checked.
const SETTLE_INTERVALS: i64 = 5;
/// Poll intervals that pass at most, beside these, until the copies of meetings are ended.
const MAX_END_INTERVALS: i64 = 20;
/// How long running use cases may take to end after the last fault, in ms.
const MAX_DRAIN_MS: i64 = 180_000;

/// Executes the steps of a run.
struct RunScheduler {
    sim: Arc<SimRun>,
    replicas: Vec<Option<Replica>>,
    /// When each crashed replica starts again, in ms since the run began.
    restart_at_ms: Vec<i64>,
    rng: SeededRng,
}

/// Executes the run of a seed.
pub(crate) async fn execute_run(seed: u64, options: SimulationOptions) -> RunReport {
    let mut rng = SeededRng::new(seed);
    let scenario = Scenario::draw(&mut rng, &options.rules);
    let faults = FaultSchedule::new(rng.fork(), scenario.max_store_latency_ms);
    let log = RunLog { keeps_trace: options.trace, ..RunLog::default() };
    let store = StoreProxy::new(options.mutant);
    let rules = options.rules.with_response_ms(scenario.response_ms);
    let sim = SimRun::new(scenario.clone(), rules, store, faults, log);
    let mut workload = Workload::new(scenario.clone(), rng.fork());
    let mut scheduler = RunScheduler::set_up(Arc::new(sim), rng).await;
    scheduler.sim.write_trace(|| format!("{scenario:?}"));
    for step in 1..=scenario.steps {
        sleep(Duration::from_millis(workload.draw_pause_ms())).await;
        scheduler.sim.log().step = step;
        scheduler.restart_replicas();
        let running = front_end::running_keys(&scheduler.sim);
        let action = workload.draw_action(&running);
        scheduler.sim.write_trace(|| format!("--- {step}: {action:?}"));
        scheduler.perform_action(action, &mut workload).await;
        if !scheduler.sim.log().violations.is_empty() {
            return scheduler.into_report(seed);
        }
    }
    scheduler.wait_until_settled().await;
    scheduler.into_report(seed)
}

impl RunScheduler {
    async fn set_up(sim: Arc<SimRun>, mut rng: SeededRng) -> Self {
        let scenario = &sim.scenario;
        for number in 1..=MAX_SERVERS {
            let mut sim_server = SimServer::new(&server_host(number));
            if scenario.slow_servers {
                sim_server.speed = ServerSpeed::draw(&mut rng);
            }
            sim.servers().insert(sim_server);
        }
        for number in 1..=scenario.servers {
            let server = sim.servers().get(&server_host(number)).map(to_pool_server);
            let Some(server) = server else { continue };
            if scenario.twins && rng.draw_percent(20) {
                let twin = to_twin(&server);
                let _ = app::ports::PoolStore::add_server(sim.store.as_ref(), twin).await;
                sim.count_event("twins added");
            }
            let _ = app::ports::PoolStore::add_server(sim.store.as_ref(), server).await;
        }
        for number in 1..=scenario.tenants {
            let id = tenant_id(number);
            let (name, secrets) = (tenant_name(&id), format!("secret-of-{id}"));
            let tenant = Tenant { id, name, secrets, lrs: Lrs::default() };
            let _ = sim.store.add_tenant(tenant).await;
        }
        check_own_change(&sim, "setup").await;
        let count = scenario.replicas;
        let replicas = (0..count).map(|number| {
            let offset_ms = draw_offset_ms(&mut rng, sim.scenario.skew_ms);
            Some(Replica::start(&sim, number, offset_ms, rng.fork()))
        });
        let replicas = replicas.collect();
        Self { sim, replicas, restart_at_ms: vec![0; count], rng }
    }

    /// Starts crashed replicas again whose down time is over.
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

    /// Returns the preferred replica, or another one if it has crashed.
    fn find_running_replica(&mut self, preferred: usize) -> Option<&mut Replica> {
        let count = self.replicas.len();
        let mut numbers = (0..count).map(|n| (preferred + n) % count);
        let running = numbers.find(|number| self.replicas[*number].is_some())?;
        self.replicas[running].as_mut()
    }

    async fn perform_action(&mut self, action: Action, workload: &mut Workload) {
        let until = |ms: u64| self.sim.now().plus_ms(i64::try_from(ms).unwrap_or(0));
        match action {
            Action::ServerFaults(host, faults, percent, ms) => {
                let period = FaultPeriod { host, replica: None, faults, percent, until: until(ms) };
                self.sim.faults().add_fault_period(period);
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
                if let Some(sim_server) = self.sim.servers().get_mut(&host) {
                    sim_server.crash(now, until);
                }
            }
            Action::StoreOutage(replica, percent, ms) => {
                let outage = StoreOutage { replica, percent, until: until(ms) };
                self.sim.count_event("store outages");
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
            Action::Claim(users, with_identity) => hostile::claim(&self.sim, users, with_identity),
            Action::Flood(count) => hostile::flood(&self.sim, count),
            Action::ClockStep(offset_ms) => {
                self.sim.count_event("clock steps");
                self.sim.set_clock_step_ms(offset_ms);
            }
            Action::Foreign(host, step) => foreign::perform_step(&self.sim, &host, &step),
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
            let preferred = workload.draw_replica();
            let Some(replica) = self.find_running_replica(preferred) else { return };
            let context = replica.context().clone();
            match &action {
                Action::Create(creates) => {
                    let number = usize::try_from(number).unwrap_or(0);
                    if let Some(create) = creates.get(number) {
                        replica.spawn(front_end::create_meeting(context, create.clone()));
                    }
                }
                Action::Join(key, _) => {
                    replica.spawn(front_end::join_meeting(context, key.clone()));
                }
                Action::End(key) => replica.spawn(front_end::end_meeting(context, key.clone())),
                Action::IsMeetingRunning(key) => {
                    replica.spawn(front_end::is_meeting_running(context, key.clone()));
                }
                Action::GetMeetingInfo(key) => {
                    replica.spawn(front_end::get_meeting_info(context, key.clone()));
                }
                Action::GetMeetings(tenant) => {
                    replica.spawn(front_end::get_meetings(context, tenant.clone()));
                }
                Action::AdminEnd(key) => {
                    replica.spawn(front_end::end_as_admin(context, key.clone()));
                }
                Action::ChangeServer(action, host) => {
                    replica.spawn(front_end::change_server(context, *action, host.clone()));
                }
                _ => {}
            }
        }
    }

    /// Makes the store lose its data, unless no replica has had the time to read it.
    async fn lose_store(&mut self) {
        if self.sim.elapsed_ms() < POLL_INTERVAL_MS * 2 {
            return;
        }
        self.sim.count_event("store losses");
        self.sim.store.lose_data().await;
        check_own_change(&self.sim, STORE_LOSS).await;
    }

    /// Ends all faults, waits until running use cases have ended and polls have seen every server,
    /// and checks the final state.
    async fn wait_until_settled(&mut self) {
        self.sim.write_trace(|| "--- all faults end".to_owned());
        self.restart_at_ms.fill(0);
        self.restart_replicas();
        for replica in self.replicas.iter().flatten() {
            replica.set_clock(0);
        }
        self.sim.set_clock_step_ms(0);
        self.sim.faults().clear();
        if self.sim.scenario.floods {
            hostile::give_up(&self.sim);
        }
        let now = self.sim.now();
        for sim_server in self.sim.servers().values_mut() {
            sim_server.down_until = sim_server.down_until.map(|_| now);
            sim_server.advance(now);
            sim_server.keeps_empty_meetings = true;
        }
        let deadline = self.sim.elapsed_ms() + MAX_DRAIN_MS;
        while self.count_running_calls() > 0 && self.sim.elapsed_ms() < deadline {
            sleep(Duration::from_secs(1)).await;
        }
        sleep(to_intervals(SETTLE_INTERVALS)).await;
        // A slow server takes a poll for each copy that is ended on it, and the poll after that for its load.
        let mut waited = 0;
        while self.has_ended_lately() && waited < MAX_END_INTERVALS {
            sleep(to_intervals(1)).await;
            waited += 1;
        }
        let running_calls = self.count_running_calls();
        let excused_ends = checkers::told_ends::list_excused(&self.sim).await;
        self.trace_final_state().await;
        let expectations = self.sim.expectations();
        let sim_servers = self.sim.servers();
        let state = FinalState {
            store: &expectations.last_snapshot,
            expectations: &expectations,
            servers: &sim_servers,
            rules: &self.sim.rules,
            scenario: &self.sim.scenario,
            now: self.sim.now(),
            excused_ends,
            running_calls,
        };
        for (checker, check) in checkers::FINAL_STATE_CHECKERS {
            self.sim.record_check(checker, check(&state));
        }
    }

    /// Whether a meeting has ended during the last poll intervals. By itself none does any more.
    fn has_ended_lately(&self) -> bool {
        let since = self.sim.now().plus_ms(-2 * POLL_INTERVAL_MS);
        let sim_servers = self.sim.servers();
        let mut ended = sim_servers.values().flat_map(|it| &it.ended_meetings);
        ended.any(|ended| ended.ended_at > since)
    }

    /// Writes what is recorded and what runs.
    async fn trace_final_state(&self) {
        for record in &self.sim.store.snapshot().await.meetings {
            let (name, origin) = (meeting_name(&record.key), &record.origin);
            self.sim.write_trace(|| {
                format!("recorded on {}: {name}, {:?}, {origin:?}", record.server, record.load)
            });
        }
        let ends = app::ports::PoolStore::list_pending_ends(self.sim.store.as_ref()).await;
        for end in ends.iter().flatten() {
            self.sim.write_trace(|| format!("pending: {end:?}"));
        }
        let running: Vec<String> = {
            let sim_servers = self.sim.servers();
            let meetings = sim_servers.values().flat_map(|server| server.meetings.values());
            meetings
                .map(|meeting| format!("{}: {} users", meeting.internal_id, meeting.users))
                .collect()
        };
        for line in running {
            self.sim.write_trace(|| line);
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

fn to_intervals(count: i64) -> Duration {
    Duration::from_millis(u64::try_from(count * POLL_INTERVAL_MS).unwrap_or(0))
}

/// Checks a change of the store that the simulator itself has made.
async fn check_own_change(sim: &SimRun, operation: &'static str) {
    let use_case = UseCase::new(0, 0, UseCaseKind::Internal, sim.now());
    sim.check_store_change(&use_case, operation).await;
}

/// Draws the offset of a replica's clock, in ms.
fn draw_offset_ms(rng: &mut SeededRng, range_ms: i64) -> i64 {
    let range = range_ms.unsigned_abs();
    let drawn = i64::try_from(rng.draw_u64(0, 2 * range)).unwrap_or(0);
    drawn - range_ms
}

/// Returns the same server under its other host name.
fn to_twin(server: &Server) -> Server {
    let host = twin_host(&server.id.0);
    let mut twin = server.clone();
    (twin.url, twin.id) = (format!("http://{host}/bigbluebutton/api"), ServerId(host));
    twin
}

/// Returns a simulated server as an administrator adds it to the pool, enabled.
fn to_pool_server(sim_server: &SimServer) -> Server {
    let id = ServerId(sim_server.host.clone());
    let mut server = Server::new(id, sim_server.url(), sim_server.secret.clone());
    server.state = AdminState::Enabled;
    server
}
