//! When the users of a meeting join and leave.

use crate::day::{DaySession, Second};
use testkit::seeded_rng::SeededRng;

/// Times of a meeting in seconds of the day, and its size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionShape {
    pub(crate) created_at: f64,
    /// When most users join.
    pub(crate) start: f64,
    /// When most users leave.
    pub(crate) end: f64,
    pub(crate) size: f64,
}

/// Draws when each user joins and leaves.
pub(crate) fn draw_attendance(id: &str, shape: SessionShape, rng: &mut SeededRng) -> DaySession {
    let create = shape.created_at.max(0.0).round();
    let end = shape.end.max(create + 240.0);
    let mut joins = Vec::new();
    let mut leaves = Vec::new();
    for _ in 0..(shape.size.round() as usize).max(1) {
        let is_punctual = rng.draw_bool(0.87);
        let delay =
            if is_punctual { rng.draw_normal(0.0, 160.0) } else { rng.draw_exponential(420.0) };
        // Users who were waiting join soon after the meeting is created.
        let earliest = create + 2.0 + rng.draw_exponential(35.0);
        let join = (shape.start + delay).max(earliest);
        let leave = match rng.draw_fraction() {
            share if share < 0.12 => rng.draw_f64(join, end),
            share if share < 0.96 => end + rng.draw_normal(0.0, 110.0),
            _ => end + rng.draw_exponential(900.0),
        };
        if join < end {
            joins.push((join - create).round() as Second);
            leaves.push((leave.max(join + 20.0) - create).round() as Second);
        }
    }
    let users = joins.len() as f64;
    let last_leave = leaves.iter().copied().max().unwrap_or(0);
    let mut session = DaySession {
        name: String::new(),
        meeting_id: id.to_owned(),
        created_at: create as Second,
        ended_at: create as Second + last_leave + 60,
        max_users: 0,
        server: None,
        joins,
        leaves,
        cams: (users * rng.draw_f64(0.0, 0.5)).min(25.0) as u32,
        mods: 1 + (users * rng.draw_f64(0.0, 0.1)) as u32,
    };
    session.max_users = user_changes(&session).map(|(_, users)| users).max().unwrap_or(0);
    session
}

/// Returns the changes of the number of users: the time of each, and the number afterwards.
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

/// Returns the time from the create until the number of users falls below half of the peak for the
/// last time.
pub(crate) fn busy_time(session: &DaySession) -> Second {
    let start = (false, session.created_at);
    let (_, last_busy) = user_changes(session).fold(start, |(was_busy, last_busy), (at, users)| {
        let is_busy = users * 2 >= session.max_users;
        (is_busy, if was_busy || is_busy { at } else { last_busy })
    });
    last_busy - session.created_at
}
