//! The forecast of one meeting: how many users will still arrive, and how many will have left.

use crate::time::Timestamp;
use crate::timetable::Timetable;

use super::load_curve::{LoadCurve, PADDED_POINTS, POINTS, STEP_MS};
use super::policy::ForecastPolicy;

const HOUR_MS: i64 = 3_600_000;

/// The shares by which the users of a meeting will change. The numbers of users are not part of it,
/// because they change with each join.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MeetingForecast {
    /// The share of the expected users that will arrive between now and each point.
    arriving: LoadCurve,
    /// The share of the users, present or arriving, that will still be there at each point.
    staying: LoadCurve,
    /// The share of the expected users that should have arrived by now.
    arrived: f32,
    /// The weight of the expected number in users, if that number is only a guess.
    guess_weight: Option<f32>,
}

/// The times at which a meeting begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MeetingTimes {
    /// When it was created; in the future for an upcoming meeting.
    pub created_at: Timestamp,
    /// The start time that it belongs to, if there is one close to its creation.
    pub scheduled_start: Option<Timestamp>,
    /// When half of its users will have left, if known.
    pub end: Option<Timestamp>,
    /// Whether its expected size is only a guess, because there is no history.
    pub is_guess: bool,
}

impl MeetingForecast {
    pub(super) fn new(
        policy: &ForecastPolicy,
        now: Timestamp,
        times: MeetingTimes,
        timetable: &Timetable,
    ) -> Self {
        let staying = match times.end {
            Some(end) => stay_curve_until(policy, to_seconds(end.ms_since(now))),
            None => typical_stay_curve(policy, now.ms_since(times.created_at).max(0), timetable),
        };
        let (arriving, arrived) = arrival_curve(policy, now, times);
        let guess_weight = times.is_guess.then_some(policy.guess_weight);
        Self { arriving, staying, arrived, guess_weight }
    }

    /// Computes the users of the meeting over the next two hours, from its current and its expected
    /// number of users.
    pub(super) fn curve(&self, users: u32, expected: f32) -> LoadCurve {
        let users = users as f32;
        let total_arrivals = self.expected_arrivals(users, expected);
        let mut curve = LoadCurve::ZERO;
        for point in 0..PADDED_POINTS {
            let arriving = total_arrivals * self.arriving.0[point];
            curve.0[point] = (users + arriving) * self.staying.0[point];
        }
        curve
    }

    /// Returns the number of users to which the shares in `arriving` apply.
    ///
    /// A learned or announced size stays as it is, because the users who have arrived say less. A
    /// guessed size is corrected by the users who have arrived: the result is the mean of a gamma
    /// distribution after observing this number of users, who are a known share of all. Sizes have
    /// a long tail, so a meeting that fills up fast is expected to grow further.
    fn expected_arrivals(&self, users: f32, expected: f32) -> f32 {
        match self.guess_weight {
            Some(weight) => (weight + users) / (weight / expected.max(1.0) + self.arrived),
            None => (expected - users).max(0.0),
        }
    }
}

/// Returns the start time that a meeting created at this time belongs to, if there is one close
/// enough. `start_offset_ms` is the offset of start times from the full hour.
pub(super) fn find_scheduled_start(
    policy: &ForecastPolicy,
    created_at: Timestamp,
    start_offset_ms: i64,
) -> Option<Timestamp> {
    let since_start_ms = (created_at.0 - start_offset_ms).rem_euclid(HOUR_MS);
    if since_start_ms <= policy.late_ms {
        Some(created_at.plus_ms(-since_start_ms))
    } else if HOUR_MS - since_start_ms <= policy.early_ms {
        Some(created_at.plus_ms(HOUR_MS - since_start_ms))
    } else {
        None
    }
}

/// Computes the shares of users that arrive between now and each point, and the share that should
/// have arrived by now.
fn arrival_curve(policy: &ForecastPolicy, now: Timestamp, times: MeetingTimes) -> (LoadCurve, f32) {
    let age_s = to_seconds(now.ms_since(times.created_at));
    let since_start_s =
        times.scheduled_start.map_or(age_s, |start| to_seconds(now.ms_since(start)));
    let share_by = |since_start_s: f32| match times.scheduled_start {
        Some(_) => arrived_share(policy, since_start_s),
        None => (since_start_s / policy.unscheduled_arrival_s.max(1.0)).clamp(0.0, 1.0),
    };
    let arrived = share_by(since_start_s) * (1.0 - (-age_s.max(0.0) / policy.join_time_s).exp());
    let arriving = LoadCurve::from_fn(|ahead_ms| {
        (share_by(since_start_s + to_seconds(ahead_ms)) - arrived).max(0.0)
    });
    (arriving, arrived)
}

/// Returns the share of the users who have arrived this many seconds after the start time.
fn arrived_share(policy: &ForecastPolicy, since_start_s: f32) -> f32 {
    let [first, .., last] = policy.arrivals;
    if since_start_s <= first.0 {
        return first.1;
    }
    let segments =
        policy.arrivals.windows(2).filter_map(|pair| Some((pair.first()?, pair.last()?)));
    let mut segments = segments.filter(|(_, to)| since_start_s <= to.0);
    segments.next().map_or(last.1, |(from, to)| {
        let fraction = (since_start_s - from.0) / (to.0 - from.0).max(1.0);
        from.1 + fraction * (to.1 - from.1)
    })
}

/// Computes the share of the current users that stays, for a meeting that ends in `left_s` seconds.
fn stay_curve_until(policy: &ForecastPolicy, left_s: f32) -> LoadCurve {
    // logistic((left_s − h) / spread) divided by its value at h = 0, in a form that neither
    // overflows nor becomes 0 / 0. Long after the end, the remaining users decay with the spread as
    // time constant.
    let now_term = (-left_s / policy.end_spread_s).min(40.0).exp();
    let step = (to_seconds(STEP_MS) / policy.end_spread_s).min(3.0).exp();
    let mut point_term = now_term;
    let mut curve = LoadCurve::ZERO;
    for point in &mut curve.0[..POINTS] {
        *point = (1.0 + now_term) / (1.0 + point_term);
        point_term = (point_term * step).min(1e30);
    }
    curve
}

/// Computes the share of the current users that stays, for a meeting of this age whose end is not
/// known. It is taken from meetings that were seen only once.
fn typical_stay_curve(policy: &ForecastPolicy, age_ms: i64, timetable: &Timetable) -> LoadCurve {
    let share = |age_ms: i64| timetable.share_busy_beyond(age_ms).map(|share| share as f32);
    match share(age_ms) {
        // Without any history all users are expected to stay.
        None => LoadCurve::from_fn(|_| 1.0),
        Some(share_now) if share_now >= policy.overtime_share => LoadCurve::from_fn(|ahead_ms| {
            share(age_ms + ahead_ms).map_or(1.0, |later| later / share_now)
        }),
        Some(_) => LoadCurve::from_fn(|ahead_ms| (-to_seconds(ahead_ms) / policy.overtime_s).exp()),
    }
}

fn to_seconds(ms: i64) -> f32 {
    ms as f32 / 1000.0
}
