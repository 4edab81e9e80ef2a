//! The product's policy `forecast`, by the product's own code.

use domain::forecast::{ForecastPolicy, ForecastServer, LoadForecast, NewMeeting, RunningMeeting};
use domain::timetable::TimetableLimits;
use domain::{MeetingKey, MeetingSession, MeetingUsage, ServerId, Timestamp, Timetable};

use crate::day::{Day, Second};
use crate::simulation::{PlacementModel, PoolView};
use crate::tie_break;

/// A Monday at 0:00.
const MONDAY_MS: i64 = 1_767_571_200_000;
const DAY_S: i64 = 86_400;
/// The product's `POLL_INTERVAL`.
const POLL_INTERVAL_S: Second = 60;

/// What a policy knows of the day beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// The four weeks before.
    History,
    /// Nothing.
    Nothing,
    /// The four weeks before, and the exact size of each meeting when it is created.
    Hints,
}

/// The product's load forecast, with what it learns during the day.
pub(crate) struct ForecastModel {
    forecast: LoadForecast,
    timetable: Timetable,
    has_hints: bool,
    keys: Vec<MeetingKey>,
    /// By session: the number of users that was expected when it was placed.
    expected_users: Vec<u32>,
    /// By session: what was observed while it runs, and when it was created.
    usage: Vec<Option<(MeetingUsage, Timestamp)>>,
}

impl ForecastModel {
    pub(crate) fn new(day: &Day, knowledge: Knowledge) -> Self {
        Self::with_policy(day, knowledge, ForecastPolicy::default())
    }

    pub(crate) fn with_policy(day: &Day, knowledge: Knowledge, policy: ForecastPolicy) -> Self {
        let mut timetable = Timetable::new(TimetableLimits::default());
        if knowledge != Knowledge::Nothing {
            history_sessions(day).for_each(|session| timetable.learn(session));
        }
        let mut forecast = LoadForecast::new(policy);
        let first = day.sessions.first().map_or(0, |session| session.created_at);
        forecast.rebuild(to_timestamp(first), &forecast_servers(day, |_| true), [], &timetable);
        let keys = day.sessions.iter().map(|session| meeting_key(&session.meeting_id)).collect();
        Self {
            forecast,
            timetable,
            has_hints: knowledge == Knowledge::Hints,
            keys,
            expected_users: vec![0; day.sessions.len()],
            usage: vec![None; day.sessions.len()],
        }
    }

    fn new_meeting(
        &self,
        pool: &PoolView<'_>,
        session: usize,
        returning_users: Option<u32>,
    ) -> NewMeeting<'_> {
        let size_hint = self.has_hints.then(|| pool.day.sessions[session].max_users);
        NewMeeting {
            key: &self.keys[session],
            size_hint: size_hint.or(returning_users),
            max_users: None,
        }
    }

    /// Rebuilds the forecast from the running sessions, on the servers that are not known to be
    /// down.
    fn rebuild(&mut self, pool: &PoolView<'_>) {
        let day = pool.day;
        let servers = forecast_servers(day, |index| pool.is_available[index]);
        let running = pool.running.iter().map(|session| {
            let live = pool.live[*session];
            RunningMeeting {
                key: self.keys[*session].clone(),
                server: server_id(day, live.server.unwrap_or(0)),
                created_at: to_timestamp(live.created_at),
                users: live.users,
                expected_users: self.expected_users[*session],
            }
        });
        let running: Vec<RunningMeeting> = running.collect();
        self.forecast.rebuild(to_timestamp(pool.now), &servers, running, &self.timetable);
    }

    /// Removes a session of which the balancer knows that it has ended, and learns from it.
    fn end_session(&mut self, session: usize) {
        if let Some((usage, created_at)) = self.usage[session].take() {
            self.forecast.remove_meeting(&self.keys[session]);
            if let Some(session) = usage.to_session(&self.keys[session], created_at) {
                self.timetable.learn(session);
            }
        }
    }
}

