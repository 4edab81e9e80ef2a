//! Simple policies, to see what each idea is worth: chance, reserved seats, learned sizes.

use domain::forecast::{ForecastPolicy, LoadForecast, NewMeeting};
use domain::timetable::TimetableLimits;
use domain::{MeetingKey, Timetable};

use crate::day::Day;
use crate::forecast_policy;
use crate::simulation::{PlacementModel, PoolView};
use crate::tie_break;
use testkit::seeded_rng::SeededRng;

/// Any server.
pub(crate) struct RandomModel(pub(crate) SeededRng);

impl PlacementModel for RandomModel {
    fn choose_server(
        &mut self,
        world: &PoolView<'_>,
        _session: usize,
        _back: Option<u32>,
    ) -> usize {
        let open: Vec<usize> =
            (0..world.is_available.len()).filter(|server| world.is_available[*server]).collect();
        open[self.0.draw_index(open.len())]
    }
}

/// Users known, and seats reserved for a quarter of an hour, fewer from minute to minute.
pub(crate) struct ExpectedUsersModel {
    /// Whether sizes are learned, and the new meeting's own seats count: "fit".
    learns_sizes: bool,
    keys: Vec<MeetingKey>,
    forecast: LoadForecast,
    timetable: Timetable,
    /// By session: users of the last poll, and joins since.
    users: Vec<u32>,
    expected_users: Vec<u32>,
}

impl ExpectedUsersModel {
    pub(crate) fn new(day: &Day, fit: bool) -> Self {
        let mut timetable = Timetable::new(TimetableLimits::default());
        if fit {
            forecast_policy::history_sessions(day).for_each(|session| timetable.learn(session));
        }
        Self {
            learns_sizes: fit,
            keys: day
                .sessions
                .iter()
                .map(|one| forecast_policy::meeting_key(&one.meeting_id))
                .collect(),
            forecast: LoadForecast::new(ForecastPolicy::default()),
            timetable,
            users: vec![0; day.sessions.len()],
            expected_users: vec![0; day.sessions.len()],
        }
    }

    fn counted_users(&self, world: &PoolView<'_>, session: usize) -> f64 {
        let age = (world.now - world.live[session].created_at) as f64;
        let (users, expected) =
            (f64::from(self.users[session]), f64::from(self.expected_users[session]));
        users + (expected - users).max(0.0) * (1.0 - age / 900.0).max(0.0)
    }
}

impl PlacementModel for ExpectedUsersModel {
    fn choose_server(&mut self, world: &PoolView<'_>, session: usize, back: Option<u32>) -> usize {
        let newcomer = NewMeeting { key: &self.keys[session], size_hint: back, max_users: None };
        self.expected_users[session] =
            self.forecast.expected_users(&newcomer, &self.timetable).users;
        self.users[session] = 0;
        let mut loads = vec![0.0; world.is_available.len()];
        for one in &world.running {
            if let Some(server) = world.live[*one].server {
                loads[server] += self.counted_users(world, *one);
            }
        }
        let own = if self.learns_sizes { f64::from(self.expected_users[session]) } else { 0.0 };
        let open = loads.into_iter().enumerate().filter(|(server, _)| world.is_available[*server]);
        let multiplier = |server: usize| world.day.servers[server].load_multiplier;
        let costs = open.map(|(server, load)| (server, (load + own) * multiplier(server)));
        tie_break::pick_lowest(&world.day.sessions[session].meeting_id, costs)
    }

    fn record_join(&mut self, _world: &PoolView<'_>, session: usize) {
        self.users[session] += 1;
    }

    fn tick(&mut self, world: &PoolView<'_>) {
        if world.now % 60 == 0 {
            for session in &world.running {
                self.users[*session] = world.live[*session].users;
            }
        }
    }
}
