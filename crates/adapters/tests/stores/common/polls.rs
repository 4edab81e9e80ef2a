//! Polls for tests that record them.

use domain::Timestamp;
use domain::health::Thresholds;
use domain::load::LoadPolicy;
use domain::poll::{PollObservation, PollPolicy, UnreadableMeetings};

/// The policy by which polls are judged.
pub(crate) const POLL_POLICY: PollPolicy = PollPolicy {
    thresholds: Thresholds { healthy: 1, unhealthy: 2 },
    load: LoadPolicy { min_user_count: 15, join_buffer_ms: 900_000 },
    grace_ms: 1000,
    max_adoptions: 1_000,
};

/// A poll of a server that responds and has no meetings.
pub(crate) fn empty_observation(at: Timestamp) -> PollObservation {
    PollObservation {
        started_at: at,
        finished_at: at,
        known_answer: Timestamp::default(),
        result: Ok(Vec::new()),
        unreadable: UnreadableMeetings::default(),
    }
}
