//! What checkers know about the run so far: the store after its last change, where each meeting was
//! recorded at which time, and which administrative state each server had at which time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{AdminState, Meeting, MeetingKey, Server, ServerId, Timestamp};

use super::entries::is_same_server;
use super::use_case::UseCase;

/// All servers and meetings in the store at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreSnapshot {
    /// The servers of the pool.
    pub(crate) servers: Vec<Server>,
    /// The recorded meetings.
    pub(crate) meetings: Vec<Meeting>,
}

impl StoreSnapshot {
    /// Returns a server.
    #[must_use]
    pub(crate) fn server(&self, id: &ServerId) -> Option<&Server> {
        self.servers.iter().find(|server| server.id == *id)
    }

    /// Returns a meeting.
    #[must_use]
    pub(crate) fn meeting(&self, key: &MeetingKey) -> Option<&Meeting> {
        self.meetings.iter().find(|meeting| meeting.key == *key)
    }
}

/// Values, each with the time at which it began to hold.
type ValueHistory<T> = Vec<(Timestamp, T)>;

/// Returns the values that held at any time from `since` on.
fn values_since<T>(history: &ValueHistory<T>, since: Timestamp) -> impl Iterator<Item = &T> {
    let first = history.iter().rposition(|(at, _)| *at < since).unwrap_or(0);
    history.iter().skip(first).map(|(_, value)| value)
}

/// What a front-end believes of the end of a meeting.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EndBelief {
    /// Whether a create has succeeded since it was told last.
    pub(crate) waits: bool,
    /// Whether a create was under way since it was told last.
    pub(crate) may_be_told: bool,
}

/// What has happened in a run so far.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    /// The store after its last change.
    pub(crate) last_snapshot: StoreSnapshot,
    /// Use cases that have not ended, by their numbers.
    pub(crate) running: BTreeMap<u64, Arc<UseCase>>,
    /// When the last successful poll of each server ended.
    pub(crate) polled_at: BTreeMap<ServerId, Timestamp>,
    /// When the store lost its data.
    pub(crate) store_lost_at: Option<Timestamp>,
    /// Use cases that were under way when the store lost its data: they know what they have asked servers for.
    pub(crate) running_at_loss: BTreeSet<u64>,
    /// When the last create of each meeting began.
    pub(crate) created_at: BTreeMap<MeetingKey, Timestamp>,
    /// When a create of each meeting last succeeded.
    pub(crate) answered_at: BTreeMap<MeetingKey, Timestamp>,
    /// Creates that found their claims gone when they wanted to release them.
    pub(crate) lost_claims: BTreeSet<u64>,
    /// When the last `end` of each meeting began and when it was over.
    pub(crate) end_times: BTreeMap<MeetingKey, (Timestamp, Timestamp)>,
    /// What front-ends believe of the ends of their meetings.
    pub(crate) end_beliefs: BTreeMap<MeetingKey, EndBelief>,
    /// When the last `end` of each meeting began and when it was over, if its front-end was told that the
    /// meeting is over.
    pub(crate) confirmed_ends: BTreeMap<MeetingKey, (Timestamp, Timestamp)>,
    /// `internalMeetingID` of the meetings whose creates are kept.
    pub(crate) kept_creates: BTreeMap<MeetingKey, String>,
    server_history: BTreeMap<MeetingKey, ValueHistory<Option<ServerId>>>,
    state_history: BTreeMap<ServerId, ValueHistory<Option<AdminState>>>,
}

impl Expectations {
    /// Records the current content of the store, and returns the previous content.
    pub(crate) fn record_snapshot(
        &mut self,
        now: Timestamp,
        after: StoreSnapshot,
    ) -> StoreSnapshot {
        let before = std::mem::replace(&mut self.last_snapshot, after);
        for meeting in &self.last_snapshot.meetings {
            let previous_server = before.meeting(&meeting.key).map(|previous| &previous.server);
            if previous_server != Some(&meeting.server) {
                let server = Some(meeting.server.clone());
                self.server_history.entry(meeting.key.clone()).or_default().push((now, server));
            }
        }
        for removed in &before.meetings {
            if self.last_snapshot.meeting(&removed.key).is_none() {
                self.server_history.entry(removed.key.clone()).or_default().push((now, None));
            }
        }
        for server in &self.last_snapshot.servers {
            let previous_state = before.server(&server.id).map(|previous| previous.state);
            if previous_state != Some(server.state) {
                let state = Some(server.state);
                self.state_history.entry(server.id.clone()).or_default().push((now, state));
            }
        }
        for removed in &before.servers {
            if self.last_snapshot.server(&removed.id).is_none() {
                self.state_history.entry(removed.id.clone()).or_default().push((now, None));
            }
        }
        before
    }

    /// Returns when a create of a meeting last began or succeeded.
    #[must_use]
    pub(crate) fn last_created_at(&self, key: &MeetingKey) -> Option<Timestamp> {
        let times = [&self.created_at, &self.answered_at];
        times.into_iter().filter_map(|times| times.get(key).copied()).max()
    }

    /// Returns whether a meeting was recorded on this server, under any of its names, at any time
    /// from `since` on.
    #[must_use]
    pub(crate) fn was_on_server(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        since: Timestamp,
    ) -> bool {
        let history = self.server_history.get(key);
        history.is_some_and(|history| {
            values_since(history, since)
                .flatten()
                .any(|recorded| is_same_server(&recorded.0, &server.0))
        })
    }

    /// Returns since when the record of a meeting is as it is now, or is missing.
    #[must_use]
    pub(crate) fn recorded_since(&self, key: &MeetingKey) -> Option<Timestamp> {
        self.server_history.get(key)?.last().map(|(since, _)| *since)
    }

    /// Returns whether a meeting was recorded on a server other than this one at any time from
    /// `since` on.
    #[must_use]
    pub(crate) fn was_on_other_server(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        since: Timestamp,
    ) -> bool {
        let history = self.server_history.get(key).into_iter();
        let mut recorded = history.flat_map(|history| values_since(history, since)).flatten();
        recorded.any(|recorded| !is_same_server(&recorded.0, &server.0))
    }

    /// Returns whether a server was ever listed under both of its names.
    #[must_use]
    pub(crate) fn was_listed_twice(&self, host: &str) -> bool {
        self.state_history.keys().filter(|id| is_same_server(&id.0, host)).count() > 1
    }

    /// Returns whether an entry of a server was removed at any time from `since` on.
    #[must_use]
    pub(crate) fn was_removed(&self, host: &str, since: Timestamp) -> bool {
        let mut entries = self.state_history.iter().filter(|(id, _)| is_same_server(&id.0, host));
        entries.any(|(_, history)| values_since(history, since).any(Option::is_none))
    }

    /// Returns whether a server was not enabled at any time from `since` on.
    #[must_use]
    pub(crate) fn was_closed(&self, server: &ServerId, since: Timestamp) -> bool {
        let history = self.state_history.get(server);
        history.is_none_or(|history| {
            values_since(history, since).any(|state| *state != Some(AdminState::Enabled))
        })
    }

    /// Returns whether a server was in this state at any time from `since` on; `None` means that it
    /// was not in the pool.
    #[must_use]
    pub(crate) fn was_in_state(
        &self,
        server: &ServerId,
        state: Option<AdminState>,
        since: Timestamp,
    ) -> bool {
        let history = self.state_history.get(server);
        history.map_or(state.is_none(), |history| {
            values_since(history, since).any(|recorded| *recorded == state)
        })
    }
}
