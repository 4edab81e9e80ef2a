//! What has happened so far, as far as checkers must know: the store as it was after its last
//! change, where each meeting was recorded when, and what each server was meant to do when.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{AdminState, Meeting, MeetingKey, Server, ServerId, Timestamp};

use super::use_case::UseCase;

/// All that the store holds of servers and meetings.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreSnapshot {
    /// Servers.
    pub(crate) servers: Vec<Server>,
    /// Meetings.
    pub(crate) meetings: Vec<Meeting>,
}

impl StoreSnapshot {
    /// A server.
    #[must_use]
    pub(crate) fn server(&self, id: &ServerId) -> Option<&Server> {
        self.servers.iter().find(|server| server.id == *id)
    }

    /// A meeting.
    #[must_use]
    pub(crate) fn meeting(&self, key: &MeetingKey) -> Option<&Meeting> {
        self.meetings.iter().find(|meeting| meeting.key == *key)
    }
}

/// Values with the times since when they hold.
type ValueHistory<T> = Vec<(Timestamp, T)>;

/// The values that held at any time from `since` on.
fn values_since<T>(course: &ValueHistory<T>, since: Timestamp) -> impl Iterator<Item = &T> {
    let first = course.iter().rposition(|(at, _)| *at < since).unwrap_or(0);
    course.iter().skip(first).map(|(_, value)| value)
}

/// What has happened.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    /// The store after its last change.
    pub(crate) last_snapshot: StoreSnapshot,
    /// Use cases that are under way.
    pub(crate) running: BTreeMap<u64, Arc<UseCase>>,
    /// When the last good poll of each server ended.
    pub(crate) polled_at: BTreeMap<ServerId, Timestamp>,
    /// When the store lost everything.
    pub(crate) store_lost_at: Option<Timestamp>,
    /// When the last create of each meeting began.
    pub(crate) created_at: BTreeMap<MeetingKey, Timestamp>,
    /// When the last end of each meeting was under way.
    pub(crate) end_times: BTreeMap<MeetingKey, (Timestamp, Timestamp)>,
    server_history: BTreeMap<MeetingKey, ValueHistory<Option<ServerId>>>,
    state_history: BTreeMap<ServerId, ValueHistory<Option<AdminState>>>,
}

impl Expectations {
    /// Notes how the store is now; returns how it was.
    pub(crate) fn record_snapshot(
        &mut self,
        now: Timestamp,
        after: StoreSnapshot,
    ) -> StoreSnapshot {
        let before = std::mem::replace(&mut self.last_snapshot, after);
        for meeting in &self.last_snapshot.meetings {
            let was = before.meeting(&meeting.key).map(|was| &was.server);
            if was != Some(&meeting.server) {
                let home = Some(meeting.server.clone());
                self.server_history.entry(meeting.key.clone()).or_default().push((now, home));
            }
        }
        for gone in
            before.meetings.iter().filter(|one| self.last_snapshot.meeting(&one.key).is_none())
        {
            self.server_history.entry(gone.key.clone()).or_default().push((now, None));
        }
        for server in &self.last_snapshot.servers {
            if before.server(&server.id).map(|was| was.state) != Some(server.state) {
                self.state_history
                    .entry(server.id.clone())
                    .or_default()
                    .push((now, Some(server.state)));
            }
        }
        for gone in before.servers.iter().filter(|one| self.last_snapshot.server(&one.id).is_none())
        {
            self.state_history.entry(gone.id.clone()).or_default().push((now, None));
        }
        before
    }

    /// Whether a meeting was recorded on a server at any time since then.
    #[must_use]
    pub(crate) fn was_on_server(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        since: Timestamp,
    ) -> bool {
        let homes = self.server_history.get(key);
        homes.is_some_and(|homes| {
            values_since(homes, since).any(|home| home.as_ref() == Some(server))
        })
    }

    /// Whether a meeting was recorded on another server at any time since then.
    #[must_use]
    pub(crate) fn was_on_other_server(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        since: Timestamp,
    ) -> bool {
        let homes =
            self.server_history.get(key).into_iter().flat_map(|homes| values_since(homes, since));
        homes.flatten().any(|home| home != server)
    }

    /// Whether a server was in this state at any time since then; `None`: not in the pool.
    #[must_use]
    pub(crate) fn was_in_state(
        &self,
        server: &ServerId,
        state: Option<AdminState>,
        since: Timestamp,
    ) -> bool {
        let states = self.state_history.get(server);
        states
            .map_or(state.is_none(), |states| values_since(states, since).any(|one| *one == state))
    }
}
