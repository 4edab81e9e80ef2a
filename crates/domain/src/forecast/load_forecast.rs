//! The load forecast of a pool: the forecasts of its meetings, and their sum for each server.

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

/// The divisor that turns weeks into a probability: a meeting that took place in four of four weeks
/// is certain, because half a week is added.
const CERTAIN_WEEKS: f32 = 4.5;

/// Most meetings that are about to be created and are counted, the largest ones. Every estimate places
/// all of them.
const MAX_UPCOMING: usize = 2_000;

/// The load forecast of a pool.
///
/// [`Self::rebuild`] computes it from the recorded servers and meetings. In between, single changes
/// keep it up to date.
#[derive(Clone, Debug)]
pub struct LoadForecast {
    pub(super) policy: ForecastPolicy,
    /// The time that forecasts and sums are computed for.
    pub(super) now: Timestamp,
    /// The servers that accept meetings, in the order of their ids. The next three lists have the
    /// same order.
    pub(super) servers: Vec<ForecastServer>,
    /// The load that one user causes on each server.
    pub(super) multipliers: Vec<f32>,
    /// Whether each server has stopped accepting meetings since the last rebuild.
    pub(super) closed: Vec<bool>,
    /// The users of each server over the next two hours.
    pub(super) loads: Vec<LoadCurve>,
    meetings: BTreeMap<MeetingKey, ForecastEntry>,
    /// Meetings that are about to be created, the largest first.
    pub(super) upcoming_meetings: Vec<UpcomingMeeting>,
    /// A copy of `loads` for [`Self::estimate_cost`], kept to reuse its memory.
    pub(super) scratch_loads: Vec<LoadCurve>,
}

/// A running meeting and its forecast.
#[derive(Clone, Debug)]
struct ForecastEntry {
    /// The index of its server; `None` if the server accepts no meetings.
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

/// A meeting that is about to be created.
#[derive(Clone, Debug)]
pub(super) struct UpcomingMeeting {
    pub(super) key: Arc<MeetingKey>,
    pub(super) expected_users: f32,
    pub(super) probe: LoadProbe,
}

impl LoadForecast {
    /// Returns a forecast without servers and meetings.
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

    /// Computes the forecast from the servers that accept meetings and from all running meetings,
    /// including those on other servers.
    pub fn rebuild(
        &mut self,
        now: Timestamp,
        servers: &[ForecastServer],
        running: impl IntoIterator<Item = RunningMeeting>,
        timetable: &Timetable,
    ) {
        let mut servers = servers.to_vec();
        servers.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        servers.dedup_by(|a, b| a.id == b.id);
        self.multipliers =
            servers.iter().map(|server| usable_multiplier(server.load_multiplier)).collect();
        self.closed = vec![false; servers.len()];
        self.servers = servers;
        self.now = now;
        let entries = running.into_iter().map(|meeting| self.build_entry(meeting, timetable));
        self.meetings = entries.collect();
        self.sum_loads();
        self.find_upcoming_meetings(timetable);
    }

    /// Adds a meeting that was placed. It replaces an entry with the same key.
    pub fn add_meeting(&mut self, running: RunningMeeting, timetable: &Timetable) {
        self.remove_meeting(&running.key);
        let (key, entry) = self.build_entry(running, timetable);
        if let Some(load) = entry.server.and_then(|server| self.loads.get_mut(server)) {
            load.add(&entry.curve());
        }
        self.upcoming_meetings.retain(|upcoming| *upcoming.key != key);
        self.meetings.insert(key, entry);
    }

    /// Records that a user was redirected to a meeting.
    pub fn record_join(&mut self, key: &MeetingKey) {
        let users = self.meetings.get(key).map_or(0, |entry| entry.users);
        self.set_users(key, users.saturating_add(1));
    }

    /// Sets the number of users of a meeting, as counted by a poll.
    pub fn set_users(&mut self, key: &MeetingKey, users: u32) {
        let Some(entry) = self.meetings.get_mut(key) else { return };
        let before = entry.curve();
        entry.users = users;
        if let Some(load) = entry.server.and_then(|server| self.loads.get_mut(server)) {
            load.add(&entry.curve());
            load.subtract(&before);
        }
    }

    /// Removes a meeting that has ended.
    pub fn remove_meeting(&mut self, key: &MeetingKey) {
        let Some(entry) = self.meetings.remove(key) else { return };
        if let Some(load) = entry.server.and_then(|server| self.loads.get_mut(server)) {
            load.subtract(&entry.curve());
        }
    }

    /// Excludes a server from all placements until the next rebuild.
    pub fn close_server(&mut self, server: &ServerId) {
        if let Some(index) = self.server_index(server) {
            self.closed[index] = true;
        }
    }

