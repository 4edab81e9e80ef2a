//! Generates days: timetables with bursts at full hours, most of which recur weekly, rooms that are
//! used occasionally, unscheduled meetings, exams, the loss of a server, servers of different
//! strengths.
//!
//! The distributions are the author's guesses, deliberately not those that the policy assumes. Sizes
//! have a long tail: most meetings are small, and few fill half a server. That is why large meetings
//! on weak servers are costly, and why the other balancers differ most on unequal servers.

use crate::attendance::{SessionShape, draw_attendance};
use crate::day::{
    DAY_END, DAY_START, Day, DayServer, DaySession, PastSession, Second, ServerOutage,
};
use testkit::seeded_rng::SeededRng;

/// The properties of a day to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DaySpec {
    pub(crate) servers: usize,
    pub(crate) unequal: bool,
    pub(crate) kind: DayKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DayKind {
    Plain,
    /// Some large meetings with new ids.
    Exam,
    /// A server goes down.
    Lost,
    /// Meetings of the previous evening still run on some servers.
    Uneven,
    ExamAndLost,
    /// The first day of a term: there is no history.
    NewTerm,
}

const COMFORTABLE_USERS: f64 = 200.0;
const HOUR_S: f64 = 3600.0;
/// Approximate mean peak of a meeting; it only scales the number of meetings.
const MEAN_SIZE: f64 = 17.0;
const DAY_KINDS: [DayKind; 8] = [
    DayKind::Plain,
    DayKind::Exam,
    DayKind::Lost,
    DayKind::Uneven,
    DayKind::Plain,
    DayKind::NewTerm,
    DayKind::ExamAndLost,
    DayKind::Plain,
];
/// Load multipliers of unequal servers.
const LOAD_MULTIPLIERS: [f64; 8] = [0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.5, 2.0];
const POOL_SIZES: [usize; 4] = [4, 10, 22, 100];
/// Hours at which courses begin, with the relative number of courses.
const COURSE_SLOTS: [(f64, f64); 6] =
    [(8.0, 0.7), (10.0, 1.0), (12.0, 0.7), (14.0, 1.0), (16.0, 0.8), (18.0, 0.3)];

/// A meeting that recurs each week.
struct WeeklyCourse {
    id: String,
    weekday: i64,
    start_s: f64,
    /// Time from the create to the beginning.
    lead_s: f64,
    size: f64,
    duration_s: f64,
    /// The first week in which it takes place, relative to that of the day.
    first_week: i64,
}

struct DayGenerator {
    rng: SeededRng,
    /// Determines the number of courses; about 1.5 times the number of users at the peak of a day.
    users: f64,
    courses: Vec<WeeklyCourse>,
    /// The usual sizes of meetings in the rooms that are used occasionally.
    room_sizes: Vec<f64>,
    /// Number of unscheduled meetings with new ids so far.
    new_meeting_count: usize,
}

/// Returns the properties of the day with this number; all pool sizes and all kinds of days occur in
/// turn.
pub(crate) fn day_spec(number: usize, unequal: bool) -> DaySpec {
    let kind = DAY_KINDS[(number / POOL_SIZES.len() + number) % DAY_KINDS.len()];
    DaySpec { servers: POOL_SIZES[number % POOL_SIZES.len()], unequal, kind }
}

/// Generates a day.
pub(crate) fn generate_day(spec: DaySpec, seed: u64) -> Day {
    let mut rng = SeededRng::new(seed);
    let servers = generate_servers(spec, &mut rng);
    let capacity: f64 =
        servers.iter().map(|server| COMFORTABLE_USERS / server.load_multiplier).sum();
    let users = capacity * rng.draw_f64(0.75, 1.15);
    let mut generator = DayGenerator {
        rng,
        users,
        courses: Vec::new(),
        room_sizes: Vec::new(),
        new_meeting_count: 0,
    };
    generator.set_up_timetable();
    let history =
        if spec.kind == DayKind::NewTerm { Vec::new() } else { generator.generate_history() };
    let mut sessions = generator.generate_sessions(0, 0);
    if matches!(spec.kind, DayKind::Exam | DayKind::ExamAndLost) {
        generator.add_exams(&mut sessions);
    }
    if spec.kind == DayKind::Uneven {
        generator.add_initial_load(&servers, &mut sessions);
    }
    sessions.retain(|session| {
        !session.joins.is_empty() && (DAY_START..DAY_END).contains(&session.created_at)
    });
    sessions.sort_by(|a, b| (a.created_at, &a.meeting_id).cmp(&(b.created_at, &b.meeting_id)));
    for (number, session) in sessions.iter_mut().enumerate() {
        session.name = format!("s{number}");
    }
    let mut outages = Vec::new();
    if matches!(spec.kind, DayKind::Lost | DayKind::ExamAndLost) {
        let rng = &mut generator.rng;
        let down = rng.draw_f64(9.5 * HOUR_S, 15.0 * HOUR_S) as Second;
        let up = down + rng.draw_f64(0.4 * HOUR_S, 2.5 * HOUR_S) as Second;
        outages.push(ServerOutage {
            server: rng.draw_index(servers.len()),
            down_at: down,
            up_at: up,
        });
    }
    let strengths = if spec.unequal { "unequal" } else { "equal" };
    let name = format!("{:?}-{}-{strengths}-{seed}", spec.kind, spec.servers).to_lowercase();
    Day { name, comfortable_users: COMFORTABLE_USERS, servers, outages, sessions, history }
}

