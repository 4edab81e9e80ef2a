//! The timetable: learns from sessions how large each meeting gets, how long it lasts, and at which
//! times of the week it takes place.
//!
//! Times of the week are in UTC, so weekly meetings recur at the same time of the week in any time
//! zone. Weeks begin at an hour when there are hardly any meetings. A change to or from summer time
//! shifts meetings by an hour, which takes three weeks to learn.

mod one_time;
mod record;
#[cfg(test)]
mod tests;
mod week;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::history::MeetingSession;
use crate::meeting::MeetingKey;
use crate::time::Timestamp;

use one_time::OneTimeMeetings;
use record::MeetingRecord;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const WEEK_MS: i64 = 7 * DAY_MS;
/// Age up to which sessions show when a meeting usually takes place, in ms: four weeks, plus a
/// tolerance for late starts.
const RECENT_MS: i64 = 4 * WEEK_MS + 12 * HOUR_MS;
/// Age up to which a session counts as one of today, in ms.
const TODAY_MS: i64 = 12 * HOUR_MS;
/// How far the median start of a record may move, in minutes, before its slot is computed again.
const SLACK_MINUTES: i64 = 10;
/// Minimum number of creates from which a start time other than the full hour is derived.
const MIN_START_SAMPLE: u32 = 100;

/// The limits of what a timetable keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimetableLimits {
    /// Maximum number of sessions of one meeting; the oldest are removed. Should be enough for a
    /// meeting on each working day of four weeks.
    pub max_sessions: usize,
    /// Maximum number of meetings; those whose last session is oldest are removed.
    pub max_meetings: usize,
    /// Maximum number of meetings that are expected to begin in one minute of the week; of others only
    /// the size is known.
    pub max_meetings_per_minute: usize,
}

impl Default for TimetableLimits {
    fn default() -> Self {
        Self { max_sessions: 20, max_meetings: 50_000, max_meetings_per_minute: 500 }
    }
}

/// A meeting that is about to be created if this week is like the weeks before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedMeeting {
    /// The meeting.
    pub key: Arc<MeetingKey>,
    /// In how many of the last four weeks it took place at this time.
    pub weeks: u32,
    /// Its usual size.
    pub size: u32,
    /// When it is usually created.
    pub starts_at: Timestamp,
    /// When it usually ends.
    pub ends_at: Timestamp,
}

/// What was learned from sessions.
#[derive(Clone, Debug, Default)]
pub struct Timetable {
    limits: TimetableLimits,
    records: HashMap<Arc<MeetingKey>, MeetingRecord>,
    /// The meetings that usually begin in each minute of the week.
    slots: BTreeMap<i64, BTreeSet<Arc<MeetingKey>>>,
    /// Statistics of meetings with a single session.
    one_time: OneTimeMeetings,
    /// Meetings with a single session that `one_time` does not include yet, by their creation time.
    uncounted: BTreeSet<(Timestamp, Arc<MeetingKey>)>,
    /// The latest end of all sessions.
    latest_end: Timestamp,
    /// Number of sessions that were created in each quarter of an hour.
    quarter_counts: [u32; 4],
}

