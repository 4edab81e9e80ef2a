//! The data of the reference pool store, and the steps that its operations share.

use std::collections::{BTreeMap, HashMap};

use domain::confirmation::{self, ConfirmationEffect};
use domain::drain::PlannedDrain;
use domain::periodic_job::JobRun;
use domain::poll::{
    MeetingUpdate, PendingEnd, PollObservation, PollOutcome, RecordedElsewhere,
    list_unrecorded_keys,
};
use domain::recording::RecordingFormatId;
use domain::samples::SampleSpan;
use domain::{
    Meeting, MeetingKey, MeetingSession, Server, ServerId, Tenant, TenantSetting, Timestamp,
};

use crate::ports::{AuditPosition, AuditRecord, KeptCreate, ManagementToken, MeetingOnServer};

#[derive(Default)]
pub(super) struct PoolState {
    pub(super) servers: Vec<Server>,
    pub(super) meetings: BTreeMap<MeetingKey, Meeting>,
    pub(super) kept_creates: BTreeMap<MeetingKey, KeptCreate>,
    /// The number of the last poll cycle that recorded a poll of each server.
    pub(super) last_poll_cycles: BTreeMap<ServerId, u64>,
    /// The last run of each periodic job.
    pub(super) job_runs: BTreeMap<String, JobRun>,
    /// What replicas share of their certificate.
    pub(super) certificate_state: Option<String>,
    /// Samples by span, start of the block and subject.
    pub(super) samples: BTreeMap<(SampleSpan, Timestamp, String), String>,
    pub(super) tenants: Vec<Tenant>,
    pub(super) tenant_settings: Vec<TenantSetting>,
    /// One-time tokens: what each one grants, and until when.
    pub(super) tokens: HashMap<String, (RecordingFormatId, Timestamp)>,
    /// Management tokens by their ids.
    pub(super) management_tokens: BTreeMap<String, ManagementToken>,
    pub(super) audit: BTreeMap<AuditPosition, AuditRecord>,
    /// Planned drains by their ids.
    pub(super) drains: BTreeMap<String, PlannedDrain>,
    /// Remembered requests by their keys: fingerprint, answer, and until when.
    pub(super) requests: BTreeMap<String, (String, Option<String>, Timestamp)>,
    pub(super) pending_ends: BTreeMap<(ServerId, MeetingKey), PendingEnd>,
    pub(super) sessions: BTreeMap<(Timestamp, MeetingKey), MeetingSession>,
    pub(super) store_id: Option<String>,
}

impl PoolState {
    /// See [`crate::ports::PoolStore::confirm_meeting`].
    pub(super) fn confirm_meeting(
        &mut self,
        meeting: &Meeting,
        now: Timestamp,
        pending_ends: &[PendingEnd],
    ) {
        let record = self.meetings.get(&meeting.key).cloned();
        let proof = self.pending_ends.get(&(meeting.server.clone(), meeting.key.clone()));
        let origin = meeting.origin.clone().with_proof(proof.into_iter());
        let meeting = &Meeting { origin, ..meeting.clone() };
        let protected = confirmation::protected_server(record.as_ref(), meeting);
        let applicable = pending_ends.iter().filter(|pending| Some(&pending.server) != protected);
        self.add_pending_ends(&applicable.cloned().collect::<Vec<_>>());
        self.pending_ends.remove(&(meeting.server.clone(), meeting.key.clone()));
        let effect = ConfirmationEffect::decide(record.as_ref(), meeting);
        let copy = confirmation::pending_end_of_copy(effect, meeting, now);
        self.add_pending_ends(copy.as_slice());
        match effect {
            ConfirmationEffect::EndClaim => {
                if let Some(stored) = self.meetings.get_mut(&meeting.key) {
                    let has_claim = stored.claim.is_some();
                    stored.origin = stored.origin.with_reply(&meeting.origin, has_claim);
                    stored.claim = None;
                    stored.seen_at = now;
                }
                return;
            }
            ConfirmationEffect::KeepRecord => return,
            ConfirmationEffect::MoveRecord => self.undo_placement(&meeting.key),
            ConfirmationEffect::CreateRecord => {}
        }
        let server = self.servers.iter().find(|server| server.id == meeting.server);
        if !confirmation::may_be_recorded_on(server) {
            return;
        }
        let meeting = self.with_free_voice_bridge(meeting);
        let confirmed = Meeting { claim: None, seen_at: now, detached: false, ..meeting };
        self.record_placement(confirmed, now);
    }

