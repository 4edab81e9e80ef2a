//! The load of a server: the counted users of its meetings, times its load multiplier.

use crate::meeting::MeetingLoad;
use crate::time::Timestamp;

/// How meetings that were created lately are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadPolicy {
    /// Minimum number of users that a new meeting counts as (`LOAD_MIN_USER_COUNT`).
    pub min_user_count: u32,
    /// How long a meeting is new, in ms from its creation (`LOAD_JOIN_BUFFER_TIME`).
    pub join_buffer_ms: i64,
}

impl LoadPolicy {
    /// Returns the load of a meeting from its creation time and its numbers of expected and actual
    /// users.
    #[must_use]
    pub fn meeting_load(self, created_at: Timestamp, expected: u32, users: u32) -> MeetingLoad {
        MeetingLoad {
            expected_users: expected,
            expected_until: created_at.plus_ms(self.join_buffer_ms),
            users,
        }
    }
}

/// Computes the load of a server from its counted users and its load multiplier.
#[must_use]
pub fn compute_load(users: u64, multiplier: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "numbers of users stay far below 2^52")]
    let users = users as f64;
    users * multiplier
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_meetings_count_at_least_their_expected_users() {
        let policy = LoadPolicy { min_user_count: 15, join_buffer_ms: 900_000 };
        let created = Timestamp(1_000_000);
        assert_eq!(policy.meeting_load(created, 15, 2).counted_users(created.plus_ms(899_999)), 15);
        assert_eq!(policy.meeting_load(created, 15, 2).counted_users(created.plus_ms(900_000)), 2);
        assert_eq!(policy.meeting_load(created, 15, 40).counted_users(created), 40);
        assert!((compute_load(30, 1.5) - 45.0).abs() < f64::EPSILON);
    }
}
