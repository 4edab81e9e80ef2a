//! What is foreseen of one meeting: who will still come, and who will have left.

use crate::time::Timestamp;
use crate::timetable::Timetable;

use super::load_curve::{LoadCurve, PADDED_POINTS, POINTS, STEP_MS};
use super::policy::ForecastPolicy;

const HOUR_MS: i64 = 3_600_000;

/// Shares by which a meeting's users will change; apart from their number, which changes with
/// each join.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MeetingForecast {
    /// Of the users it is expected to draw, the share that will come between now and then.
    arriving: LoadCurve,
    /// Of the users who are there or come, the share that will still be there.
    staying: LoadCurve,
    /// The share that should have come by now.
    arrived: f32,
    /// How many users an expectation weighs as much as, if it is no more than a guess.
    guess_weight: Option<f32>,
}

/// When a meeting begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MeetingTimes {
    /// When it was created; in the future for one that is promised.
    pub created_at: Timestamp,
    /// The bell that it waits for, if one is near.
    pub scheduled_start: Option<Timestamp>,
    /// When half of its users will have left, if it is known.
    pub end: Option<Timestamp>,
    /// Whether its size was a guess, for want of any history.
    pub is_guess: bool,
}

impl MeetingForecast {
    pub(super) fn new(
        policy: &ForecastPolicy,
        now: Timestamp,
        times: MeetingTimes,
        timetable: &Timetable,
    ) -> Self {
        let stays = match times.end {
            Some(end) => stay_curve_until(policy, to_seconds(end.ms_since(now))),
            None => typical_stay_curve(policy, now.ms_since(times.created_at).max(0), timetable),
        };
        let (comes, came) = arrival_curve(policy, now, times);
        let guess_weight = times.is_guess.then_some(policy.guess_weight);
        Self { arriving: comes, staying: stays, arrived: came, guess_weight }
    }

    /// The users it will have, if it has so many and was expected to draw so many.
    pub(super) fn curve(&self, users: u32, expected: f32) -> LoadCurve {
        let users = users as f32;
        let missing = self.expected_arrivals(users, expected);
        let mut curve = LoadCurve::ZERO;
        for point in 0..PADDED_POINTS {
            curve.0[point] = (users + missing * self.arriving.0[point]) * self.staying.0[point];
        }
        curve
    }

    /// What the shares that are still to come are shares of.
    ///
    /// What was learned or announced is kept to: those who came early tell less. A guess gives way
    /// to them, as the mean of a gamma distribution that has seen so many of that share does:
    /// sizes have a long tail, and a meeting that fills up fast has more to come.
    fn expected_arrivals(&self, users: f32, expected: f32) -> f32 {
        match self.guess_weight {
            Some(weight) => (weight + users) / (weight / expected.max(1.0) + self.arrived),
            None => (expected - users).max(0.0),
        }
    }
}

/// The bell that is near enough to a meeting that was created then.
pub(super) fn find_scheduled_start(
    policy: &ForecastPolicy,
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
fn arrival_curve(policy: &ForecastPolicy, now: Timestamp, times: MeetingTimes) -> (LoadCurve, f32) {
    let age = to_seconds(now.ms_since(times.created_at));
    let past = times.scheduled_start.map_or(age, |bell| to_seconds(now.ms_since(bell)));
    let arrived = |past: f32| match times.scheduled_start {
        Some(_) => arrived_share(policy, past),
        None => (past / policy.unscheduled_arrival_s.max(1.0)).clamp(0.0, 1.0),
    };
    let came = arrived(past) * (1.0 - (-age.max(0.0) / policy.join_time_s).exp());
    (LoadCurve::from_fn(|ahead| (arrived(past + to_seconds(ahead)) - came).max(0.0)), came)
}

/// The share of the users who have come by so many seconds from the bell.
fn arrived_share(policy: &ForecastPolicy, past: f32) -> f32 {
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
fn stay_curve_until(policy: &ForecastPolicy, left: f32) -> LoadCurve {
    // logistic((left − h) / spread) over its value at h = 0, in a form that neither overflows nor
    // becomes 0 / 0: long after the end, what is left decays at the pace of the spread.
    let due = (-left / policy.end_spread_s).min(40.0).exp();
    let step = (to_seconds(STEP_MS) / policy.end_spread_s).min(3.0).exp();
    let mut later = due;
    let mut curve = LoadCurve::ZERO;
    for point in &mut curve.0[..POINTS] {
        *point = (1.0 + due) / (1.0 + later);
        later = (later * step).min(1e30);
    }
    curve
}

/// The same for a meeting of that age of which no end is known: as with others that were new.
fn typical_stay_curve(policy: &ForecastPolicy, age_ms: i64, timetable: &Timetable) -> LoadCurve {
    let share = |age_ms: i64| timetable.share_busy_beyond(age_ms).map(|share| share as f32);
    match share(age_ms) {
        // Nothing is known, so nothing is expected.
        None => LoadCurve::from_fn(|_| 1.0),
        Some(today) if today >= policy.overtime_share => {
            LoadCurve::from_fn(|ahead| share(age_ms + ahead).map_or(1.0, |then| then / today))
        }
        Some(_) => LoadCurve::from_fn(|ahead| (-to_seconds(ahead) / policy.overtime_s).exp()),
    }
}

fn to_seconds(ms: i64) -> f32 {
    ms as f32 / 1000.0
}
