//! What is foreseen of one meeting: who will still come, and who will have left.

use crate::time::Timestamp;
use crate::timetable::Timetable;

use super::curve::{Curve, POINTS, STEP_MS, WIDTH};
use super::policy::BookingPolicy;

const HOUR_MS: i64 = 3_600_000;

/// Shares by which a meeting's users will change; apart from their number, which changes with
/// each join.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Forecast {
    /// Of the users it is expected to draw, the share that will come between now and then.
    comes: Curve,
    /// Of the users who are there or come, the share that will still be there.
    stays: Curve,
    /// The share that should have come by now.
    came: f32,
    /// How many users an expectation weighs as much as, if it is no more than a guess.
    guess_weight: Option<f32>,
}

/// When a meeting begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// When it was created; in the future for one that is promised.
    pub created_at: Timestamp,
    /// The bell that it waits for, if one is near.
    pub bell: Option<Timestamp>,
    /// When half of its users will have left, if it is known.
    pub end: Option<Timestamp>,
    /// Whether its size was a guess, for want of any history.
    pub blind: bool,
}

impl Forecast {
    pub(super) fn new(
        policy: &BookingPolicy,
        now: Timestamp,
        times: Times,
        timetable: &Timetable,
    ) -> Self {
        let stays = match times.end {
            Some(end) => stays_until(policy, seconds(end.ms_since(now))),
            None => stays_like_others(policy, now.ms_since(times.created_at).max(0), timetable),
        };
        let (comes, came) = comes(policy, now, times);
        let guess_weight = times.blind.then_some(policy.guess_weight);
        Self { comes, stays, came, guess_weight }
    }

    /// The users it will have, if it has so many and was expected to draw so many.
    pub(super) fn curve(&self, users: u32, expected: f32) -> Curve {
        let users = users as f32;
        let missing = self.missing(users, expected);
        let mut curve = Curve::ZERO;
        for point in 0..WIDTH {
            curve.0[point] = (users + missing * self.comes.0[point]) * self.stays.0[point];
        }
        curve
    }

    /// What the shares that are still to come are shares of.
    ///
    /// What was learned or announced is kept to: those who came early tell less. A guess gives way
    /// to them, as the mean of a gamma distribution that has seen so many of that share does:
    /// sizes have a long tail, and a meeting that fills up fast has more to come.
    fn missing(&self, users: f32, expected: f32) -> f32 {
        match self.guess_weight {
            Some(weight) => (weight + users) / (weight / expected.max(1.0) + self.came),
            None => (expected - users).max(0.0),
        }
    }
}

/// The bell that is near enough to a meeting that was created then.
pub(super) fn bell(
    policy: &BookingPolicy,
    created_at: Timestamp,
    bell_ms: i64,
) -> Option<Timestamp> {
    let past = (created_at.0 - bell_ms).rem_euclid(HOUR_MS);
    if past <= policy.late_ms {
        Some(created_at.plus_ms(-past))
    } else if HOUR_MS - past <= policy.early_ms {
        Some(created_at.plus_ms(HOUR_MS - past))
    } else {
        None
    }
}

/// The shares of users that come between now and then, and the share that should have come by now.
fn comes(policy: &BookingPolicy, now: Timestamp, times: Times) -> (Curve, f32) {
    let age = seconds(now.ms_since(times.created_at));
    let past = times.bell.map_or(age, |bell| seconds(now.ms_since(bell)));
    let arrived = |past: f32| match times.bell {
        Some(_) => arrived(policy, past),
        None => (past / policy.unhurried_s.max(1.0)).clamp(0.0, 1.0),
    };
    let came = arrived(past) * (1.0 - (-age.max(0.0) / policy.settle_s).exp());
    (Curve::of(|ahead| (arrived(past + seconds(ahead)) - came).max(0.0)), came)
}

/// The share of the users who have come by so many seconds from the bell.
fn arrived(policy: &BookingPolicy, past: f32) -> f32 {
    let [first, .., last] = policy.arrivals;
    if past <= first.0 {
        return first.1;
    }
    let legs = policy.arrivals.windows(2).filter_map(|leg| Some((leg.first()?, leg.last()?)));
    let mut legs = legs.filter(|(_, to)| past <= to.0);
    legs.next().map_or(last.1, |(from, to)| {
        let way = (past - from.0) / (to.0 - from.0).max(1.0);
        from.1 + way * (to.1 - from.1)
    })
}

/// The share of today's users that stays, of a meeting that ends in so many seconds.
fn stays_until(policy: &BookingPolicy, left: f32) -> Curve {
    // logistic((left − h) / spread) over its value at h = 0, in a form that neither overflows nor
    // becomes 0 / 0: long after the end, what is left decays at the pace of the spread.
    let due = (-left / policy.end_spread_s).min(40.0).exp();
    let step = (seconds(STEP_MS) / policy.end_spread_s).min(3.0).exp();
    let mut later = due;
    let mut curve = Curve::ZERO;
    for point in &mut curve.0[..POINTS] {
        *point = (1.0 + due) / (1.0 + later);
        later = (later * step).min(1e30);
    }
    curve
}

/// The same for a meeting of that age of which no end is known: as with others that were new.
fn stays_like_others(policy: &BookingPolicy, age_ms: i64, timetable: &Timetable) -> Curve {
    let share = |age_ms: i64| timetable.share_busy_beyond(age_ms).map(|share| share as f32);
    match share(age_ms) {
        // Nothing is known, so nothing is expected.
        None => Curve::of(|_| 1.0),
        Some(today) if today >= policy.overtime_share => {
            Curve::of(|ahead| share(age_ms + ahead).map_or(1.0, |then| then / today))
        }
        Some(_) => Curve::of(|ahead| (-seconds(ahead) / policy.overtime_s).exp()),
    }
}

fn seconds(ms: i64) -> f32 {
    ms as f32 / 1000.0
}
