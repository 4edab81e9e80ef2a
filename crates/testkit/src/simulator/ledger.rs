//! What has happened so far, as far as checkers must know: the store as it was after its last
//! change, where each meeting was recorded when, and what each server was meant to do when.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{AdminState, Meeting, MeetingKey, Server, ServerId, Timestamp};

use super::op::Op;

/// All that the store holds of servers and meetings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Servers.
    pub(crate) servers: Vec<Server>,
    /// Meetings.
    pub(crate) meetings: Vec<Meeting>,
}

impl Snapshot {
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
type Course<T> = Vec<(Timestamp, T)>;

/// The values that held at any time from `since` on.
fn held<T>(course: &Course<T>, since: Timestamp) -> impl Iterator<Item = &T> {
    let first = course.iter().rposition(|(at, _)| *at < since).unwrap_or(0);
    course.iter().skip(first).map(|(_, value)| value)
}

/// What has happened.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The store after its last change.
    pub(crate) last: Snapshot,
    /// Use cases that are under way.
    pub(crate) under_way: BTreeMap<u64, Arc<Op>>,
    /// When the last good poll of each server ended.
    pub(crate) polled_at: BTreeMap<ServerId, Timestamp>,
    /// When the store lost everything.
    pub(crate) lost_at: Option<Timestamp>,
    /// When the last create of each meeting began.
    pub(crate) created_at: BTreeMap<MeetingKey, Timestamp>,
    /// When the last end of each meeting was under way.
    pub(crate) ends: BTreeMap<MeetingKey, (Timestamp, Timestamp)>,
    homes: BTreeMap<MeetingKey, Course<Option<ServerId>>>,
    states: BTreeMap<ServerId, Course<Option<AdminState>>>,
}

impl Ledger {
    /// Notes how the store is now; returns how it was.
    pub(crate) fn note(&mut self, now: Timestamp, after: Snapshot) -> Snapshot {
        let before = std::mem::replace(&mut self.last, after);
        for meeting in &self.last.meetings {
            let was = before.meeting(&meeting.key).map(|was| &was.server);
            if was != Some(&meeting.server) {
                let home = Some(meeting.server.clone());
                self.homes.entry(meeting.key.clone()).or_default().push((now, home));
            }
        }
        for gone in before.meetings.iter().filter(|one| self.last.meeting(&one.key).is_none()) {
            self.homes.entry(gone.key.clone()).or_default().push((now, None));
        }
        for server in &self.last.servers {
            if before.server(&server.id).map(|was| was.state) != Some(server.state) {
                self.states.entry(server.id.clone()).or_default().push((now, Some(server.state)));
            }
        }
        for gone in before.servers.iter().filter(|one| self.last.server(&one.id).is_none()) {
            self.states.entry(gone.id.clone()).or_default().push((now, None));
        }
        before
    }

    /// Whether a meeting was recorded on a server at any time since then.
    #[must_use]
    pub(crate) fn was_home(&self, key: &MeetingKey, server: &ServerId, since: Timestamp) -> bool {
        let homes = self.homes.get(key);
        homes.is_some_and(|homes| held(homes, since).any(|home| home.as_ref() == Some(server)))
    }

    /// Whether a meeting was recorded on another server at any time since then.
    #[must_use]
    pub(crate) fn was_elsewhere(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        since: Timestamp,
    ) -> bool {
        let homes = self.homes.get(key).into_iter().flat_map(|homes| held(homes, since));
        homes.flatten().any(|home| home != server)
    }

    /// Whether a server was in this state at any time since then; `None`: not in the pool.
    #[must_use]
    pub(crate) fn was(
        &self,
        server: &ServerId,
        state: Option<AdminState>,
        since: Timestamp,
    ) -> bool {
        let states = self.states.get(server);
        states.map_or(state.is_none(), |states| held(states, since).any(|one| *one == state))
    }
}