    pub(super) fn server_mut(&mut self, id: &ServerId) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.id == *id)
    }

    /// Adds users, weighted by the load multiplier, to the load of a server. The load never falls
    /// below zero.
    pub(super) fn add_load(&mut self, id: &ServerId, users: f64) {
        if let Some(server) = self.server_mut(id) {
            let weight = users * server.load_multiplier;
            server.load = server.load.map(|load| (load + weight).max(0.0));
        }
    }

    pub(super) fn find_meeting(&self, key: &MeetingKey) -> Option<MeetingOnServer> {
        let meeting = self.meetings.get(key)?.clone();
        let server = self.servers.iter().find(|server| server.id == meeting.server)?.clone();
        Some(MeetingOnServer { meeting, server })
    }

    /// Lists the servers of other tenants' meetings with the same id.
    pub(super) fn list_servers_of_other_tenants(&self, key: &MeetingKey) -> Vec<ServerId> {
        let has_same_id = |meeting: &&Meeting| meeting.key.id == key.id && meeting.key != *key;
        let meetings = self.meetings.values().filter(has_same_id);
        meetings.map(|meeting| meeting.server.clone()).collect()
    }

    /// Removes the meetings that match, and returns them.
    pub(super) fn take_meetings(&mut self, matches: impl Fn(&Meeting) -> bool) -> Vec<Meeting> {
        let taken = self.meetings.extract_if(.., |_, meeting| matches(meeting));
        let taken: Vec<Meeting> = taken.map(|(_, meeting)| meeting).collect();
        for meeting in &taken {
            self.kept_creates.remove(&meeting.key);
        }
        taken
    }

    /// Removes the record of a meeting with its kept create.
    pub(super) fn remove_meeting(&mut self, key: &MeetingKey) -> Option<Meeting> {
        self.kept_creates.remove(key);
        self.meetings.remove(key)
    }

    /// Whether another meeting holds this voice bridge. Detached meetings hold none.
    pub(super) fn is_voice_bridge_taken(&self, voice_bridge: &str, key: &MeetingKey) -> bool {
        let holds_it = |meeting: &Meeting| {
            meeting.key != *key
                && !meeting.detached
                && meeting.voice_bridge.as_deref() == Some(voice_bridge)
        };
        self.meetings.values().any(holds_it)
    }

    /// Removes a meeting, and subtracts its users from the load of its server.
    pub(super) fn undo_placement(&mut self, key: &MeetingKey) {
        if let Some(meeting) = self.remove_meeting(key) {
            if !meeting.detached {
                let users = meeting.load.counted_users(meeting.placed_at);
                self.add_load(&meeting.server, -f64::from(users));
            }
            if let Some(server) = self.server_mut(&meeting.server) {
                server.placed_since_poll = server.placed_since_poll.saturating_sub(1);
            }
        }
    }

    /// Records a meeting, and adds its users to the load of its server.
    pub(super) fn record_placement(&mut self, meeting: Meeting, now: Timestamp) {
        self.add_load(&meeting.server, f64::from(meeting.load.counted_users(now)));
        if let Some(server) = self.server_mut(&meeting.server) {
            server.placed_since_poll += 1;
        }
        self.meetings.insert(meeting.key.clone(), meeting);
    }

    /// Returns the meeting without its voice bridge if another meeting holds that by now.
    pub(super) fn with_free_voice_bridge(&self, meeting: &Meeting) -> Meeting {
        let voice_bridge = meeting.voice_bridge.clone();
        let voice_bridge =
            voice_bridge.filter(|number| !self.is_voice_bridge_taken(number, &meeting.key));
        Meeting { voice_bridge, ..meeting.clone() }
    }

    /// Records pending ends on servers that exist.
    pub(super) fn add_pending_ends(&mut self, pending_ends: &[PendingEnd]) {
        for pending_end in pending_ends {
            if self.server_mut(&pending_end.server).is_none() {
                continue;
            }
            let key = (pending_end.server.clone(), pending_end.key.clone());
            let kept = pending_end.added_to(self.pending_ends.get(&key));
            self.pending_ends.insert(key, kept);
        }
    }

    /// Turns the pending ends of copies of a meeting that somebody ended into ends on request.
    pub(super) fn request_ends_of_copies(&mut self, requested: &PendingEnd) {
        let copies = self.pending_ends.values_mut().filter(|end| end.key == requested.key);
        for end in copies {
            if let Some(changed) = end.after_request(requested.since) {
                *end = changed;
            }
        }
    }

    /// Reads the records that a poll of a server is compared with: the meetings on it, the meetings
    /// that it reports and that are recorded on other servers, and its pending ends.
    pub(super) fn read_poll_context(
        &self,
        id: &ServerId,
        observation: &PollObservation,
    ) -> (Vec<Meeting>, Vec<RecordedElsewhere>, Vec<PendingEnd>) {
        let is_here = |meeting: &&Meeting| meeting.server == *id;
        let here: Vec<Meeting> = self.meetings.values().filter(is_here).cloned().collect();
        let polled = self.servers.iter().find(|server| server.id == *id);
        let elsewhere = list_unrecorded_keys(observation, &here)
            .iter()
            .filter_map(|key| self.find_meeting(key).zip(polled))
            .map(|(found, polled)| found.into_recorded_elsewhere(polled))
            .collect();
        let pending_ends = self.pending_ends.values().filter(|pending| pending.server == *id);
        (here, elsewhere, pending_ends.cloned().collect())
    }

    /// Applies the updates of a poll to the meetings of its server, and returns those that were
    /// forgotten.
    pub(super) fn apply_updates(&mut self, outcome: &PollOutcome, at: Timestamp) -> Vec<Meeting> {
        let mut forgotten = Vec::new();
        for (key, update) in &outcome.meeting_updates {
            if *update == MeetingUpdate::Forgotten {
                forgotten.extend(self.remove_meeting(key));
                continue;
            }
            let recorded = self.meetings.get(key);
            let voice_bridge =
                recorded.and_then(|meeting| self.with_free_voice_bridge(meeting).voice_bridge);
            let Some(meeting) = self.meetings.get_mut(key) else { continue };
            match update {
                MeetingUpdate::Reported(load, usage, origin) => {
                    meeting.origin = origin.clone();
                    meeting.load = *load;
                    meeting.usage = *usage;
                    meeting.claim = None;
                    meeting.seen_at = at;
                    meeting.missed_polls = 0;
                    // While the meeting was detached, another one may have taken its voice bridge.
                    meeting.voice_bridge = voice_bridge;
                    meeting.detached = false;
                }
                MeetingUpdate::Missed(polls) => meeting.missed_polls = *polls,
                MeetingUpdate::Detached => meeting.detached = true,
                MeetingUpdate::Forgotten => {}
            }
        }
        forgotten
    }

    pub(super) fn has_tenant(&self, id: &str) -> bool {
        self.tenants.iter().any(|tenant| tenant.id == id)
    }

    /// Whether a tenant other than `id` has this name, without regard to the case of ASCII letters.
    pub(super) fn is_tenant_name_taken(&self, name: &str, id: &str) -> bool {
        let has_name = |tenant: &Tenant| tenant.id != id && tenant.name.eq_ignore_ascii_case(name);
        self.tenants.iter().any(has_name)
    }
}
