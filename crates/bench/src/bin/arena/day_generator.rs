//! Makes days up: timetables with bursts at full hours, most of which recur weekly, rooms used now
//! and then, meetings that nobody foresaw, exams, a lost server, servers of several strengths.
//!
//! Shapes are the author's guesses, on purpose not those that the policy assumes. Sizes have a long
//! tail: most meetings are small, and few fill half a server. That is what makes weak servers
//! dangerous, and what sets the peers apart on unequal ones.

use crate::attendance::{SessionShape, draw_attendance};
use crate::day::{
    DAY_END, DAY_START, Day, DayServer, DaySession, PastSession, Second, ServerOutage,
};
use testkit::seeded_rng::SeededRng;

/// What sort of day is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DaySpec {
    pub(crate) servers: usize,
    pub(crate) unequal: bool,
    pub(crate) kind: DayKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DayKind {
    Plain,
    Exam,
    Lost,
    /// Meetings of the evening before still crowd some servers.
    Uneven,
    ExamAndLost,
    /// The first day of a term: there is no history.
    NewTerm,
}

const COMFORTABLE_USERS: f64 = 200.0;
const HOUR_S: f64 = 3600.0;
/// Mean peak of a meeting, about; only to scale the number of meetings.
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
/// Multipliers of unequal servers.
const LOAD_MULTIPLIERS: [f64; 8] = [0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.5, 2.0];
const POOL_SIZES: [usize; 4] = [4, 10, 22, 100];
/// Hours at which courses begin, and how many of them.
const COURSE_SLOTS: [(f64, f64); 6] =
    [(8.0, 0.7), (10.0, 1.0), (12.0, 0.7), (14.0, 1.0), (16.0, 0.8), (18.0, 0.3)];

/// A meeting that recurs each week.
struct WeeklyCourse {
    id: String,
    weekday: i64,
    start_s: f64,
    /// Seconds between its create and the bell.
    lead_s: f64,
    size: f64,
    duration_s: f64,
    /// Since which week it exists.
    first_week: i64,
}

struct DayGenerator {
    rng: SeededRng,
    /// Sets how many courses there are; about half as many again as users at the peak of a day.
    users: f64,
    courses: Vec<WeeklyCourse>,
    /// Their usual sizes.
    room_sizes: Vec<f64>,
    new_meeting_count: usize,
}

/// The wish with this number: all pool sizes with all kinds of days, in turn.
pub(crate) fn day_spec(number: usize, unequal: bool) -> DaySpec {
    let kind = DAY_KINDS[(number / POOL_SIZES.len() + number) % DAY_KINDS.len()];
    DaySpec { servers: POOL_SIZES[number % POOL_SIZES.len()], unequal, kind }
}

/// Makes up a day.
pub(crate) fn generate_day(wish: DaySpec, seed: u64) -> Day {
    let mut chance = SeededRng::new(seed);
    let servers = generate_servers(wish, &mut chance);
    let capacity: f64 = servers.iter().map(|one| COMFORTABLE_USERS / one.load_multiplier).sum();
    let users = capacity * chance.draw_f64(0.75, 1.15);
    let mut campus = DayGenerator {
        rng: chance,
        users,
        courses: Vec::new(),
        room_sizes: Vec::new(),
        new_meeting_count: 0,
    };
    campus.set_up_timetable();
    let history =
        if wish.kind == DayKind::NewTerm { Vec::new() } else { campus.generate_history() };
    let mut sessions = campus.generate_sessions(0, 0);
    if matches!(wish.kind, DayKind::Exam | DayKind::ExamAndLost) {
        campus.add_exams(&mut sessions);
    }
    if wish.kind == DayKind::Uneven {
        campus.add_initial_load(&servers, &mut sessions);
    }
    sessions.retain(|one| !one.joins.is_empty() && (DAY_START..DAY_END).contains(&one.created_at));
    sessions.sort_by(|a, b| (a.created_at, &a.meeting_id).cmp(&(b.created_at, &b.meeting_id)));
    for (number, session) in sessions.iter_mut().enumerate() {
        session.name = format!("s{number}");
    }
    let mut outages = Vec::new();
    if matches!(wish.kind, DayKind::Lost | DayKind::ExamAndLost) {
        let chance = &mut campus.rng;
        let down = chance.draw_f64(9.5 * HOUR_S, 15.0 * HOUR_S) as Second;
        let up = down + chance.draw_f64(0.4 * HOUR_S, 2.5 * HOUR_S) as Second;
        outages.push(ServerOutage {
            server: chance.draw_index(servers.len()),
            down_at: down,
            up_at: up,
        });
    }
    let sort = if wish.unequal { "unequal" } else { "equal" };
    let name = format!("{:?}-{}-{sort}-{seed}", wish.kind, wish.servers).to_lowercase();
    Day { name, comfortable_users: COMFORTABLE_USERS, servers, outages, sessions, history }
}

