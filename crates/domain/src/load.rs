//! Load, in seats: what a poll's meetings take up on their server.

use crate::meeting::MeetingLoad;
use crate::time::Timestamp;

/// How young meetings are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadPolicy {
    /// Seats that a young meeting counts at least (`LOAD_MIN_USER_COUNT`).
    pub min_user_count: u32,
    /// How long a meeting is young, in ms from its creation (`LOAD_JOIN_BUFFER_TIME`).
    pub join_buffer_ms: i64,
}

impl LoadPolicy {
    /// Seats of a meeting created then, of which that many were expected and so many users are
    /// there now.
    #[must_use]
    pub fn meeting_load(self, created_at: Timestamp, expected: u32, users: u32) -> MeetingLoad {
        MeetingLoad {
            expected_users: expected,
            expected_until: created_at.plus_ms(self.join_buffer_ms),
            users,
        }
    }
}

/// The load of a server: the seats taken, weighed by its multiplier.
#[must_use]
pub fn compute_load(seats: u64, multiplier: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "seats stay far below 2^52")]
    let seats = seats as f64;
    seats * multiplier
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn young_meetings_count_at_least_what_is_expected() {
        let policy = LoadPolicy { min_user_count: 15, join_buffer_ms: 900_000 };
        let created = Timestamp(1_000_000);
        assert_eq!(policy.meeting_load(created, 15, 2).counted_users(created.plus_ms(899_999)), 15);
        assert_eq!(policy.meeting_load(created, 15, 2).counted_users(created.plus_ms(900_000)), 2);
        assert_eq!(policy.meeting_load(created, 15, 40).counted_users(created), 40);
        assert!((compute_load(30, 1.5) - 45.0).abs() < f64::EPSILON);
    }
}
