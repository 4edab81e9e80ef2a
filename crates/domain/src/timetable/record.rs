//! One meeting's earlier sessions, and the times of the week at which it usually meets.

use std::sync::Arc;

use crate::meeting::MeetingKey;
use crate::time::Timestamp;

use super::{HOUR_MS, MINUTE_MS, Promised, RECENT_MS, TODAY_MS, WEEK_MS, median, week_time};

/// Sessions that began further apart in the week than this belong to different appointments.
const GAP_MS: i64 = 3 * HOUR_MS;
/// Sessions that began this close in the week are expected to end alike.
const ALIKE_MS: i64 = 30 * MINUTE_MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    created_at: Timestamp,
    peak_users: u32,
    busy_ms: i64,
}

/// What is remembered of a meeting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The oldest one first.
    seen: Vec<Seen>,
    /// In which minutes of the week its appointments usually begin.
    slots: Vec<i64>,
}

impl Record {
    pub(super) fn insert(
        &mut self,
        created_at: Timestamp,
        peak_users: u32,
        busy: i64,
        most: usize,
    ) {
        let seen = Seen { created_at, peak_users, busy_ms: busy.max(0) };
        match self.seen.binary_search_by_key(&created_at, |one| one.created_at) {
            Ok(place) => self.seen[place] = seen,
            Err(place) => self.seen.insert(place, seen),
        }
        let surplus = self.seen.len().saturating_sub(most.max(1));
        self.seen.drain(..surplus);
        self.find_slots();
    }

    pub(super) fn forget_before(&mut self, oldest: Timestamp) {
        self.seen.retain(|one| one.created_at >= oldest);
        self.find_slots();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    pub(super) fn newest(&self) -> Timestamp {
        self.seen.last().map_or(Timestamp(i64::MIN), |one| one.created_at)
    }

    /// Peak and busy time, if it was seen once only.
    pub(super) fn only(&self) -> Option<(u32, i64)> {
        match self.seen[..] {
            [one] => Some((one.peak_users, one.busy_ms)),
            _ => None,
        }
    }

    pub(super) fn slots(&self) -> &[i64] {
        &self.slots
    }

    /// The quarters of an hour in which its sessions were created.
    pub(super) fn quarters(&self) -> impl Iterator<Item = usize> {
        self.seen.iter().map(|one| {
            let minute = one.created_at.0.rem_euclid(HOUR_MS) / MINUTE_MS;
            usize::try_from(minute / 15).unwrap_or(0)
        })
    }

    pub(super) fn size(&self) -> u32 {
        let mut peaks: Vec<i64> = self.seen.iter().map(|one| i64::from(one.peak_users)).collect();
        median(&mut peaks).and_then(|size| u32::try_from(size).ok()).unwrap_or(0)
    }

    /// When a session that began then will probably have ended.
    pub(super) fn end(&self, created_at: Timestamp) -> Timestamp {
        let alike = self.seen.iter().filter_map(|one| {
            let later = around_the_week(one.created_at, created_at);
            (later.abs() <= ALIKE_MS).then(|| later + one.busy_ms)
        });
        let mut ends: Vec<i64> = alike.collect();
        if ends.is_empty() {
            ends = self.seen.iter().map(|one| one.busy_ms).collect();
        }
        created_at.plus_ms(median(&mut ends).unwrap_or(0))
    }

    /// Its appointments between these two times, if it usually keeps them and was not seen today.
    pub(super) fn promised(
        &self,
        key: &Arc<MeetingKey>,
        from: Timestamp,
        to: Timestamp,
        least: u32,
    ) -> Vec<Promised> {
        let recent = |one: &&Seen| from.ms_since(one.created_at) <= RECENT_MS;
        let recent: Vec<Seen> = self.seen.iter().filter(recent).copied().collect();
        let mut found = Vec::new();
        for group in appointments(&recent) {
            let today = |one: &Seen| from.ms_since(one.created_at) < TODAY_MS;
            let weeks = weeks(&group, from);
            if weeks < least || group.iter().any(today) {
                continue;
            }
            let mut times: Vec<i64> =
                group.iter().map(|one| around_the_week(one.created_at, from)).collect();
            let at = from.plus_ms(median(&mut times).unwrap_or(0));
            if from <= at && at <= to {
                let (key, size, end) = (Arc::clone(key), self.size(), self.end(at));
                found.push(Promised { key, weeks, size, at, end });
            }
        }
        found
    }

    fn find_slots(&mut self) {
        let newest = self.newest();
        let recent = |one: &&Seen| newest.ms_since(one.created_at) <= RECENT_MS;
        let recent: Vec<Seen> = self.seen.iter().filter(recent).copied().collect();
        let usual = appointments(&recent).into_iter().filter(|group| group.len() > 1);
        let starts = usual.filter_map(|group| {
            let mut times: Vec<i64> = group.iter().map(|one| week_time(one.created_at)).collect();
            median(&mut times).map(|time| time / MINUTE_MS)
        });
        self.slots = starts.collect();
    }
}

/// How much later in the week `one` is than `other`; negative if it is earlier.
fn around_the_week(one: Timestamp, other: Timestamp) -> i64 {
    (one.ms_since(other) + WEEK_MS / 2).rem_euclid(WEEK_MS) - WEEK_MS / 2
}

/// Groups sessions that began at the same time of the week, more or less.
fn appointments(seen: &[Seen]) -> Vec<Vec<Seen>> {
    let mut sorted = seen.to_vec();
    sorted.sort_unstable_by_key(|one| (week_time(one.created_at), one.created_at));
    let mut groups: Vec<Vec<Seen>> = Vec::new();
    for one in sorted {
        let time = week_time(one.created_at);
        match groups.last_mut() {
            Some(group)
                if group.last().is_some_and(|last| time - week_time(last.created_at) <= GAP_MS) =>
            {
                group.push(one);
            }
            _ => groups.push(vec![one]),
        }
    }
    groups
}

/// In how many weeks there was one of these sessions.
fn weeks(group: &[Seen], now: Timestamp) -> u32 {
    let week = |one: &Seen| (now.ms_since(one.created_at) + WEEK_MS / 2).div_euclid(WEEK_MS);
    let mut weeks: Vec<i64> = group.iter().map(week).collect();
    weeks.sort_unstable();
    weeks.dedup();
    u32::try_from(weeks.len()).unwrap_or(u32::MAX)
}
