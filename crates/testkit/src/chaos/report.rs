//! The result of a chaos run: which calls failed without an explanation, and which requirements on
//! the balancer were not met. The text of the report is in `report_text`.

use super::audit::Audit;
use super::call_records::{CallRecords, CreateRecord, JoinRecord};
use super::failure_causes::{self, FailureCause};
use super::faults::ScheduledFault;
use super::monitor::{CHECK_INTERVAL, CreateArrival, MonitorLog};
use std::collections::BTreeMap;
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
        let locations = failure_causes::collect_locations(&self.creates);
        self.failed_creates().filter(move |create| {
            !failure_causes::is_create_failure_explained(create, &self.faults, &locations)
        })
    }

    /// Returns creates that took longer than front-ends wait.
    pub(super) fn late_creates(&self) -> impl Iterator<Item = &CreateRecord> {
        self.creates.iter().filter(|create| create.duration > MAX_CREATE_TIME + MARGIN)
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
        let locations = failure_causes::collect_locations(&self.creates);
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
