//! Which changes of problems are told. A problem that comes and goes is told a few times an hour; then one notification sums up.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::problem::{FoundProblem, ProblemKind};

/// Most notifications about one problem in [`TOLD_TIME_MS`].
const MAX_TOLD: usize = 4;
const TOLD_TIME_MS: i64 = 3_600_000;
/// Most problems that are known at one time. Further ones wait until others are over.
const MAX_KNOWN: usize = 1_000;
/// If more problems of one kind change at the same time, one notification tells of all.
const MAX_SINGLE: usize = 5;
/// Subjects that a notification about many names.
const MAX_NAMED: usize = 10;

/// The problems that are known, and what was told of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionLog {
    known: BTreeMap<String, KnownProblem>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownProblem {
    problem: FoundProblem,
    is_present: bool,
    /// When it began or ended last, in milliseconds since 1970.
    since: i64,
    /// How often it has begun or ended since it was told of last.
    changes: u32,
    /// When it was told of lately.
    told: Vec<i64>,
}

/// A change that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The problem.
    pub problem: FoundProblem,
    /// Whether it is over.
    pub is_over: bool,
    /// How often it has begun or ended since it was told of last.
    pub changes: u32,
    /// Since when it is so.
    pub since: Timestamp,
}

impl TransitionLog {
    /// Notes the problems that there are now, and returns the changes to tell. Of the kinds in `unknown` nothing could be found out. While it
    /// `is_quiet`, changes that are not critical wait.
    #[must_use]
    pub fn note(
        &mut self,
        found: Vec<FoundProblem>,
        unknown: &[ProblemKind],
        now: Timestamp,
        is_quiet: bool,
    ) -> Vec<Transition> {
        let mut found: BTreeMap<String, FoundProblem> =
            found.into_iter().map(|problem| (problem.key(), problem)).collect();
        for (key, known) in &mut self.known {
            match found.remove(key) {
                Some(problem) => known.note(Some(problem), now),
                None if unknown.contains(&known.problem.kind) => {}
                None => known.note(None, now),
            }
        }
        for (key, problem) in found {
            if self.known.len() < MAX_KNOWN {
                self.known.insert(key, KnownProblem::new(problem, now));
            }
        }
        let told = self.known.values_mut().filter_map(|known| known.tell(now, is_quiet)).collect();
        self.known.retain(|_, known| !known.is_settled(now));
        merge(told)
    }
}

impl KnownProblem {
    fn new(problem: FoundProblem, now: Timestamp) -> Self {
        Self { problem, is_present: true, since: now.0, changes: 1, told: Vec::new() }
    }

    /// Notes whether the problem is there, and its reason as it is now.
    fn note(&mut self, found: Option<FoundProblem>, now: Timestamp) {
        let is_present = found.is_some();
        if is_present != self.is_present {
            (self.is_present, self.since) = (is_present, now.0);
            self.changes = self.changes.saturating_add(1);
            // The reason of a problem that goes on is kept: it may have another text each time.
            self.problem = found.unwrap_or_else(|| self.problem.clone());
        }
    }

    /// Returns what is to be told now.
    fn tell(&mut self, now: Timestamp, is_quiet: bool) -> Option<Transition> {
        // A clock that was set back makes nothing wait.
        self.told.retain(|told| (0..TOLD_TIME_MS).contains(&(now.0 - told)));
        let kind = self.problem.kind;
        if self.changes == 0 || self.told.len() >= MAX_TOLD || (is_quiet && !kind.is_critical()) {
            return None;
        }
        let changes = std::mem::take(&mut self.changes);
        if !self.is_present && !kind.tells_end() {
            return None;
        }
        self.told.push(now.0);
        let problem = self.problem.clone();
        let since = Timestamp(self.since);
        Some(Transition { problem, is_over: !self.is_present, changes, since })
    }

    /// Whether nothing of it needs to be known any more.
    fn is_settled(&self, now: Timestamp) -> bool {
        let tells_end = self.problem.kind.tells_end();
        let was_told = self.told.iter().any(|told| now.0 - told < TOLD_TIME_MS);
        let is_needed = tells_end && (self.changes > 0 || was_told);
        !self.is_present && !is_needed
    }
}

/// Makes one change of many that are of the same kind.
fn merge(transitions: Vec<Transition>) -> Vec<Transition> {
    let mut groups: Vec<Vec<Transition>> = Vec::new();
    for transition in transitions {
        let is_same = |other: &Transition| {
            (other.problem.kind, other.is_over) == (transition.problem.kind, transition.is_over)
        };
        match groups.iter_mut().find(|group| group.first().is_some_and(is_same)) {
            Some(group) => group.push(transition),
            None => groups.push(vec![transition]),
        }
    }
    let merge_group = |group: Vec<Transition>| match group.len() > MAX_SINGLE {
        true => sum_up(&group).into_iter().collect(),
        false => group,
    };
    groups.into_iter().flat_map(merge_group).collect()
}

