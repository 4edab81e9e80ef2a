//! The forecast of a whole pool, kept up to date between two readings of the store: running meetings, the timetable, and what
//! the store said of each server.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::health::HealthState;
use crate::history::MeetingSession;
use crate::meeting::{Meeting, MeetingKey};
use crate::placement::{PlacementCost, PlacementCosts};
use crate::server::{Server, ServerId};
use crate::time::Timestamp;
use crate::timetable::{Timetable, TimetableLimits};

use super::{
    CostEstimate, ForecastPolicy, ForecastServer, LoadCurve, LoadForecast, NewMeeting,
    RunningMeeting,
};

/// Changes that are applied again after a rebuild, at most.
const MAX_CHANGES: usize = 100_000;

/// The forecast of a pool.
#[derive(Debug)]
pub struct PoolForecast {
    load_forecast: LoadForecast,
    /// Shared with a forecast that is being prepared.
    timetable: Arc<Timetable>,
    /// When the sessions were read that the timetable was learned from.
    history_read_at: Timestamp,
    snapshots: BTreeMap<ServerId, ServerSnapshot>,
    /// Changes since the last [`PoolForecast::begin_rebuild`], while a rebuild is under way.
    changes: Option<Vec<PoolChange>>,
}

/// What the store said of a server, as far as the forecast accounts for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServerSnapshot {
    /// Its load.
    pub load: f64,
    /// Meetings placed on it since its last poll.
    pub placed_since_poll: u32,
    /// The part of its load that comes from meetings that are not recorded, such as those of other balancers.
    pub foreign_load: f64,
}

/// Something that happened to a meeting.
#[derive(Clone, Debug)]
pub enum PoolChange {
    /// It was placed on a server, whose load and count are known with that meeting on it.
    Placed(RunningMeeting, ServerSnapshot),
    /// A user joined it.
    Joined(MeetingKey),
    /// It ended.
    Ended(MeetingKey),
    /// Its session was recorded.
    Learned(MeetingSession),
}

/// What is forecast for one server, in users.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerUsers {
    /// Users of meetings that are expected to be created on it soon.
    pub upcoming: f64,
    /// The most users at one time within the forecast's two hours, those included.
    pub peak: f64,
    /// All of them from now on.
    pub curve: LoadCurve,
}

impl PoolForecast {
    /// An empty forecast. `default_users` is the number of users that a meeting is expected to draw of which nothing is known.
    #[must_use]
    pub fn new(default_users: u32) -> Self {
        let policy = ForecastPolicy { default_users, ..ForecastPolicy::default() };
        Self {
            load_forecast: LoadForecast::new(policy),
            timetable: Arc::new(Timetable::new(TimetableLimits::default())),
            history_read_at: Timestamp(i64::MIN),
            snapshots: BTreeMap::new(),
            changes: None,
        }
    }

    /// Applies a change.
    pub fn apply(&mut self, change: PoolChange) {
        match &change {
            PoolChange::Placed(meeting, snapshot) => {
                self.load_forecast.add_meeting(meeting.clone(), &self.timetable);
                let before = self.snapshots.get(&meeting.server);
                let foreign_load = before.map_or(0.0, |before| before.foreign_load);
                let snapshot = ServerSnapshot { foreign_load, ..*snapshot };
                self.snapshots.insert(meeting.server.clone(), snapshot);
            }
            PoolChange::Joined(key) => self.load_forecast.record_join(key),
            PoolChange::Ended(key) => self.load_forecast.remove_meeting(key),
            PoolChange::Learned(session) => {
                Arc::make_mut(&mut self.timetable).learn(session.clone());
            }
        }
        if let Some(changes) = self.changes.as_mut().filter(|list| list.len() < MAX_CHANGES) {
            changes.push(change);
        }
    }

    /// When the history was read last.
    #[must_use]
    pub fn history_read_at(&self) -> Timestamp {
        self.history_read_at
    }

    /// Estimates what a new meeting costs on each server, and on how many users it is expected to draw.
    pub fn estimate_cost(&mut self, now: Timestamp, meeting: &NewMeeting<'_>) -> CostEstimate {
        self.load_forecast.estimate_cost(now, meeting, &|_| true, &self.timetable)
    }

    /// The costs of placement that follow from an estimate.
    #[must_use]
    pub fn placement_costs(&self, estimate: &CostEstimate) -> PlacementCosts {
        let cost = |server: &ServerId, cost: f64| {
            let ServerSnapshot { load, placed_since_poll, foreign_load } =
                *self.snapshots.get(server)?;
            let cost = cost + foreign_load;
            Some((server.clone(), PlacementCost { cost, basis_load: load, placed_since_poll }))
        };
        let candidates = estimate.candidates.iter();
        candidates.filter_map(|candidate| cost(&candidate.server, candidate.cost)).collect()
    }