fn generate_servers(spec: DaySpec, rng: &mut SeededRng) -> Vec<DayServer> {
    let mut servers: Vec<DayServer> = (0..spec.servers)
        .map(|number| {
            let unequal = pick(rng, &LOAD_MULTIPLIERS);
            let load_multiplier = if spec.unequal { unequal } else { 1.0 };
            DayServer { id: format!("bbb{number:03}"), load_multiplier }
        })
        .collect();
    if let (true, Some(first)) = (spec.unequal, servers.first_mut()) {
        // At least one server differs from the others.
        first.load_multiplier = 2.0;
    }
    servers
}

impl DayGenerator {
    /// Draws the weekly courses and the sizes of the rooms.
    fn set_up_timetable(&mut self) {
        for weekday in 0..5 {
            for (hour, weight) in COURSE_SLOTS {
                let count = self.users * 0.75 * weight / MEAN_SIZE;
                let count = count as usize + usize::from(self.rng.draw_bool(count.fract()));
                for _ in 0..count {
                    let course = self.draw_course(weekday, hour);
                    self.courses.push(course);
                }
            }
        }
        let rooms = (self.users / 12.0) as usize + 2;
        self.room_sizes = (0..rooms).map(|_| draw_unscheduled_size(&mut self.rng)).collect();
    }

