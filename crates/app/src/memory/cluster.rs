//! Servers and meetings behind one lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::health::{Failure, Thresholds};
use domain::placement::choose;
use domain::poll::{Ending, Known, Observation, PollPolicy, apply};
use domain::{AdminState, Meeting, MeetingKey, Server, ServerId, Timestamp};

use super::state::State;
use crate::ports::{
    Cluster, Located, Obstacle, PlaceRequest, Placed, PollReport, ServerChange, StoreError,
};

/// The reference implementation of the hot state.
#[derive(Default)]
pub struct MemoryCluster(Mutex<State>);

impl MemoryCluster {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Every method leaves the state whole before it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cluster for MemoryCluster {
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn servers(&self) -> Result<Vec<Server>, StoreError> {
        Ok(self.lock().servers.clone())
    }

    async fn server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        Ok(self.lock().server(id).cloned())
    }

    async fn add_server(&self, server: Server) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if state.server(&server.id).is_some() {
            return Ok(false);
        }
        state.servers.push(server);
        Ok(true)
    }

    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError> {
        let mut state = self.lock();
        let Some(server) = state.server(id) else {
            return Ok(None);
        };
        change.apply(server);
        Ok(Some(server.clone()))
    }

    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError> {
        let mut state = self.lock();
        if state.server(id).is_none() {
            return Ok(None);
        }
        state.servers.retain(|server| server.id != *id);
        state.polled_in.remove(id);
        state.endings.retain(|(server, _), _| server != id);
        Ok(Some(state.take(|meeting| meeting.server == *id)))
    }

    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError> {
        if let Some(server) = self.lock().server(id) {
            server.bbb_version = Some(version.to_owned());
        }
        Ok(())
    }

    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &Failure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        if let Some(server) = self.lock().server(id) {
            server.health.doubt(failure.clone(), thresholds);
        }
        Ok(())
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &Observation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let mut state = self.lock();
        if cycle.is_some_and(|cycle| state.polled_in.get(id).is_some_and(|last| cycle < *last)) {
            return Ok(None);
        }
        let (here, elsewhere, endings) = state.known(id, observation);
        let Some(server) = state.server(id) else {
            return Ok(None);
        };
        let known = Known { here: &here, elsewhere: &elsewhere, endings: &endings };
        let verdict = apply(server, known, observation, policy);
        let server = server.clone();
        if let Some(cycle) = cycle {
            state.polled_in.insert(id.clone(), cycle);
        }
        let forgotten = state.apply_fates(&verdict, observation.finished_at);
        for meeting in &verdict.adopted {
            let adopted = state.with_free_bridge(meeting);
            state.meetings.insert(meeting.key.clone(), adopted);
        }
        for key in &verdict.settled {
            state.endings.remove(&(id.clone(), key.clone()));
        }
        Ok(Some(PollReport { server, verdict, forgotten }))
    }

    async fn meeting(&self, key: &MeetingKey) -> Result<Option<Located>, StoreError> {
        Ok(self.lock().located(key))
    }

    async fn meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        let state = self.lock();
        let wanted = |meeting: &&Meeting| server.is_none_or(|id| meeting.server == *id);
        Ok(state.meetings.values().filter(wanted).cloned().collect())
    }

    async fn place(&self, mut request: PlaceRequest) -> Result<Placed, StoreError> {
        let mut state = self.lock();
        let known = state.located(&request.key);
        match known.as_ref().map(|known| request.obstacle(known)) {
            Some(Obstacle::Stays) => {
                let known = known.map(Placed::Known);
                return known.ok_or_else(|| StoreError::Corrupt("no meeting".to_owned()));
            }
            Some(Obstacle::Expired) => state.undo(&request.key),
            Some(Obstacle::Yields) | None => {}
        }
        request.ask.others = state.servers_of_others(&request.key);
        let (server, reason) = match choose(&state.servers, &request.ask) {
            Ok(choice) => (choice.server.id.clone(), choice.reason),
            Err(refusal) => return Ok(Placed::Refused(refusal)),
        };
        let is_free = |number: &&String| !state.is_taken(number, &request.key);
        let Some(voice_bridge) = request.voice_bridges.iter().find(is_free).cloned() else {
            return Ok(Placed::NoVoiceBridge);
        };
        state.undo(&request.key);
        state.remember(&request.endings);
        let meeting = request.placed_on(server, voice_bridge, reason);
        let (key, now) = (meeting.key.clone(), meeting.placed_at);
        state.put(meeting, now);
        let located = state.located(&key);
        located.map(Placed::Won).ok_or_else(|| StoreError::Corrupt("no server".to_owned()))
    }

    async fn confirm(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        endings: &[Ending],
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let record = state.meetings.get(&meeting.key);
        let other = record.filter(|record| !record.is_claimed_like(meeting));
        let home = other.map(|record| record.server.clone());
        let unwanted = endings.iter().filter(|ending| Some(&ending.server) != home.as_ref());
        state.remember(&unwanted.cloned().collect::<Vec<_>>());
        state.endings.remove(&(meeting.server.clone(), meeting.key.clone()));
        if let Some(stored) = state.meetings.get_mut(&meeting.key) {
            let ours = stored.is_claimed_like(meeting);
            if stored.server == meeting.server {
                stored.claim = None;
                stored.seen_at = now;
                return Ok(());
            }
            if !ours {
                return Ok(());
            }
            // A slower try was made there.
            state.undo(&meeting.key);
        }
        let server = state.server(&meeting.server);
        if server.is_none_or(|server| server.state == AdminState::Disabled) {
            return Ok(());
        }
        let back = state.with_free_bridge(meeting);
        state.put(Meeting { claim: None, seen_at: now, detached: false, ..back }, now);
        Ok(())
    }

    async fn release(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[Ending],
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let claim = state.meetings.get(key).and_then(|meeting| meeting.claim.as_ref());
        if claim.is_none_or(|claim| claim.token != token) {
            return Ok(false);
        }
        state.remember(endings);
        state.undo(key);
        Ok(true)
    }

    async fn forget(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        ending: Option<&Ending>,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let record = state.meetings.get(key).filter(|meeting| meeting.server == *server);
        let is_new = |record: &Meeting| seen_at.is_some_and(|seen_at| record.seen_at != seen_at);
        if record.is_some_and(is_new) {
            return Ok(false);
        }
        let there = record.is_some();
        state.remember(ending.map_or(&[], std::slice::from_ref));
        if there {
            state.meetings.remove(key);
        }
        Ok(there)
    }

    async fn endings(&self) -> Result<Vec<Ending>, StoreError> {
        Ok(self.lock().endings.values().cloned().collect())
    }

    async fn forget_all(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        Ok(self.lock().take(|meeting| meeting.server == *server))
    }

    async fn join(&self, key: &MeetingKey, now: Timestamp) -> Result<Option<Located>, StoreError> {
        let mut state = self.lock();
        let Some(located) = state.located(key) else {
            return Ok(None);
        };
        if located.is_reachable()
            && let Some(meeting) = state.meetings.get_mut(key)
        {
            let added = meeting.seats.join(now);
            state.add_load(&located.server.id, f64::from(added));
        }
        Ok(Some(located))
    }

    async fn restore(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if state.meetings.contains_key(&meeting.key) || state.server(&meeting.server).is_none() {
            return Ok(false);
        }
        // A detached one holds no number, and may know one that is another's.
        let restored =
            if meeting.detached { meeting.clone() } else { state.with_free_bridge(meeting) };
        state.meetings.insert(meeting.key.clone(), restored);
        Ok(true)
    }

    async fn mark(&self, mark: &str) -> Result<String, StoreError> {
        Ok(self.lock().mark.get_or_insert_with(|| mark.to_owned()).clone())
    }

    async fn put_back(&self, lost: &str, servers: &[Server]) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let is_empty = state.servers.is_empty() && state.mark.as_deref() != Some(lost);
        if is_empty {
            state.servers = servers.to_vec();
        }
        Ok(is_empty)
    }

    async fn sweep(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        let mut state = self.lock();
        state.endings.retain(|_, ending| ending.since >= unseen_since);
        Ok(state.take(|meeting| meeting.seen_at < unseen_since))
    }
}
