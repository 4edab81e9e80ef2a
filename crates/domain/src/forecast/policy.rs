//! The numbers of the rule. They were measured; none of them is delicate.

/// The numbers of the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForecastPolicy {
    /// Users to expect where nothing is known (`LOAD_MIN_USER_COUNT`).
    pub default_users: u32,
    /// Who creates a meeting this long before the bell, or less, waits for the bell.
    pub early_ms: i64,
    /// Who creates a meeting this long after the bell, or less, is late.
    pub late_ms: i64,
    /// Shares of the users that have come by so many seconds from the bell; linear between.
    pub arrivals: [(f32, f32); 3],
    /// Who creates a meeting far from any bell may have a time of their own in mind, so users are
    /// expected evenly over so many seconds from then on.
    pub unscheduled_arrival_s: f32,
    /// How long users who are due take to get into a meeting that was just created, in seconds.
    pub join_time_s: f32,
    /// How sharply meetings end around their expected end, in seconds.
    pub end_spread_s: f32,
    /// How fast meetings empty that have gone on for longer than nearly all, in seconds.
    pub overtime_s: f32,
    /// What "nearly all" is: the share that goes on for longer.
    pub overtime_share: f32,
    /// How long a promised meeting is waited for after its time.
    pub upcoming_late_ms: i64,
    /// How far ahead promised meetings are placed.
    pub upcoming_ahead_ms: i64,
    /// In how many of the last four weeks it must have met.
    pub upcoming_min_weeks: u32,
    /// How much larger an unknown meeting is taken to be on the weakest of servers.
    pub caution: f32,
    /// The same where there is no history at all, not even of others.
    pub no_history_caution: f32,
    /// How many users the reserve weighs as much as, where there is no history at all: those who
    /// came tell more of such a meeting's size, the more they are.
    pub guess_weight: f32,
    /// Moments count when the new meeting has more than this share of its peak.
    pub counted_share: f32,
    /// How much the mean counts beside the fullest moment: enough to tell equals apart.
    pub mean_share: f32,
    /// Forecasts are made anew when they are older.
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
