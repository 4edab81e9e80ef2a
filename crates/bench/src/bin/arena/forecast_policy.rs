//! What is in the product: booked seats, by the code that the product runs.

use domain::forecast::{ForecastPolicy, ForecastServer, LoadForecast, NewMeeting, RunningMeeting};
use domain::timetable::TimetableLimits;
use domain::{MeetingKey, MeetingSession, MeetingUsage, ServerId, Timestamp, Timetable};

use crate::day::{Day, Second};
use crate::simulation::{PlacementModel, PoolView};
use crate::tie_break;

/// A Monday at 0:00.
const MONDAY_MS: i64 = 1_767_571_200_000;
const DAY_S: i64 = 86_400;
/// `POLL_INTERVAL`.
const POLL_INTERVAL_S: Second = 60;

/// What a policy is told of the day beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// The four weeks before.
    History,
    /// Nothing.
    Nothing,
    /// The four weeks before, and the size of each meeting when it is created.
    Hints,
}

/// Booked seats with ends.
pub(crate) struct ForecastModel {
    forecast: LoadForecast,
    timetable: Timetable,
    has_hints: bool,
    keys: Vec<MeetingKey>,
    /// How many users each session was expected to draw when it was placed.
    expected_users: Vec<u32>,
    /// What was observed of each session that runs, and when it was created.
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
        let mut book = LoadForecast::new(policy);
        let first = day.sessions.first().map_or(0, |one| one.created_at);
        book.rebuild(to_timestamp(first), &forecast_servers(day, |_| true), [], &timetable);
        let keys = day.sessions.iter().map(|one| meeting_key(&one.meeting_id)).collect();
        let courses = vec![None; day.sessions.len()];
        let expected = vec![0; day.sessions.len()];
        let hints = knowledge == Knowledge::Hints;
        Self {
            forecast: book,
            timetable,
            has_hints: hints,
            keys,
            expected_users: expected,
            usage: courses,
        }
    }

    fn new_meeting(
        &self,
        world: &PoolView<'_>,
        session: usize,
        back: Option<u32>,
    ) -> NewMeeting<'_> {
        let hint = self.has_hints.then(|| world.day.sessions[session].max_users);
        NewMeeting { key: &self.keys[session], size_hint: hint.or(back), max_users: None }
    }

    /// Starts anew from what runs, on the servers that are not known to be dead.
    fn rebuild(&mut self, world: &PoolView<'_>) {
        let day = world.day;
        let servers = forecast_servers(day, |place| world.is_available[place]);
        let running = world.running.iter().map(|session| {
            let live = world.live[*session];
            let (key, expected) = (self.keys[*session].clone(), self.expected_users[*session]);
            let server =
                live.server.map(|place| server_id(day, place)).unwrap_or_else(|| server_id(day, 0));
            RunningMeeting {
                key,
                server,
                created_at: to_timestamp(live.created_at),
                users: live.users,
                expected_users: expected,
            }
        });
        let running: Vec<RunningMeeting> = running.collect();
        self.forecast.rebuild(to_timestamp(world.now), &servers, running, &self.timetable);
    }

    /// The session is over, as far as the balancer knows.
    fn end_session(&mut self, session: usize) {
        if let Some((course, created)) = self.usage[session].take() {
            self.forecast.remove_meeting(&self.keys[session]);
            if let Some(session) = course.to_session(&self.keys[session], created) {
                self.timetable.learn(session);
            }
        }
    }
}

impl PlacementModel for ForecastModel {
    fn choose_server(&mut self, world: &PoolView<'_>, session: usize, back: Option<u32>) -> usize {
        let day = world.day;
        let newcomer = self.new_meeting(world, session, back);
        let newcomer = NewMeeting { key: &newcomer.key.clone(), ..newcomer };
        let is_open = |server: &ServerId| {
            let place = day.servers.iter().position(|one| one.id == server.0);
            place.is_some_and(|place| world.is_available[place])
        };
        let quotes = self.forecast.estimate_cost(
            to_timestamp(world.now),
            &newcomer,
            &is_open,
            &self.timetable,
        );
        self.expected_users[session] = quotes.expected_users.users;
        let offers = quotes.candidates.iter().filter_map(|offer| {
            let place = day.servers.iter().position(|one| one.id == offer.server.0)?;
            Some((place, offer.cost))
        });
        tie_break::pick_lowest(&day.sessions[session].meeting_id, offers)
    }

    fn record_placement(&mut self, world: &PoolView<'_>, session: usize, server: usize) {
        let key = self.keys[session].clone();
        if world.day.sessions[session].server.is_some() {
            let newcomer = self.new_meeting(world, session, None);
            self.expected_users[session] =
                self.forecast.expected_users(&newcomer, &self.timetable).users;
        }
        let expected = self.expected_users[session];
        let created_at = to_timestamp(world.now);
        let running = RunningMeeting {
            key,
            server: server_id(world.day, server),
            created_at,
            users: 0,
            expected_users: expected,
        };
        self.forecast.add_meeting(running, &self.timetable);
        self.usage[session] = Some((MeetingUsage::default(), created_at));
    }

    fn record_join(&mut self, _world: &PoolView<'_>, session: usize) {
        self.forecast.record_join(&self.keys[session]);
    }

    fn tick(&mut self, world: &PoolView<'_>) {
        if world.now % POLL_INTERVAL_S != 0 {
            return;
        }
        for session in 0..self.usage.len() {
            let Some((course, _)) = &mut self.usage[session] else { continue };
            let live = world.live[session];
            if live.server.is_some() {
                course.record_users(live.users, to_timestamp(world.now));
                self.forecast.set_users(&self.keys[session], live.users);
            } else {
                self.end_session(session);
            }
        }
        self.rebuild(world);
    }

    fn record_server_loss(&mut self, world: &PoolView<'_>, server: usize) {
        for session in 0..self.usage.len() {
            if world.live[session].server == Some(server) {
                // It is cut short, and tells nothing of its usual course.
                self.usage[session] = None;
                self.forecast.remove_meeting(&self.keys[session]);
            }
        }
        self.forecast.close_server(&ServerId(world.day.servers[server].id.clone()));
    }
}

/// The history of a day, as sessions.
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

fn server_id(day: &Day, place: usize) -> ServerId {
    ServerId(day.servers[place].id.clone())
}

fn forecast_servers(day: &Day, takes: impl Fn(usize) -> bool) -> Vec<ForecastServer> {
    let servers = day.servers.iter().enumerate().filter(|(place, _)| takes(*place));
    servers
        .map(|(_, one)| ForecastServer {
            id: ServerId(one.id.clone()),
            load_multiplier: one.load_multiplier,
        })
        .collect()
}