fn generate_servers(wish: DaySpec, chance: &mut SeededRng) -> Vec<DayServer> {
    let mut machines: Vec<DayServer> = (0..wish.servers)
        .map(|number| {
            let unequal = pick(chance, &LOAD_MULTIPLIERS);
            let load_multiplier = if wish.unequal { unequal } else { 1.0 };
            DayServer { id: format!("bbb{number:03}"), load_multiplier }
        })
        .collect();
    if let (true, Some(first)) = (wish.unequal, machines.first_mut()) {
        // At least one that differs from the rest.
        first.load_multiplier = 2.0;
    }
    machines
}

impl DayGenerator {
    /// Sets up the timetable.
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
        let chance = &mut self.rng;
        let shift = pick(chance, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.5, 0.25]);
        let length = pick(chance, &[0.75, 1.0, 1.5, 1.5, 1.5, 1.5, 1.75, 3.0]);
        WeeklyCourse {
            id: format!("course-{}", self.courses.len()),
            weekday,
            start_s: (hour + shift) * HOUR_S,
            lead_s: chance.draw_normal(330.0, 280.0).clamp(-500.0, 1500.0),
            size: chance.draw_log_normal(8.0, 1.15).clamp(2.0, 350.0),
            duration_s: length * HOUR_S,
            first_week: if chance.draw_bool(0.1) { -2 } else { -9 },
        }
    }

    /// All that was held in the four weeks before.
    fn generate_history(&mut self) -> Vec<PastSession> {
        let mut history = Vec::new();
        for week in -4..0 {
            for weekday in 0..5 {
                let sessions = self.generate_sessions(week, weekday);
                history.extend(sessions.into_iter().map(|one| to_past_session(week, weekday, one)));
            }
        }
        history
    }

    /// The meetings of one day: about seven of ten from the timetable.
    fn generate_sessions(&mut self, week: i64, weekday: i64) -> Vec<DaySession> {
        let mut sessions = Vec::new();
        for number in 0..self.courses.len() {
            let course = &self.courses[number];
            let is_due = course.weekday == weekday && course.first_week <= week;
            if is_due && self.rng.draw_bool(0.92) {
                sessions.push(self.draw_course_session(number));
            }
        }
        let others = self.users * 3.4 * 0.45 / MEAN_SIZE;
        for _ in 0..others as usize {
            let session = self.draw_unscheduled_session();
            sessions.push(session);
        }
        sessions.retain(|one| !one.joins.is_empty());
        sessions
    }

    fn draw_course_session(&mut self, number: usize) -> DaySession {
        let (course, chance) = (&self.courses[number], &mut self.rng);
        let create = course.start_s - course.lead_s + chance.draw_normal(0.0, 100.0);
        let end = course.start_s + course.duration_s - chance.draw_f64(0.0, 600.0);
        let shape = SessionShape {
            created_at: create,
            start: course.start_s.max(create),
            end: end + chance.draw_normal(0.0, 200.0),
            size: course.size * chance.draw_log_normal(1.0, 0.2),
        };
        draw_attendance(&course.id, shape, chance)
    }

    /// A meeting that no timetable knows: in a room that is used now and then, or a new one.
    fn draw_unscheduled_session(&mut self) -> DaySession {
        let chance = &mut self.rng;
        let hour = if chance.draw_bool(0.75) {
            chance.draw_f64(8.0, 17.5)
        } else {
            chance.draw_f64(6.5, 21.0)
        };
        let rounded = match chance.draw_fraction() {
            share if share < 0.35 => hour.round() * HOUR_S - chance.draw_f64(-60.0, 400.0),
            share if share < 0.5 => {
                (hour * 2.0).round() / 2.0 * HOUR_S - chance.draw_f64(0.0, 300.0)
            }
            _ => hour * HOUR_S,
        };
        let to_the_hour = HOUR_S - rounded.rem_euclid(HOUR_S);
        let start = if to_the_hour < 400.0 { rounded + to_the_hour } else { rounded };
        let length = chance.draw_log_normal(40.0 * 60.0, 0.7).clamp(300.0, 4.0 * HOUR_S);
        let (id, size) = if chance.draw_bool(0.35) {
            // The same few people meet in it, more or less.
            let room = chance.draw_index(self.room_sizes.len());
            (format!("room-{room}"), self.room_sizes[room] * chance.draw_log_normal(1.0, 0.4))
        } else {
            self.new_meeting_count += 1;
            (format!("new-{}", self.new_meeting_count), draw_unscheduled_size(chance))
        };
        draw_attendance(
            &id,
            SessionShape { created_at: rounded, start, end: start + length, size },
            chance,
        )
    }

    /// Large meetings under new IDs, opened well before they begin.
    fn add_exams(&mut self, sessions: &mut Vec<DaySession>) {
        let count = 2 + (self.users / 2000.0) as usize;
        for number in 0..count {
            let chance = &mut self.rng;
            let bell = pick(chance, &[9.0, 10.0, 13.0, 14.0]) * HOUR_S;
            let create = bell - chance.draw_f64(600.0, 1800.0);
            let size = chance.draw_f64(60.0, 180.0).min(self.users / 4.0);
            let end = bell + chance.draw_f64(1.0, 2.0) * HOUR_S;
            let shape = SessionShape { created_at: create, start: bell - 120.0, end, size };
            sessions.push(draw_attendance(&format!("exam-{number}"), shape, chance));
        }
    }

    /// Meetings that are on some servers already when the day begins.
    fn add_initial_load(&mut self, servers: &[DayServer], sessions: &mut Vec<DaySession>) {
        let crowded = servers.len().div_ceil(4);
        for (place, server) in servers.iter().enumerate().take(crowded) {
            let mut room = COMFORTABLE_USERS / server.load_multiplier * self.rng.draw_f64(0.3, 0.8);
            while room > 5.0 {
                let chance = &mut self.rng;
                let size = chance.draw_log_normal(14.0, 0.8).clamp(3.0, 80.0).min(room);
                let end = chance.draw_f64(8.0, 11.5) * HOUR_S;
                let create = DAY_START as f64;
                let shape = SessionShape { created_at: create, start: create, end, size };
                let mut session =
                    draw_attendance(&format!("night-{}", sessions.len()), shape, chance);
                session.server = Some(place);
                sessions.push(session);
                room -= size;
            }
        }
    }
}

/// Draws one of the values, of which there is at least one.
fn pick(rng: &mut SeededRng, values: &[f64]) -> f64 {
    values[rng.draw_index(values.len())]
}

fn draw_unscheduled_size(chance: &mut SeededRng) -> f64 {
    chance.draw_log_normal(6.0, 1.1).clamp(1.0, 200.0)
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
