//! The course of a meeting, and what is kept of it when it has ended, so that its next time can be
//! foreseen.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::meeting::MeetingKey;
use crate::time::Timestamp;

/// What is kept of meetings that have ended (`PLACEMENT_HISTORY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryMode {
    /// Their sizes and times, under their ids.
    #[default]
    On,
    /// Their sizes and times, under a hash of their ids that needs the balancer's secret.
    Pseudonymous,
    /// Nothing.
    Off,
}

/// A meeting that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeetingSession {
    /// Which one.
    pub key: MeetingKey,
    /// When it was created.
    pub created_at: Timestamp,
    /// The most users it had at a time.
    pub peak_users: u32,
    /// From its creation until its users fell below half of the peak, in ms.
    pub busy_ms: i64,
}

/// A meeting that was not busy for longer than this tells nothing about its next time, in ms.
const MIN_BUSY_MS: i64 = 5 * 60_000;

/// What is noted of a meeting while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MeetingUsage {
    /// The most users that a poll saw.
    pub peak_users: u32,
    /// When a poll last saw at least half of the peak.
    pub busy_until: Timestamp,
}

impl MeetingUsage {
    /// So many users were seen.
    pub fn record_users(&mut self, users: u32, at: Timestamp) {
        self.peak_users = self.peak_users.max(users);
        if users > 0 && users.saturating_mul(2) >= self.peak_users {
            self.busy_until = self.busy_until.max(at);
        }
    }

    /// What is kept of the meeting; nothing if it was over at once: that was a try.
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

/// The name under which a meeting is kept without telling its id: who does not know the secret cannot
/// tell which one it is.
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
        let mut course = MeetingUsage::default();
        assert_eq!(course.to_session(&key, Timestamp(0)), None);
        let minute = |minute: i64| Timestamp(minute * 60_000);
        for (at, users) in [(10, 3), (20, 40), (30, 21), (40, 20), (50, 19), (60, 2), (70, 0)] {
            course.record_users(users, minute(at));
        }
        let session = course.to_session(&key, minute(5)).unwrap();
        assert_eq!((session.peak_users, session.busy_ms), (40, 35 * 60_000));
        assert_eq!(course.to_session(&key, minute(36)), None, "that was a try");
    }
}
