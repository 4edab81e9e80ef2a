//! The coming week as the timetable expects it: how many users there will be in each hour.

use super::Timetable;
use crate::time::Timestamp;

/// An hour, in ms.
const HOUR_MS: i64 = 3_600_000;
/// Hours of a week.
const WEEK_HOURS: usize = 168;
/// Meetings are looked up for so many hours at once: of a meeting that takes place several times in them, only one is found.
const WINDOW_HOURS: usize = 4;
/// The weeks that a timetable remembers.
const WEEKS: u32 = 4;

impl Timetable {
    /// Returns how many users are expected in each hour of the coming week, from the full hour before `now` on. A meeting counts as often as it
    /// took place in the last four weeks: one that took place in two of them with half of its users, one that took place once not at all.
    #[must_use]
    pub fn expected_week(&self, now: Timestamp) -> Vec<f64> {
        let begin = Timestamp(now.0.div_euclid(HOUR_MS) * HOUR_MS);
        let mut users = vec![0.0; WEEK_HOURS];
        for window in (0..WEEK_HOURS).step_by(WINDOW_HOURS) {
            let hour = |hours: usize| {
                begin.plus_ms(HOUR_MS.saturating_mul(i64::try_from(hours).unwrap_or(i64::MAX)))
            };
            let (from, to) = (hour(window), hour(window + WINDOW_HOURS));
            for meeting in self.expected_meetings(from, to, 2) {
                if meeting.starts_at < from || meeting.starts_at >= to {
                    continue;
                }
                let share = f64::from(meeting.weeks.min(WEEKS)) / f64::from(WEEKS);
                let index = |at: Timestamp| at.ms_since(begin).div_euclid(HOUR_MS);
                let first = index(meeting.starts_at);
                let last = index(meeting.ends_at.plus_ms(-1)).max(first).min(first + 24);
                for hour in first..=last {
                    let place = usize::try_from(hour).ok().and_then(|hour| users.get_mut(hour));
                    if let Some(place) = place {
                        *place += share * f64::from(meeting.size);
                    }
                }
            }
        }
        users
    }
}
