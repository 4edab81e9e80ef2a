//! What came of it: figures, and what is not as it should be.

use super::audit::Audit;
use super::call_records::{CallRecords, CreateReason, CreateRecord, JoinOutcome, JoinRecord};
use super::clients::CLIENT_TIMEOUT;
use super::excuses::{self, DETECTION_TIME, Excuse};
use super::faults::ScheduledFault;
use super::monitor::{CHECK_INTERVAL, CreateArrival, MonitorLog};
use crate::quantile::{quantile, to_ms};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::time::Duration;

/// No create may take longer: front-ends hang up.
const MAX_CREATE_TIME: Duration = Duration::from_secs(10);
/// What a busy machine may add.
const MARGIN: Duration = Duration::from_secs(2);
/// Memory of the balancer at its most.
const MAX_MEMORY_MIB: u64 = 300;
/// The window whose creates took longest.
const WINDOW: Duration = Duration::from_secs(10);
/// Examples shown of each thing.
const MAX_EXAMPLES: usize = 12;

/// All that is known about a run.
#[derive(Debug)]
pub struct ChaosReport {
    pub(super) heading: String,
    pub(super) faults: Vec<ScheduledFault>,
    pub(super) creates: Vec<CreateRecord>,
    pub(super) joins: Vec<JoinRecord>,
    pub(super) arrivals: Vec<CreateArrival>,
    pub(super) end_count: usize,
    pub(super) failed_reads: Vec<String>,
    pub(super) audit: Audit,
    pub(super) memory_mib: u64,
    /// The balancer's log.
    pub(super) log: String,
}

impl ChaosReport {
    pub(super) fn new(
        head: String,
        strikes: Vec<ScheduledFault>,
        ledger: CallRecords,
        seen: MonitorLog,
        audit: Audit,
    ) -> Self {
        let CallRecords { creates, joins, .. } = ledger;
        let MonitorLog { mut arrivals, end_count: ends, failed_reads: blind, .. } = seen;
        // What came later came from the audit.
        let last =
            creates.iter().map(|create| create.due_at + create.duration).max().unwrap_or_default();
        arrivals.retain(|arrival| arrival.arrived_by <= last + CHECK_INTERVAL);
        let (memory_mib, log) = (0, String::new());
        Self {
            heading: head,
            faults: strikes,
            creates,
            joins,
            arrivals,
            end_count: ends,
            failed_reads: blind,
            audit,
            memory_mib,
            log,
        }
    }

    /// All that the balancer said.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.log
    }

    /// What must never be, whatever becomes of calls.
    #[must_use]
    pub fn fatal_findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.log.contains("panicked") {
            found.push("the balancer panicked".to_owned());
        }
        if self.memory_mib > MAX_MEMORY_MIB {
            found.push(format!("{} MiB of memory", self.memory_mib));
        }
        if !self.creates.iter().any(|one| one.result.is_ok()) {
            found.push("no create succeeded".to_owned());
        }
        if !self.joins.iter().any(|one| matches!(one.outcome, JoinOutcome::InMeeting(_))) {
            found.push("nobody joined".to_owned());
        }
        found
    }

    /// Promises that were broken.
    #[must_use]
    pub fn unmet_requirements(&self) -> Vec<String> {
        let audit = &self.audit;
        let all = [
            (self.inexcusable_creates().count(), "creates failed"),
            (self.late_creates().count(), "creates took too long"),
            (self.missing_meetings().count(), "creates succeeded and the meeting is nowhere"),
            (self.inexcusable_joins().len(), "joins failed without an excuse"),
            (audit.duplicates.len(), "meetings live twice"),
            (audit.offline.len(), "servers are well and offline"),
            (audit.unreachable.len(), "meetings live and cannot be joined"),
            (audit.vanished.len(), "meetings vanished"),
            (audit.not_recreatable.len(), "lost meetings cannot be created again"),
            (self.failed_reads.len(), "looks at the list of servers failed"),
        ];
        let broken = all.into_iter().filter(|(count, _)| *count > 0);
        broken.map(|(count, what)| format!("{count} {what}")).collect()
    }

    fn failed_creates(&self) -> impl Iterator<Item = &CreateRecord> {
        self.creates.iter().filter(|create| create.result.is_err())
    }

    fn inexcusable_creates(&self) -> impl Iterator<Item = &CreateRecord> {
        let homes = excuses::collect_locations(&self.creates);
        self.failed_creates()
            .filter(move |create| !excuses::is_excused_create(create, &self.faults, &homes))
    }

    fn late_creates(&self) -> impl Iterator<Item = &CreateRecord> {
        self.creates.iter().filter(|create| create.duration > MAX_CREATE_TIME + MARGIN)
    }

    /// Creates that were answered SUCCESS though no server had the meeting then, and none was
    /// killed that could have had it.
    fn missing_meetings(&self) -> impl Iterator<Item = &CreateRecord> {
        self.creates.iter().filter(|create| {
            let nowhere = create.result.as_ref().is_ok_and(|home| home.server.is_none());
            let killed = |strike: &ScheduledFault| {
                strike.fault.loses_meetings()
                    && strike.overlaps(create.due_at, create.due_at + create.duration)
            };
            nowhere && !self.faults.iter().any(killed)
        })
    }

    fn classify_failed_joins(&self) -> (BTreeMap<Excuse, usize>, Vec<&JoinRecord>) {
        let homes = excuses::collect_locations(&self.creates);
        let (mut excused, mut rest) = (BTreeMap::new(), Vec::new());
        for join in
            self.joins.iter().filter(|join| !matches!(join.outcome, JoinOutcome::InMeeting(_)))
        {
            match excuses::find_excuse(join, &self.faults, &homes) {
                Some(excuse) => *excused.entry(excuse).or_default() += 1,
                None => rest.push(join),
            }
        }
        (excused, rest)
    }

    fn inexcusable_joins(&self) -> Vec<&JoinRecord> {
        self.classify_failed_joins().1
    }
}

