//! The state of one run: the simulated servers, the faults, the store that all replicas share, what
//! the checkers know, and the log. No lock is held across an await.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use app::memory::MemoryRecordings;
use app::ports::EndCallbacks as _;
use domain::{MeetingKey, Timestamp};
use tokio::time::Instant;

use super::checkers::{self, StoreChange};
use super::entries::SimServers;
use super::expectations::Expectations;
use super::fault_schedule::FaultSchedule;
use super::log::{RUN_START, RunLog};
use super::rules::Rules;
use super::scenario::Scenario;
use super::store_proxy::StoreProxy;
use super::use_case::{UseCase, UseCaseKind};

/// The name under which the loss of all data of the store is checked, like an operation.
pub(crate) const STORE_LOSS: &str = "loss of the store";

/// The state of one run.
pub(crate) struct SimRun {
    started_at: Instant,
    clock_step_ms: AtomicI64,
    /// The scenario of the run.
    pub(crate) scenario: Scenario,
    /// What the checkers expect.
    pub(crate) rules: Rules,
    /// The store, without latency and faults.
    pub(crate) store: Arc<StoreProxy>,
    /// The store of end callbacks and messages. It never fails.
    pub(crate) records: Arc<MemoryRecordings>,
    servers: Mutex<SimServers>,
    faults: Mutex<FaultSchedule>,
    expectations: Mutex<Expectations>,
    log: Mutex<RunLog>,
}

fn lock_mutex<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimRun {
    /// A run that begins now.
    #[must_use]
    pub(crate) fn new(
        scenario: Scenario,
        rules: Rules,
        store: StoreProxy,
        faults: FaultSchedule,
        log: RunLog,
    ) -> Self {
        Self {
            started_at: Instant::now(),
            clock_step_ms: AtomicI64::new(0),
            scenario,
            rules,
            store: Arc::new(store),
            records: Arc::default(),
            servers: Mutex::default(),
            faults: Mutex::new(faults),
            expectations: Mutex::default(),
            log: Mutex::new(log),
        }
    }

    /// Returns the true time, which the clocks of replicas may deviate from.
    pub(crate) fn now(&self) -> Timestamp {
        RUN_START.plus_ms(self.elapsed_ms())
    }

    /// Returns how far the clocks of all replicas were set from the true time, in ms.
    pub(crate) fn clock_step_ms(&self) -> i64 {
        self.clock_step_ms.load(Ordering::SeqCst)
    }

    /// Sets the clocks of all replicas to this distance from the true time, in ms.
    pub(crate) fn set_clock_step_ms(&self, ms: i64) {
        self.clock_step_ms.store(ms, Ordering::SeqCst);
    }

    /// Returns the time since the beginning of the run, in ms.
    pub(crate) fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Locks the simulated servers.
    pub(crate) fn servers(&self) -> MutexGuard<'_, SimServers> {
        lock_mutex(&self.servers)
    }

    /// Locks the faults.
    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultSchedule> {
        lock_mutex(&self.faults)
    }

    /// Locks what the checkers know.
    pub(crate) fn expectations(&self) -> MutexGuard<'_, Expectations> {
        lock_mutex(&self.expectations)
    }

    /// Locks the log.
    pub(crate) fn log(&self) -> MutexGuard<'_, RunLog> {
        lock_mutex(&self.log)
    }

    /// Adds a line to the trace, if the run keeps one.
    pub(crate) fn write_trace(&self, line: impl FnOnce() -> String) {
        let at_ms = self.elapsed_ms();
        let mut log = self.log();
        if log.keeps_trace {
            log.push_line(at_ms, &line());
        }
    }

    /// Counts an event.
    pub(crate) fn count_event(&self, event: &'static str) {
        let at_ms = self.elapsed_ms();
        self.log().count_event(at_ms, event);
    }

    /// Records the result of a checker.
    pub(crate) fn record_check(&self, checker: &'static str, result: Result<(), String>) {
        let is_meant =
            !self.scenario.clock_steps || !checkers::clocks::BY_TRUE_TIME.contains(&checker);
        if let (true, Err(message)) = (is_meant, result) {
            let at_ms = self.elapsed_ms();
            self.log().record_violation(at_ms, checker, message);
        }
    }

    /// Loses the end callbacks of a meeting.
    pub(crate) async fn forget_end_callbacks(&self, key: &MeetingKey) {
        for callback in self.records.list_end_callbacks(key).await.unwrap_or_default() {
            let _ = self.records.finish_end_callback(&callback, None).await;
        }
    }

    /// Notes that a server is, or is about to be, asked to create a meeting.
    pub(crate) fn note_asked_create(&self, host: &str, id: &str) {
        let now = self.now();
        if let Some(sim_server) = self.servers().get_mut(host) {
            sim_server.asked_creates.push((id.to_owned(), now));
        }
    }

    /// Begins a use case.
    pub(crate) fn begin_use_case(&self, replica: usize, kind: UseCaseKind) -> Arc<UseCase> {
        self.count_event("use cases");
        let number = self.log().counts.get("use cases").copied().unwrap_or(0);
        let use_case = Arc::new(UseCase::new(number, replica, kind, self.now()));
        let mut expectations = self.expectations();
        expectations.running.insert(number, use_case.clone());
        if let UseCaseKind::Create(key) = &use_case.kind {
            expectations.created_at.insert(key.clone(), use_case.started_at);
            expectations.end_beliefs.entry(key.clone()).or_default().may_be_told = true;
        }
        use_case
    }

    /// Records that an operation has changed the store, and runs the checkers of store changes.
    pub(crate) async fn check_store_change(&self, use_case: &UseCase, operation: &'static str) {
        let after = self.store.snapshot().await;
        let now = self.now();
        let mut expectations = self.expectations();
        let before = expectations.record_snapshot(now, after);
        if operation == STORE_LOSS {
            expectations.store_lost_at = Some(now);
            let running: Vec<u64> = expectations.running.keys().copied().collect();
            expectations.running_at_loss.extend(running);
        }
        let mut sim_servers = self.servers();
        if let (UseCaseKind::Create(key), "forget_meeting") = (&use_case.kind, operation) {
            // Its server was cordoned and answered that the meeting had no users.
            let host = before.meeting(key).map(|meeting| &meeting.server.0);
            let sim_server = host.and_then(|host| sim_servers.get_mut(host));
            if let Some(sim_meeting) = sim_server.and_then(|it| it.meetings.get_mut(&key.id)) {
                sim_meeting.abandon_reason = Some("it was empty on a cordoned server");
            }
        }
        let change = StoreChange {
            before: &before,
            after: &expectations.last_snapshot,
            expectations: &expectations,
            use_case,
            operation,
            now,
            servers: &sim_servers,
            rules: &self.rules,
        };
        for (checker, check) in checkers::STORE_CHANGE_CHECKERS {
            self.record_check(checker, check(&change));
        }
    }
}
