//! Servers and meetings behind one lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::placement::choose;
use domain::poll::{Fate, Observation, PollPolicy, apply};
use domain::turn::Cycle;
use domain::{AdminState, Meeting, MeetingKey, Server, ServerId, Timestamp};

use super::tenants::TenantState;
use crate::ports::{Cluster, Located, PlaceRequest, Placed, PollReport, ServerChange, StoreError};

#[derive(Default)]
pub(super) struct State {
    servers: Vec<Server>,
    meetings: BTreeMap<MeetingKey, Meeting>,
    /// The cycle in which each server was polled last.
    polled_in: BTreeMap<ServerId, u64>,
    /// The last cycle of each work.
    pub(super) cycles: BTreeMap<String, Cycle>,
    pub(super) tenancy: TenantState,
}

/// The reference implementation of the hot state.
#[derive(Default)]
pub struct MemoryCluster(Mutex<State>);

impl MemoryCluster {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Every method leaves the state whole before it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn server(&mut self, id: &ServerId) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.id == *id)
    }

    fn add_load(&mut self, id: &ServerId, seats: f64) {
        if let Some(server) = self.server(id) {
            let weight = seats * server.load_multiplier;
            server.load = server.load.map(|load| (load + weight).max(0.0));
        }
    }

    fn located(&self, key: &MeetingKey) -> Option<Located> {
        let meeting = self.meetings.get(key)?.clone();
        let server = self.servers.iter().find(|server| server.id == meeting.server)?.clone();
        Some(Located { meeting, server })
    }

    fn take(&mut self, which: impl Fn(&Meeting) -> bool) -> Vec<Meeting> {
        let (taken, kept) =
            std::mem::take(&mut self.meetings).into_iter().partition(|(_, meeting)| which(meeting));
        self.meetings = kept;
        let taken: BTreeMap<MeetingKey, Meeting> = taken;
        taken.into_values().collect()
    }

    fn has_bridge(&self, number: &str) -> bool {
        self.meetings.values().any(|meeting| meeting.voice_bridge.as_deref() == Some(number))
    }

    fn undo(&mut self, key: &MeetingKey) {
        if let Some(meeting) = self.meetings.remove(key) {
            let taken = meeting.seats.taken(meeting.placed_at);
            self.add_load(&meeting.server, -f64::from(taken));
        }
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
        Ok(Some(state.take(|meeting| meeting.server == *id)))
    }

    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError> {
        if let Some(server) = self.lock().server(id) {
            server.bbb_version = Some(version.to_owned());
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
        let known: Vec<Meeting> =
            state.meetings.values().filter(|meeting| meeting.server == *id).cloned().collect();
        let Some(server) = state.server(id) else {
            return Ok(None);
        };
        let verdict = apply(server, &known, observation, policy);
        let server = server.clone();
        if let Some(cycle) = cycle {
            state.polled_in.insert(id.clone(), cycle);
        }
        let mut forgotten = Vec::new();
        for (key, fate) in &verdict.fates {
            match fate {
                Fate::Forget => forgotten.extend(state.meetings.remove(key)),
                Fate::Seen(seats) => {
                    if let Some(meeting) = state.meetings.get_mut(key) {
                        meeting.seats = *seats;
                        meeting.claim = None;
                        meeting.seen_at = observation.finished_at;
                    }
                }
            }
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

    async fn place(&self, request: PlaceRequest) -> Result<Placed, StoreError> {
        let mut state = self.lock();
        if let Some(known) = state.located(&request.key) {
            if request.yields_to(&known.meeting) {
                return Ok(Placed::Known(known));
            }
            state.undo(&request.key);
        }
        let server = match choose(&state.servers, &request.ask) {
            Ok(server) => server.id.clone(),
            Err(refusal) => return Ok(Placed::Refused(refusal)),
        };
        let free = request.voice_bridges.iter().find(|number| !state.has_bridge(number));
        let Some(voice_bridge) = free.cloned() else {
            return Ok(Placed::NoVoiceBridge);
        };
        let meeting = request.placed_on(server, voice_bridge);
        let key = meeting.key.clone();
        state.add_load(&meeting.server, f64::from(meeting.seats.taken(meeting.placed_at)));
        state.meetings.insert(key.clone(), meeting);
        let located = state.located(&key);
        located.map(Placed::Won).ok_or_else(|| StoreError::Corrupt("no server".to_owned()))
    }

    async fn confirm(&self, meeting: &Meeting, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.lock();
        if let Some(stored) = state.meetings.get_mut(&meeting.key) {
            if stored.server == meeting.server {
                stored.claim = None;
                stored.seen_at = now;
            }
            return Ok(());
        }
        let server = state.server(&meeting.server);
        if server.is_none_or(|server| server.state == AdminState::Disabled) {
            return Ok(());
        }
        let taken = meeting.voice_bridge.as_deref().is_some_and(|number| state.has_bridge(number));
        let voice_bridge = meeting.voice_bridge.clone().filter(|_| !taken);
        let back = Meeting { claim: None, seen_at: now, voice_bridge, ..meeting.clone() };
        state.add_load(&back.server, f64::from(back.seats.taken(now)));
        state.meetings.insert(back.key.clone(), back);
        Ok(())
    }

    async fn release(&self, key: &MeetingKey, token: &str) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let claim = state.meetings.get(key).and_then(|meeting| meeting.claim.as_ref());
        if claim.is_none_or(|claim| claim.token != token) {
            return Ok(false);
        }
        state.undo(key);
        Ok(true)
    }

    async fn forget(&self, key: &MeetingKey, server: &ServerId) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let there = state.meetings.get(key).is_some_and(|meeting| meeting.server == *server);
        if there {
            state.meetings.remove(key);
        }
        Ok(there)
    }

    async fn forget_all(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        Ok(self.lock().take(|meeting| meeting.server == *server))
    }

    async fn join(&self, key: &MeetingKey, now: Timestamp) -> Result<Option<Located>, StoreError> {
        let mut state = self.lock();
        let Some(located) = state.located(key) else {
            return Ok(None);
        };
        if located.server.accepts_joins()
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
        let voice_bridge = meeting.voice_bridge.clone().filter(|one| !state.has_bridge(one));
        state.meetings.insert(meeting.key.clone(), Meeting { voice_bridge, ..meeting.clone() });
        Ok(true)
    }

    async fn sweep(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        Ok(self.lock().take(|meeting| meeting.seen_at < unseen_since))
    }
}
