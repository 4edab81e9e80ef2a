//! What came of it: figures, and what is not as it should be.

use super::audit::Audit;
use super::clients::PATIENCE;
use super::faults::Strike;
use super::judge::{self, Excuse, FINDS_OUT};
use super::ledger::{Created, Joined, Ledger, Way, Why};
use super::stage::{Arrival, LOOKS, Seen};
use crate::quantile::{ms, quantile};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::time::Duration;

/// No create may take longer: front-ends hang up.
const CLIENT_LIMIT: Duration = Duration::from_secs(10);
/// What a busy machine may add.
const MARGIN: Duration = Duration::from_secs(2);
/// Memory of the balancer at its most.
const MEMORY_MIB_MAX: u64 = 300;
/// The window whose creates took longest.
const WINDOW: Duration = Duration::from_secs(10);
/// Examples shown of each thing.
const SHOWN: usize = 12;

/// All that is known about a run.
#[derive(Debug)]
pub struct Report {
    pub(super) head: String,
    pub(super) strikes: Vec<Strike>,
    pub(super) creates: Vec<Created>,
    pub(super) joins: Vec<Joined>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) ends: usize,
    pub(super) blind: Vec<String>,
    pub(super) audit: Audit,
    pub(super) memory_mib: u64,
    /// The balancer's log.
    pub(super) log: String,
}

impl Report {
    pub(super) fn new(
        head: String,
        strikes: Vec<Strike>,
        ledger: Ledger,
        seen: Seen,
        audit: Audit,
    ) -> Self {
        let Ledger { creates, joins, .. } = ledger;
        let Seen { mut arrivals, ends, blind, .. } = seen;
        // What came later came from the audit.
        let last = creates.iter().map(|create| create.at + create.took).max().unwrap_or_default();
        arrivals.retain(|arrival| arrival.at <= last + LOOKS);
        let (memory_mib, log) = (0, String::new());
        Self { head, strikes, creates, joins, arrivals, ends, blind, audit, memory_mib, log }
    }

    /// All that the balancer said.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.log
    }

    /// What must never be, whatever becomes of calls.
    #[must_use]
    pub fn disasters(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.log.contains("panicked") {
            found.push("the balancer panicked".to_owned());
        }
        if self.memory_mib > MEMORY_MIB_MAX {
            found.push(format!("{} MiB of memory", self.memory_mib));
        }
        if !self.creates.iter().any(|one| one.end.is_ok()) {
            found.push("no create succeeded".to_owned());
        }
        if !self.joins.iter().any(|one| matches!(one.way, Way::In(_))) {
            found.push("nobody joined".to_owned());
        }
        found
    }

    /// Promises that were broken.
    #[must_use]
    pub fn broken_promises(&self) -> Vec<String> {
        let audit = &self.audit;
        let all = [
            (self.inexcusable_creates().count(), "creates failed"),
            (self.late().count(), "creates took too long"),
            (self.homeless().count(), "creates succeeded and the meeting is nowhere"),
            (self.inexcusable().len(), "joins failed without an excuse"),
            (audit.doubles.len(), "meetings live twice"),
            (audit.offline.len(), "servers are well and offline"),
            (audit.unreachable.len(), "meetings live and cannot be joined"),
            (audit.vanished.len(), "meetings vanished"),
            (audit.stuck.len(), "lost meetings cannot be created again"),
            (self.blind.len(), "looks at the list of servers failed"),
        ];
        let broken = all.into_iter().filter(|(count, _)| *count > 0);
        broken.map(|(count, what)| format!("{count} {what}")).collect()
    }

    fn failed(&self) -> impl Iterator<Item = &Created> {
        self.creates.iter().filter(|create| create.end.is_err())
    }

    fn inexcusable_creates(&self) -> impl Iterator<Item = &Created> {
        let homes = judge::homes(&self.creates);
        self.failed().filter(move |create| !judge::is_swallowed(create, &self.strikes, &homes))
    }

    fn late(&self) -> impl Iterator<Item = &Created> {
        self.creates.iter().filter(|create| create.took > CLIENT_LIMIT + MARGIN)
    }

    /// Creates that were answered SUCCESS though no server had the meeting then, and none was
    /// killed that could have had it.
    fn homeless(&self) -> impl Iterator<Item = &Created> {
        self.creates.iter().filter(|create| {
            let nowhere = create.end.as_ref().is_ok_and(|home| home.server.is_none());
            let killed = |strike: &Strike| {
                strike.trouble.loses_meetings() && strike.meets(create.at, create.at + create.took)
            };
            nowhere && !self.strikes.iter().any(killed)
        })
    }

    fn excuses(&self) -> (BTreeMap<Excuse, usize>, Vec<&Joined>) {
        let homes = judge::homes(&self.creates);
        let (mut excused, mut rest) = (BTreeMap::new(), Vec::new());
        for join in self.joins.iter().filter(|join| !matches!(join.way, Way::In(_))) {
            match judge::excuse(join, &self.strikes, &homes) {
                Some(excuse) => *excused.entry(excuse).or_default() += 1,
                None => rest.push(join),
            }
        }
        (excused, rest)
    }

    fn inexcusable(&self) -> Vec<&Joined> {
        self.excuses().1
    }
}

