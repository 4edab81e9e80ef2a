//! Simple policies, which show what each part of a policy contributes: a random choice, expected
//! users, learned sizes.

use domain::forecast::{ForecastPolicy, LoadForecast, NewMeeting};
use domain::timetable::TimetableLimits;
use domain::{MeetingKey, Timetable};

use crate::day::Day;
use crate::forecast_policy;
use crate::simulation::{PlacementModel, PoolView};
use crate::tie_break;
use testkit::seeded_rng::SeededRng;

/// Chooses a random server.
pub(crate) struct RandomModel(pub(crate) SeededRng);

impl PlacementModel for RandomModel {
    fn choose_server(
        &mut self,
        pool: &PoolView<'_>,
        _session: usize,
        _returning_users: Option<u32>,
    ) -> usize {
        let available: Vec<usize> =
            (0..pool.is_available.len()).filter(|server| pool.is_available[*server]).collect();
        available[self.0.draw_index(available.len())]
    }
}

/// Chooses the server with the fewest users, where a young meeting counts at least its expected
/// users. That minimum decreases to zero within a quarter of an hour.
pub(crate) struct ExpectedUsersModel {
    /// Whether sizes are learned from the history, and the new meeting's expected users count.
    learns_sizes: bool,
    keys: Vec<MeetingKey>,
    forecast: LoadForecast,
    timetable: Timetable,
    /// By session: users at the last poll, plus joins since.
    users: Vec<u32>,
    expected_users: Vec<u32>,
}

impl ExpectedUsersModel {
    pub(crate) fn new(day: &Day, learns_sizes: bool) -> Self {
        let mut timetable = Timetable::new(TimetableLimits::default());
        if learns_sizes {
            forecast_policy::history_sessions(day).for_each(|session| timetable.learn(session));
        }
        Self {
            learns_sizes,
            keys: day
                .sessions
                .iter()
                .map(|session| forecast_policy::meeting_key(&session.meeting_id))
                .collect(),
            forecast: LoadForecast::new(ForecastPolicy::default()),
            timetable,
            users: vec![0; day.sessions.len()],
            expected_users: vec![0; day.sessions.len()],
        }
    }

    fn counted_users(&self, pool: &PoolView<'_>, session: usize) -> f64 {
        let age = (pool.now - pool.live[session].created_at) as f64;
        let (users, expected) =
            (f64::from(self.users[session]), f64::from(self.expected_users[session]));
        users + (expected - users).max(0.0) * (1.0 - age / 900.0).max(0.0)
    }
}

impl PlacementModel for ExpectedUsersModel {
    fn choose_server(
        &mut self,
        pool: &PoolView<'_>,
        session: usize,
        returning_users: Option<u32>,
    ) -> usize {
        let new_meeting =
            NewMeeting { key: &self.keys[session], size_hint: returning_users, max_users: None };
        self.expected_users[session] =
            self.forecast.expected_users(&new_meeting, &self.timetable).users;
        self.users[session] = 0;
        let mut loads = vec![0.0; pool.is_available.len()];
        for running in &pool.running {
            if let Some(server) = pool.live[*running].server {
                loads[server] += self.counted_users(pool, *running);
            }
        }
        let own = if self.learns_sizes { f64::from(self.expected_users[session]) } else { 0.0 };
        let available =
            loads.into_iter().enumerate().filter(|(server, _)| pool.is_available[*server]);
        let multiplier = |server: usize| pool.day.servers[server].load_multiplier;
        let costs = available.map(|(server, load)| (server, (load + own) * multiplier(server)));
        tie_break::pick_lowest(&pool.day.sessions[session].meeting_id, costs)
    }

    fn record_join(&mut self, _pool: &PoolView<'_>, session: usize) {
        self.users[session] += 1;
    }

    fn tick(&mut self, pool: &PoolView<'_>) {
        if pool.now % 60 == 0 {
            for session in &pool.running {
                self.users[*session] = pool.live[*session].users;
            }
        }
    }
}
