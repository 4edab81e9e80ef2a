//! The text of the report of a chaos run: figures, and examples of failed calls.

use super::call_records::{CreateReason, CreateRecord, JoinRecord};
use super::clients::CLIENT_TIMEOUT;
use super::failure_causes::{DETECTION_TIME, MAX_OUTAGE};
use super::faults::ScheduledFault;
use super::monitor::{CHECK_INTERVAL, CreateArrival};
use super::report::{ChaosReport, MAX_CREATE_TIME};
use crate::quantile::{quantile, to_ms};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::time::Duration;

/// Length of the window of time whose creates took longest.
const WINDOW: Duration = Duration::from_secs(10);
/// Number of examples shown of each kind of failure.
const MAX_EXAMPLES: usize = 12;
/// What the balancer logs when a server did not answer a call.
const FAILED_CALL_MESSAGE: &str = "call to server failed";
/// What the balancer logs when it has made a meeting anew.
const REVIVED_MESSAGE: &str = "meeting revived";

impl ChaosReport {
    fn write_creates(&self, out: &mut String) -> fmt::Result {
        let count = |reason| self.creates.iter().filter(|create| create.reason == reason).count();
        let (all, failed) = (self.creates.len(), self.failed_creates().count());
        writeln!(
            out,
            "creates      {all} ({} new, {} repeated, {} after a failed join), {failed} failed, {} \
             of them because the meeting's own server did not answer creates, {} took longer than \
             {} s",
            count(CreateReason::New),
            count(CreateReason::Repeated),
            count(CreateReason::AfterFailedJoin),
            failed - self.unexplained_failed_creates().count(),
            self.late_creates().count(),
            MAX_CREATE_TIME.as_secs(),
        )?;
        writeln!(out, "  overall    {}", latency_summary(self.creates.iter()))?;
        let healthy = latency_summary(self.creates_on_healthy_servers());
        writeln!(out, "  healthy    {healthy}, new ones on servers without faults")?;
        if let Some((start, creates)) = slowest_window(&self.creates) {
            let (from, to) = (start.as_secs(), (start + WINDOW).as_secs());
            let summary = latency_summary(creates.into_iter());
            writeln!(out, "  slowest    {summary}, from {from} s to {to} s")?;
        }
        let mut causes = BTreeMap::<_, usize>::new();
        for create in self.failed_creates() {
            let error = create.result.as_ref().err().map_or("", String::as_str);
            let faults = self.faults_of_create(create);
            *causes.entry(format!("{} ({faults}): {error}", create.reason)).or_default() += 1;
        }
        for (cause, count) in causes {
            writeln!(out, "  {count} × {cause}")?;
        }
        for create in self.unexplained_failed_creates().take(MAX_EXAMPLES) {
            self.write_failed_create(out, create)?;
        }
        Ok(())
    }

    /// Writes a failed create, the servers at which it arrived, and the balancer's log of it.
    fn write_failed_create(&self, out: &mut String, create: &CreateRecord) -> fmt::Result {
        let CreateRecord { id, reason, due_at, duration, result } = create;
        let error = result.as_ref().err().map_or("", String::as_str);
        let (from, to) = (*due_at, create.finished_at());
        let start = from.as_secs_f64();
        writeln!(out, "  failed: {id} ({reason}) at {start:.1} s after {duration:.1?}: {error}")?;
        let is_of_create = |arrival: &&CreateArrival| {
            arrival.id == *id && arrival.arrived_by >= from && arrival.arrived_by <= to + WINDOW
        };
        for CreateArrival { server, arrived_by, .. } in self.arrivals.iter().filter(is_of_create) {
            let (faults, by) = (self.faults_of_server(*server, from, to), arrived_by.as_secs_f64());
            writeln!(out, "    arrived at server {server} before {by:.1} s: {faults}")?;
        }
        let field = format!("meeting=\"{id}\"");
        for line in self.log.lines().filter(|line| line.contains(&field)).take(MAX_EXAMPLES) {
            writeln!(out, "    log: {line}")?;
        }
        let faults = self.faults.iter().filter(|fault| fault.overlaps(from, to));
        let faults: Vec<_> = faults.map(ScheduledFault::to_string).collect();
        writeln!(out, "    faults at that time: {}", faults.join(", "))
    }

