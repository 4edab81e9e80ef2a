//! Planned drains: at a time a server is taken out of service, at a deadline what is left on it is ended, and perhaps it comes back by itself. What
//! is due follows from the drain and the time alone.

use serde::{Deserialize, Serialize};

use crate::{AdminState, ServerId, Timestamp};

/// A drain that nobody could begin within this time is not begun any more: users would meet a maintenance at a time that nobody has chosen.
pub const MAX_LATE_MS: i64 = 3_600_000;
/// How long a server is awaited that is to come back.
pub const MAX_AWAY_MS: i64 = 7 * 86_400_000;
/// Polls in a row without an answer after which a server counts as gone.
pub const GONE_AFTER: u32 = 2;
/// How long a process has a drain for itself while it works on it.
pub const LEASE_MS: i64 = 30_000;
/// Time between two looks at a server that is being drained.
const LOOK_MS: i64 = 5_000;
/// Time between two looks at a server that is to come back.
const AWAIT_MS: i64 = 10_000;

/// What happens to a server when it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterDrain {
    /// It is disabled.
    Disable,
    /// It is disabled, and enabled again when it was gone and has come back.
    EnableWhenHealthy,
}

impl AfterDrain {
    /// Returns `disable` or `enable-when-healthy`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::EnableWhenHealthy => "enable-when-healthy",
        }
    }
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrainOutcome {
    /// The server was emptied and disabled.
    Drained,
    /// It was emptied, was gone, came back, and was enabled.
    Enabled,
    /// It did not come back in time, or was never gone; it stays disabled.
    NotBack,
    /// Somebody has cancelled it.
    Cancelled,
    /// Somebody has changed the server's state meanwhile: it is theirs.
    TakenOver,
    /// The server was removed.
    ServerRemoved,
    /// No process was there to begin it in time; nothing was done.
    Missed,
}

impl DrainOutcome {
    /// Returns a word for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Enabled => "enabled",
            Self::NotBack => "not-back",
            Self::Cancelled => "cancelled",
            Self::TakenOver => "taken-over",
            Self::ServerRemoved => "server-removed",
            Self::Missed => "missed",
        }
    }
}

/// How far a drain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrainPhase {
    /// Its time has not come.
    Planned,
    /// The server gets no new meetings, and its meetings come to an end.
    Draining,
    /// The server is empty and disabled, and is to go and come back.
    Away,
    /// It is over.
    Over(DrainOutcome),
}

impl DrainPhase {
    /// Returns a word for people and programs; of what is over, how it ended.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Draining => "draining",
            Self::Away => "away",
            Self::Over(outcome) => outcome.name(),
        }
    }

    /// Returns whether it is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Over(_))
    }
}

/// A drain that the balancer carries out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDrain {
    /// Its id.
    pub id: String,
    /// The server.
    pub server: ServerId,
    /// The server's host name when the drain was planned.
    pub host: String,
    /// The server's state when the drain was planned.
    pub planned_state: AdminState,
    /// When it was planned.
    pub planned_at: Timestamp,
    /// Who has planned it.
    pub planned_by: String,
    /// When it begins.
    pub starts_at: Timestamp,
    /// How long after its beginning the meetings that are left are ended; `None`: never.
    pub deadline_ms: Option<i64>,
    /// How long before that users are warned; 0: not at all.
    pub warn_ms: i64,
    /// What happens when the server is empty.
    pub after: AfterDrain,
    /// How far it is.
    pub phase: DrainPhase,
    /// When it began.
    pub began_at: Option<Timestamp>,
    /// When users were warned.
    pub warned_at: Option<Timestamp>,
    /// When the server was empty.
    pub drained_at: Option<Timestamp>,
    /// When the drain was over.
    pub ended_at: Option<Timestamp>,
    /// Meetings and users that were left at the last look.
    pub remaining: Option<(u32, u32)>,
    /// Polls in a row without an answer while the server is away, at most [`GONE_AFTER`].
    pub failures: u32,
    /// Polls in a row with an answer since it was gone.
    pub successes: u32,
    /// When something is to be done next. While a process works on it, when that process loses it.
    pub due_at: Timestamp,
    /// Counts its changes: one that was made of an older revision is refused.
    pub revision: u64,
}

/// What is to be done with the meetings of a server that is being drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainStep {
    /// Nothing yet.
    Wait,
    /// Users are warned.
    Warn,
    /// The meetings are ended.
    End,
}