/// Text of the report.
impl ChaosReport {
    fn write_creates(&self, out: &mut String) -> fmt::Result {
        let of = |why| self.creates.iter().filter(move |one| one.reason == why).count();
        let (new, repeated, again) =
            (of(CreateReason::New), of(CreateReason::Repeated), of(CreateReason::AfterFailedJoin));
        let (all, failed) = (self.creates.len(), self.failed_creates().count());
        writeln!(
            out,
            "creates      {all} ({new} new, {repeated} repeated, {again} after a failed join), \
             {failed} failed, {} of them of meetings whose own server swallowed them, {} later \
             than {} s",
            failed - self.inexcusable_creates().count(),
            self.late_creates().count(),
            MAX_CREATE_TIME.as_secs(),
        )?;
        writeln!(
            out,
            "  overall    {}",
            latency_summary(&self.creates.iter().collect::<Vec<_>>())
        )?;
        if let Some((begin, worst)) = worst_window(&self.creates) {
            let (from, to) = (begin.as_secs(), (begin + WINDOW).as_secs());
            writeln!(out, "  worst 10 s {}, from {from} s to {to} s", latency_summary(&worst))?;
        }
        let mut causes = BTreeMap::<_, usize>::new();
        for create in self.failed_creates() {
            let said = create.result.as_ref().err().map_or("", String::as_str);
            let troubles = self.faults_of_create(create);
            *causes.entry(format!("{} ({troubles}): {said}", create.reason)).or_default() += 1;
        }
        for (cause, count) in causes {
            writeln!(out, "  {count} × {cause}")?;
        }
        for create in self.inexcusable_creates().take(MAX_EXAMPLES) {
            self.write_failure(out, create)?;
        }
        Ok(())
    }

    /// A create that failed, where it arrived, and what the balancer says of it.
    fn write_failure(&self, out: &mut String, create: &CreateRecord) -> fmt::Result {
        let CreateRecord { id, reason: why, due_at: at, duration: took, result: end } = create;
        let said = end.as_ref().err().map_or("", String::as_str);
        let (from, to) = (*at, *at + *took);
        writeln!(out, "  failed: {id} ({why}) at {:.1} s after {took:.1?}: {said}", to_secs(*at))?;
        let during = |arrival: &&CreateArrival| {
            arrival.id == *id && arrival.arrived_by >= from && arrival.arrived_by <= to + WINDOW
        };
        for CreateArrival { server, arrived_by: at, .. } in self.arrivals.iter().filter(during) {
            let fate = self.faults_of_server(*server, from, to);
            writeln!(out, "    arrived at {server} before {:.1} s: {fate}", to_secs(*at))?;
        }
        let mark = format!("meeting=\"{id}\"");
        for line in self.log.lines().filter(|line| line.contains(&mark)).take(MAX_EXAMPLES) {
            writeln!(out, "    log: {line}")?;
        }
        let in_trouble = self.faults.iter().filter(|strike| strike.overlaps(from, to));
        let in_trouble: Vec<_> = in_trouble.map(ScheduledFault::to_string).collect();
        writeln!(out, "    in trouble then: {}", in_trouble.join(", "))
    }

