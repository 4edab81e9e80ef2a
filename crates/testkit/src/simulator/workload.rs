//! The random sequence of actions in a run: calls of front-ends, changes by administrators, faults
//! of servers and of the store, crashes of replicas.

use domain::MeetingKey;

use super::entries::{server_host, twin_host};
use super::fault_schedule::CallFault;
use super::foreign::{self, ForeignStep};
use super::scenario::Scenario;
use super::use_case::ServerAction;
use crate::seeded_rng::SeededRng;

/// Number of meeting ids that all tenants use, so that their meetings could be mixed up.
const SHARED_IDS: usize = 4;
/// Voice bridges that front-ends request.
const VOICE_BRIDGES: [&str; 4] = ["70001", "70002", "70003", "99999"];
/// The greatest number of servers in a pool.
pub(crate) const MAX_SERVERS: usize = 6;

/// Odd answers last for at least so long, in ms, so that several polls get them.
const MIN_ODD_MS: u64 = 120_000;

/// How far clocks are set, in ms: an hour, a day, and ten years.
const CLOCK_STEPS_MS: [i64; 3] = [3_600_000, 86_400_000, 3_650 * 86_400_000];
/// Servers stay down for so much longer, in ms, where clocks are set: long enough to be noticed.
const LONGER_DOWN_MS: u64 = 80_000;

/// A create that a front-end sends.
#[derive(Clone, Debug)]
pub(crate) struct CreateRequest {
    /// The meeting.
    pub(crate) key: MeetingKey,
    /// Whether the create contains passwords.
    pub(crate) with_passwords: bool,
    /// The requested voice bridge.
    pub(crate) voice_bridge: Option<&'static str>,
}

/// One step of a run.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Front-ends send these creates at the same time.
    Create(Vec<CreateRequest>),
    /// This number of users join.
    Join(MeetingKey, u64),
    /// This number of users leave.
    Leave(MeetingKey, u64),
    /// A front-end ends a meeting.
    End(MeetingKey),
    /// A front-end asks whether a meeting is running.
    IsMeetingRunning(MeetingKey),
    /// A front-end asks for the details of a meeting.
    GetMeetingInfo(MeetingKey),
    /// A front-end of a tenant asks for all its meetings.
    GetMeetings(Option<String>),
    /// An administrator ends a meeting.
    AdminEnd(MeetingKey),
    /// An administrator changes a server.
    ChangeServer(ServerAction, String),
    /// Calls to a server have these faults: host, faults, percentage of calls, duration in ms.
    ServerFaults(String, Vec<CallFault>, u64, u64),
    /// A replica cannot reach a server for this many ms.
    Partition(usize, String, u64),
    /// A server crashes and is back after this many ms.
    ServerCrash(String, u64),
    /// Operations of the store fail: for one replica or for all, percentage of operations, duration
    /// in ms.
    StoreOutage(Option<usize>, u64, u64),
    /// The store loses its data.
    StoreLoss,
    /// A replica crashes and is back after this many ms.
    ReplicaCrash(usize, u64),
    /// A replica's clock jumps to this offset in ms.
    ClockJump(usize, i64),
    /// Another balancer does something on a server.
    Foreign(String, ForeignStep),
    /// The hostile server claims the meetings of the others, with so many users more, and with their
    /// identity or another one.
    Claim(u32, bool),
    /// The hostile server lists so many meetings more.
    Flood(usize),
    /// The clock of all replicas is set to this distance from the true time, in ms.
    ClockStep(i64),
}

#[derive(Clone, Copy)]
enum ActionKind {
    Create,
    RepeatCreate,
    CreateBurst,
    Join,
    Leave,
    End,
    IsMeetingRunning,
    GetMeetingInfo,
    GetMeetings,
    AdminEnd,
    ChangeServer,
    ServerFaults,
    Partition,
    ServerCrash,
    StoreOutage,
    StoreLoss,
    ReplicaCrash,
    ClockJump,
    Foreign,
    OddAnswers,
    Claim,
    Flood,
    ClockStep,
}

/// Draws the actions of a run.
pub(crate) struct Workload {
    scenario: Scenario,
    rng: SeededRng,
    meeting_count: usize,
    weighted_kinds: Vec<(u64, ActionKind)>,
}

/// Returns the id of a tenant.
#[must_use]
pub(crate) fn tenant_id(number: usize) -> String {
    format!("tenant-{number}")
}

/// Returns the name of the tenant with this id.
#[must_use]
pub(crate) fn tenant_name(id: &str) -> String {
    format!("name-of-{id}")
}