impl PlannedDrain {
    /// Returns whether something is to be done now. Apart from its beginning, a clock that was set back delays nothing.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        match self.phase {
            DrainPhase::Over(_) => false,
            DrainPhase::Planned => self.due_at <= now,
            DrainPhase::Draining | DrainPhase::Away => {
                self.due_at <= now || self.due_at > now.plus_ms(2 * LEASE_MS)
            }
        }
    }

    /// Returns whether it is too late to begin.
    #[must_use]
    pub fn is_missed(&self, now: Timestamp) -> bool {
        self.phase == DrainPhase::Planned && now > self.starts_at.plus_ms(MAX_LATE_MS)
    }

    /// Returns when meetings are ended: never before users were warned for as long as they should be.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        let deadline = self.began_at.unwrap_or(self.starts_at).plus_ms(self.deadline_ms?);
        let warned = self.warned_at.map(|at| at.plus_ms(self.warning_ms()));
        Some(warned.map_or(deadline, |warned| warned.max(deadline)))
    }

    /// How long before the deadline users are warned: not before the drain begins.
    fn warning_ms(&self) -> i64 {
        self.warn_ms.min(self.deadline_ms.unwrap_or(i64::MAX)).max(0)
    }

    /// Returns what is to be done now with the meetings that are left.
    #[must_use]
    pub fn step(&self, now: Timestamp) -> DrainStep {
        let Some(ends_at) = self.ends_at() else { return DrainStep::Wait };
        let is_unwarned = self.warned_at.is_none() && self.warning_ms() > 0;
        if is_unwarned && now >= ends_at.plus_ms(-self.warning_ms()) {
            return DrainStep::Warn;
        }
        if !is_unwarned && now >= ends_at { DrainStep::End } else { DrainStep::Wait }
    }

    /// Returns when to look at it next: regularly, and when users are to be warned or meetings to be ended.
    #[must_use]
    pub fn next_look(&self, now: Timestamp) -> Timestamp {
        let regular = match self.phase {
            DrainPhase::Planned => return self.starts_at,
            DrainPhase::Away => return now.plus_ms(AWAIT_MS),
            DrainPhase::Draining | DrainPhase::Over(_) => now.plus_ms(LOOK_MS),
        };
        let ends_at = self.ends_at();
        let times = [ends_at, ends_at.map(|at| at.plus_ms(-self.warning_ms()))];
        let ahead = times.into_iter().flatten().filter(|at| *at > now);
        ahead.min().map_or(regular, |at| at.min(regular))
    }

    /// Begins it: `state` is the server's. If somebody has cordoned or disabled the server since the drain was planned, it is not brought back.
    pub fn begin(&mut self, state: AdminState, now: Timestamp) {
        if state != AdminState::Enabled && state != self.planned_state {
            self.after = AfterDrain::Disable;
        }
        (self.phase, self.began_at) = (DrainPhase::Draining, Some(now));
    }

    /// Notes that the server is empty and disabled.
    pub fn note_drained(&mut self, now: Timestamp) {
        self.drained_at = Some(now);
        match self.after {
            AfterDrain::Disable => self.end(DrainOutcome::Drained, now),
            AfterDrain::EnableWhenHealthy => self.phase = DrainPhase::Away,
        }
    }

    /// Notes whether the server that is away has answered a poll. Returns whether it has come back: it was gone, and has answered `needed` polls in
    /// a row since.
    pub fn note_answer(&mut self, has_answered: bool, needed: u32) -> bool {
        let was_gone = self.failures >= GONE_AFTER;
        if !has_answered {
            self.failures = (self.failures + 1).min(GONE_AFTER);
            self.successes = 0;
        } else if was_gone {
            self.successes = self.successes.saturating_add(1);
        } else {
            self.failures = 0;
        }
        was_gone && self.successes >= needed.max(1)
    }

    /// Returns whether a server that is away is not awaited any longer.
    #[must_use]
    pub fn is_given_up(&self, now: Timestamp) -> bool {
        self.drained_at.is_some_and(|at| now > at.plus_ms(MAX_AWAY_MS))
    }

    /// Ends it.
    pub fn end(&mut self, outcome: DrainOutcome, now: Timestamp) {
        (self.phase, self.ended_at) = (DrainPhase::Over(outcome), Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp(minutes * MINUTE)
    }

    /// A drain at minute 100, with 30 minutes until the deadline and a warning 10 minutes before.
    fn drain() -> PlannedDrain {
        PlannedDrain {
            id: "1".to_owned(),
            server: ServerId("a".to_owned()),
            host: "a".to_owned(),
            planned_state: AdminState::Enabled,
            planned_at: at(0),
            planned_by: "ada".to_owned(),
            starts_at: at(100),
            deadline_ms: Some(30 * MINUTE),
            warn_ms: 10 * MINUTE,
            after: AfterDrain::EnableWhenHealthy,
            phase: DrainPhase::Planned,
            began_at: None,
            warned_at: None,
            drained_at: None,
            ended_at: None,
            remaining: None,
            failures: 0,
            successes: 0,
            due_at: at(100),
            revision: 0,
        }
    }

    #[test]
    fn it_begins_at_its_time_or_within_an_hour_or_never() {
        let drain = drain();
        assert_eq!([99, 100].map(|minute| drain.is_due(at(minute))), [false, true]);
        assert_eq!([100, 160, 161].map(|minute| drain.is_missed(at(minute))), [false, false, true]);
    }

    #[test]
    fn users_are_warned_before_the_deadline_which_counts_from_the_beginning() {
        let mut drain = drain();
        drain.begin(AdminState::Enabled, at(120));
        assert_eq!(drain.ends_at(), Some(at(150)));
        let steps = [120, 139, 140, 155].map(|minute| drain.step(at(minute)));
        assert_eq!(steps, [DrainStep::Wait, DrainStep::Wait, DrainStep::Warn, DrainStep::Warn]);
        assert_eq!(drain.next_look(at(120)), Timestamp(at(120).0 + LOOK_MS));
        assert_eq!(drain.next_look(Timestamp(at(140).0 - 1)), at(140));
        let mut late = drain.clone();
        drain.warned_at = Some(at(140));
        let steps = [141, 149, 150].map(|minute| drain.step(at(minute)));
        assert_eq!(steps, [DrainStep::Wait, DrainStep::Wait, DrainStep::End]);
        late.warned_at = Some(at(155));
        assert_eq!(late.ends_at(), Some(at(165)), "no process was there to warn in time");
    }

    #[test]
    fn a_warning_is_not_longer_than_the_deadline_and_may_be_left_out() {
        let mut drain = drain();
        drain.deadline_ms = Some(5 * MINUTE);
        drain.begin(AdminState::Enabled, at(100));
        assert_eq!(drain.step(at(100)), DrainStep::Warn);
        drain.warned_at = Some(at(100));
        assert_eq!(drain.ends_at(), Some(at(105)));
        (drain.warned_at, drain.warn_ms) = (None, 0);
        assert_eq!(
            [104, 105].map(|minute| drain.step(at(minute))),
            [DrainStep::Wait, DrainStep::End]
        );
        drain.deadline_ms = None;
        assert_eq!(drain.step(at(100_000)), DrainStep::Wait);
    }

    #[test]
    fn a_server_comes_back_only_if_it_was_gone() {
        let mut drain = drain();
        drain.begin(AdminState::Enabled, at(100));
        drain.note_drained(at(110));
        assert_eq!(drain.phase, DrainPhase::Away);
        let answers = [true, true, true, false, true, true, false, false, true, false, true, true];
        let back = answers.map(|answer| drain.note_answer(answer, 2));
        assert_eq!(back, [[false; 11].as_slice(), &[true]].concat()[..]);
        assert!(!drain.is_given_up(at(110)) && drain.is_given_up(at(110 + 7 * 1440 + 1)));
    }

    #[test]
    fn what_somebody_has_taken_out_of_service_meanwhile_stays_so() {
        let started = |state, planned_state| {
            let mut drain = PlannedDrain { planned_state, ..drain() };
            drain.begin(state, at(100));
            drain.after
        };
        let (enabled, disabled) = (AdminState::Enabled, AdminState::Disabled);
        assert_eq!(started(disabled, enabled), AfterDrain::Disable);
        assert_eq!(started(AdminState::Cordoned, enabled), AfterDrain::Disable);
        assert_eq!(started(disabled, disabled), AfterDrain::EnableWhenHealthy);
        assert_eq!(started(enabled, disabled), AfterDrain::EnableWhenHealthy);
    }

    #[test]
    fn a_clock_that_was_set_back_delays_no_drain_that_has_begun() {
        let mut drain = drain();
        drain.begin(AdminState::Enabled, at(100));
        drain.due_at = at(100);
        assert!(!drain.is_due(Timestamp(at(100).0 - 1)) && drain.is_due(at(98)));
        drain.end(DrainOutcome::Cancelled, at(100));
        assert!(!drain.is_due(at(200)));
        assert_eq!(drain.phase.name(), "cancelled");
    }
}
