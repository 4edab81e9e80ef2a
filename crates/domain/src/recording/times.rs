//! Which times of meetings can be true. Files and rows carry zeros, and times of clocks that were wrong.

use crate::time::Timestamp;

/// The beginning of 2007, before BBB existed: no meeting was earlier.
pub const EARLIEST: Timestamp = Timestamp(1_167_609_600_000);
/// How far clocks of servers may be ahead, in ms.
const MAX_AHEAD_MS: i64 = 86_400_000;

/// Returns a time if a recorded meeting can have begun or ended then.
#[must_use]
pub fn believable(time: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    time.filter(|time| *time >= EARLIEST && *time <= now.plus_ms(MAX_AHEAD_MS))
}

/// Returns when a meeting began by the id of its recording, which ends with that time if BBB made it.
#[must_use]
pub fn time_in_id(record_id: &str) -> Option<Timestamp> {
    let (_, ms) = record_id.rsplit_once('-').filter(|(_, ms)| ms.len() == 13)?;
    ms.bytes().all(|byte| byte.is_ascii_digit()).then(|| ms.parse().ok().map(Timestamp))?
}
