//! The result of a chaos run: which calls failed without an explanation, and which requirements on
//! the balancer were not met. The text of the report is in `report_text`.

use super::audit::Audit;
use super::call_records::{CallRecords, CreateReason, CreateRecord, JoinRecord};
use super::clients::CLIENT_TIMEOUT;
use super::failure_causes::{self, FailureCause};
use super::faults::{ScheduledFault, ServerFault};
use super::monitor::{CHECK_INTERVAL, CreateArrival, MonitorLog};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

/// Longest duration of a create: front-ends close the connection afterwards.
pub(super) const MAX_CREATE_TIME: Duration = Duration::from_secs(10);
/// What a busy machine may add to it.
const MARGIN: Duration = Duration::from_secs(2);
/// Largest memory of the balancer.
const MAX_MEMORY_MIB: u64 = 300;

/// The result of a chaos run.
#[derive(Debug)]
pub struct ChaosReport {
    /// The plan, in one line.
    pub(super) heading: String,
    /// The faults, with the times at which they were applied and cleared.
    pub(super) faults: Vec<ScheduledFault>,
    /// The creates of the clients.
    pub(super) creates: Vec<CreateRecord>,
    /// The joins of the clients.
    pub(super) joins: Vec<JoinRecord>,
    /// The creates that arrived at servers.
    pub(super) arrivals: Vec<CreateArrival>,
    /// Number of `end` calls that arrived at servers.
    pub(super) end_count: usize,
    /// Errors of the management call that lists the servers.
    pub(super) failed_reads: Vec<String>,
    /// The final checks.
    pub(super) audit: Audit,
    /// The largest memory of the balancer.
    pub(super) memory_mib: u64,
    /// The log of the balancer.
    pub(super) log: String,
}

impl ChaosReport {
    pub(super) fn new(
        heading: String,
        faults: Vec<ScheduledFault>,
        records: CallRecords,
        monitor_log: MonitorLog,
        audit: Audit,
    ) -> Self {
        let CallRecords { creates, joins, .. } = records;
        let MonitorLog { mut arrivals, end_count, failed_reads, .. } = monitor_log;
        // Later arrivals were caused by the final checks.
        let last = creates.iter().map(CreateRecord::finished_at).max().unwrap_or_default();
        arrivals.retain(|arrival| arrival.arrived_by <= last + CHECK_INTERVAL);
        Self {
            heading,
            faults,
            creates,
            joins,
            arrivals,
            end_count,
            failed_reads,
            audit,
            memory_mib: 0,
            log: String::new(),
        }
    }