impl Workload {
    /// Returns the workload of a scenario.
    #[must_use]
    pub(crate) fn new(scenario: Scenario, rng: SeededRng) -> Self {
        let when = |occurs: bool, weight| if occurs { weight } else { 0 };
        let weighted_kinds = vec![
            (18, ActionKind::Create),
            (8, ActionKind::RepeatCreate),
            (4, ActionKind::CreateBurst),
            (22, ActionKind::Join),
            (8, ActionKind::Leave),
            (5, ActionKind::End),
            (5, ActionKind::IsMeetingRunning),
            (5, ActionKind::GetMeetingInfo),
            (3, ActionKind::GetMeetings),
            (1, ActionKind::AdminEnd),
            (when(scenario.administration, 8), ActionKind::ChangeServer),
            (when(scenario.server_faults, 8), ActionKind::ServerFaults),
            (when(scenario.server_faults, 3), ActionKind::Partition),
            (when(scenario.server_crashes, 3), ActionKind::ServerCrash),
            (when(scenario.store_faults, 4), ActionKind::StoreOutage),
            (when(scenario.store_loss, 3), ActionKind::StoreLoss),
            (when(scenario.replica_crashes, 4), ActionKind::ReplicaCrash),
            (when(scenario.skew_ms > 0, 3), ActionKind::ClockJump),
            (when(scenario.foreign_balancers, 10), ActionKind::Foreign),
            (when(scenario.server_faults, 2), ActionKind::OddAnswers),
            (when(scenario.hostile_server, 20), ActionKind::Claim),
            (when(scenario.floods, 4), ActionKind::Flood),
            (when(scenario.clock_steps, 8), ActionKind::ClockStep),
        ];
        Self { scenario, rng, meeting_count: 0, weighted_kinds }
    }

    /// Draws the pause before the next action, in ms.
    pub(crate) fn draw_pause_ms(&mut self) -> u64 {
        let max = self.scenario.max_pause_ms;
        if self.rng.draw_percent(25) { self.rng.draw_u64(0, 50) } else { self.rng.draw_u64(0, max) }
    }

    /// Draws the replica that receives the next call.
    pub(crate) fn draw_replica(&mut self) -> usize {
        self.rng.draw_index(self.scenario.replicas)
    }

    /// Draws the next action; `running` are the meetings that it may be about.
    pub(crate) fn draw_action(&mut self, running: &[MeetingKey]) -> Action {
        match self.rng.pick_weighted(&self.weighted_kinds) {
            Some(ActionKind::RepeatCreate) => {
                let key = self.draw_key(running);
                Action::Create(vec![self.draw_create(key)])
            }
            Some(ActionKind::CreateBurst) => self.draw_burst(),
            Some(ActionKind::Join) => Action::Join(self.draw_key(running), self.rng.draw_u64(1, 4)),
            Some(ActionKind::Leave) => {
                Action::Leave(self.draw_key(running), self.rng.draw_u64(1, 6))
            }
            Some(ActionKind::End) => Action::End(self.draw_key(running)),
            Some(ActionKind::IsMeetingRunning) => Action::IsMeetingRunning(self.draw_key(running)),
            Some(ActionKind::GetMeetingInfo) => Action::GetMeetingInfo(self.draw_key(running)),
            Some(ActionKind::GetMeetings) => Action::GetMeetings(self.draw_tenant()),
            Some(ActionKind::AdminEnd) => Action::AdminEnd(self.draw_key(running)),
            Some(ActionKind::ChangeServer) => self.draw_server_change(),
            Some(ActionKind::StoreLoss) => Action::StoreLoss,
            Some(ActionKind::Foreign) => {
                let key = self.draw_key(running);
                let (host, step) = foreign::draw_step(&mut self.rng, &self.scenario, key);
                Action::Foreign(host, step)
            }
            Some(ActionKind::Claim) => {
                let users = u32::try_from(self.rng.draw_u64(1, 60)).unwrap_or(1);
                Action::Claim(users, self.rng.draw_percent(50))
            }
            Some(ActionKind::Flood) => Action::Flood(30 + self.rng.draw_index(60)),
            Some(ActionKind::ClockStep) => {
                let step_ms = self.rng.pick(&CLOCK_STEPS_MS).copied().unwrap_or(0);
                let is_back = self.rng.draw_percent(60);
                Action::ClockStep(if is_back { -step_ms } else { step_ms })
            }
            Some(ActionKind::ClockJump) => {
                let range = self.scenario.skew_ms.unsigned_abs();
                let offset = i64::try_from(self.rng.draw_u64(0, range)).unwrap_or(0);
                Action::ClockJump(self.draw_replica(), offset)
            }
            Some(ActionKind::Create) | None => {
                let key = self.draw_new_key();
                Action::Create(vec![self.draw_create(key)])
            }
            Some(fault) => self.draw_fault(fault),
        }
    }

