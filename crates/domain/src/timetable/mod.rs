//! What was learned from meetings that have ended: how large each one gets, how long it goes on,
//! and when in the week it meets.
//!
//! Times of the week are counted in UTC, in weeks that begin at an hour when hardly anybody meets:
//! what recurs weekly recurs there, whatever the time zone. A change to summer time is a shift by
//! an hour, which takes three weeks to learn.

mod one_time;
mod record;
#[cfg(test)]
mod tests;

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
/// How far back a weekly meeting is looked for: four weeks, and as late as it may be.
const RECENT_MS: i64 = 4 * WEEK_MS + 12 * HOUR_MS;
/// What began longer ago than this was not today.
const TODAY_MS: i64 = 12 * HOUR_MS;
/// How far the median of a record may move before it is entered anew.
const SLACK_MINUTES: i64 = 10;
/// A timetable that does not start at full hours shows it by this many creates at least.
const MIN_START_SAMPLE: u32 = 100;

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimetableLimits {
    /// Sessions of one meeting; the oldest go. Enough for one that meets on each working day of
    /// four weeks.
    pub max_sessions: usize,
    /// Meetings; those that have not met for the longest time go.
    pub max_meetings: usize,
}

impl Default for TimetableLimits {
    fn default() -> Self {
        Self { max_sessions: 20, max_meetings: 50_000 }
    }
}

/// A meeting that is about to be created, if this week is like those before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedMeeting {
    /// Which one.
    pub key: Arc<MeetingKey>,
    /// In how many of the last four weeks it met at this time.
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
    /// Which meetings usually begin in which minute of the week.
    slots: BTreeMap<i64, Vec<Arc<MeetingKey>>>,
    one_time: OneTimeMeetings,
    /// Seen once, and not counted among those yet: when they were created, and which they are.
    uncounted: BTreeSet<(Timestamp, Arc<MeetingKey>)>,
    /// The latest end of a session.
    latest_end: Timestamp,
    /// How many sessions were created in which quarter of an hour.
    quarter_counts: [u32; 4],
}