    /// Describes the faults of the servers at which a create arrived.
    fn faults_of_create(&self, create: &CreateRecord) -> String {
        let (from, to) = (create.due_at, create.finished_at());
        let mut kinds = BTreeSet::new();
        for arrival in self.arrivals.iter().filter(|arrival| arrival.id == create.id) {
            // The monitor observes an arrival after it has happened.
            if arrival.arrived_by < from || arrival.arrived_by > to + 2 * CHECK_INTERVAL {
                continue;
            }
            let is_relevant = |fault: &&ScheduledFault| {
                fault.server == arrival.server && fault.overlaps(from, arrival.arrived_by)
            };
            let faults = self.faults.iter().filter(is_relevant);
            let faults: Vec<_> = faults.map(|fault| fault.kind.to_string()).collect();
            let healthy = faults.is_empty().then(|| "healthy".to_owned());
            kinds.extend(faults.into_iter().chain(healthy));
        }
        if kinds.is_empty() {
            return "arrived at no server".to_owned();
        }
        kinds.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// Describes the faults of a server between two times.
    fn faults_of_server(&self, server: usize, from: Duration, to: Duration) -> String {
        let is_relevant =
            |fault: &&ScheduledFault| fault.server == server && fault.overlaps(from, to);
        let faults: Vec<_> =
            self.faults.iter().filter(is_relevant).map(ScheduledFault::to_string).collect();
        if faults.is_empty() { "healthy".to_owned() } else { faults.join(", ") }
    }

    fn write_arrivals(&self, out: &mut String) -> fmt::Result {
        let is_blocked = |arrival: &&CreateArrival| {
            self.faults.iter().any(|fault| {
                fault.server == arrival.server
                    && fault.kind.blocks_creates()
                    && fault.overlaps(arrival.arrived_by, arrival.arrived_by)
            })
        };
        let known_offline = || self.arrivals.iter().filter(|arrival| arrival.known_offline);
        let mut at_servers = BTreeMap::<_, usize>::new();
        for arrival in &self.arrivals {
            *at_servers.entry((arrival.id.as_str(), arrival.server)).or_default() += 1;
        }
        let mut by_clients = BTreeMap::<_, usize>::new();
        for create in &self.creates {
            *by_clients.entry(create.id.as_str()).or_default() += 1;
        }
        let surplus = |((id, _), count): (&(&str, usize), &usize)| {
            count.saturating_sub(by_clients.get(id).copied().unwrap_or_default())
        };
        writeln!(
            out,
            "at servers   {} creates arrived, {} of them during a fault, {} at a server that the \
             balancer had listed as offline for a while, {} more than clients sent for that meeting \
             to one server; {} failed calls, {} ends",
            self.arrivals.len(),
            self.arrivals.iter().filter(is_blocked).count(),
            known_offline().count(),
            at_servers.iter().map(surplus).sum::<usize>(),
            self.log.matches(FAILED_CALL_MESSAGE).count(),
            self.end_count,
        )?;
        for CreateArrival { server, arrived_by, id, .. } in known_offline().take(MAX_EXAMPLES) {
            let faults =
                self.faults_of_server(*server, arrived_by.saturating_sub(WINDOW), *arrived_by);
            let by = arrived_by.as_secs_f64();
            writeln!(out, "    {id} at server {server} before {by:.1} s: {faults}")?;
        }
        Ok(())
    }

    fn write_joins(&self, out: &mut String) -> fmt::Result {
        let (explained, unexplained) = self.classify_failed_joins();
        let succeeded = self.joins.iter().filter(|join| join.is_successful()).count();
        let times: Vec<_> = self.joins.iter().map(|join| to_ms(&join.duration)).collect();
        let (p50, p99) = (quantile(times.clone(), 0.5), quantile(times, 0.99));
        let all = self.joins.len();
        writeln!(
            out,
            "joins        {all}, {succeeded} succeeded; p50 {p50:.0} ms, p99 {p99:.0} ms"
        )?;
        let after_create = self.joins.iter().filter(|join| join.after_create);
        let (all, succeeded) = (
            after_create.clone().count(),
            after_create.filter(|join| join.is_successful()).count(),
        );
        writeln!(out, "  after a create following a failed join: {succeeded} of {all} succeeded")?;
        let (count, late) = (unexplained.len(), self.late_failed_joins().collect::<Vec<_>>());
        let (outage, late_count) = (MAX_OUTAGE.as_secs(), late.len());
        let revived = self.log.matches(REVIVED_MESSAGE).count();
        writeln!(out, "  failed     {explained:?}, without an explanation {count}")?;
        writeln!(
            out,
            "  revivals   {revived}; {late_count} joins failed later than {outage} s after their \
             server's death"
        )?;
        for join in unexplained.into_iter().chain(late).take(MAX_EXAMPLES) {
            let JoinRecord { id, due_at, finished_at, location, outcome, .. } = join;
            let server = location.as_ref().and_then(|location| location.server);
            let since = due_at.saturating_sub(DETECTION_TIME * 4);
            let faults = server.map(|server| self.faults_of_server(server, since, *finished_at));
            let at = due_at.as_secs_f64();
            writeln!(out, "    {id} at {at:.1} s: on {location:?} ({faults:?}): {outcome:?}")?;
        }
        Ok(())
    }

    fn write_audit(&self, out: &mut String) -> fmt::Result {
        let audit = &self.audit;
        match audit.settled_after {
            Some(after) => writeln!(out, "settled      after {:.1} s", after.as_secs_f64())?,
            None => writeln!(out, "settled      never")?,
        }
        writeln!(
            out,
            "  meetings   {} lost with killed servers, {} vanished, {} running without an \
             acknowledged create, {} on several servers, {} with users on several servers, {} not joinable, {} not created again",
            audit.lost,
            audit.vanished.len(),
            audit.unacknowledged,
            audit.duplicates.len(),
            audit.contested,
            audit.unreachable.len(),
            audit.not_recreatable.len(),
        )?;
        writeln!(
            out,
            "  users      {} lost with killed servers, {} in meetings that were ended",
            audit.users_lost, audit.users_cut_off,
        )?;
        for (id, servers) in audit.duplicates.iter().take(MAX_EXAMPLES) {
            writeln!(out, "    on several servers: {id} on {servers:?}")?;
        }
        for id in audit.vanished.iter().take(MAX_EXAMPLES) {
            writeln!(out, "    vanished: {id}")?;
        }
        let failed = audit.unreachable.iter().chain(&audit.not_recreatable);
        for (id, reason) in failed.take(MAX_EXAMPLES) {
            writeln!(out, "    {id}: {reason}")?;
        }
        writeln!(out, "  offline    {:?} although healthy", audit.offline)
    }
}

impl fmt::Display for ChaosReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = format!("{}\n", self.heading);
        self.write_creates(&mut out)?;
        self.write_arrivals(&mut out)?;
        self.write_joins(&mut out)?;
        self.write_audit(&mut out)?;
        writeln!(out, "balancer     at most {} MiB of memory", self.memory_mib)?;
        for error in self.failed_reads.iter().take(MAX_EXAMPLES) {
            writeln!(out, "  list of servers not read: {error}")?;
        }
        let unmet = [self.fatal_findings(), self.unmet_requirements()].concat();
        if unmet.is_empty() {
            writeln!(out, "requirements met")?;
        } else {
            writeln!(out, "requirements NOT MET: {}", unmet.join("; "))?;
        }
        f.write_str(&out)
    }
}

