//! The world of one run: the servers as they really are, the weather, the store that all replicas
//! share, and what is known about it all. Locks are held for moments only, never across a wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::Timestamp;
use tokio::time::Instant;

use super::checkers::{self, StoreChange};
use super::expectations::Expectations;
use super::fault_schedule::FaultSchedule;
use super::log::{RUN_START, RunLog};
use super::rules::Rules;
use super::scenario::Scenario;
use super::sim_server::SimServer;
use super::store_proxy::StoreProxy;
use super::use_case::{UseCase, UseCaseKind};

/// Servers by their names.
pub(crate) type SimServers = BTreeMap<String, SimServer>;

/// The world.
pub(crate) struct SimRun {
    started_at: Instant,
    /// What this run is like.
    pub(crate) scenario: Scenario,
    /// What is expected.
    pub(crate) rules: Rules,
    /// The store without any faults.
    pub(crate) store: Arc<StoreProxy>,
    servers: Mutex<SimServers>,
    faults: Mutex<FaultSchedule>,
    expectations: Mutex<Expectations>,
    log: Mutex<RunLog>,
}

fn lock_mutex<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimRun {
    /// A world that begins.
    #[must_use]
    pub(crate) fn new(
        scenario: Scenario,
        rules: Rules,
        vault: StoreProxy,
        weather: FaultSchedule,
        log: RunLog,
    ) -> Self {
        Self {
            started_at: Instant::now(),
            scenario,
            rules,
            store: Arc::new(vault),
            servers: Mutex::default(),
            faults: Mutex::new(weather),
            expectations: Mutex::default(),
            log: Mutex::new(log),
        }
    }

    /// The true time.
    pub(crate) fn now(&self) -> Timestamp {
        RUN_START.plus_ms(self.elapsed_ms())
    }

    /// Since the run began.
    pub(crate) fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// The servers.
    pub(crate) fn servers(&self) -> MutexGuard<'_, SimServers> {
        lock_mutex(&self.servers)
    }

    /// The weather.
    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultSchedule> {
        lock_mutex(&self.faults)
    }

    /// What has happened.
    pub(crate) fn expectations(&self) -> MutexGuard<'_, Expectations> {
        lock_mutex(&self.expectations)
    }

    /// What is written down.
    pub(crate) fn log(&self) -> MutexGuard<'_, RunLog> {
        lock_mutex(&self.log)
    }

    /// Writes a line, if lines are kept.
    pub(crate) fn write_trace(&self, line: impl FnOnce() -> String) {
        let at_ms = self.elapsed_ms();
        let mut log = self.log();
        if log.keeps_trace {
            log.push_line(at_ms, &line());
        }
    }

    /// Counts one thing.
    pub(crate) fn count_event(&self, what: &'static str) {
        let at_ms = self.elapsed_ms();
        self.log().count_event(at_ms, what);
    }

    /// A checker has spoken.
    pub(crate) fn record_check(&self, checker: &'static str, verdict: Result<(), String>) {
        if let Err(message) = verdict {
            let at_ms = self.elapsed_ms();
            self.log().record_violation(at_ms, checker, message);
        }
    }

    /// A use case begins.
    pub(crate) fn begin_use_case(&self, replica: usize, kind: UseCaseKind) -> Arc<UseCase> {
        let number = u64::try_from(self.count_use_case()).unwrap_or(0);
        let op = Arc::new(UseCase::new(number, replica, kind, self.now()));
        let mut ledger = self.expectations();
        ledger.running.insert(number, op.clone());
        if let UseCaseKind::Create(key) = &op.kind {
            ledger.created_at.insert(key.clone(), op.started_at);
        }
        op
    }

    fn count_use_case(&self) -> usize {
        self.count_event("use cases");
        self.log().counts.get("use cases").map_or(0, |count| usize::try_from(*count).unwrap_or(0))
    }

    /// The store has changed: notes it, and has it looked at.
    pub(crate) async fn check_store_change(&self, op: &UseCase, call: &'static str) {
        let after = self.store.snapshot().await;
        let now = self.now();
        let mut ledger = self.expectations();
        let before = ledger.record_snapshot(now, after);
        if call == "lost" {
            ledger.store_lost_at = Some(now);
        }
        let mut machines = self.servers();
        if let (UseCaseKind::Create(key), "forget") = (&op.kind, call) {
            // Its server was cordoned and said that nobody was in it.
            let homes = before.meeting(key).map(|meeting| &meeting.server.0);
            let machine = homes.and_then(|host| machines.get_mut(host));
            if let Some(room) = machine.and_then(|machine| machine.meetings.get_mut(&key.id)) {
                room.abandon_reason = Some("it was empty on a cordoned server");
            }
        }
        let step = StoreChange {
            before: &before,
            after: &ledger.last_snapshot,
            expectations: &ledger,
            use_case: op,
            operation: call,
            now,
            servers: &machines,
            rules: &self.rules,
        };
        for (checker, check) in checkers::STORE_CHANGE_CHECKERS {
            self.record_check(checker, check(&step));
        }
    }
}
