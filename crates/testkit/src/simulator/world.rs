//! The world of one run: the servers as they really are, the weather, the store that all replicas
//! share, and what is known about it all. Locks are held for moments only, never across a wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::Timestamp;
use tokio::time::Instant;

use super::checkers::{self, Step};
use super::ledger::Ledger;
use super::log::{BEGIN, Log};
use super::machine::Machine;
use super::op::{Kind, Op};
use super::rules::Rules;
use super::scenario::Scenario;
use super::vault::Vault;
use super::weather::Weather;

/// Servers by their names.
pub(crate) type Machines = BTreeMap<String, Machine>;

/// The world.
pub(crate) struct World {
    begun: Instant,
    /// What this run is like.
    pub(crate) scenario: Scenario,
    /// What is expected.
    pub(crate) rules: Rules,
    /// The store without any faults.
    pub(crate) vault: Arc<Vault>,
    machines: Mutex<Machines>,
    weather: Mutex<Weather>,
    ledger: Mutex<Ledger>,
    log: Mutex<Log>,
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// A world that begins.
    #[must_use]
    pub(crate) fn new(
        scenario: Scenario,
        rules: Rules,
        vault: Vault,
        weather: Weather,
        log: Log,
    ) -> Self {
        Self {
            begun: Instant::now(),
            scenario,
            rules,
            vault: Arc::new(vault),
            machines: Mutex::default(),
            weather: Mutex::new(weather),
            ledger: Mutex::default(),
            log: Mutex::new(log),
        }
    }

    /// The true time.
    pub(crate) fn now(&self) -> Timestamp {
        BEGIN.plus_ms(self.elapsed_ms())
    }

    /// Since the run began.
    pub(crate) fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// The servers.
    pub(crate) fn machines(&self) -> MutexGuard<'_, Machines> {
        held(&self.machines)
    }

    /// The weather.
    pub(crate) fn weather(&self) -> MutexGuard<'_, Weather> {
        held(&self.weather)
    }

    /// What has happened.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        held(&self.ledger)
    }

    /// What is written down.
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        held(&self.log)
    }

    /// Writes a line, if lines are kept.
    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        let at_ms = self.elapsed_ms();
        let mut log = self.log();
        if log.traces {
            log.line(at_ms, &line());
        }
    }

    /// Counts one thing.
    pub(crate) fn count(&self, what: &'static str) {
        let at_ms = self.elapsed_ms();
        self.log().count(at_ms, what);
    }

    /// A checker has spoken.
    pub(crate) fn judge(&self, checker: &'static str, verdict: Result<(), String>) {
        if let Err(message) = verdict {
            let at_ms = self.elapsed_ms();
            self.log().violation(at_ms, checker, message);
        }
    }

    /// A use case begins.
    pub(crate) fn begin(&self, replica: usize, kind: Kind) -> Arc<Op> {
        let number = u64::try_from(self.count_op()).unwrap_or(0);
        let op = Arc::new(Op::new(number, replica, kind, self.now()));
        let mut ledger = self.ledger();
        ledger.under_way.insert(number, op.clone());
        if let Kind::Create(key) = &op.kind {
            ledger.created_at.insert(key.clone(), op.began);
        }
        op
    }

    fn count_op(&self) -> usize {
        self.count("use cases");
        self.log().counts.get("use cases").map_or(0, |count| usize::try_from(*count).unwrap_or(0))
    }

    /// The store has changed: notes it, and has it looked at.
    pub(crate) async fn changed(&self, op: &Op, call: &'static str) {
        let after = self.vault.snapshot().await;
        let now = self.now();
        let mut ledger = self.ledger();
        let before = ledger.note(now, after);
        if call == "lost" {
            ledger.lost_at = Some(now);
        }
        let mut machines = self.machines();
        if let (Kind::Create(key), "forget") = (&op.kind, call) {
            // Its server was cordoned and said that nobody was in it.
            let homes = before.meeting(key).map(|meeting| &meeting.server.0);
            let machine = homes.and_then(|host| machines.get_mut(host));
            if let Some(room) = machine.and_then(|machine| machine.rooms.get_mut(&key.id)) {
                room.written_off = Some("it was empty on a cordoned server");
            }
        }
        let step = Step {
            before: &before,
            after: &ledger.last,
            ledger: &ledger,
            op,
            call,
            now,
            machines: &machines,
            rules: &self.rules,
        };
        for (checker, check) in checkers::STEP {
            self.judge(checker, check(&step));
        }
    }
}
