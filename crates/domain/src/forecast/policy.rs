//! The parameters of the load forecast. Their default values were measured, and the results are not
//! sensitive to small changes of any of them.

/// The parameters of the load forecast. A "start time" is a time of the hour at which meetings are
/// scheduled to start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForecastPolicy {
    /// Expected users of a meeting about which nothing is known (`LOAD_MIN_USER_COUNT`).
    pub default_users: u32,
    /// A meeting created at most this long before a start time, in ms, belongs to that start time.
    pub early_ms: i64,
    /// A meeting created at most this long after a start time, in ms, belongs to that start time.
    pub late_ms: i64,
    /// The share of the users that have arrived, by seconds after the start time (negative before
    /// it). Between these points the share is interpolated linearly.
    pub arrivals: [(f32, f32); 3],
    /// Users of a meeting that belongs to no start time are expected to arrive evenly over this
    /// time after its creation, in seconds, because it may start at a time of its own.
    pub unscheduled_arrival_s: f32,
    /// Time that users whose arrival is due take to enter a meeting that was just created, in
    /// seconds.
    pub join_time_s: f32,
    /// Spread of the times at which users leave around the expected end, in seconds.
    pub end_spread_s: f32,
    /// Time constant with which meetings empty that have lasted longer than nearly all others, in
    /// seconds.
    pub overtime_s: f32,
    /// The share of meetings that last longer than "nearly all others".
    pub overtime_share: f32,
    /// How long after its usual time an upcoming meeting is still expected, in ms.
    pub upcoming_late_ms: i64,
    /// How far ahead upcoming meetings are considered, in ms.
    pub upcoming_ahead_ms: i64,
    /// In how many of the last four weeks an upcoming meeting must have taken place.
    pub upcoming_min_weeks: u32,
    /// How much larger a meeting of unknown size is assumed to be on the weakest servers.
    pub caution: f32,
    /// Like `caution`, if there is no history of any meeting.
    pub no_history_caution: f32,
    /// Weight of the default size against users who have arrived, in users, if there is no history
    /// of any meeting. The more users have arrived, the more they say about the size of the
    /// meeting.
    pub guess_weight: f32,
    /// A point of a curve counts if the new meeting has at least this share of its peak there.
    pub counted_share: f32,
    /// Weight of the mean load against the highest load: just enough to tell equal servers apart.
    pub mean_share: f32,
    /// Age after which forecasts are computed again, in ms.
    pub refresh_ms: i64,
}

impl Default for ForecastPolicy {
    fn default() -> Self {
        Self {
            default_users: 15,
            early_ms: 15 * 60_000,
            late_ms: 10 * 60_000,
            arrivals: [(-330.0, 0.0), (330.0, 0.86), (1500.0, 1.0)],
            unscheduled_arrival_s: 900.0,
            join_time_s: 45.0,
            end_spread_s: 150.0,
            overtime_s: 600.0,
            overtime_share: 0.02,
            upcoming_late_ms: 10 * 60_000,
            upcoming_ahead_ms: 25 * 60_000,
            upcoming_min_weeks: 2,
            caution: 3.0,
            no_history_caution: 6.0,
            guess_weight: 1.0,
            counted_share: 0.3,
            mean_share: 0.01,
            refresh_ms: 5_000,
        }
    }
}
