//! What happens in a run, one thing after the other, drawn by chance: front-ends and
//! administrators act, servers and the store fail, replicas crash.

use domain::MeetingKey;

use super::fault_schedule::CallFault;
use super::scenario::Scenario;
use super::use_case::ServerAction;
use crate::seeded_rng::SeededRng;

/// Names that all tenants use, so that they could be mixed up.
const SHARED_IDS: usize = 4;
/// Voice bridges that front-ends ask for.
const VOICE_BRIDGES: [&str; 4] = ["70001", "70002", "70003", "99999"];
/// More servers than these are never in a pool.
pub(crate) const MAX_SERVERS: usize = 6;

/// A create that a front-end makes.
#[derive(Clone, Debug)]
pub(crate) struct CreateRequest {
    /// Which meeting.
    pub(crate) key: MeetingKey,
    /// Whether it gives passwords.
    pub(crate) with_passwords: bool,
    /// The voice bridge that it asks for.
    pub(crate) voice_bridge: Option<&'static str>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Creates at the same time.
    Create(Vec<CreateRequest>),
    /// So many users join.
    Join(MeetingKey, u64),
    /// So many users leave.
    Leave(MeetingKey, u64),
    /// A front-end ends a meeting.
    End(MeetingKey),
    /// A front-end asks whether it runs.
    IsMeetingRunning(MeetingKey),
    /// A front-end asks for details.
    GetMeetingInfo(MeetingKey),
    /// A front-end asks for its meetings.
    GetMeetings(Option<String>),
    /// An administrator ends a meeting.
    AdminEnd(MeetingKey),
    /// An administrator changes a server.
    ChangeServer(ServerAction, String),
    /// Bad weather at a server.
    ServerFaults(String, Vec<CallFault>, u64, u64),
    /// No way between a replica and a server.
    Partition(usize, String, u64),
    /// A server crashes and is back after so many ms.
    ServerCrash(String, u64),
    /// The store fails so many of a hundred operations of some.
    StoreOutage(Option<usize>, u64, u64),
    /// The store loses everything.
    StoreLoss,
    /// A replica crashes and is back after so many ms.
    ReplicaCrash(usize, u64),
    /// A replica's clock jumps.
    ClockJump(usize, i64),
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
}

/// Draws what happens next.
pub(crate) struct Workload {
    scenario: Scenario,
    rng: SeededRng,
    meeting_count: usize,
    weighted_kinds: Vec<(u64, ActionKind)>,
}

/// The name of a server.
#[must_use]
pub(crate) fn server_host(number: usize) -> String {
    format!("bbb{number}.test")
}

/// The id of a tenant.
#[must_use]
pub(crate) fn tenant_id(number: usize) -> String {
    format!("tenant-{number}")
}

impl Workload {
    /// That of a scenario.
    #[must_use]
    pub(crate) fn new(scenario: Scenario, dice: SeededRng) -> Self {
        let when = |wanted: bool, weight| if wanted { weight } else { 0 };
        let choices = vec![
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
        ];
        Self { scenario, rng: dice, meeting_count: 0, weighted_kinds: choices }
    }

    /// The pause before the next thing, in ms.
    pub(crate) fn draw_pause_ms(&mut self) -> u64 {
        let max = self.scenario.max_pause_ms;
        if self.rng.draw_percent(25) { self.rng.draw_u64(0, 50) } else { self.rng.draw_u64(0, max) }
    }

    /// The replica that the next call goes to.
    pub(crate) fn draw_replica(&mut self) -> usize {
        self.rng.draw_index(self.scenario.replicas)
    }

    /// The next thing.
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
            Some(ActionKind::ClockJump) => {
                let range = self.scenario.skew_ms.unsigned_abs();
                let offset = i64::try_from(self.rng.draw_u64(0, range)).unwrap_or(0);
                Action::ClockJump(self.draw_replica(), offset)
            }
            Some(ActionKind::Create) | None => {
                let key = self.draw_new_key();
                Action::Create(vec![self.draw_create(key)])
            }
            Some(trouble) => self.draw_fault(trouble),
        }
    }

    fn draw_fault(&mut self, choice: ActionKind) -> Action {
        let host = server_host(self.rng.draw_index(self.scenario.servers) + 1);
        let replica = self.draw_replica();
        let long_ms = self.rng.draw_u64(2_000, 150_000);
        match choice {
            ActionKind::ServerCrash => Action::ServerCrash(host, long_ms.min(70_000)),
            ActionKind::Partition => Action::Partition(replica, host, long_ms),
            ActionKind::ReplicaCrash => Action::ReplicaCrash(replica, long_ms.min(20_000)),
            ActionKind::StoreOutage => {
                let whose = self.rng.draw_percent(60).then_some(replica);
                let percent = [10, 40, 100][self.rng.draw_index(3)];
                Action::StoreOutage(whose, percent, long_ms.min(40_000))
            }
            _ => {
                let count = self.rng.draw_u64(1, 3);
                let faults = (0..count).filter_map(|_| self.rng.pick(&CallFault::ALL).copied());
                let faults = faults.collect();
                Action::ServerFaults(host, faults, [30, 60, 100][self.rng.draw_index(3)], long_ms)
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

    /// Mostly a meeting that runs; now and then one that never did, or is another tenant's.
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
        let external = self.scenario.external_bridges && self.rng.draw_percent(60);
        let voice_bridge = external.then(|| self.rng.pick(&VOICE_BRIDGES).copied()).flatten();
        // A front-end always does it the same way for one meeting.
        let with_passwords = key.id.bytes().last().is_some_and(|last| last.is_multiple_of(2));
        CreateRequest { with_passwords, voice_bridge, key }
    }

    fn draw_burst(&mut self) -> Action {
        let count = self.rng.draw_u64(2, 8);
        let one = self.rng.draw_percent(50);
        let mut key = self.draw_new_key();
        let mut creates = Vec::new();
        for _ in 0..count {
            creates.push(self.draw_create(key.clone()));
            if !one {
                key = self.draw_new_key();
            }
        }
        Action::Create(creates)
    }

    fn draw_server_change(&mut self) -> Action {
        let deeds = [
            (10, ServerAction::Enable),
            (4, ServerAction::Cordon),
            (2, ServerAction::Disable),
            (2, ServerAction::Add),
            (1, ServerAction::Remove),
            (1, ServerAction::Panic),
        ];
        let deed = self.rng.pick_weighted(&deeds).unwrap_or(ServerAction::Enable);
        let known = if deed == ServerAction::Add { MAX_SERVERS } else { self.scenario.servers };
        Action::ChangeServer(deed, server_host(self.rng.draw_index(known) + 1))
    }
}