    /// Forecasts the users of each server.
    pub fn forecast_users(&mut self, now: Timestamp) -> BTreeMap<ServerId, ServerUsers> {
        let nobody = MeetingKey::default();
        // Smaller than any meeting, so that all upcoming ones are placed before it.
        let smallest = NewMeeting { key: &nobody, size_hint: Some(0), max_users: None };
        let estimate = self.estimate_cost(now, &smallest);
        let peak_of = |points: &[f32]| points.iter().copied().map(f64::from).fold(0.0, f64::max);
        let users = estimate.candidates.iter().map(|candidate| {
            let peak = peak_of(candidate.load.points());
            let running = self.load_forecast.load(&candidate.server);
            let without_upcoming = running.map_or(0.0, |load| peak_of(load.points()));
            let upcoming = (peak - without_upcoming).max(0.0);
            (candidate.server.clone(), ServerUsers { upcoming, peak, curve: candidate.load })
        });
        users.collect()
    }

    /// Forecasts the users of each server that gets new meetings, every five minutes ([`STEP_MS`]) for two hours: those of meetings
    /// that are recorded or expected, and those who come from elsewhere. `multiplier` tells the load of one user.
    pub fn forecast_curves(
        &mut self,
        now: Timestamp,
        multiplier: impl Fn(&ServerId) -> f64,
    ) -> BTreeMap<ServerId, Vec<f64>> {
        let nobody = MeetingKey::default();
        let smallest = NewMeeting { key: &nobody, size_hint: Some(0), max_users: None };
        let estimate = self.estimate_cost(now, &smallest);
        let curves = estimate.candidates.iter().map(|candidate| {
            let id = &candidate.server;
            let foreign_load = self.snapshots.get(id).map_or(0.0, |known| known.foreign_load);
            let foreign_users = foreign_load / multiplier(id);
            let points = candidate.load.points().iter();
            (id.clone(), points.map(|users| f64::from(*users) + foreign_users).collect())
        });
        curves.collect()
    }

    /// What was learned from sessions.
    #[must_use]
    pub fn timetable(&self) -> Arc<Timetable> {
        Arc::clone(&self.timetable)
    }

    /// Begins to remember changes, which [`Self::replace_by`] applies to the facts that are read from now on.
    pub fn begin_rebuild(&mut self) {
        self.changes = Some(Vec::new());
    }

    /// Takes the place of this forecast's facts by those of one that was [prepared](Self::prepare). Changes since
    /// [`Self::begin_rebuild`] are applied again.
    pub fn replace_by(&mut self, prepared: Self) {
        let changes = self.changes.take().unwrap_or_default();
        *self = prepared;
        for change in changes {
            self.apply(change);
        }
    }

    /// Builds a forecast from facts, apart from the one in use: all servers, all meetings with the keys of their history, and
    /// what was learned from sessions that were read at `history_read_at`.
    #[must_use]
    pub fn prepare(
        default_users: u32,
        (timetable, history_read_at): (Arc<Timetable>, Timestamp),
        now: Timestamp,
        servers: &[Server],
        meetings: &[(MeetingKey, &Meeting)],
    ) -> Self {
        let mut prepared = Self::new(default_users);
        (prepared.timetable, prepared.history_read_at) = (timetable, history_read_at);
        prepared.fill(now, servers, meetings);
        prepared
    }

    fn fill(&mut self, now: Timestamp, servers: &[Server], meetings: &[(MeetingKey, &Meeting)]) {
        let mut recorded_users: BTreeMap<&ServerId, f64> = BTreeMap::new();
        for (_, meeting) in meetings {
            *recorded_users.entry(&meeting.server).or_default() +=
                f64::from(meeting.load.counted_users(now));
        }
        let trusted: Vec<&Server> = servers
            .iter()
            .filter(|server| {
                server.accepts_meetings() && server.health.state(now) == HealthState::Online
            })
            .collect();
        let snapshot = |server: &Server| {
            let load = server.load.unwrap_or(0.0);
            let users = recorded_users.get(&server.id).copied().unwrap_or(0.0);
            let foreign_load = (load - users * server.load_multiplier).max(0.0);
            ServerSnapshot { load, placed_since_poll: server.placed_since_poll, foreign_load }
        };
        self.snapshots =
            trusted.iter().map(|server| (server.id.clone(), snapshot(server))).collect();
        let open: Vec<ForecastServer> = trusted
            .iter()
            .map(|server| ForecastServer {
                id: server.id.clone(),
                load_multiplier: server.load_multiplier,
            })
            .collect();
        let running =
            meetings.iter().map(|(key, meeting)| RunningMeeting::new(key.clone(), meeting));
        self.load_forecast.rebuild(now, &open, running, &self.timetable);
    }
}

impl RunningMeeting {
    /// A recorded meeting, under the key of its history.
    #[must_use]
    pub fn new(key: MeetingKey, meeting: &Meeting) -> Self {
        Self {
            key,
            server: meeting.server.clone(),
            created_at: meeting.placed_at,
            users: meeting.load.users,
            expected_users: meeting.load.expected_users,
        }
    }
}