    /// Returns the log of the balancer.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.log
    }

    /// Returns findings that make the whole run a failure.
    #[must_use]
    pub fn fatal_findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        if self.log.contains("panicked") {
            findings.push("the balancer panicked".to_owned());
        }
        if self.memory_mib > MAX_MEMORY_MIB {
            findings.push(format!("the balancer used {} MiB of memory", self.memory_mib));
        }
        if !self.creates.iter().any(|create| create.result.is_ok()) {
            findings.push("no create succeeded".to_owned());
        }
        if !self.joins.iter().any(JoinRecord::is_successful) {
            findings.push("no join succeeded".to_owned());
        }
        findings
    }

    /// Returns the requirements that were not met, each with a count.
    #[must_use]
    pub fn unmet_requirements(&self) -> Vec<String> {
        let audit = &self.audit;
        let counts = [
            (self.unexplained_failed_creates().count(), "creates failed without an explanation"),
            (self.late_creates().count(), "creates took too long"),
            (self.missing_meetings().count(), "creates succeeded but no server had the meeting"),
            (self.classify_failed_joins().1.len(), "joins failed without an explanation"),
            (self.late_failed_joins().count(), "joins failed long after their server's death"),
            (audit.duplicates.len(), "meetings run on more than one server"),
            (audit.offline.len(), "healthy servers are offline"),
            (audit.unreachable.len(), "running meetings cannot be joined"),
            (audit.vanished.len(), "meetings vanished"),
            (audit.not_recreatable.len(), "lost meetings cannot be created again"),
            (self.failed_reads.len(), "reads of the list of servers failed"),
        ];
        let unmet = counts.into_iter().filter(|(count, _)| *count > 0);
        unmet.map(|(count, what)| format!("{count} {what}")).collect()
    }

    pub(super) fn failed_creates(&self) -> impl Iterator<Item = &CreateRecord> {
        self.creates.iter().filter(|create| create.result.is_err())
    }

    /// Returns failed creates that no fault explains.
    pub(super) fn unexplained_failed_creates(&self) -> impl Iterator<Item = &CreateRecord> {
        let locations = failure_causes::collect_locations(&self.creates, &self.joins);
        self.failed_creates().filter(move |create| {
            !failure_causes::is_create_failure_explained(create, &self.faults, &locations)
                && !self.has_met_two_faults(create)
        })
    }

    /// Returns creates that took longer than front-ends wait.
    pub(super) fn late_creates(&self) -> impl Iterator<Item = &CreateRecord> {
        self.creates.iter().filter(|create| {
            let limit = if self.may_be_slow(create) { CLIENT_TIMEOUT } else { MAX_CREATE_TIME };
            create.duration > limit + MARGIN && !self.has_met_two_faults(create)
        })
    }

    /// Returns whether a create arrived at two servers or more, each of them in the middle of a fault. One that loses requests and
    /// lives on is waited for as long as RESPONSE_TIMEOUT says, and clients wait for no two of these times.
    fn has_met_two_faults(&self, create: &CreateRecord) -> bool {
        let (from, to) = (create.due_at, create.finished_at());
        let of_create = |arrival: &&CreateArrival| {
            arrival.id == create.id && arrival.arrived_by >= from && arrival.arrived_by <= to
        };
        let is_in_fault = |arrival: &CreateArrival| {
            let at = arrival.arrived_by;
            let mut faults = self.faults.iter();
            faults.any(|fault| fault.server == arrival.server && fault.overlaps(at, at))
        };
        let arrivals: Vec<&CreateArrival> = self.arrivals.iter().filter(of_create).collect();
        let servers: BTreeSet<usize> = arrivals.iter().map(|arrival| arrival.server).collect();
        servers.len() >= 2 && arrivals.iter().filter(|arrival| is_in_fault(arrival)).count() >= 2
    }

    /// Returns whether some server was slow to create meetings during a create.
    fn may_be_slow(&self, create: &CreateRecord) -> bool {
        let (from, to) = (create.due_at, create.finished_at());
        let is_slow = |fault: &ScheduledFault| {
            fault.kind == ServerFault::SlowCreates && fault.overlaps(from, to)
        };
        self.faults.iter().any(is_slow)
    }

    /// Returns new meetings' creates that no server with a fault has got.
    pub(super) fn creates_on_healthy_servers(&self) -> impl Iterator<Item = &CreateRecord> {
        let is_disturbed = |arrival: &CreateArrival, create: &CreateRecord| {
            let (from, to) = (create.due_at.saturating_sub(MARGIN), create.finished_at());
            let on_server = |fault: &&ScheduledFault| fault.server == arrival.server;
            self.faults.iter().filter(on_server).any(|fault| fault.overlaps(from, to))
        };
        self.creates.iter().filter(move |create| {
            let mut arrivals = self.arrivals.iter().filter(|arrival| arrival.id == create.id);
            create.reason == CreateReason::New
                && create.result.is_ok()
                && !arrivals.any(|arrival| is_disturbed(arrival, create))
        })
    }

    /// Returns failed joins to meetings whose servers had been dead for long.
    pub(super) fn late_failed_joins(&self) -> impl Iterator<Item = &JoinRecord> {
        let locations = failure_causes::collect_locations(&self.creates, &self.joins);
        let failed = self.joins.iter().filter(|join| !join.is_successful());
        failed.filter(move |join| failure_causes::is_late_failure(join, &self.faults, &locations))
    }

    /// Returns successful creates whose meeting no server had, although no server that may have had
    /// it was killed.
    fn missing_meetings(&self) -> impl Iterator<Item = &CreateRecord> {
        self.creates.iter().filter(|create| {
            let is_nowhere = create.result.as_ref().is_ok_and(|location| location.server.is_none());
            let may_have_lost_it = |fault: &ScheduledFault| {
                fault.kind.loses_meetings() && fault.overlaps(create.due_at, create.finished_at())
            };
            is_nowhere && !self.faults.iter().any(may_have_lost_it)
        })
    }

    /// Counts failed joins by their cause; returns those without one as a list.
    pub(super) fn classify_failed_joins(
        &self,
    ) -> (BTreeMap<FailureCause, usize>, Vec<&JoinRecord>) {
        let locations = failure_causes::collect_locations(&self.creates, &self.joins);
        let (mut explained, mut unexplained) = (BTreeMap::new(), Vec::new());
        for join in self.joins.iter().filter(|join| !join.is_successful()) {
            match failure_causes::find_cause(join, &self.faults, &locations) {
                Some(cause) => *explained.entry(cause).or_default() += 1,
                None => unexplained.push(join),
            }
        }
        (explained, unexplained)
    }
}