    /// What was wrong with the servers at which a create arrived.
    fn faults_of_create(&self, create: &CreateRecord) -> String {
        let (from, to) = (create.due_at, create.due_at + create.duration);
        let mut found = BTreeSet::new();
        for arrival in self.arrivals.iter().filter(|one| one.id == create.id) {
            // The watch sees it a moment later.
            if arrival.arrived_by < from || arrival.arrived_by > to + 2 * CHECK_INTERVAL {
                continue;
            }
            let struck = |strike: &&ScheduledFault| {
                strike.server == arrival.server && strike.overlaps(from, arrival.arrived_by)
            };
            let troubles = self.faults.iter().filter(struck);
            let troubles: Vec<_> = troubles.map(|strike| strike.fault.to_string()).collect();
            let well = troubles.is_empty().then(|| "well".to_owned());
            found.extend(troubles.into_iter().chain(well));
        }
        if found.is_empty() {
            return "arrived nowhere".to_owned();
        }
        found.into_iter().collect::<Vec<_>>().join(", ")
    }

    fn faults_of_server(&self, server: usize, from: Duration, to: Duration) -> String {
        let struck =
            |strike: &&ScheduledFault| strike.server == server && strike.overlaps(from, to);
        let all: Vec<_> =
            self.faults.iter().filter(struck).map(ScheduledFault::to_string).collect();
        if all.is_empty() { "well".to_owned() } else { all.join(", ") }
    }

    fn write_arrivals(&self, out: &mut String) -> fmt::Result {
        let trap = |arrival: &&CreateArrival| {
            let meets = |strike: &ScheduledFault| {
                strike.server == arrival.server
                    && strike.fault.blocks_creates()
                    && strike.overlaps(arrival.arrived_by, arrival.arrived_by)
            };
            self.faults.iter().any(meets)
        };
        let dead = self.arrivals.iter().filter(|arrival| arrival.known_offline).count();
        let mut asked = BTreeMap::<_, usize>::new();
        for arrival in &self.arrivals {
            *asked.entry((arrival.id.as_str(), arrival.server)).or_default() += 1;
        }
        let mut by_clients = BTreeMap::<_, usize>::new();
        for create in &self.creates {
            *by_clients.entry(create.id.as_str()).or_default() += 1;
        }
        let more = |((id, _), count): (&(&str, usize), &usize)| {
            count.saturating_sub(by_clients.get(id).copied().unwrap_or_default())
        };
        writeln!(
            out,
            "at servers   {} creates arrived, {} of them in the midst of trouble, {dead} where the \
             balancer had long listed the server as offline, {} more than clients sent for that \
             meeting to one server; {} tries without a usable answer, {} ends",
            self.arrivals.len(),
            self.arrivals.iter().filter(trap).count(),
            asked.iter().map(more).sum::<usize>(),
            self.log.matches("no usable answer").count(),
            self.end_count,
        )?;
        for arrival in
            self.arrivals.iter().filter(|arrival| arrival.known_offline).take(MAX_EXAMPLES)
        {
            let CreateArrival { server, arrived_by: at, id, .. } = arrival;
            let fate = self.faults_of_server(*server, at.saturating_sub(WINDOW), *at);
            writeln!(out, "    {id} at {server} before {:.1} s: {fate}", to_secs(*at))?;
        }
        Ok(())
    }