    fn draw_fault(&mut self, kind: ActionKind) -> Action {
        let mut host = server_host(self.rng.draw_index(self.scenario.servers) + 1);
        // A name of a server may fail while its other name works.
        let is_of_one_name = matches!(kind, ActionKind::ServerFaults | ActionKind::Partition);
        if self.scenario.twins && is_of_one_name && self.rng.draw_percent(25) {
            host = twin_host(&host);
        }
        let replica = self.draw_replica();
        let duration_ms = self.rng.draw_u64(2_000, 150_000);
        match kind {
            ActionKind::ServerCrash if self.scenario.clock_steps => {
                Action::ServerCrash(host, duration_ms + LONGER_DOWN_MS)
            }
            ActionKind::ServerCrash => Action::ServerCrash(host, duration_ms.min(70_000)),
            ActionKind::Partition => Action::Partition(replica, host, duration_ms),
            ActionKind::ReplicaCrash => Action::ReplicaCrash(replica, duration_ms.min(20_000)),
            ActionKind::OddAnswers => {
                let odd = self.rng.pick(&CallFault::ODD).copied().into_iter().collect();
                Action::ServerFaults(host, odd, 100, duration_ms + MIN_ODD_MS)
            }
            ActionKind::StoreOutage => {
                let affected = self.rng.draw_percent(60).then_some(replica);
                let percent = [10, 40, 100][self.rng.draw_index(3)];
                Action::StoreOutage(affected, percent, duration_ms.min(40_000))
            }
            _ => {
                let count = self.rng.draw_u64(1, 3);
                let faults = (0..count).filter_map(|_| self.rng.pick(&CallFault::ALL).copied());
                let faults = faults.collect();
                let percent = [30, 60, 100][self.rng.draw_index(3)];
                Action::ServerFaults(host, faults, percent, duration_ms)
            }
        }
    }

    fn draw_tenant(&mut self) -> Option<String> {
        let count = self.scenario.tenants;
        (count > 0).then(|| tenant_id(self.rng.draw_index(count) + 1))
    }

    fn draw_new_key(&mut self) -> MeetingKey {
        let tenant = self.draw_tenant();
        self.meeting_count += 1;
        let id = if self.rng.draw_percent(25) {
            format!("shared-{}", self.rng.draw_index(SHARED_IDS))
        } else {
            format!("room-{}", self.meeting_count)
        };
        MeetingKey { tenant, id }
    }

    /// Draws a meeting: mostly a running one, sometimes one that has never existed or has the id of
    /// another tenant's meeting.
    fn draw_key(&mut self, running: &[MeetingKey]) -> MeetingKey {
        if self.rng.draw_percent(12) {
            return self.draw_new_key();
        }
        let picked = self.rng.pick(running).cloned();
        match picked {
            Some(key) if self.rng.draw_percent(10) => {
                MeetingKey { tenant: self.draw_tenant(), id: key.id }
            }
            Some(key) => key,
            None => self.draw_new_key(),
        }
    }

    fn draw_create(&mut self, key: MeetingKey) -> CreateRequest {
        let has_bridge = self.scenario.external_bridges && self.rng.draw_percent(60);
        let voice_bridge = has_bridge.then(|| self.rng.pick(&VOICE_BRIDGES).copied()).flatten();
        // All creates of a meeting contain passwords, or none does.
        let with_passwords = key.id.bytes().last().is_some_and(|last| last.is_multiple_of(2));
        CreateRequest { with_passwords, voice_bridge, key }
    }

    fn draw_burst(&mut self) -> Action {
        let count = self.rng.draw_u64(2, 8);
        let is_same_meeting = self.rng.draw_percent(50);
        let mut key = self.draw_new_key();
        let mut creates = Vec::new();
        for _ in 0..count {
            creates.push(self.draw_create(key.clone()));
            if !is_same_meeting {
                key = self.draw_new_key();
            }
        }
        Action::Create(creates)
    }

    fn draw_server_change(&mut self) -> Action {
        let actions = [
            (10, ServerAction::Enable),
            (4, ServerAction::Cordon),
            (2, ServerAction::Disable),
            (2, ServerAction::Add),
            (1, ServerAction::Remove),
            (if self.scenario.foreign_balancers { 6 } else { 1 }, ServerAction::Panic),
            (if self.scenario.twins { 3 } else { 0 }, ServerAction::AddTwin),
            (if self.scenario.twins { 3 } else { 0 }, ServerAction::Rename),
            (1, ServerAction::AddSpelling),
        ];
        let action = self.rng.pick_weighted(&actions).unwrap_or(ServerAction::Enable);
        let count = if action == ServerAction::Add { MAX_SERVERS } else { self.scenario.servers };
        let mut host = server_host(self.rng.draw_index(count) + 1);
        let is_of_any_entry = !matches!(action, ServerAction::Add | ServerAction::AddSpelling);
        if self.scenario.twins && is_of_any_entry && self.rng.draw_percent(30) {
            host = twin_host(&host);
        }
        Action::ChangeServer(action, host)
    }
}
