//! Makes days up: timetables with bursts at full hours, most of which recur weekly, rooms used now
//! and then, meetings that nobody foresaw, exams, a lost server, servers of several strengths.
//!
//! Shapes are the author's guesses, on purpose not those that the policy assumes. Sizes have a long
//! tail: most meetings are small, and few fill half a server. That is what makes weak servers
//! dangerous, and what sets the peers apart on unequal ones.

use crate::chance::Chance;
use crate::course::{Shape, play};
use crate::day::{Day, FIRST, LAST, Machine, Outage, Past, Second, Session};

/// What sort of day is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) servers: usize,
    pub(crate) unequal: bool,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Exam,
    Lost,
    /// Meetings of the evening before still crowd some servers.
    Uneven,
    ExamAndLost,
    /// The first day of a term: there is no history.
    NewTerm,
}

const COMFORTABLE: f64 = 200.0;
const HOUR: f64 = 3600.0;
/// Mean peak of a meeting, about; only to scale the number of meetings.
const MEAN_SIZE: f64 = 17.0;
const KINDS: [Kind; 8] = [
    Kind::Plain,
    Kind::Exam,
    Kind::Lost,
    Kind::Uneven,
    Kind::Plain,
    Kind::NewTerm,
    Kind::ExamAndLost,
    Kind::Plain,
];
/// Multipliers of unequal servers.
const STRENGTHS: [f64; 8] = [0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.5, 2.0];
const POOLS: [usize; 4] = [4, 10, 22, 100];
/// Hours at which courses begin, and how many of them.
const SLOTS: [(f64, f64); 6] =
    [(8.0, 0.7), (10.0, 1.0), (12.0, 0.7), (14.0, 1.0), (16.0, 0.8), (18.0, 0.3)];

/// A meeting that recurs each week.
struct Course {
    id: String,
    weekday: i64,
    bell: f64,
    /// Seconds between its create and the bell.
    lead: f64,
    size: f64,
    length: f64,
    /// Since which week it exists.
    since: i64,
}

struct Campus {
    chance: Chance,
    /// Sets how many courses there are; about half as many again as users at the peak of a day.
    users: f64,
    courses: Vec<Course>,
    /// Their usual sizes.
    rooms: Vec<f64>,
    strangers: usize,
}

/// The wish with this number: all pool sizes with all kinds of days, in turn.
pub(crate) fn wish(number: usize, unequal: bool) -> Wish {
    let kind = KINDS[(number / POOLS.len() + number) % KINDS.len()];
    Wish { servers: POOLS[number % POOLS.len()], unequal, kind }
}

/// Makes up a day.
pub(crate) fn day(wish: Wish, seed: u64) -> Day {
    let mut chance = Chance::new(seed);
    let servers = machines(wish, &mut chance);
    let capacity: f64 = servers.iter().map(|one| COMFORTABLE / one.load_multiplier).sum();
    let users = capacity * chance.between(0.75, 1.15);
    let mut campus = Campus { chance, users, courses: Vec::new(), rooms: Vec::new(), strangers: 0 };
    campus.found();
    let history = if wish.kind == Kind::NewTerm { Vec::new() } else { campus.history() };
    let mut sessions = campus.meetings(0, 0);
    if matches!(wish.kind, Kind::Exam | Kind::ExamAndLost) {
        campus.exams(&mut sessions);
    }
    if wish.kind == Kind::Uneven {
        campus.crowd(&servers, &mut sessions);
    }
    sessions.retain(|one| !one.joins.is_empty() && (FIRST..LAST).contains(&one.create));
    sessions.sort_by(|a, b| (a.create, &a.meeting_id).cmp(&(b.create, &b.meeting_id)));
    for (number, session) in sessions.iter_mut().enumerate() {
        session.name = format!("s{number}");
    }
    let mut outages = Vec::new();
    if matches!(wish.kind, Kind::Lost | Kind::ExamAndLost) {
        let chance = &mut campus.chance;
        let down = chance.between(9.5 * HOUR, 15.0 * HOUR) as Second;
        let up = down + chance.between(0.4 * HOUR, 2.5 * HOUR) as Second;
        outages.push(Outage { server: chance.below(servers.len()), down, up });
    }
    let sort = if wish.unequal { "unequal" } else { "equal" };
    let name = format!("{:?}-{}-{sort}-{seed}", wish.kind, wish.servers).to_lowercase();
    Day { name, comfortable_users: COMFORTABLE, servers, outages, sessions, history }
}

fn machines(wish: Wish, chance: &mut Chance) -> Vec<Machine> {
    let mut machines: Vec<Machine> = (0..wish.servers)
        .map(|number| {
            let unequal = *chance.pick(&STRENGTHS);
            let load_multiplier = if wish.unequal { unequal } else { 1.0 };
            Machine { id: format!("bbb{number:03}"), load_multiplier }
        })
        .collect();
    if let (true, Some(first)) = (wish.unequal, machines.first_mut()) {
        // At least one that differs from the rest.
        first.load_multiplier = 2.0;
    }
    machines
}

impl Campus {
    /// Sets up the timetable.
    fn found(&mut self) {
        for weekday in 0..5 {
            for (hour, weight) in SLOTS {
                let count = self.users * 0.75 * weight / MEAN_SIZE;
                let count = count as usize + usize::from(self.chance.happens(count.fract()));
                for _ in 0..count {
                    let course = self.course(weekday, hour);
                    self.courses.push(course);
                }
            }
        }
        let rooms = (self.users / 12.0) as usize + 2;
        self.rooms = (0..rooms).map(|_| unforeseen_size(&mut self.chance)).collect();
    }

