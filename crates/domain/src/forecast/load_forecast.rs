//! The book: the meetings of a pool with their forecasts, summed up by server.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::meeting::MeetingKey;
use crate::server::ServerId;
use crate::time::Timestamp;
use crate::timetable::{ExpectedMeeting, Timetable};

use super::load_curve::LoadCurve;
use super::meeting_forecast::{MeetingForecast, MeetingTimes, find_scheduled_start};
use super::policy::ForecastPolicy;
use super::probe::LoadProbe;
use super::{ExpectedUsers, ExpectedUsersSource, ForecastServer, NewMeeting, RunningMeeting};

/// A meeting that met in four of four weeks is promised for sure.
const CERTAIN_WEEKS: f32 = 4.5;

/// The meetings of a pool with their forecasts, summed up by server.
///
/// It is made from facts, by [`Self::rebuild`], and kept up to date by single changes between.
#[derive(Clone, Debug)]
pub struct LoadForecast {
    pub(super) policy: ForecastPolicy,
    /// Forecasts and sums are of this moment.
    pub(super) now: Timestamp,
    /// In the order of their ids, like the three that follow.
    pub(super) servers: Vec<ForecastServer>,
    /// How much a user takes up.
    pub(super) multipliers: Vec<f32>,
    /// Whether it takes meetings.
    pub(super) closed: Vec<bool>,
    /// Users over the next two hours.
    pub(super) loads: Vec<LoadCurve>,
    meetings: BTreeMap<MeetingKey, ForecastEntry>,
    /// The largest one first.
    pub(super) upcoming_meetings: Vec<UpcomingMeeting>,
    pub(super) scratch_loads: Vec<LoadCurve>,
}

/// A meeting in the book.
#[derive(Clone, Debug)]
struct ForecastEntry {
    /// Its server's place; none if that server takes no meetings.
    server: Option<usize>,
    times: MeetingTimes,
    users: u32,
    expected_users: u32,
    forecast: MeetingForecast,
}

impl ForecastEntry {
    fn curve(&self) -> LoadCurve {
        self.forecast.curve(self.users, self.expected_users as f32)
    }
}

/// A meeting that is about to come.
#[derive(Clone, Debug)]
pub(super) struct UpcomingMeeting {
    pub(super) key: Arc<MeetingKey>,
    pub(super) expected_users: f32,
    pub(super) probe: LoadProbe,
}

impl LoadForecast {
    /// An empty one, without servers.
    #[must_use]
    pub fn new(policy: ForecastPolicy) -> Self {
        Self {
            policy,
            now: Timestamp(i64::MIN),
            servers: Vec::new(),
            multipliers: Vec::new(),
            closed: Vec::new(),
            loads: Vec::new(),
            meetings: BTreeMap::new(),
            upcoming_meetings: Vec::new(),
            scratch_loads: Vec::new(),
        }
    }

    /// Replaces all that is in it by facts: the servers that take meetings, and all meetings that
    /// run, elsewhere as well.
    pub fn rebuild(
        &mut self,
        now: Timestamp,
        servers: &[ForecastServer],
        running: impl IntoIterator<Item = RunningMeeting>,
        timetable: &Timetable,
    ) {
        let mut servers = servers.to_vec();
        servers.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        servers.dedup_by(|one, other| one.id == other.id);
        self.multipliers =
            servers.iter().map(|one| usable_multiplier(one.load_multiplier)).collect();
        self.closed = vec![false; servers.len()];
        self.servers = servers;
        self.now = now;
        let entries = running.into_iter().map(|one| self.build_entry(one, timetable));
        self.meetings = entries.collect();
        self.sum_loads();
        self.find_upcoming_meetings(timetable);
    }

    /// A meeting was placed. One of the same name is replaced.
    pub fn add_meeting(&mut self, running: RunningMeeting, timetable: &Timetable) {
        self.remove_meeting(&running.key);
        let (key, entry) = self.build_entry(running, timetable);
        if let Some(load) = entry.server.and_then(|server| self.loads.get_mut(server)) {
            load.add(&entry.curve());
        }
        self.upcoming_meetings.retain(|promise| *promise.key != key);
        self.meetings.insert(key, entry);
    }

    /// One more user is on the way to a meeting.
    pub fn record_join(&mut self, key: &MeetingKey) {
        let users = self.meetings.get(key).map_or(0, |entry| entry.users);
        self.set_users(key, users.saturating_add(1));
    }

    /// A poll counted the users of a meeting.
    pub fn set_users(&mut self, key: &MeetingKey, users: u32) {
        let Some(entry) = self.meetings.get_mut(key) else { return };
        let before = entry.curve();
        entry.users = users;
        if let Some(load) = entry.server.and_then(|server| self.loads.get_mut(server)) {
            load.add(&entry.curve());
            load.subtract(&before);
        }
    }

    /// A meeting has ended.
    pub fn remove_meeting(&mut self, key: &MeetingKey) {
        let Some(entry) = self.meetings.remove(key) else { return };
        if let Some(load) = entry.server.and_then(|server| self.loads.get_mut(server)) {
            load.subtract(&entry.curve());
        }
    }

