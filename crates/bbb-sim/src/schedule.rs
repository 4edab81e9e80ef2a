//! Schedules by which the number of users in a meeting changes over time.

use crate::random::RandomSource;

/// When users join and leave a meeting, in milliseconds from its creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserSchedule {
    /// The time of each join.
    pub joins_ms: Vec<u32>,
    /// The time of each leave.
    pub leaves_ms: Vec<u32>,
}

impl UserSchedule {
    /// Creates the schedule of a lecture with `size` users. Most join within `ramp_s` seconds of the beginning, some
    /// later. One in twenty leaves early, the others shortly after `length_s` seconds.
    #[must_use]
    pub fn lecture(size: u32, ramp_s: u32, length_s: u32, seed: u64) -> Self {
        let mut random = RandomSource::new(seed);
        let (ramp_ms, length_ms) = (f64::from(ramp_s) * 1e3, f64::from(length_s) * 1e3);
        let (mut joins_ms, mut leaves_ms) = (Vec::new(), Vec::new());
        for _ in 0..size {
            let join_ms = (ramp_ms * 0.4 * (0.6 * random.normal()).exp()).min(length_ms);
            let leave_ms = if random.uniform() < 0.05 {
                join_ms + (length_ms - join_ms) * random.uniform()
            } else {
                length_ms + ramp_ms * 0.1 * (0.8 * random.normal()).exp()
            };
            // The cast truncates, and saturates at the largest u32.
            joins_ms.push(join_ms as u32);
            leaves_ms.push(leave_ms as u32);
        }
        Self { joins_ms, leaves_ms }.sorted()
    }

    /// Sorts the times, as the other methods require.
    pub(crate) fn sorted(mut self) -> Self {
        self.joins_ms.sort_unstable();
        self.leaves_ms.sort_unstable();
        self
    }

    /// Returns the number of users after that time.
    pub(crate) fn count_users(&self, elapsed_ms: i64) -> u32 {
        let joined = count_passed(&self.joins_ms, elapsed_ms);
        let left = count_passed(&self.leaves_ms, elapsed_ms);
        u32::try_from(joined.saturating_sub(left)).unwrap_or(u32::MAX)
    }

    /// Whether any user has joined by that time.
    pub(crate) fn has_begun(&self, elapsed_ms: i64) -> bool {
        count_passed(&self.joins_ms, elapsed_ms) > 0
    }

    /// Returns when the last of those left who have left by that time, in ms from the creation of the meeting.
    pub(crate) fn last_leave(&self, elapsed_ms: i64) -> Option<i64> {
        let passed = count_passed(&self.leaves_ms, elapsed_ms);
        self.leaves_ms.get(passed.checked_sub(1)?).map(|&ms| i64::from(ms))
    }

    /// Returns the next time at which the number of users may change, in ms from the creation of the meeting.
    pub(crate) fn next_change(&self, elapsed_ms: i64) -> Option<i64> {
        [&self.joins_ms, &self.leaves_ms]
            .into_iter()
            .filter_map(|times| times.get(count_passed(times, elapsed_ms)))
            .min()
            .map(|&ms| i64::from(ms))
    }
}

fn count_passed(times: &[u32], elapsed_ms: i64) -> usize {
    times.partition_point(|&ms| i64::from(ms) <= elapsed_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_users_follows_the_schedule() {
        let schedule =
            UserSchedule { joins_ms: vec![300, 100, 200], leaves_ms: vec![250, 900] }.sorted();
        let users: Vec<_> =
            [-1, 0, 99, 100, 200, 250, 300, 899, 900].map(|ms| schedule.count_users(ms)).into();
        assert_eq!(users, [0, 0, 0, 1, 2, 1, 2, 2, 1]);
        assert_eq!(schedule.next_change(0), Some(100));
        assert_eq!(schedule.next_change(200), Some(250));
        assert_eq!(schedule.next_change(900), None);
        assert!(!schedule.has_begun(99) && schedule.has_begun(100));
    }

    #[test]
    fn a_lecture_fills_lasts_and_empties() {
        let lecture = UserSchedule::lecture(200, 300, 3_600, 5);
        assert_eq!(lecture, UserSchedule::lecture(200, 300, 3_600, 5));
        assert_ne!(lecture, UserSchedule::lecture(200, 300, 3_600, 6));
        assert!(lecture.count_users(5_000) < 20);
        assert!(lecture.count_users(300_000) > 160);
        assert!(lecture.count_users(3_599_000) > 150);
        let end = i64::from(*lecture.leaves_ms.last().unwrap());
        assert_eq!(lecture.count_users(end), 0);
        assert!(end < 4_200_000, "{end}");
        let never_negative = lecture.joins_ms.iter().zip(&lecture.leaves_ms);
        assert!(never_negative.into_iter().all(|(join, leave)| join <= leave));
    }
}
