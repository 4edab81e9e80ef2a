//! What was learned from meetings that have ended: how large each one gets, how long it goes on,
//! and when in the week it meets.
//!
//! Times of the week are counted in UTC, in weeks that begin at an hour when hardly anybody meets:
//! what recurs weekly recurs there, whatever the time zone. A change to summer time is a shift by
//! an hour, which takes three weeks to learn.

mod once;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::history::Session;
use crate::meeting::MeetingKey;
use crate::time::Timestamp;

use once::Once;
use record::Record;

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
const BELL_SAMPLE: u32 = 100;

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimetableLimits {
    /// Sessions of one meeting; the oldest go. Enough for one that meets on each working day of
    /// four weeks.
    pub sessions: usize,
    /// Meetings; those that have not met for the longest time go.
    pub meetings: usize,
}

impl Default for TimetableLimits {
    fn default() -> Self {
        Self { sessions: 20, meetings: 50_000 }
    }
}

/// A meeting that is about to be created, if this week is like those before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promised {
    /// Which one.
    pub key: Arc<MeetingKey>,
    /// In how many of the last four weeks it met at this time.
    pub weeks: u32,
    /// Its usual size.
    pub size: u32,
    /// When it is usually created.
    pub at: Timestamp,
    /// When it usually ends.
    pub end: Timestamp,
}

/// What was learned from sessions.
#[derive(Clone, Debug, Default)]
pub struct Timetable {
    limits: TimetableLimits,
    records: HashMap<Arc<MeetingKey>, Record>,
    /// Which meetings usually begin in which minute of the week.
    slots: BTreeMap<i64, Vec<Arc<MeetingKey>>>,
    once: Once,
    /// Seen once, and not counted among those yet: when they were created, and which they are.
    fresh: BTreeSet<(Timestamp, Arc<MeetingKey>)>,
    /// The latest end of a session.
    latest: Timestamp,
    /// How many sessions were created in which quarter of an hour.
    quarters: [u32; 4],
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
    pub fn learn(&mut self, session: Session) {
        let Session { key, created_at, peak_users, busy_ms } = session;
        let (key, mut record) = match self.take(&key) {
            Some(known) => known,
            None => (Arc::new(key), Record::default()),
        };
        record.insert(created_at, peak_users, busy_ms, self.limits.sessions);
        self.latest = self.latest.max(created_at.plus_ms(busy_ms));
        self.put(key, record);
        self.count_settled();
        if self.records.len() > self.limits.meetings {
            self.forget_oldest();
        }
    }

    /// Forgets what was created before.
    pub fn forget_before(&mut self, oldest: Timestamp) {
        let mut keys: Vec<_> = self.records.keys().cloned().collect();
        keys.sort_unstable();
        for key in keys {
            let Some((key, mut record)) = self.take(&key) else { continue };
            record.forget_before(oldest);
            if !record.is_empty() {
                self.put(key, record);
            }
        }
        self.count_settled();
    }

    /// Sessions of a meeting that are remembered.
    #[must_use]
    pub fn sessions(&self, key: &MeetingKey) -> usize {
        self.records.get(key).map_or(0, Record::len)
    }

    /// The usual size of a meeting: the median of its peaks.
    #[must_use]
    pub fn size(&self, key: &MeetingKey) -> Option<u32> {
        self.records.get(key).map(Record::size)
    }

    /// When a known meeting that was created then will probably have lost half of its users: as it
    /// did in other weeks at this time; else after its usual time.
    #[must_use]
    pub fn end(&self, key: &MeetingKey, created_at: Timestamp) -> Option<Timestamp> {
        self.records.get(key).map(|record| record.end(created_at))
    }

    /// The mean size of meetings that were seen once, before today: what to expect of one that is new.
    #[must_use]
    pub fn typical_size(&self) -> Option<f64> {
        self.once.mean_size()
    }

    /// The share of the meetings seen once that stayed busy for longer than this, if there are any.
    #[must_use]
    pub fn share_busy_beyond(&self, ms: i64) -> Option<f64> {
        self.once.share_beyond(ms)
    }

