//! The reference pool store: servers, meetings and all other state that replicas share, behind one
//! lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::health::{ServerFailure, Thresholds};
use domain::placement::choose_server;
use domain::poll::{PendingEnd, PollContext, PollObservation, PollPolicy, apply_poll};
use domain::{Meeting, MeetingKey, Server, ServerId, Timestamp};

use super::pool_state::PoolState;
use crate::ports::{
    KeptCreate, MeetingOnServer, PlaceOutcome, PlaceRequest, PollReport, PoolStore, RecordConflict,
    ServerChange, StoreError,
};

/// The reference implementation of [`crate::ports::StateStore`].
#[derive(Default)]
pub struct MemoryPoolStore(Mutex<PoolState>);

impl MemoryPoolStore {
    pub(super) fn lock(&self) -> MutexGuard<'_, PoolState> {
        // No method can panic while the state is inconsistent, so a poisoned lock is usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PoolStore for MemoryPoolStore {
    async fn check_store(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn list_servers(&self) -> Result<Vec<Server>, StoreError> {
        Ok(self.lock().servers.clone())
    }

    async fn find_server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        Ok(self.lock().server_mut(id).cloned())
    }

    async fn add_server(&self, server: Server) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if state.server_mut(&server.id).is_some() {
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
        let Some(server) = state.server_mut(id) else {
            return Ok(None);
        };
        change.apply(server);
        Ok(Some(server.clone()))
    }

    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError> {
        let mut state = self.lock();
        if state.server_mut(id).is_none() {
            return Ok(None);
        }
        state.servers.retain(|server| server.id != *id);
        state.last_poll_cycles.remove(id);
        state.pending_ends.retain(|(server, _), _| server != id);
        Ok(Some(state.take_meetings(|meeting| meeting.server == *id)))
    }

    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError> {
        if let Some(server) = self.lock().server_mut(id) {
            server.bbb_version = Some(version.to_owned());
        }
        Ok(())
    }

    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &ServerFailure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        if let Some(server) = self.lock().server_mut(id) {
            server.health.record_live_failure(failure.clone(), thresholds);
        }
        Ok(())
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &PollObservation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let mut state = self.lock();
        let last_cycle = state.last_poll_cycles.get(id);
        if cycle.zip(last_cycle).is_some_and(|(cycle, last)| cycle < *last) {
            return Ok(None);
        }
        let (here, elsewhere, pending_ends) = state.read_poll_context(id, observation);
        let Some(server) = state.server_mut(id) else {
            return Ok(None);
        };
        let context = PollContext {
            recorded_here: &here,
            recorded_elsewhere: &elsewhere,
            pending_ends: &pending_ends,
        };
        let outcome = apply_poll(server, context, observation, policy);
        let server = server.clone();
        if let Some(cycle) = cycle {
            state.last_poll_cycles.insert(id.clone(), cycle);
        }
        let forgotten = state.apply_updates(&outcome, observation.finished_at);
        for meeting in &outcome.adopted {
            let adopted = state.with_free_voice_bridge(meeting);
            let kept = state.kept_creates.remove(&meeting.key);
            state.remove_meeting(&meeting.key);
            if let Some((kept, internal_id)) = kept.zip(meeting.origin.proven_id()) {
                let kept = KeptCreate { internal_id: internal_id.to_owned(), ..kept };
                state.kept_creates.insert(meeting.key.clone(), kept);
            }
            state.meetings.insert(meeting.key.clone(), adopted);
        }
        for key in &outcome.settled_ends {
            state.pending_ends.remove(&(id.clone(), key.clone()));
        }
        state.add_pending_ends(&outcome.new_ends);
        Ok(Some(PollReport { server, outcome, forgotten }))
    }

    async fn find_meeting(&self, key: &MeetingKey) -> Result<Option<MeetingOnServer>, StoreError> {
        Ok(self.lock().find_meeting(key))
    }

    async fn find_by_voice_bridge(
        &self,
        number: &str,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let state = self.lock();
        let holds_it = |meeting: &&Meeting| {
            !meeting.detached && meeting.voice_bridge.as_deref() == Some(number)
        };
        let holder = state.meetings.values().find(holds_it);
        Ok(holder.and_then(|meeting| state.find_meeting(&meeting.key)))
    }

    async fn list_meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        let state = self.lock();
        let is_listed = |meeting: &&Meeting| server.is_none_or(|id| meeting.server == *id);
        Ok(state.meetings.values().filter(is_listed).cloned().collect())
    }

    async fn place_meeting(&self, mut request: PlaceRequest) -> Result<PlaceOutcome, StoreError> {
        let mut state = self.lock();
        let recorded = state.find_meeting(&request.key);
        if let Some(outcome) = request.refuse_other_record(recorded.as_ref()) {
            return Ok(outcome);
        }
        let mut replaced_end = None;
        if let Some(recorded) = state.find_meeting(&request.key) {
            replaced_end = request.pending_end_of(&recorded.meeting);
            match request.classify_conflict(&recorded) {
                RecordConflict::Blocking => return Ok(PlaceOutcome::Existing(recorded)),
                RecordConflict::Expired => {
                    state.undo_placement(&request.key);
                    state.add_pending_ends(replaced_end.take().as_slice());
                }
                RecordConflict::Replaceable => {}
            }
        }
        request.criteria.same_id_servers = state.list_servers_of_other_tenants(&request.key);
        let (server, reason) = match choose_server(&state.servers, &request.criteria) {
            Ok(choice) => (choice.server.id.clone(), choice.reason),
            Err(refusal) => return Ok(PlaceOutcome::Refused(refusal)),
        };
        let is_free =
            |voice_bridge: &&String| !state.is_voice_bridge_taken(voice_bridge, &request.key);
        let Some(voice_bridge) = request.voice_bridges.iter().find(is_free).cloned() else {
            return Ok(PlaceOutcome::NoVoiceBridge);
        };
        state.undo_placement(&request.key);
        state.add_pending_ends(replaced_end.as_slice());
        state.add_pending_ends(&request.pending_ends);
        let meeting = request.into_meeting(server, voice_bridge, reason);
        let (key, now) = (meeting.key.clone(), meeting.placed_at);
        state.record_placement(meeting, now);
        let placed = state.find_meeting(&key).map(PlaceOutcome::Claimed);
        placed.ok_or_else(|| StoreError::Corrupt("a placed meeting has no server".to_owned()))
    }

    async fn confirm_meeting(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        pending_ends: &[PendingEnd],
        kept: Option<&KeptCreate>,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.confirm_meeting(meeting, now, pending_ends);
        if let Some(kept) = kept {
            state.keep_create(&meeting.key, kept);
        }
        Ok(())
    }

    async fn release_claim(
        &self,
        key: &MeetingKey,
        token: &str,
        pending_ends: &[PendingEnd],
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let claim = state.meetings.get(key).and_then(|meeting| meeting.claim.as_ref());
        if claim.is_none_or(|claim| claim.token != token) {
            return Ok(false);
        }
        state.add_pending_ends(pending_ends);
        state.undo_placement(key);
        Ok(true)
    }

    async fn forget_meeting(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        pending_end: Option<&PendingEnd>,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let recorded = state.meetings.get(key).filter(|meeting| meeting.server == *server);
        let is_recorded = recorded.is_some();
        let was_seen_since =
            |meeting: &Meeting| seen_at.is_some_and(|seen_at| meeting.seen_at != seen_at);
        if recorded.is_some_and(was_seen_since) {
            return Ok(false);
        }
        state.add_pending_ends(pending_end.map_or(&[], std::slice::from_ref));
        if let Some(requested) = pending_end.filter(|end| end.is_requested()) {
            state.request_ends_of_copies(requested);
        }
        if is_recorded {
            state.remove_meeting(key);
        }
        Ok(is_recorded)
    }

    async fn list_pending_ends(&self) -> Result<Vec<PendingEnd>, StoreError> {
        Ok(self.lock().pending_ends.values().cloned().collect())
    }

    async fn forget_server_meetings(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        Ok(self.lock().take_meetings(|meeting| meeting.server == *server))
    }

    async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let mut state = self.lock();
        let Some(recorded) = state.find_meeting(key) else {
            return Ok(None);
        };
        if recorded.is_reachable()
            && let Some(meeting) = state.meetings.get_mut(key)
        {
            let added = meeting.load.add_user(now);
            state.add_load(&recorded.server.id, f64::from(added));
        }
        Ok(Some(recorded))
    }

    async fn restore_meeting(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if state.meetings.contains_key(&meeting.key) || state.server_mut(&meeting.server).is_none()
        {
            return Ok(false);
        }
        // A detached meeting holds no voice bridge, and its number may be another meeting's.
        let restored =
            if meeting.detached { meeting.clone() } else { state.with_free_voice_bridge(meeting) };
        state.meetings.insert(meeting.key.clone(), restored);
        Ok(true)
    }

    async fn claim_store_id(&self, id: &str) -> Result<String, StoreError> {
        Ok(self.lock().store_id.get_or_insert_with(|| id.to_owned()).clone())
    }

    async fn restore_servers(
        &self,
        lost_store_id: &str,
        servers: &[Server],
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let has_lost_everything =
            state.servers.is_empty() && state.store_id.as_deref() != Some(lost_store_id);
        if has_lost_everything {
            state.servers = servers.to_vec();
        }
        Ok(has_lost_everything)
    }

    async fn forget_unseen(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        let mut state = self.lock();
        state.pending_ends.retain(|_, pending| pending.since >= unseen_since);
        Ok(state.take_meetings(|meeting| meeting.seen_at < unseen_since))
    }
}