/// Returns quantiles of the durations of creates. A failed one counts at most the time that a client
/// waits.
fn latency_summary<'a>(creates: impl Iterator<Item = &'a CreateRecord>) -> String {
    let times: Vec<_> = creates.map(|create| to_ms(&create.duration.min(CLIENT_TIMEOUT))).collect();
    let max = times.iter().copied().fold(0.0, f64::max);
    let (p50, p99) = (quantile(times.clone(), 0.5), quantile(times, 0.99));
    format!("p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms")
}

/// Returns the beginning and the creates of the window with the largest 99th percentile.
fn slowest_window(creates: &[CreateRecord]) -> Option<(Duration, Vec<&CreateRecord>)> {
    let last = creates.iter().map(|create| create.due_at).max()?;
    let starts = (0..=last.saturating_sub(WINDOW).as_secs()).map(Duration::from_secs);
    let windows = starts.map(|start| {
        let window = start..start + WINDOW;
        let inside = creates.iter().filter(|create| window.contains(&create.due_at));
        (start, inside.collect::<Vec<_>>())
    });
    let p99 = |creates: &[&CreateRecord]| {
        quantile(creates.iter().map(|create| to_ms(&create.duration)).collect(), 0.99)
    };
    windows.max_by(|a, b| p99(&a.1).total_cmp(&p99(&b.1)))
}