    /// When meetings start, in ms after each full hour: the quarter around which most are created.
    #[must_use]
    pub fn bell_ms(&self) -> i64 {
        // Most people open a meeting a little early, so the bell rings at the end of its quarter.
        let ends = |quarter: usize| self.quarters[(quarter + 3) % 4];
        let all: u32 = self.quarters.iter().sum();
        let best = (0..4).rev().max_by_key(|quarter| ends(*quarter)).unwrap_or(0);
        let is_clear = ends(best) > ends(0).saturating_add(all / 8);
        if all >= BELL_SAMPLE && is_clear { best as i64 * 15 * MINUTE_MS } else { 0 }
    }

    /// Meetings that usually are created between these two times, met then in at least so many of
    /// the last four weeks, and have not been seen today; in the order of their keys.
    #[must_use]
    pub fn promised(&self, from: Timestamp, to: Timestamp, weeks: u32) -> Vec<Promised> {
        let week = WEEK_MS / MINUTE_MS;
        let minutes = (to.ms_since(from) / MINUTE_MS).clamp(0, week / 2);
        // What counts as recent moves on after a record was entered, and its median with it.
        let first = week_time(from).div_euclid(MINUTE_MS) - SLACK_MINUTES;
        let last = first + minutes + 2 * SLACK_MINUTES;
        let turns = [-week, 0, week].map(|turn| self.slots.range(first + turn..=last + turn));
        let keys = turns.into_iter().flatten().flat_map(|(_, keys)| keys);
        let mut found: Vec<Promised> = keys
            .flat_map(|key| {
                let record = self.records.get(key);
                record.into_iter().flat_map(|record| record.promised(key, from, to, weeks))
            })
            .collect();
        found.sort_unstable_by(|one, other| (&one.key, one.at).cmp(&(&other.key, other.at)));
        // A meeting with several slots that are near each other is found through each of them.
        found.dedup_by(|one, other| one.key == other.key);
        found
    }

    /// Takes a record out of all books.
    fn take(&mut self, key: &MeetingKey) -> Option<(Arc<MeetingKey>, Record)> {
        let (key, record) = self.records.remove_entry(key)?;
        for minute in record.slots() {
            if let Some(keys) = self.slots.get_mut(minute) {
                keys.retain(|one| *one != key);
                if keys.is_empty() {
                    self.slots.remove(minute);
                }
            }
        }
        if let Some((peak_users, busy_ms)) = record.only()
            && !self.fresh.remove(&(record.newest(), Arc::clone(&key)))
        {
            self.once.remove(peak_users, busy_ms);
        }
        for quarter in record.quarters() {
            self.quarters[quarter] = self.quarters[quarter].saturating_sub(1);
        }
        Some((key, record))
    }

    /// Puts a record into all books.
    fn put(&mut self, key: Arc<MeetingKey>, record: Record) {
        for minute in record.slots() {
            self.slots.entry(*minute).or_default().push(Arc::clone(&key));
        }
        if record.only().is_some() {
            self.fresh.insert((record.newest(), Arc::clone(&key)));
        }
        for quarter in record.quarters() {
            self.quarters[quarter] = self.quarters[quarter].saturating_add(1);
        }
        self.records.insert(key, record);
    }

    /// Counts what was seen once among the typical meetings, when it is old enough.
    ///
    /// Of today's meetings those that have ended by now are the short ones, and would tell that
    /// all are short.
    fn count_settled(&mut self) {
        let settled = |created_at: &Timestamp| self.latest.ms_since(*created_at) >= TODAY_MS;
        while self.fresh.first().is_some_and(|(created_at, _)| settled(created_at)) {
            let Some((_, key)) = self.fresh.pop_first() else { break };
            if let Some((peak_users, busy_ms)) = self.records.get(&key).and_then(Record::only) {
                self.once.add(peak_users, busy_ms);
            }
        }
    }

    /// Makes room: at once for a sixteenth, so that it need not be made again at once.
    fn forget_oldest(&mut self) {
        let mut by_age: Vec<_> =
            self.records.iter().map(|(key, record)| (record.newest(), Arc::clone(key))).collect();
        by_age.sort_unstable();
        let surplus = by_age.len().saturating_sub(self.limits.meetings - self.limits.meetings / 16);
        for (_, key) in by_age.into_iter().take(surplus) {
            let _forgotten = self.take(&key);
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