    /// A server takes no meetings any more, until the book is rebuilt: so that none are promised
    /// to it.
    pub fn close_server(&mut self, server: &ServerId) {
        if let Ok(place) = self.servers.binary_search_by(|one| one.id.cmp(server)) {
            self.closed[place] = true;
        }
    }

    /// Users of a server over the next two hours, of meetings that run.
    #[must_use]
    pub fn load(&self, server: &ServerId) -> Option<&LoadCurve> {
        let place = self.servers.binary_search_by(|one| one.id.cmp(server)).ok()?;
        self.loads.get(place)
    }

    /// How many meetings are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.meetings.len()
    }

    /// Whether no meeting is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.meetings.is_empty()
    }

    /// How many users a new meeting is expected to draw.
    #[must_use]
    pub fn expected_users(
        &self,
        newcomer: &NewMeeting<'_>,
        timetable: &Timetable,
    ) -> ExpectedUsers {
        let (seats, source) = if let Some(hint) = newcomer.size_hint {
            (hint, ExpectedUsersSource::Hint)
        } else if let Some(size) = timetable.usual_size(newcomer.key) {
            (size, ExpectedUsersSource::Learned(timetable.session_count(newcomer.key)))
        } else if let Some(size) = timetable.typical_size() {
            (size.round() as u32, ExpectedUsersSource::Typical)
        } else {
            (self.policy.default_users, ExpectedUsersSource::Reserve)
        };
        ExpectedUsers { users: seats.min(newcomer.max_users.unwrap_or(u32::MAX)), source }
    }

    /// Makes forecasts anew when they are old.
    pub(super) fn refresh(&mut self, now: Timestamp, timetable: &Timetable) {
        if now.ms_since(self.now).abs() < self.policy.refresh_ms {
            return;
        }
        self.now = now;
        for entry in self.meetings.values_mut() {
            entry.forecast = MeetingForecast::new(&self.policy, now, entry.times, timetable);
        }
        self.sum_loads();
        self.find_upcoming_meetings(timetable);
    }

    /// When a meeting begins and ends that was created then.
    pub(super) fn meeting_times(
        &self,
        key: &MeetingKey,
        created_at: Timestamp,
        timetable: &Timetable,
    ) -> MeetingTimes {
        let bell = find_scheduled_start(&self.policy, created_at, timetable.start_offset_ms());
        MeetingTimes {
            created_at,
            scheduled_start: bell,
            end: timetable.expected_end(key, created_at),
            is_guess: false,
        }
    }

    fn build_entry(
        &self,
        running: RunningMeeting,
        timetable: &Timetable,
    ) -> (MeetingKey, ForecastEntry) {
        let RunningMeeting { key, server, created_at, users, expected_users: expected } = running;
        let server = self.servers.binary_search_by(|one| one.id.cmp(&server)).ok();
        let guessed = expected == self.policy.default_users && timetable.typical_size().is_none();
        let mut times = self.meeting_times(&key, created_at, timetable);
        times.is_guess = guessed && times.end.is_none();
        let forecast = MeetingForecast::new(&self.policy, self.now, times, timetable);
        (key, ForecastEntry { server, times, users, expected_users: expected, forecast })
    }

    fn sum_loads(&mut self) {
        self.loads.clear();
        self.loads.resize(self.servers.len(), LoadCurve::ZERO);
        for entry in self.meetings.values() {
            if let Some(load) = entry.server.and_then(|server| self.loads.get_mut(server)) {
                load.add(&entry.curve());
            }
        }
    }

    /// Finds the meetings that are about to come.
    fn find_upcoming_meetings(&mut self, timetable: &Timetable) {
        let from = self.now.plus_ms(-self.policy.upcoming_late_ms);
        let to = self.now.plus_ms(self.policy.upcoming_ahead_ms);
        let coming = timetable.expected_meetings(from, to, self.policy.upcoming_min_weeks);
        let coming = coming.into_iter().filter(|one| !self.meetings.contains_key(&*one.key));
        let mut promises: Vec<_> =
            coming.map(|one| self.build_upcoming_meeting(one, timetable)).collect();
        promises.sort_by(|one, other| {
            other
                .expected_users
                .total_cmp(&one.expected_users)
                .then_with(|| one.key.cmp(&other.key))
        });
        self.upcoming_meetings = promises;
    }

    fn build_upcoming_meeting(
        &self,
        promised: ExpectedMeeting,
        timetable: &Timetable,
    ) -> UpcomingMeeting {
        let surely = ((promised.weeks as f32 + 0.5) / CERTAIN_WEEKS).min(1.0);
        let seats = promised.size as f32 * surely;
        let bell =
            find_scheduled_start(&self.policy, promised.starts_at, timetable.start_offset_ms());
        let times = MeetingTimes {
            created_at: promised.starts_at,
            scheduled_start: bell,
            end: Some(promised.ends_at),
            is_guess: false,
        };
        let forecast = MeetingForecast::new(&self.policy, self.now, times, timetable);
        let probe = LoadProbe::new(&self.policy, forecast.curve(0, seats));
        UpcomingMeeting { key: promised.key, expected_users: seats, probe }
    }
}

/// A multiplier that can be counted with, whatever was configured.
fn usable_multiplier(load_multiplier: f64) -> f32 {
    let finite = if load_multiplier.is_finite() { load_multiplier } else { 1.0 };
    finite.clamp(1e-3, 1e6) as f32
}