    /// Returns the users of the running meetings of a server over the next two hours.
    #[must_use]
    pub fn load(&self, server: &ServerId) -> Option<&LoadCurve> {
        self.loads.get(self.server_index(server)?)
    }

    fn server_index(&self, id: &ServerId) -> Option<usize> {
        self.servers.binary_search_by(|server| server.id.cmp(id)).ok()
    }

    /// Returns the number of running meetings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.meetings.len()
    }

    /// Returns whether there are no running meetings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.meetings.is_empty()
    }

    /// Returns the number of users that a new meeting is expected to have.
    #[must_use]
    pub fn expected_users(&self, meeting: &NewMeeting<'_>, timetable: &Timetable) -> ExpectedUsers {
        let (users, source) = if let Some(hint) = meeting.size_hint {
            (hint, ExpectedUsersSource::Hint)
        } else if let Some(size) = timetable.usual_size(meeting.key) {
            (size, ExpectedUsersSource::Learned(timetable.session_count(meeting.key)))
        } else if let Some(size) = timetable.typical_size() {
            (size.round() as u32, ExpectedUsersSource::Typical)
        } else {
            (self.policy.default_users, ExpectedUsersSource::Reserve)
        };
        ExpectedUsers { users: users.min(meeting.max_users.unwrap_or(u32::MAX)), source }
    }

    /// Computes all forecasts again if they are older than [`ForecastPolicy::refresh_ms`].
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

    /// Returns the times at which a meeting begins and ends that was created at this time.
    pub(super) fn meeting_times(
        &self,
        key: &MeetingKey,
        created_at: Timestamp,
        timetable: &Timetable,
    ) -> MeetingTimes {
        let scheduled_start =
            find_scheduled_start(&self.policy, created_at, timetable.start_offset_ms());
        MeetingTimes {
            created_at,
            scheduled_start,
            end: timetable.expected_end(key, created_at),
            is_guess: false,
        }
    }

    fn build_entry(
        &self,
        running: RunningMeeting,
        timetable: &Timetable,
    ) -> (MeetingKey, ForecastEntry) {
        let RunningMeeting { key, server, created_at, users, expected_users } = running;
        let server = self.server_index(&server);
        let is_guess =
            expected_users == self.policy.default_users && timetable.typical_size().is_none();
        let mut times = self.meeting_times(&key, created_at, timetable);
        times.is_guess = is_guess && times.end.is_none();
        let forecast = MeetingForecast::new(&self.policy, self.now, times, timetable);
        (key, ForecastEntry { server, times, users, expected_users, forecast })
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

    /// Finds the meetings that are about to be created and do not run yet.
    fn find_upcoming_meetings(&mut self, timetable: &Timetable) {
        let from = self.now.plus_ms(-self.policy.upcoming_late_ms);
        let to = self.now.plus_ms(self.policy.upcoming_ahead_ms);
        let expected = timetable.expected_meetings(from, to, self.policy.upcoming_min_weeks);
        let mut upcoming: Vec<_> = expected
            .into_iter()
            .filter(|meeting| !self.meetings.contains_key(&*meeting.key))
            .map(|meeting| self.build_upcoming_meeting(meeting, timetable))
            .collect();
        upcoming.sort_by(|a, b| {
            b.expected_users.total_cmp(&a.expected_users).then_with(|| a.key.cmp(&b.key))
        });
        upcoming.truncate(MAX_UPCOMING);
        self.upcoming_meetings = upcoming;
    }

    fn build_upcoming_meeting(
        &self,
        expected: ExpectedMeeting,
        timetable: &Timetable,
    ) -> UpcomingMeeting {
        let probability = ((expected.weeks as f32 + 0.5) / CERTAIN_WEEKS).min(1.0);
        let expected_users = expected.size as f32 * probability;
        let scheduled_start =
            find_scheduled_start(&self.policy, expected.starts_at, timetable.start_offset_ms());
        let times = MeetingTimes {
            created_at: expected.starts_at,
            scheduled_start,
            end: Some(expected.ends_at),
            is_guess: false,
        };
        let forecast = MeetingForecast::new(&self.policy, self.now, times, timetable);
        let probe = LoadProbe::new(&self.policy, forecast.curve(0, expected_users));
        UpcomingMeeting { key: expected.key, expected_users, probe }
    }
}

/// Limits a configured multiplier to a range that can be computed with.
fn usable_multiplier(load_multiplier: f64) -> f32 {
    let finite = if load_multiplier.is_finite() { load_multiplier } else { 1.0 };
    finite.clamp(1e-3, 1e6) as f32
}
