//! The coming and going of the users of one meeting.

use crate::chance::Chance;
use crate::day::{Second, Session};

/// What a meeting is going to be, in seconds of the day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) create: f64,
    /// When most users come.
    pub(crate) start: f64,
    /// When most of them leave.
    pub(crate) end: f64,
    pub(crate) size: f64,
}

/// Lets users come and go.
pub(crate) fn play(id: &str, shape: Shape, chance: &mut Chance) -> Session {
    let create = shape.create.max(0.0).round();
    let end = shape.end.max(create + 240.0);
    let mut joins = Vec::new();
    let mut leaves = Vec::new();
    for _ in 0..(shape.size.round() as usize).max(1) {
        let punctual = chance.happens(0.87);
        let late = if punctual { chance.normal(0.0, 160.0) } else { chance.exponential(420.0) };
        // Who was there before the meeting was opened gets in as soon as it is.
        let soonest = create + 2.0 + chance.exponential(35.0);
        let join = (shape.start + late).max(soonest);
        let leave = match chance.share() {
            share if share < 0.12 => chance.between(join, end),
            share if share < 0.96 => end + chance.normal(0.0, 110.0),
            _ => end + chance.exponential(900.0),
        };
        if join < end {
            joins.push((join - create).round() as Second);
            leaves.push((leave.max(join + 20.0) - create).round() as Second);
        }
    }
    let users = joins.len() as f64;
    let stay = leaves.iter().copied().max().unwrap_or(0);
    let mut session = Session {
        name: String::new(),
        meeting_id: id.to_owned(),
        create: create as Second,
        end: create as Second + stay + 60,
        size_max: 0,
        server: None,
        joins,
        leaves,
        cams: (users * chance.between(0.0, 0.5)).min(25.0) as u32,
        mods: 1 + (users * chance.between(0.0, 0.1)) as u32,
    };
    session.size_max = changes(&session).map(|(_, users)| users).max().unwrap_or(0);
    session
}

/// How its users change: when, and how many there are then.
pub(crate) fn changes(session: &Session) -> impl Iterator<Item = (Second, u32)> {
    let joins = session.joins.iter().map(|after| (session.create + after, 1));
    let leaves = session.leaves.iter().map(|after| (session.create + after, -1));
    let mut steps: Vec<(Second, i64)> = joins.chain(leaves).collect();
    steps.sort_unstable();
    steps.into_iter().scan(0_i64, |users, (at, step)| {
        *users += step;
        Some((at, u32::try_from(*users).unwrap_or(0)))
    })
}

/// How long it was until its users fell below half of the peak, for good.
pub(crate) fn busy(session: &Session) -> Second {
    let last_busy = changes(session).fold((false, session.create), |(was, last), (at, users)| {
        let is = users * 2 >= session.size_max;
        (is, if was || is { at } else { last })
    });
    last_busy.1 - session.create
}