fn sum_up(group: &[Transition]) -> Option<Transition> {
    let first = group.first()?;
    let names = group.iter().take(MAX_NAMED).map(|one| one.problem.subject.as_str());
    let mut subject = names.collect::<Vec<_>>().join(", ");
    if group.len() > MAX_NAMED {
        subject.push_str(&format!(" and {} more", group.len() - MAX_NAMED));
    }
    let reason = format!("{} at the same time, the first: {}", group.len(), first.problem.reason);
    let problem = FoundProblem::new(first.problem.kind, "many", &subject, &reason);
    let since = group.iter().map(|one| one.since).min().unwrap_or(first.since);
    Some(Transition { problem, since, changes: 1, is_over: first.is_over })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn offline(name: &str) -> FoundProblem {
        FoundProblem::new(ProblemKind::ServerOffline, name, name, "no answer")
    }

    /// What is told at a minute: the subject, whether it is over, and the number of changes.
    fn note(
        log: &mut TransitionLog,
        minute: i64,
        found: &[FoundProblem],
        is_quiet: bool,
    ) -> Vec<(String, bool, u32)> {
        let told = log.note(found.to_vec(), &[], Timestamp(minute * MINUTE), is_quiet);
        told.into_iter().map(|one| (one.problem.subject, one.is_over, one.changes)).collect()
    }

    #[test]
    fn only_begin_and_end_are_told() {
        let mut log = TransitionLog::default();
        let a = [offline("a")];
        assert_eq!(note(&mut log, 0, &a, false), [("a".to_owned(), false, 1)]);
        assert_eq!(note(&mut log, 1, &a, false), []);
        let told = log.note(Vec::new(), &[ProblemKind::ServerOffline], Timestamp(2), false);
        assert_eq!(told, [], "nothing is known of servers");
        assert_eq!(note(&mut log, 3, &[], false), [("a".to_owned(), true, 1)]);
        assert_eq!(note(&mut log, 4, &[], false), []);
        assert_eq!(note(&mut log, 70, &[], false), []);
        assert_eq!(log, TransitionLog::default());
    }

    #[test]
    fn a_problem_that_comes_and_goes_is_summed_up() {
        let mut log = TransitionLog::default();
        let mut told = Vec::new();
        for minute in 0..=60 {
            let found = if minute % 2 == 0 { vec![offline("a")] } else { Vec::new() };
            told.extend(note(&mut log, minute, &found, false));
        }
        let flags: Vec<_> = told.iter().map(|(_, is_over, changes)| (*is_over, *changes)).collect();
        let once = [(false, 1), (true, 1), (false, 1), (true, 1)];
        assert_eq!(flags, [&once[..], &[(false, 57)]].concat());
    }

    #[test]
    fn quiet_hours_hold_back_what_can_wait() {
        let mut log = TransitionLog::default();
        let found =
            [offline("a"), FoundProblem::new(ProblemKind::NoServer, "", "pool", "all offline")];
        assert_eq!(note(&mut log, 0, &found, true), [("pool".to_owned(), false, 1)]);
        assert_eq!(note(&mut log, 1, &[], true), [("pool".to_owned(), true, 1)]);
        assert_eq!(note(&mut log, 2, &found[..1], true), []);
        assert_eq!(note(&mut log, 300, &found[..1], false), [("a".to_owned(), false, 3)]);
    }

    #[test]
    fn many_of_a_kind_are_one_notification() {
        let mut log = TransitionLog::default();
        let all: Vec<FoundProblem> =
            (10..23).map(|number| offline(&format!("s{number}"))).collect();
        let told = log.note(all, &[], Timestamp(0), false);
        assert_eq!(told.len(), 1);
        assert!(told[0].problem.subject.ends_with("s19 and 3 more"), "{told:?}");
        assert!(told[0].problem.reason.starts_with("13 at the same time"), "{told:?}");
        assert_eq!(log.note(Vec::new(), &[], Timestamp(1), false).len(), 1);
    }

    #[test]
    fn the_end_of_what_somebody_settles_is_not_told() {
        let mut log = TransitionLog::default();
        let archive =
            [FoundProblem::new(ProblemKind::ArchiveQuarantined, "a.tar", "a.tar", "damaged")];
        assert_eq!(note(&mut log, 0, &archive, false).len(), 1);
        assert_eq!(note(&mut log, 1, &[], false), []);
        assert_eq!(note(&mut log, 2, &archive, false).len(), 1, "tried again in vain");
    }

    #[test]
    fn what_is_known_survives_in_the_store_and_is_bounded() {
        let mut log = TransitionLog::default();
        let all = (0..3_000).map(|number| offline(&number.to_string())).collect();
        let _ = log.note(all, &[], Timestamp(0), true);
        assert_eq!(log.known.len(), MAX_KNOWN);
        let text = serde_json::to_string(&log).unwrap();
        assert_eq!(serde_json::from_str::<TransitionLog>(&text).unwrap(), log);
    }
}