    fn course(&mut self, weekday: i64, hour: f64) -> Course {
        let chance = &mut self.chance;
        let shift = *chance.pick(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.5, 0.25]);
        let length = *chance.pick(&[0.75, 1.0, 1.5, 1.5, 1.5, 1.5, 1.75, 3.0]);
        Course {
            id: format!("course-{}", self.courses.len()),
            weekday,
            bell: (hour + shift) * HOUR,
            lead: chance.normal(330.0, 280.0).clamp(-500.0, 1500.0),
            size: chance.log_normal(8.0, 1.15).clamp(2.0, 350.0),
            length: length * HOUR,
            since: if chance.happens(0.1) { -2 } else { -9 },
        }
    }

    /// All that was held in the four weeks before.
    fn history(&mut self) -> Vec<Past> {
        let mut history = Vec::new();
        for week in -4..0 {
            for weekday in 0..5 {
                let sessions = self.meetings(week, weekday);
                history.extend(sessions.into_iter().map(|one| past(week, weekday, one)));
            }
        }
        history
    }

    /// The meetings of one day: about seven of ten from the timetable.
    fn meetings(&mut self, week: i64, weekday: i64) -> Vec<Session> {
        let mut sessions = Vec::new();
        for number in 0..self.courses.len() {
            let course = &self.courses[number];
            let is_due = course.weekday == weekday && course.since <= week;
            if is_due && self.chance.happens(0.92) {
                sessions.push(self.lesson(number));
            }
        }
        let others = self.users * 3.4 * 0.45 / MEAN_SIZE;
        for _ in 0..others as usize {
            let session = self.spontaneous();
            sessions.push(session);
        }
        sessions.retain(|one| !one.joins.is_empty());
        sessions
    }

    fn lesson(&mut self, number: usize) -> Session {
        let (course, chance) = (&self.courses[number], &mut self.chance);
        let create = course.bell - course.lead + chance.normal(0.0, 100.0);
        let end = course.bell + course.length - chance.between(0.0, 600.0);
        let shape = Shape {
            create,
            start: course.bell.max(create),
            end: end + chance.normal(0.0, 200.0),
            size: course.size * chance.log_normal(1.0, 0.2),
        };
        play(&course.id, shape, chance)
    }

    /// A meeting that no timetable knows: in a room that is used now and then, or a new one.
    fn spontaneous(&mut self) -> Session {
        let chance = &mut self.chance;
        let hour = if chance.happens(0.75) {
            chance.between(8.0, 17.5)
        } else {
            chance.between(6.5, 21.0)
        };
        let rounded = match chance.share() {
            share if share < 0.35 => hour.round() * HOUR - chance.between(-60.0, 400.0),
            share if share < 0.5 => (hour * 2.0).round() / 2.0 * HOUR - chance.between(0.0, 300.0),
            _ => hour * HOUR,
        };
        let to_the_hour = HOUR - rounded.rem_euclid(HOUR);
        let start = if to_the_hour < 400.0 { rounded + to_the_hour } else { rounded };
        let length = chance.log_normal(40.0 * 60.0, 0.7).clamp(300.0, 4.0 * HOUR);
        let (id, size) = if chance.happens(0.35) {
            // The same few people meet in it, more or less.
            let room = chance.below(self.rooms.len());
            (format!("room-{room}"), self.rooms[room] * chance.log_normal(1.0, 0.4))
        } else {
            self.strangers += 1;
            (format!("new-{}", self.strangers), unforeseen_size(chance))
        };
        play(&id, Shape { create: rounded, start, end: start + length, size }, chance)
    }

    /// Large meetings under new IDs, opened well before they begin.
    fn exams(&mut self, sessions: &mut Vec<Session>) {
        let count = 2 + (self.users / 2000.0) as usize;
        for number in 0..count {
            let chance = &mut self.chance;
            let bell = *chance.pick(&[9.0, 10.0, 13.0, 14.0]) * HOUR;
            let create = bell - chance.between(600.0, 1800.0);
            let size = chance.between(60.0, 180.0).min(self.users / 4.0);
            let end = bell + chance.between(1.0, 2.0) * HOUR;
            let shape = Shape { create, start: bell - 120.0, end, size };
            sessions.push(play(&format!("exam-{number}"), shape, chance));
        }
    }

    /// Meetings that are on some servers already when the day begins.
    fn crowd(&mut self, servers: &[Machine], sessions: &mut Vec<Session>) {
        let crowded = servers.len().div_ceil(4);
        for (place, server) in servers.iter().enumerate().take(crowded) {
            let mut room = COMFORTABLE / server.load_multiplier * self.chance.between(0.3, 0.8);
            while room > 5.0 {
                let chance = &mut self.chance;
                let size = chance.log_normal(14.0, 0.8).clamp(3.0, 80.0).min(room);
                let end = chance.between(8.0, 11.5) * HOUR;
                let create = FIRST as f64;
                let shape = Shape { create, start: create, end, size };
                let mut session = play(&format!("night-{}", sessions.len()), shape, chance);
                session.server = Some(place);
                sessions.push(session);
                room -= size;
            }
        }
    }
}

fn unforeseen_size(chance: &mut Chance) -> f64 {
    chance.log_normal(6.0, 1.1).clamp(1.0, 200.0)
}

fn past(week: i64, weekday: i64, session: Session) -> Past {
    Past {
        week,
        weekday,
        create: session.create,
        size_max: session.size_max,
        duration: session.end - session.create,
        busy: crate::course::busy(&session),
        cams_max: session.cams,
        meeting_id: session.meeting_id,
    }
}