impl Timetable {
    /// Returns an empty timetable.
    #[must_use]
    pub fn new(limits: TimetableLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Returns what is learned from these sessions, the newest first.
    #[must_use]
    pub fn learned_from(sessions: Vec<MeetingSession>) -> Self {
        let mut timetable = Self::new(TimetableLimits::default());
        // What is learned last counts as the latest.
        sessions.into_iter().rev().for_each(|session| timetable.learn(session));
        timetable
    }

    /// Returns the number of known meetings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns whether no meetings are known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Learns from a session. Learning a session again changes nothing.
    pub fn learn(&mut self, session: MeetingSession) {
        let MeetingSession { key, created_at, peak_users, busy_ms } = session;
        let (key, mut record) = match self.take_record(&key) {
            Some(known) => known,
            None => (Arc::new(key), MeetingRecord::default()),
        };
        record.insert(created_at, peak_users, busy_ms, self.limits.max_sessions);
        self.latest_end = self.latest_end.max(created_at.plus_ms(busy_ms));
        self.put_record(key, record);
        self.count_settled();
        if self.records.len() > self.limits.max_meetings {
            self.forget_oldest();
        }
    }

    /// Forgets all sessions that were created before `oldest`.
    pub fn forget_before(&mut self, oldest: Timestamp) {
        let mut keys: Vec<_> = self.records.keys().cloned().collect();
        keys.sort_unstable();
        for key in keys {
            let Some((key, mut record)) = self.take_record(&key) else { continue };
            record.forget_before(oldest);
            if !record.is_empty() {
                self.put_record(key, record);
            }
        }
        self.count_settled();
    }

    /// Returns the number of known sessions of a meeting.
    #[must_use]
    pub fn session_count(&self, key: &MeetingKey) -> usize {
        self.records.get(key).map_or(0, MeetingRecord::len)
    }

    /// Returns the usual size of a meeting: the median of the peaks of its sessions.
    #[must_use]
    pub fn usual_size(&self, key: &MeetingKey) -> Option<u32> {
        self.records.get(key).map(MeetingRecord::usual_size)
    }

    /// Returns when half of the users of a known meeting that was created at this time will
    /// probably have left. The estimate is based on its sessions at the same time of the week, or
    /// else on all its sessions.
    #[must_use]
    pub fn expected_end(&self, key: &MeetingKey, created_at: Timestamp) -> Option<Timestamp> {
        self.records.get(key).map(|record| record.expected_end(created_at))
    }

    /// Returns the mean size of meetings with a single session before today: the expected size of a
    /// meeting that is not known.
    #[must_use]
    pub fn typical_size(&self) -> Option<f64> {
        self.one_time.mean_size()
    }

    /// Returns the share of the meetings with a single session that were busy for longer than this,
    /// or `None` if there are none.
    #[must_use]
    pub fn share_busy_beyond(&self, ms: i64) -> Option<f64> {
        self.one_time.share_beyond(ms)
    }

    /// Returns the offset of start times from the full hour, in ms: the quarter of the hour around
    /// which most meetings are created.
    #[must_use]
    pub fn start_offset_ms(&self) -> i64 {
        // Most people open a meeting a little early, so the start time is the end of the quarter.
        let creates_before = |quarter: usize| self.quarter_counts[(quarter + 3) % 4];
        let total: u32 = self.quarter_counts.iter().sum();
        let best = (0..4).rev().max_by_key(|quarter| creates_before(*quarter)).unwrap_or(0);
        let is_clear = creates_before(best) > creates_before(0).saturating_add(total / 8);
        if total >= MIN_START_SAMPLE && is_clear { best as i64 * 15 * MINUTE_MS } else { 0 }
    }

    /// Returns the meetings that are usually created between these two times, took place then in at
    /// least `min_weeks` of the last four weeks, and have no session of today; in the order of
    /// their keys.
    #[must_use]
    pub fn expected_meetings(
        &self,
        from: Timestamp,
        to: Timestamp,
        min_weeks: u32,
    ) -> Vec<ExpectedMeeting> {
        let week = WEEK_MS / MINUTE_MS;
        let minutes = (to.ms_since(from) / MINUTE_MS).clamp(0, week / 2);
        // The slots of a record are computed when it changes. The sessions that count as recent,
        // and with them the median start, may have changed since then.
        let first = week_time(from).div_euclid(MINUTE_MS) - SLACK_MINUTES;
        let last = first + minutes + 2 * SLACK_MINUTES;
        // The range may cross the beginning or the end of the week.
        let ranges = [-week, 0, week].map(|shift| self.slots.range(first + shift..=last + shift));
        let keys = ranges.into_iter().flatten().flat_map(|(_, keys)| keys);
        let mut meetings: Vec<ExpectedMeeting> = keys
            .filter_map(|key| Some((key, self.records.get(key)?)))
            .flat_map(|(key, record)| record.expected_meetings(key, from, to, min_weeks))
            .collect();
        meetings.sort_unstable_by(|a, b| (&a.key, a.starts_at).cmp(&(&b.key, b.starts_at)));
        // A meeting with several slots close to each other is found through each of them.
        meetings.dedup_by(|a, b| a.key == b.key);
        meetings
    }

    /// Removes a record and all index entries for it.
    fn take_record(&mut self, key: &MeetingKey) -> Option<(Arc<MeetingKey>, MeetingRecord)> {
        let (key, record) = self.records.remove_entry(key)?;
        for minute in record.slots() {
            if let Some(keys) = self.slots.get_mut(minute) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.slots.remove(minute);
                }
            }
        }
        if let Some((peak_users, busy_ms)) = record.only_session()
            && !self.uncounted.remove(&(record.last_created_at(), Arc::clone(&key)))
        {
            self.one_time.remove(peak_users, busy_ms);
        }
        for quarter in record.quarters() {
            self.quarter_counts[quarter] = self.quarter_counts[quarter].saturating_sub(1);
        }
        Some((key, record))
    }

    /// Inserts a record and all index entries for it.
    fn put_record(&mut self, key: Arc<MeetingKey>, record: MeetingRecord) {
        for minute in record.slots() {
            let keys = self.slots.entry(*minute).or_default();
            if keys.len() < self.limits.max_meetings_per_minute {
                keys.insert(Arc::clone(&key));
            }
        }
        if record.only_session().is_some() {
            self.uncounted.insert((record.last_created_at(), Arc::clone(&key)));
        }
        for quarter in record.quarters() {
            self.quarter_counts[quarter] = self.quarter_counts[quarter].saturating_add(1);
        }
        self.records.insert(key, record);
    }

    /// Adds meetings with a single session to the statistics when they are old enough.
    ///
    /// Of today's meetings only the short ones have ended, and they would make all meetings seem
    /// short.
    fn count_settled(&mut self) {
        let is_settled = |created_at: &Timestamp| self.latest_end.ms_since(*created_at) >= TODAY_MS;
        while self.uncounted.first().is_some_and(|(created_at, _)| is_settled(created_at)) {
            let Some((_, key)) = self.uncounted.pop_first() else { break };
            if let Some((peak_users, busy_ms)) =
                self.records.get(&key).and_then(MeetingRecord::only_session)
            {
                self.one_time.add(peak_users, busy_ms);
            }
        }
    }

    /// Removes the meetings whose last session is oldest. Removes a sixteenth more than necessary,
    /// so that this does not happen again with the next session.
    fn forget_oldest(&mut self) {
        let mut oldest_first: Vec<_> = self
            .records
            .iter()
            .map(|(key, record)| (record.last_created_at(), Arc::clone(key)))
            .collect();
        oldest_first.sort_unstable();
        let max_meetings = self.limits.max_meetings;
        let surplus = oldest_first.len().saturating_sub(max_meetings - max_meetings / 16);
        for (_, key) in oldest_first.into_iter().take(surplus) {
            let _record = self.take_record(&key);
        }
    }
}

/// Returns the time since the week began, in ms. Weeks begin on Sunday at 3:00 UTC.
fn week_time(at: Timestamp) -> i64 {
    // 1970 began on a Thursday.
    (at.0 - 3 * DAY_MS - 3 * HOUR_MS).rem_euclid(WEEK_MS)
}

/// Returns the median of the values, or `None` if there are none.
fn median(values: &mut [i64]) -> Option<i64> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(lower + (upper - lower) / 2)
}