/// Text of the report.
impl Report {
    fn write_creates(&self, out: &mut String) -> fmt::Result {
        let of = |why| self.creates.iter().filter(move |one| one.why == why).count();
        let (new, repeated, again) = (of(Why::New), of(Why::Repeated), of(Why::Again));
        let (all, failed) = (self.creates.len(), self.failed().count());
        writeln!(
            out,
            "creates      {all} ({new} new, {repeated} repeated, {again} after a failed join), \
             {failed} failed, {} of them of meetings whose own server swallowed them, {} later \
             than {} s",
            failed - self.inexcusable_creates().count(),
            self.late().count(),
            CLIENT_LIMIT.as_secs(),
        )?;
        writeln!(out, "  overall    {}", figures(&self.creates.iter().collect::<Vec<_>>()))?;
        if let Some((begin, worst)) = worst_window(&self.creates) {
            let (from, to) = (begin.as_secs(), (begin + WINDOW).as_secs());
            writeln!(out, "  worst 10 s {}, from {from} s to {to} s", figures(&worst))?;
        }
        let mut causes = BTreeMap::<_, usize>::new();
        for create in self.failed() {
            let said = create.end.as_ref().err().map_or("", String::as_str);
            let troubles = self.troubles(create);
            *causes.entry(format!("{} ({troubles}): {said}", create.why)).or_default() += 1;
        }
        for (cause, count) in causes {
            writeln!(out, "  {count} × {cause}")?;
        }
        for create in self.inexcusable_creates().take(SHOWN) {
            self.write_failure(out, create)?;
        }
        Ok(())
    }

    /// A create that failed, where it arrived, and what the balancer says of it.
    fn write_failure(&self, out: &mut String, create: &Created) -> fmt::Result {
        let Created { id, why, at, took, end } = create;
        let said = end.as_ref().err().map_or("", String::as_str);
        let (from, to) = (*at, *at + *took);
        writeln!(out, "  failed: {id} ({why}) at {:.1} s after {took:.1?}: {said}", secs(*at))?;
        let during = |arrival: &&Arrival| {
            arrival.id == *id && arrival.at >= from && arrival.at <= to + WINDOW
        };
        for Arrival { server, at, .. } in self.arrivals.iter().filter(during) {
            let fate = self.fate(*server, from, to);
            writeln!(out, "    arrived at {server} before {:.1} s: {fate}", secs(*at))?;
        }
        let mark = format!("meeting=\"{id}\"");
        for line in self.log.lines().filter(|line| line.contains(&mark)).take(SHOWN) {
            writeln!(out, "    log: {line}")?;
        }
        let in_trouble = self.strikes.iter().filter(|strike| strike.meets(from, to));
        let in_trouble: Vec<_> = in_trouble.map(Strike::to_string).collect();
        writeln!(out, "    in trouble then: {}", in_trouble.join(", "))
    }

    /// What was wrong with the servers at which a create arrived.
    fn troubles(&self, create: &Created) -> String {
        let (from, to) = (create.at, create.at + create.took);
        let mut found = BTreeSet::new();
        for arrival in self.arrivals.iter().filter(|one| one.id == create.id) {
            // The watch sees it a moment later.
            if arrival.at < from || arrival.at > to + 2 * LOOKS {
                continue;
            }
            let struck = |strike: &&Strike| {
                strike.server == arrival.server && strike.meets(from, arrival.at)
            };
            let troubles = self.strikes.iter().filter(struck);
            let troubles: Vec<_> = troubles.map(|strike| strike.trouble.to_string()).collect();
            let well = troubles.is_empty().then(|| "well".to_owned());
            found.extend(troubles.into_iter().chain(well));
        }
        if found.is_empty() {
            return "arrived nowhere".to_owned();
        }
        found.into_iter().collect::<Vec<_>>().join(", ")
    }

    fn fate(&self, server: usize, from: Duration, to: Duration) -> String {
        let struck = |strike: &&Strike| strike.server == server && strike.meets(from, to);
        let all: Vec<_> = self.strikes.iter().filter(struck).map(Strike::to_string).collect();
        if all.is_empty() { "well".to_owned() } else { all.join(", ") }
    }

