//! What happens in a run, one thing after the other, drawn by chance: front-ends and
//! administrators act, servers and the store fail, replicas crash.

use domain::MeetingKey;

use super::dice::Dice;
use super::op::ServerDeed;
use super::scenario::Scenario;
use super::weather::Fault;

/// Names that all tenants use, so that they could be mixed up.
const SHARED_NAMES: usize = 4;
/// Voice bridges that front-ends ask for.
const BRIDGES: [&str; 4] = ["70001", "70002", "70003", "99999"];
/// More servers than these are never in a pool.
pub(crate) const SERVERS_MAX: usize = 6;

/// A create that a front-end makes.
#[derive(Clone, Debug)]
pub(crate) struct Create {
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
    Create(Vec<Create>),
    /// So many users join.
    Join(MeetingKey, u64),
    /// So many users leave.
    Leave(MeetingKey, u64),
    /// A front-end ends a meeting.
    End(MeetingKey),
    /// A front-end asks whether it runs.
    Running(MeetingKey),
    /// A front-end asks for details.
    Info(MeetingKey),
    /// A front-end asks for its meetings.
    List(Option<String>),
    /// An administrator ends a meeting.
    Dismiss(MeetingKey),
    /// An administrator changes a server.
    Server(ServerDeed, String),
    /// Bad weather at a server.
    Spell(String, Vec<Fault>, u64, u64),
    /// No way between a replica and a server.
    Partition(usize, String, u64),
    /// A server crashes and is back after so many ms.
    ServerCrash(String, u64),
    /// The store fails so many of a hundred operations of some.
    Outage(Option<usize>, u64, u64),
    /// The store loses everything.
    StoreLoss,
    /// A replica crashes and is back after so many ms.
    ReplicaCrash(usize, u64),
    /// A replica's clock jumps.
    Clock(usize, i64),
}

#[derive(Clone, Copy)]
enum Choice {
    Create,
    Repeat,
    Burst,
    Join,
    Leave,
    End,
    Running,
    Info,
    List,
    Dismiss,
    Server,
    Spell,
    Partition,
    ServerCrash,
    Outage,
    StoreLoss,
    ReplicaCrash,
    Clock,
}

/// Draws what happens next.
pub(crate) struct Workload {
    scenario: Scenario,
    dice: Dice,
    named: usize,
    choices: Vec<(u64, Choice)>,
}

/// The name of a server.
#[must_use]
pub(crate) fn host(number: usize) -> String {
    format!("bbb{number}.test")
}

/// The id of a tenant.
#[must_use]
pub(crate) fn tenant(number: usize) -> String {
    format!("tenant-{number}")
}

impl Workload {
    /// That of a scenario.
    #[must_use]
    pub(crate) fn new(scenario: Scenario, dice: Dice) -> Self {
        let when = |wanted: bool, weight| if wanted { weight } else { 0 };
        let choices = vec![
            (18, Choice::Create),
            (8, Choice::Repeat),
            (4, Choice::Burst),
            (22, Choice::Join),
            (8, Choice::Leave),
            (5, Choice::End),
            (5, Choice::Running),
            (5, Choice::Info),
            (3, Choice::List),
            (1, Choice::Dismiss),
            (when(scenario.administration, 8), Choice::Server),
            (when(scenario.server_faults, 8), Choice::Spell),
            (when(scenario.server_faults, 3), Choice::Partition),
            (when(scenario.server_crashes, 3), Choice::ServerCrash),
            (when(scenario.store_faults, 4), Choice::Outage),
            (when(scenario.store_loss, 3), Choice::StoreLoss),
            (when(scenario.replica_crashes, 4), Choice::ReplicaCrash),
            (when(scenario.skew_ms > 0, 3), Choice::Clock),
        ];
        Self { scenario, dice, named: 0, choices }
    }

    /// The pause before the next thing, in ms.
    pub(crate) fn pause_ms(&mut self) -> u64 {
        let max = self.scenario.pause_ms_max;
        if self.dice.percent(25) { self.dice.between(0, 50) } else { self.dice.between(0, max) }
    }

    /// The replica that the next call goes to.
    pub(crate) fn replica(&mut self) -> usize {
        self.dice.index(self.scenario.replicas)
    }

