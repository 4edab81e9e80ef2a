//! The coming and going of the users of one meeting.

use crate::day::{DaySession, Second};
use testkit::seeded_rng::SeededRng;

/// What a meeting is going to be, in seconds of the day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionShape {
    pub(crate) created_at: f64,
    /// When most users come.
    pub(crate) start: f64,
    /// When most of them leave.
    pub(crate) end: f64,
    pub(crate) size: f64,
}

/// Lets users come and go.
pub(crate) fn draw_attendance(id: &str, shape: SessionShape, chance: &mut SeededRng) -> DaySession {
    let create = shape.created_at.max(0.0).round();
    let end = shape.end.max(create + 240.0);
    let mut joins = Vec::new();
    let mut leaves = Vec::new();
    for _ in 0..(shape.size.round() as usize).max(1) {
        let punctual = chance.draw_bool(0.87);
        let late =
            if punctual { chance.draw_normal(0.0, 160.0) } else { chance.draw_exponential(420.0) };
        // Who was there before the meeting was opened gets in as soon as it is.
        let soonest = create + 2.0 + chance.draw_exponential(35.0);
        let join = (shape.start + late).max(soonest);
        let leave = match chance.draw_fraction() {
            share if share < 0.12 => chance.draw_f64(join, end),
            share if share < 0.96 => end + chance.draw_normal(0.0, 110.0),
            _ => end + chance.draw_exponential(900.0),
        };
        if join < end {
            joins.push((join - create).round() as Second);
            leaves.push((leave.max(join + 20.0) - create).round() as Second);
        }
    }
    let users = joins.len() as f64;
    let stay = leaves.iter().copied().max().unwrap_or(0);
    let mut session = DaySession {
        name: String::new(),
        meeting_id: id.to_owned(),
        created_at: create as Second,
        ended_at: create as Second + stay + 60,
        max_users: 0,
        server: None,
        joins,
        leaves,
        cams: (users * chance.draw_f64(0.0, 0.5)).min(25.0) as u32,
        mods: 1 + (users * chance.draw_f64(0.0, 0.1)) as u32,
    };
    session.max_users = user_changes(&session).map(|(_, users)| users).max().unwrap_or(0);
    session
}

/// How its users change: when, and how many there are then.
pub(crate) fn user_changes(session: &DaySession) -> impl Iterator<Item = (Second, u32)> {
    let joins = session.joins.iter().map(|after| (session.created_at + after, 1));
    let leaves = session.leaves.iter().map(|after| (session.created_at + after, -1));
    let mut steps: Vec<(Second, i64)> = joins.chain(leaves).collect();
    steps.sort_unstable();
    steps.into_iter().scan(0_i64, |users, (at, step)| {
        *users += step;
        Some((at, u32::try_from(*users).unwrap_or(0)))
    })
}

/// How long it was until its users fell below half of the peak, for good.
pub(crate) fn busy_time(session: &DaySession) -> Second {
    let last_busy =
        user_changes(session).fold((false, session.created_at), |(was, last), (at, users)| {
            let is = users * 2 >= session.max_users;
            (is, if was || is { at } else { last })
        });
    last_busy.1 - session.created_at
}