    fn write_arrivals(&self, out: &mut String) -> fmt::Result {
        let trap = |arrival: &&Arrival| {
            let meets = |strike: &Strike| {
                strike.server == arrival.server
                    && strike.trouble.is_a_trap()
                    && strike.meets(arrival.at, arrival.at)
            };
            self.strikes.iter().any(meets)
        };
        let dead = self.arrivals.iter().filter(|arrival| arrival.known_dead).count();
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
            self.ends,
        )?;
        for arrival in self.arrivals.iter().filter(|arrival| arrival.known_dead).take(SHOWN) {
            let Arrival { server, at, id, .. } = arrival;
            let fate = self.fate(*server, at.saturating_sub(WINDOW), *at);
            writeln!(out, "    {id} at {server} before {:.1} s: {fate}", secs(*at))?;
        }
        Ok(())
    }

    fn write_joins(&self, out: &mut String) -> fmt::Result {
        let (excused, rest) = self.excuses();
        let inside = self.joins.iter().filter(|one| matches!(one.way, Way::In(_))).count();
        let took: Vec<_> = self.joins.iter().map(|join| ms(&join.took)).collect();
        writeln!(
            out,
            "joins        {} of which {inside} ended in a meeting; p50 {:.0} ms, p99 {:.0} ms",
            self.joins.len(),
            quantile(took.clone(), 0.5),
            quantile(took, 0.99),
        )?;
        let after = self.joins.iter().filter(|join| join.after_create);
        let after_in = after.clone().filter(|join| matches!(join.way, Way::In(_))).count();
        writeln!(out, "  after a create of their own {after_in} of {}", after.count())?;
        writeln!(out, "  failed     {excused:?}, without an excuse {}", rest.len())?;
        for Joined { id, at, over, home, way, .. } in rest.into_iter().take(SHOWN) {
            let homes = home.as_ref().and_then(|home| home.server);
            let fate =
                homes.map(|server| self.fate(server, at.saturating_sub(FINDS_OUT * 4), *over));
            writeln!(out, "    {id} at {:.1} s: home {home:?} ({fate:?}): {way:?}", secs(*at))?;
        }
        Ok(())
    }

    fn write_audit(&self, out: &mut String) -> fmt::Result {
        let audit = &self.audit;
        match audit.settled_after {
            Some(after) => writeln!(out, "settled      after {:.1} s", secs(after))?,
            None => writeln!(out, "settled      never")?,
        }
        writeln!(
            out,
            "  meetings   {} lost with killed servers, {} vanished, {} live unknown to anybody, \
             {} live twice, {} unreachable, {} stuck",
            audit.lost,
            audit.vanished.len(),
            audit.orphans,
            audit.doubles.len(),
            audit.unreachable.len(),
            audit.stuck.len(),
        )?;
        writeln!(
            out,
            "  users      {} lost with killed servers, {} cut off from meetings that were ended",
            audit.users_lost, audit.users_cut_off,
        )?;
        for (id, servers) in audit.doubles.iter().take(SHOWN) {
            writeln!(out, "    twice: {id} on {servers:?}")?;
        }
        for id in audit.vanished.iter().take(SHOWN) {
            writeln!(out, "    vanished: {id}")?;
        }
        for (id, why) in audit.unreachable.iter().chain(&audit.stuck).take(SHOWN) {
            writeln!(out, "    {id}: {why}")?;
        }
        writeln!(out, "  offline    {:?} though they are well", audit.offline)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = format!("{}\n", self.head);
        self.write_creates(&mut out)?;
        self.write_arrivals(&mut out)?;
        self.write_joins(&mut out)?;
        self.write_audit(&mut out)?;
        writeln!(out, "balancer     {} MiB at most", self.memory_mib)?;
        for complaint in self.blind.iter().take(SHOWN) {
            writeln!(out, "  no list of servers: {complaint}")?;
        }
        let (disasters, broken) = (self.disasters(), self.broken_promises());
        let verdict = if disasters.is_empty() && broken.is_empty() { "kept" } else { "BROKEN" };
        writeln!(out, "promises     {verdict}: {}", [disasters, broken].concat().join("; "))?;
        f.write_str(&out)
    }
}

fn secs(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// How long creates took; who gave up waited for all of a client's patience.
fn figures(creates: &[&Created]) -> String {
    let took: Vec<_> = creates.iter().map(|one| ms(&one.took.min(PATIENCE))).collect();
    let max = took.iter().copied().fold(0.0, f64::max);
    let (p50, p99) = (quantile(took.clone(), 0.5), quantile(took, 0.99));
    format!("p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms")
}

/// The window with the greatest 99 percent, and its creates.
fn worst_window(creates: &[Created]) -> Option<(Duration, Vec<&Created>)> {
    let last = creates.iter().map(|create| create.at).max()?;
    let begins = (0..=last.saturating_sub(WINDOW).as_secs()).map(Duration::from_secs);
    let windows = begins.map(|begin| {
        let inside = creates.iter().filter(|one| (begin..begin + WINDOW).contains(&one.at));
        (begin, inside.collect::<Vec<_>>())
    });
    let p99 =
        |creates: &[&Created]| quantile(creates.iter().map(|one| ms(&one.took)).collect(), 0.99);
    windows.max_by(|a, b| p99(&a.1).total_cmp(&p99(&b.1)))
}
