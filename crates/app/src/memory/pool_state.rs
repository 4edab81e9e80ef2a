//! What the reference implementation holds, and what its operations share.

use std::collections::BTreeMap;

use domain::periodic_job::JobRun;
use domain::poll::{
    MeetingUpdate, PendingEnd, PollObservation, PollOutcome, RecordedElsewhere,
    list_unrecorded_keys,
};
use domain::{Meeting, MeetingKey, MeetingSession, Server, ServerId, Timestamp};

use super::tenants::TenantState;
use crate::ports::MeetingOnServer;

#[derive(Default)]
pub(super) struct PoolState {
    pub(super) servers: Vec<Server>,
    pub(super) meetings: BTreeMap<MeetingKey, Meeting>,
    /// The cycle in which each server was polled last.
    pub(super) last_poll_cycles: BTreeMap<ServerId, u64>,
    /// The last cycle of each work.
    pub(super) job_runs: BTreeMap<String, JobRun>,
    pub(super) tenancy: TenantState,
    pub(super) pending_ends: BTreeMap<(ServerId, MeetingKey), PendingEnd>,
    pub(super) sessions: BTreeMap<(Timestamp, MeetingKey), MeetingSession>,
    pub(super) store_id: Option<String>,
}

impl PoolState {
    pub(super) fn server_mut(&mut self, id: &ServerId) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.id == *id)
    }

    pub(super) fn add_load(&mut self, id: &ServerId, seats: f64) {
        if let Some(server) = self.server_mut(id) {
            let weight = seats * server.load_multiplier;
            server.load = server.load.map(|load| (load + weight).max(0.0));
        }
    }

    pub(super) fn find_meeting(&self, key: &MeetingKey) -> Option<MeetingOnServer> {
        let meeting = self.meetings.get(key)?.clone();
        let server = self.servers.iter().find(|server| server.id == meeting.server)?.clone();
        Some(MeetingOnServer { meeting, server })
    }

    /// The servers of meetings of that id that are another tenant's.
    pub(super) fn list_servers_of_other_tenants(&self, key: &MeetingKey) -> Vec<ServerId> {
        let others = self.meetings.values().filter(|one| one.key.id == key.id && one.key != *key);
        others.map(|one| one.server.clone()).collect()
    }

    pub(super) fn take_meetings(&mut self, which: impl Fn(&Meeting) -> bool) -> Vec<Meeting> {
        let (taken, kept) =
            std::mem::take(&mut self.meetings).into_iter().partition(|(_, meeting)| which(meeting));
        self.meetings = kept;
        let taken: BTreeMap<MeetingKey, Meeting> = taken;
        taken.into_values().collect()
    }

    /// Whether a number is that of another meeting. Those of detached ones are free.
    pub(super) fn is_voice_bridge_taken(&self, number: &str, key: &MeetingKey) -> bool {
        let mut others = self.meetings.values().filter(|one| one.key != *key && !one.detached);
        others.any(|one| one.voice_bridge.as_deref() == Some(number))
    }

    pub(super) fn undo_placement(&mut self, key: &MeetingKey) {
        if let Some(meeting) = self.meetings.remove(key) {
            if !meeting.detached {
                let taken = meeting.load.counted_users(meeting.placed_at);
                self.add_load(&meeting.server, -f64::from(taken));
            }
            if let Some(server) = self.server_mut(&meeting.server) {
                server.placed_since_poll = server.placed_since_poll.saturating_sub(1);
            }
        }
    }

    /// Records a meeting and counts its seats.
    pub(super) fn record_placement(&mut self, meeting: Meeting, now: Timestamp) {
        self.add_load(&meeting.server, f64::from(meeting.load.counted_users(now)));
        if let Some(server) = self.server_mut(&meeting.server) {
            server.placed_since_poll += 1;
        }
        self.pending_ends.remove(&(meeting.server.clone(), meeting.key.clone()));
        self.meetings.insert(meeting.key.clone(), meeting);
    }

    /// The meeting, without its voice bridge if that is another one's by now.
    pub(super) fn with_free_voice_bridge(&self, meeting: &Meeting) -> Meeting {
        let number = meeting.voice_bridge.clone();
        let voice_bridge =
            number.filter(|number| !self.is_voice_bridge_taken(number, &meeting.key));
        Meeting { voice_bridge, ..meeting.clone() }
    }

    /// Remembers what is not wanted on servers that are still there.
    pub(super) fn add_pending_ends(&mut self, endings: &[PendingEnd]) {
        for ending in endings {
            if self.server_mut(&ending.server).is_none() {
                continue;
            }
            let place = (ending.server.clone(), ending.key.clone());
            self.pending_ends.insert(place, ending.clone());
        }
    }

    /// What is known that bears on a poll: meetings here, meetings elsewhere, endings.
    pub(super) fn read_poll_context(
        &self,
        id: &ServerId,
        observation: &PollObservation,
    ) -> (Vec<Meeting>, Vec<RecordedElsewhere>, Vec<PendingEnd>) {
        let on_it = |meeting: &&Meeting| meeting.server == *id;
        let here: Vec<Meeting> = self.meetings.values().filter(on_it).cloned().collect();
        let keys = list_unrecorded_keys(observation, &here);
        let elsewhere = keys
            .iter()
            .filter_map(|key| self.find_meeting(key))
            .map(MeetingOnServer::into_recorded_elsewhere);
        let elsewhere = elsewhere.collect();
        let endings = self.pending_ends.values().filter(|ending| ending.server == *id);
        (here, elsewhere, endings.cloned().collect())
    }

    pub(super) fn apply_updates(&mut self, verdict: &PollOutcome, at: Timestamp) -> Vec<Meeting> {
        let mut forgotten = Vec::new();
        for (key, fate) in &verdict.meeting_updates {
            if *fate == MeetingUpdate::Forgotten {
                forgotten.extend(self.meetings.remove(key));
                continue;
            }
            let number =
                self.meetings.get(key).map(|one| self.with_free_voice_bridge(one).voice_bridge);
            let Some(meeting) = self.meetings.get_mut(key) else { continue };
            match fate {
                MeetingUpdate::Reported(seats, course) => {
                    meeting.load = *seats;
                    meeting.usage = *course;
                    meeting.claim = None;
                    meeting.seen_at = at;
                    meeting.missed_polls = 0;
                    // One that comes back may have lost it to another meeting.
                    meeting.voice_bridge = number.flatten();
                    meeting.detached = false;
                }
                MeetingUpdate::Missed(times) => meeting.missed_polls = *times,
                MeetingUpdate::Detached => meeting.detached = true,
                MeetingUpdate::Forgotten => {}
            }
        }
        forgotten
    }
}