impl PlacementModel for ForecastModel {
    fn choose_server(
        &mut self,
        pool: &PoolView<'_>,
        session: usize,
        returning_users: Option<u32>,
    ) -> usize {
        let day = pool.day;
        let new_meeting = self.new_meeting(pool, session, returning_users);
        let new_meeting = NewMeeting { key: &new_meeting.key.clone(), ..new_meeting };
        let index = |id: &ServerId| day.servers.iter().position(|server| server.id == id.0);
        let is_available = |id: &ServerId| index(id).is_some_and(|index| pool.is_available[index]);
        let now = to_timestamp(pool.now);
        let estimate =
            self.forecast.estimate_cost(now, &new_meeting, &is_available, &self.timetable);
        self.expected_users[session] = estimate.expected_users.users;
        let candidates = estimate.candidates.iter();
        let costs = candidates.filter_map(|it| Some((index(&it.server)?, it.cost)));
        tie_break::pick_lowest(&day.sessions[session].meeting_id, costs)
    }

    fn record_placement(&mut self, pool: &PoolView<'_>, session: usize, server: usize) {
        let key = self.keys[session].clone();
        if pool.day.sessions[session].server.is_some() {
            let new_meeting = self.new_meeting(pool, session, None);
            self.expected_users[session] =
                self.forecast.expected_users(&new_meeting, &self.timetable).users;
        }
        let expected = self.expected_users[session];
        let created_at = to_timestamp(pool.now);
        let running = RunningMeeting {
            key,
            server: server_id(pool.day, server),
            created_at,
            users: 0,
            expected_users: expected,
        };
        self.forecast.add_meeting(running, &self.timetable);
        self.usage[session] = Some((MeetingUsage::default(), created_at));
    }

    fn record_join(&mut self, _pool: &PoolView<'_>, session: usize) {
        self.forecast.record_join(&self.keys[session]);
    }

    fn tick(&mut self, pool: &PoolView<'_>) {
        if pool.now % POLL_INTERVAL_S != 0 {
            return;
        }
        for session in 0..self.usage.len() {
            let Some((usage, _)) = &mut self.usage[session] else { continue };
            let live = pool.live[session];
            if live.server.is_some() {
                usage.record_users(live.users, to_timestamp(pool.now));
                self.forecast.set_users(&self.keys[session], live.users);
            } else {
                self.end_session(session);
            }
        }
        self.rebuild(pool);
    }

    fn record_server_loss(&mut self, pool: &PoolView<'_>, server: usize) {
        for session in 0..self.usage.len() {
            if pool.live[session].server == Some(server) {
                // The session was interrupted, so there is nothing to learn from it.
                self.usage[session] = None;
                self.forecast.remove_meeting(&self.keys[session]);
            }
        }
        self.forecast.close_server(&ServerId(pool.day.servers[server].id.clone()));
    }
}

/// Returns the history of a day as the sessions that the product learns from.
pub(crate) fn history_sessions(day: &Day) -> impl Iterator<Item = MeetingSession> {
    day.history.iter().map(|past| MeetingSession {
        key: meeting_key(&past.meeting_id),
        created_at: to_timestamp((past.week * 7 + past.weekday) * DAY_S + past.created_at),
        peak_users: past.max_users,
        busy_ms: past.busy_time * 1000,
    })
}

pub(crate) fn meeting_key(meeting_id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: meeting_id.to_owned() }
}

pub(crate) fn to_timestamp(at: Second) -> Timestamp {
    Timestamp(MONDAY_MS + at * 1000)
}

fn server_id(day: &Day, index: usize) -> ServerId {
    ServerId(day.servers[index].id.clone())
}

fn forecast_servers(day: &Day, is_available: impl Fn(usize) -> bool) -> Vec<ForecastServer> {
    let available = day.servers.iter().enumerate().filter(|(index, _)| is_available(*index));
    let servers = available.map(|(_, server)| ForecastServer {
        id: ServerId(server.id.clone()),
        load_multiplier: server.load_multiplier,
    });
    servers.collect()
}
