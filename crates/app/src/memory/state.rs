//! What the reference implementation holds, and what its operations share.

use std::collections::BTreeMap;

use domain::poll::{Elsewhere, Ending, Fate, Observation, Verdict, reported_keys};
use domain::turn::Cycle;
use domain::{Meeting, MeetingKey, Server, ServerId, Session, Timestamp};

use super::tenants::TenantState;
use crate::ports::Located;

#[derive(Default)]
pub(super) struct State {
    pub(super) servers: Vec<Server>,
    pub(super) meetings: BTreeMap<MeetingKey, Meeting>,
    /// The cycle in which each server was polled last.
    pub(super) polled_in: BTreeMap<ServerId, u64>,
    /// The last cycle of each work.
    pub(super) cycles: BTreeMap<String, Cycle>,
    pub(super) tenancy: TenantState,
    pub(super) endings: BTreeMap<(ServerId, MeetingKey), Ending>,
    pub(super) sessions: BTreeMap<(Timestamp, MeetingKey), Session>,
    pub(super) mark: Option<String>,
}

impl State {
    pub(super) fn server(&mut self, id: &ServerId) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.id == *id)
    }

    pub(super) fn add_load(&mut self, id: &ServerId, seats: f64) {
        if let Some(server) = self.server(id) {
            let weight = seats * server.load_multiplier;
            server.load = server.load.map(|load| (load + weight).max(0.0));
        }
    }

    pub(super) fn located(&self, key: &MeetingKey) -> Option<Located> {
        let meeting = self.meetings.get(key)?.clone();
        let server = self.servers.iter().find(|server| server.id == meeting.server)?.clone();
        Some(Located { meeting, server })
    }

    /// The servers of meetings of that id that are another tenant's.
    pub(super) fn servers_of_others(&self, key: &MeetingKey) -> Vec<ServerId> {
        let others = self.meetings.values().filter(|one| one.key.id == key.id && one.key != *key);
        others.map(|one| one.server.clone()).collect()
    }

    pub(super) fn take(&mut self, which: impl Fn(&Meeting) -> bool) -> Vec<Meeting> {
        let (taken, kept) =
            std::mem::take(&mut self.meetings).into_iter().partition(|(_, meeting)| which(meeting));
        self.meetings = kept;
        let taken: BTreeMap<MeetingKey, Meeting> = taken;
        taken.into_values().collect()
    }

    /// Whether a number is that of another meeting. Those of detached ones are free.
    pub(super) fn is_taken(&self, number: &str, key: &MeetingKey) -> bool {
        let mut others = self.meetings.values().filter(|one| one.key != *key && !one.detached);
        others.any(|one| one.voice_bridge.as_deref() == Some(number))
    }

    pub(super) fn undo(&mut self, key: &MeetingKey) {
        if let Some(meeting) = self.meetings.remove(key) {
            if !meeting.detached {
                let taken = meeting.seats.taken(meeting.placed_at);
                self.add_load(&meeting.server, -f64::from(taken));
            }
            if let Some(server) = self.server(&meeting.server) {
                server.placed = server.placed.saturating_sub(1);
            }
        }
    }

    /// Records a meeting and counts its seats.
    pub(super) fn put(&mut self, meeting: Meeting, now: Timestamp) {
        self.add_load(&meeting.server, f64::from(meeting.seats.taken(now)));
        if let Some(server) = self.server(&meeting.server) {
            server.placed += 1;
        }
        self.endings.remove(&(meeting.server.clone(), meeting.key.clone()));
        self.meetings.insert(meeting.key.clone(), meeting);
    }

    /// The meeting, without its voice bridge if that is another one's by now.
    pub(super) fn with_free_bridge(&self, meeting: &Meeting) -> Meeting {
        let number = meeting.voice_bridge.clone();
        let voice_bridge = number.filter(|number| !self.is_taken(number, &meeting.key));
        Meeting { voice_bridge, ..meeting.clone() }
    }

    /// Remembers what is not wanted on servers that are still there.
    pub(super) fn remember(&mut self, endings: &[Ending]) {
        for ending in endings {
            if self.server(&ending.server).is_none() {
                continue;
            }
            let place = (ending.server.clone(), ending.key.clone());
            self.endings.insert(place, ending.clone());
        }
    }

    /// What is known that bears on a poll: meetings here, meetings elsewhere, endings.
    pub(super) fn known(
        &self,
        id: &ServerId,
        observation: &Observation,
    ) -> (Vec<Meeting>, Vec<Elsewhere>, Vec<Ending>) {
        let on_it = |meeting: &&Meeting| meeting.server == *id;
        let here: Vec<Meeting> = self.meetings.values().filter(on_it).cloned().collect();
        let keys = reported_keys(observation, &here);
        let elsewhere = keys.iter().filter_map(|key| self.located(key)).map(Located::elsewhere);
        let elsewhere = elsewhere.collect();
        let endings = self.endings.values().filter(|ending| ending.server == *id);
        (here, elsewhere, endings.cloned().collect())
    }

    pub(super) fn apply_fates(&mut self, verdict: &Verdict, at: Timestamp) -> Vec<Meeting> {
        let mut forgotten = Vec::new();
        for (key, fate) in &verdict.fates {
            if *fate == Fate::Forget {
                forgotten.extend(self.meetings.remove(key));
                continue;
            }
            let number = self.meetings.get(key).map(|one| self.with_free_bridge(one).voice_bridge);
            let Some(meeting) = self.meetings.get_mut(key) else { continue };
            match fate {
                Fate::Seen(seats, course) => {
                    meeting.seats = *seats;
                    meeting.course = *course;
                    meeting.claim = None;
                    meeting.seen_at = at;
                    meeting.missed = 0;
                    // One that comes back may have lost it to another meeting.
                    meeting.voice_bridge = number.flatten();
                    meeting.detached = false;
                }
                Fate::Missed(times) => meeting.missed = *times,
                Fate::Detach => meeting.detached = true,
                Fate::Forget => {}
            }
        }
        forgotten
    }
}