impl Timetable {
    /// An empty one.
    #[must_use]
    pub fn new(limits: TimetableLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// How many meetings are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing was learned yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Learns from a session. Learning the same one again changes nothing.
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

    /// Forgets what was created before.
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

    /// Sessions of a meeting that are remembered.
    #[must_use]
    pub fn session_count(&self, key: &MeetingKey) -> usize {
        self.records.get(key).map_or(0, MeetingRecord::len)
    }

    /// The usual size of a meeting: the median of its peaks.
    #[must_use]
    pub fn usual_size(&self, key: &MeetingKey) -> Option<u32> {
        self.records.get(key).map(MeetingRecord::usual_size)
    }

    /// When a known meeting that was created then will probably have lost half of its users: as it
    /// did in other weeks at this time; else after its usual time.
    #[must_use]
    pub fn expected_end(&self, key: &MeetingKey, created_at: Timestamp) -> Option<Timestamp> {
        self.records.get(key).map(|record| record.expected_end(created_at))
    }

    /// The mean size of meetings that were seen once, before today: what to expect of one that is new.
    #[must_use]
    pub fn typical_size(&self) -> Option<f64> {
        self.one_time.mean_size()
    }

    /// The share of the meetings seen once that stayed busy for longer than this, if there are any.
    #[must_use]
    pub fn share_busy_beyond(&self, ms: i64) -> Option<f64> {
        self.one_time.share_beyond(ms)
    }

    /// When meetings start, in ms after each full hour: the quarter around which most are created.
    #[must_use]
    pub fn start_offset_ms(&self) -> i64 {
        // Most people open a meeting a little early, so the bell rings at the end of its quarter.
        let ends = |quarter: usize| self.quarter_counts[(quarter + 3) % 4];
        let all: u32 = self.quarter_counts.iter().sum();
        let best = (0..4).rev().max_by_key(|quarter| ends(*quarter)).unwrap_or(0);
        let is_clear = ends(best) > ends(0).saturating_add(all / 8);
        if all >= MIN_START_SAMPLE && is_clear { best as i64 * 15 * MINUTE_MS } else { 0 }
    }

    /// Meetings that usually are created between these two times, met then in at least so many of
    /// the last four weeks, and have not been seen today; in the order of their keys.
    #[must_use]
    pub fn expected_meetings(
        &self,
        from: Timestamp,
        to: Timestamp,
        weeks: u32,
    ) -> Vec<ExpectedMeeting> {
        let week = WEEK_MS / MINUTE_MS;
        let minutes = (to.ms_since(from) / MINUTE_MS).clamp(0, week / 2);
        // What counts as recent moves on after a record was entered, and its median with it.
        let first = week_time(from).div_euclid(MINUTE_MS) - SLACK_MINUTES;
        let last = first + minutes + 2 * SLACK_MINUTES;
        let turns = [-week, 0, week].map(|turn| self.slots.range(first + turn..=last + turn));
        let keys = turns.into_iter().flatten().flat_map(|(_, keys)| keys);
        let mut found: Vec<ExpectedMeeting> = keys
            .flat_map(|key| {
                let record = self.records.get(key);
                record.into_iter().flat_map(|record| record.expected_meetings(key, from, to, weeks))
            })
            .collect();
        found.sort_unstable_by(|one, other| {
            (&one.key, one.starts_at).cmp(&(&other.key, other.starts_at))
        });
        // A meeting with several slots that are near each other is found through each of them.
        found.dedup_by(|one, other| one.key == other.key);
        found
    }

    /// Takes a record out of all books.
    fn take_record(&mut self, key: &MeetingKey) -> Option<(Arc<MeetingKey>, MeetingRecord)> {
        let (key, record) = self.records.remove_entry(key)?;
        for minute in record.slots() {
            if let Some(keys) = self.slots.get_mut(minute) {
                keys.retain(|one| *one != key);
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

    /// Puts a record into all books.
    fn put_record(&mut self, key: Arc<MeetingKey>, record: MeetingRecord) {
        for minute in record.slots() {
            self.slots.entry(*minute).or_default().push(Arc::clone(&key));
        }
        if record.only_session().is_some() {
            self.uncounted.insert((record.last_created_at(), Arc::clone(&key)));
        }
        for quarter in record.quarters() {
            self.quarter_counts[quarter] = self.quarter_counts[quarter].saturating_add(1);
        }
        self.records.insert(key, record);
    }

    /// Counts what was seen once among the typical meetings, when it is old enough.
    ///
    /// Of today's meetings those that have ended by now are the short ones, and would tell that
    /// all are short.
    fn count_settled(&mut self) {
        let settled = |created_at: &Timestamp| self.latest_end.ms_since(*created_at) >= TODAY_MS;
        while self.uncounted.first().is_some_and(|(created_at, _)| settled(created_at)) {
            let Some((_, key)) = self.uncounted.pop_first() else { break };
            if let Some((peak_users, busy_ms)) =
                self.records.get(&key).and_then(MeetingRecord::only_session)
            {
                self.one_time.add(peak_users, busy_ms);
            }
        }
    }

    /// Makes room: at once for a sixteenth, so that it need not be made again at once.
    fn forget_oldest(&mut self) {
        let mut by_age: Vec<_> = self
            .records
            .iter()
            .map(|(key, record)| (record.last_created_at(), Arc::clone(key)))
            .collect();
        by_age.sort_unstable();
        let surplus =
            by_age.len().saturating_sub(self.limits.max_meetings - self.limits.max_meetings / 16);
        for (_, key) in by_age.into_iter().take(surplus) {
            let _forgotten = self.take_record(&key);
        }
    }
}

/// Time since the week began: on Sunday at 3:00 UTC.
fn week_time(at: Timestamp) -> i64 {
    // 1970 began on a Thursday.
    (at.0 - 3 * DAY_MS - 3 * HOUR_MS).rem_euclid(WEEK_MS)
}

/// The middle one; the mean of the two middle ones of an even number.
fn median(values: &mut [i64]) -> Option<i64> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(lower + (upper - lower) / 2)
}