    fn write_joins(&self, out: &mut String) -> fmt::Result {
        let (excused, rest) = self.classify_failed_joins();
        let inside = self
            .joins
            .iter()
            .filter(|one| matches!(one.outcome, JoinOutcome::InMeeting(_)))
            .count();
        let took: Vec<_> = self.joins.iter().map(|join| to_ms(&join.duration)).collect();
        writeln!(
            out,
            "joins        {} of which {inside} ended in a meeting; p50 {:.0} ms, p99 {:.0} ms",
            self.joins.len(),
            quantile(took.clone(), 0.5),
            quantile(took, 0.99),
        )?;
        let after = self.joins.iter().filter(|join| join.after_create);
        let after_in =
            after.clone().filter(|join| matches!(join.outcome, JoinOutcome::InMeeting(_))).count();
        writeln!(out, "  after a create of their own {after_in} of {}", after.count())?;
        writeln!(out, "  failed     {excused:?}, without an excuse {}", rest.len())?;
        for JoinRecord {
            id, due_at: at, finished_at: over, location: home, outcome: way, ..
        } in rest.into_iter().take(MAX_EXAMPLES)
        {
            let homes = home.as_ref().and_then(|home| home.server);
            let fate = homes.map(|server| {
                self.faults_of_server(server, at.saturating_sub(DETECTION_TIME * 4), *over)
            });
            writeln!(out, "    {id} at {:.1} s: home {home:?} ({fate:?}): {way:?}", to_secs(*at))?;
        }
        Ok(())
    }

    fn write_audit(&self, out: &mut String) -> fmt::Result {
        let audit = &self.audit;
        match audit.settled_after {
            Some(after) => writeln!(out, "settled      after {:.1} s", to_secs(after))?,
            None => writeln!(out, "settled      never")?,
        }
        writeln!(
            out,
            "  meetings   {} lost with killed servers, {} vanished, {} live unknown to anybody, \
             {} live twice, {} unreachable, {} stuck",
            audit.lost,
            audit.vanished.len(),
            audit.unacknowledged,
            audit.duplicates.len(),
            audit.unreachable.len(),
            audit.not_recreatable.len(),
        )?;
        writeln!(
            out,
            "  users      {} lost with killed servers, {} cut off from meetings that were ended",
            audit.users_lost, audit.users_cut_off,
        )?;
        for (id, servers) in audit.duplicates.iter().take(MAX_EXAMPLES) {
            writeln!(out, "    twice: {id} on {servers:?}")?;
        }
        for id in audit.vanished.iter().take(MAX_EXAMPLES) {
            writeln!(out, "    vanished: {id}")?;
        }
        for (id, why) in audit.unreachable.iter().chain(&audit.not_recreatable).take(MAX_EXAMPLES) {
            writeln!(out, "    {id}: {why}")?;
        }
        writeln!(out, "  offline    {:?} though they are well", audit.offline)
    }
}

impl fmt::Display for ChaosReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = format!("{}\n", self.heading);
        self.write_creates(&mut out)?;
        self.write_arrivals(&mut out)?;
        self.write_joins(&mut out)?;
        self.write_audit(&mut out)?;
        writeln!(out, "balancer     {} MiB at most", self.memory_mib)?;
        for complaint in self.failed_reads.iter().take(MAX_EXAMPLES) {
            writeln!(out, "  no list of servers: {complaint}")?;
        }
        let (disasters, broken) = (self.fatal_findings(), self.unmet_requirements());
        let verdict = if disasters.is_empty() && broken.is_empty() { "kept" } else { "BROKEN" };
        writeln!(out, "promises     {verdict}: {}", [disasters, broken].concat().join("; "))?;
        f.write_str(&out)
    }
}

fn to_secs(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// How long creates took; who gave up waited for all of a client's patience.
fn latency_summary(creates: &[&CreateRecord]) -> String {
    let took: Vec<_> = creates.iter().map(|one| to_ms(&one.duration.min(CLIENT_TIMEOUT))).collect();
    let max = took.iter().copied().fold(0.0, f64::max);
    let (p50, p99) = (quantile(took.clone(), 0.5), quantile(took, 0.99));
    format!("p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms")
}

/// The window with the greatest 99 percent, and its creates.
fn worst_window(creates: &[CreateRecord]) -> Option<(Duration, Vec<&CreateRecord>)> {
    let last = creates.iter().map(|create| create.due_at).max()?;
    let begins = (0..=last.saturating_sub(WINDOW).as_secs()).map(Duration::from_secs);
    let windows = begins.map(|begin| {
        let inside = creates.iter().filter(|one| (begin..begin + WINDOW).contains(&one.due_at));
        (begin, inside.collect::<Vec<_>>())
    });
    let p99 = |creates: &[&CreateRecord]| {
        quantile(creates.iter().map(|one| to_ms(&one.duration)).collect(), 0.99)
    };
    windows.max_by(|a, b| p99(&a.1).total_cmp(&p99(&b.1)))
}
