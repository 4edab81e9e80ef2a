//! The history of meetings: the numbers that are tracked while a meeting runs, and the session that
//! is kept after it ends. Forecasts of later meetings with the same id are based on these sessions.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::meeting::MeetingKey;
use crate::time::Timestamp;

/// What is kept of meetings that have ended (`PLACEMENT_HISTORY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryMode {
    /// Their sizes and times, under their ids.
    #[default]
    On,
    /// Their sizes and times, under a hash of their ids; see [`pseudonymize_key`].
    Pseudonymous,
    /// Nothing.
    Off,
}

/// A session: a meeting that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeetingSession {
    /// The meeting.
    pub key: MeetingKey,
    /// When it was created.
    pub created_at: Timestamp,
    /// The largest number of users at one time.
    pub peak_users: u32,
    /// Time from its creation until fewer than half of the peak were left, in ms.
    pub busy_ms: i64,
}

/// Minimum busy time of a session, in ms. Shorter meetings are not kept, because they say nothing
/// about later ones.
const MIN_BUSY_MS: i64 = 5 * 60_000;

/// The usage of a meeting, tracked while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeetingUsage {
    /// The largest number of users that a poll reported.
    pub peak_users: u32,
    /// When a poll last reported at least half of the peak.
    pub busy_until: Timestamp,
}

impl MeetingUsage {
    /// Records a number of users that was observed at a time.
    pub fn record_users(&mut self, users: u32, at: Timestamp) {
        self.peak_users = self.peak_users.max(users);
        if users > 0 && users.saturating_mul(2) >= self.peak_users {
            self.busy_until = self.busy_until.max(at);
        }
    }

    /// Returns the session to keep after the meeting has ended, or `None` if it was too short.
    #[must_use]
    pub fn to_session(&self, key: &MeetingKey, created_at: Timestamp) -> Option<MeetingSession> {
        let busy_ms = self.busy_until.ms_since(created_at).max(0);
        let (key, peak_users) = (key.clone(), self.peak_users);
        (peak_users > 0 && busy_ms >= MIN_BUSY_MS).then_some(MeetingSession {
            key,
            created_at,
            peak_users,
            busy_ms,
        })
    }
}

/// Returns a key that identifies a meeting without revealing its id. It is a hash of tenant, id and
/// secret, so nobody without the secret can find out which meeting it belongs to.
#[must_use]
pub fn pseudonymize_key(key: &MeetingKey, secret: &str) -> MeetingKey {
    let mut hash = Sha256::new();
    for part in [secret, key.tenant.as_deref().unwrap_or_default(), &key.id] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digits = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    MeetingKey { tenant: None, id: digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_is_busy_until_half_of_its_users_are_gone() {
        let key = MeetingKey { tenant: None, id: "m".to_owned() };
        let mut usage = MeetingUsage::default();
        assert_eq!(usage.to_session(&key, Timestamp(0)), None);
        let minute = |minute: i64| Timestamp(minute * 60_000);
        for (at, users) in [(10, 3), (20, 40), (30, 21), (40, 20), (50, 19), (60, 2), (70, 0)] {
            usage.record_users(users, minute(at));
        }
        let session = usage.to_session(&key, minute(5)).unwrap();
        assert_eq!((session.peak_users, session.busy_ms), (40, 35 * 60_000));
        assert_eq!(usage.to_session(&key, minute(36)), None, "too short");
    }
}