    fn draw_course(&mut self, weekday: i64, hour: f64) -> WeeklyCourse {
        let rng = &mut self.rng;
        let shift = pick(rng, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.5, 0.25]);
        let hours = pick(rng, &[0.75, 1.0, 1.5, 1.5, 1.5, 1.5, 1.75, 3.0]);
        WeeklyCourse {
            id: format!("course-{}", self.courses.len()),
            weekday,
            start_s: (hour + shift) * HOUR_S,
            lead_s: rng.draw_normal(330.0, 280.0).clamp(-500.0, 1500.0),
            size: rng.draw_log_normal(8.0, 1.15).clamp(2.0, 350.0),
            duration_s: hours * HOUR_S,
            first_week: if rng.draw_bool(0.1) { -2 } else { -9 },
        }
    }

    /// Generates the meetings of the four weeks before.
    fn generate_history(&mut self) -> Vec<PastSession> {
        let mut history = Vec::new();
        for week in -4..0 {
            for weekday in 0..5 {
                let sessions = self.generate_sessions(week, weekday);
                history.extend(
                    sessions.into_iter().map(|session| to_past_session(week, weekday, session)),
                );
            }
        }
        history
    }

    /// Generates the meetings of one day; about seven of ten are courses.
    fn generate_sessions(&mut self, week: i64, weekday: i64) -> Vec<DaySession> {
        let mut sessions = Vec::new();
        for number in 0..self.courses.len() {
            let course = &self.courses[number];
            let is_due = course.weekday == weekday && course.first_week <= week;
            if is_due && self.rng.draw_bool(0.92) {
                sessions.push(self.draw_course_session(number));
            }
        }
        let unscheduled = self.users * 3.4 * 0.45 / MEAN_SIZE;
        for _ in 0..unscheduled as usize {
            let session = self.draw_unscheduled_session();
            sessions.push(session);
        }
        sessions.retain(|session| !session.joins.is_empty());
        sessions
    }

    fn draw_course_session(&mut self, number: usize) -> DaySession {
        let (course, rng) = (&self.courses[number], &mut self.rng);
        let create = course.start_s - course.lead_s + rng.draw_normal(0.0, 100.0);
        let end = course.start_s + course.duration_s - rng.draw_f64(0.0, 600.0);
        let shape = SessionShape {
            created_at: create,
            start: course.start_s.max(create),
            end: end + rng.draw_normal(0.0, 200.0),
            size: course.size * rng.draw_log_normal(1.0, 0.2),
        };
        draw_attendance(&course.id, shape, rng)
    }

    /// Draws a meeting that is not in the timetable: in a room that is used occasionally, or with a
    /// new id.
    fn draw_unscheduled_session(&mut self) -> DaySession {
        let rng = &mut self.rng;
        let hour =
            if rng.draw_bool(0.75) { rng.draw_f64(8.0, 17.5) } else { rng.draw_f64(6.5, 21.0) };
        let create = match rng.draw_fraction() {
            share if share < 0.35 => hour.round() * HOUR_S - rng.draw_f64(-60.0, 400.0),
            share if share < 0.5 => (hour * 2.0).round() / 2.0 * HOUR_S - rng.draw_f64(0.0, 300.0),
            _ => hour * HOUR_S,
        };
        let to_full_hour = HOUR_S - create.rem_euclid(HOUR_S);
        let start = if to_full_hour < 400.0 { create + to_full_hour } else { create };
        let duration = rng.draw_log_normal(40.0 * 60.0, 0.7).clamp(300.0, 4.0 * HOUR_S);
        let (id, size) = if rng.draw_bool(0.35) {
            // About the same number of users meet in a room each time.
            let room = rng.draw_index(self.room_sizes.len());
            (format!("room-{room}"), self.room_sizes[room] * rng.draw_log_normal(1.0, 0.4))
        } else {
            self.new_meeting_count += 1;
            (format!("new-{}", self.new_meeting_count), draw_unscheduled_size(rng))
        };
        draw_attendance(
            &id,
            SessionShape { created_at: create, start, end: start + duration, size },
            rng,
        )
    }

    /// Adds large meetings with new ids, which are created well before they begin.
    fn add_exams(&mut self, sessions: &mut Vec<DaySession>) {
        let count = 2 + (self.users / 2000.0) as usize;
        for number in 0..count {
            let rng = &mut self.rng;
            let beginning = pick(rng, &[9.0, 10.0, 13.0, 14.0]) * HOUR_S;
            let create = beginning - rng.draw_f64(600.0, 1800.0);
            let size = rng.draw_f64(60.0, 180.0).min(self.users / 4.0);
            let end = beginning + rng.draw_f64(1.0, 2.0) * HOUR_S;
            let shape = SessionShape { created_at: create, start: beginning - 120.0, end, size };
            sessions.push(draw_attendance(&format!("exam-{number}"), shape, rng));
        }
    }

    /// Adds meetings that already run on some servers when the day begins.
    fn add_initial_load(&mut self, servers: &[DayServer], sessions: &mut Vec<DaySession>) {
        let loaded_count = servers.len().div_ceil(4);
        for (index, server) in servers.iter().enumerate().take(loaded_count) {
            let mut users =
                COMFORTABLE_USERS / server.load_multiplier * self.rng.draw_f64(0.3, 0.8);
            while users > 5.0 {
                let rng = &mut self.rng;
                let size = rng.draw_log_normal(14.0, 0.8).clamp(3.0, 80.0).min(users);
                let end = rng.draw_f64(8.0, 11.5) * HOUR_S;
                let create = DAY_START as f64;
                let shape = SessionShape { created_at: create, start: create, end, size };
                let mut session = draw_attendance(&format!("night-{}", sessions.len()), shape, rng);
                session.server = Some(index);
                sessions.push(session);
                users -= size;
            }
        }
    }
}

/// Draws one of the values, of which there is at least one.
fn pick(rng: &mut SeededRng, values: &[f64]) -> f64 {
    values[rng.draw_index(values.len())]
}

fn draw_unscheduled_size(rng: &mut SeededRng) -> f64 {
    rng.draw_log_normal(6.0, 1.1).clamp(1.0, 200.0)
}

fn to_past_session(week: i64, weekday: i64, session: DaySession) -> PastSession {
    PastSession {
        week,
        weekday,
        created_at: session.created_at,
        max_users: session.max_users,
        duration: session.ended_at - session.created_at,
        busy_time: crate::attendance::busy_time(&session),
        max_cams: session.cams,
        meeting_id: session.meeting_id,
    }
}