    /// The next thing.
    pub(crate) fn next(&mut self, running: &[MeetingKey]) -> Action {
        match self.dice.weighted(&self.choices) {
            Some(Choice::Repeat) => {
                let key = self.known(running);
                Action::Create(vec![self.create(key)])
            }
            Some(Choice::Burst) => self.burst(),
            Some(Choice::Join) => Action::Join(self.known(running), self.dice.between(1, 4)),
            Some(Choice::Leave) => Action::Leave(self.known(running), self.dice.between(1, 6)),
            Some(Choice::End) => Action::End(self.known(running)),
            Some(Choice::Running) => Action::Running(self.known(running)),
            Some(Choice::Info) => Action::Info(self.known(running)),
            Some(Choice::List) => Action::List(self.any_tenant()),
            Some(Choice::Dismiss) => Action::Dismiss(self.known(running)),
            Some(Choice::Server) => self.deed(),
            Some(Choice::StoreLoss) => Action::StoreLoss,
            Some(Choice::Clock) => {
                let range = self.scenario.skew_ms.unsigned_abs();
                let offset = i64::try_from(self.dice.between(0, range)).unwrap_or(0);
                Action::Clock(self.replica(), offset)
            }
            Some(Choice::Create) | None => {
                let key = self.new_key();
                Action::Create(vec![self.create(key)])
            }
            Some(trouble) => self.trouble(trouble),
        }
    }

    fn trouble(&mut self, choice: Choice) -> Action {
        let host = host(self.dice.index(self.scenario.servers) + 1);
        let replica = self.replica();
        let long_ms = self.dice.between(2_000, 150_000);
        match choice {
            Choice::ServerCrash => Action::ServerCrash(host, long_ms.min(70_000)),
            Choice::Partition => Action::Partition(replica, host, long_ms),
            Choice::ReplicaCrash => Action::ReplicaCrash(replica, long_ms.min(20_000)),
            Choice::Outage => {
                let whose = self.dice.percent(60).then_some(replica);
                let percent = [10, 40, 100][self.dice.index(3)];
                Action::Outage(whose, percent, long_ms.min(40_000))
            }
            _ => {
                let count = self.dice.between(1, 3);
                let faults = (0..count).filter_map(|_| self.dice.pick(&Fault::ALL).copied());
                let faults = faults.collect();
                Action::Spell(host, faults, [30, 60, 100][self.dice.index(3)], long_ms)
            }
        }
    }

    fn any_tenant(&mut self) -> Option<String> {
        let count = self.scenario.tenants;
        (count > 0).then(|| tenant(self.dice.index(count) + 1))
    }

    fn new_key(&mut self) -> MeetingKey {
        let tenant = self.any_tenant();
        self.named += 1;
        let id = if self.dice.percent(25) {
            format!("shared-{}", self.dice.index(SHARED_NAMES))
        } else {
            format!("room-{}", self.named)
        };
        MeetingKey { tenant, id }
    }

    /// Mostly a meeting that runs; now and then one that never did, or is another tenant's.
    fn known(&mut self, running: &[MeetingKey]) -> MeetingKey {
        if self.dice.percent(12) {
            return self.new_key();
        }
        let picked = self.dice.pick(running).cloned();
        match picked {
            Some(key) if self.dice.percent(10) => {
                MeetingKey { tenant: self.any_tenant(), id: key.id }
            }
            Some(key) => key,
            None => self.new_key(),
        }
    }

    fn create(&mut self, key: MeetingKey) -> Create {
        let external = self.scenario.external_bridges && self.dice.percent(60);
        let voice_bridge = external.then(|| self.dice.pick(&BRIDGES).copied()).flatten();
        // A front-end always does it the same way for one meeting.
        let with_passwords = key.id.bytes().last().is_some_and(|last| last.is_multiple_of(2));
        Create { with_passwords, voice_bridge, key }
    }

    fn burst(&mut self) -> Action {
        let count = self.dice.between(2, 8);
        let one = self.dice.percent(50);
        let mut key = self.new_key();
        let mut creates = Vec::new();
        for _ in 0..count {
            creates.push(self.create(key.clone()));
            if !one {
                key = self.new_key();
            }
        }
        Action::Create(creates)
    }

    fn deed(&mut self) -> Action {
        let deeds = [
            (10, ServerDeed::Enable),
            (4, ServerDeed::Cordon),
            (2, ServerDeed::Disable),
            (2, ServerDeed::Add),
            (1, ServerDeed::Remove),
            (1, ServerDeed::Panic),
        ];
        let deed = self.dice.weighted(&deeds).unwrap_or(ServerDeed::Enable);
        let known = if deed == ServerDeed::Add { SERVERS_MAX } else { self.scenario.servers };
        Action::Server(deed, host(self.dice.index(known) + 1))
    }
}
