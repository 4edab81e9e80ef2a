//! One meeting's earlier sessions, and the times of the week at which it usually meets.

use std::sync::Arc;

use crate::meeting::MeetingKey;
use crate::time::Timestamp;

use super::{ExpectedMeeting, HOUR_MS, MINUTE_MS, RECENT_MS, TODAY_MS, WEEK_MS, median, week_time};

/// Sessions that began further apart in the week than this belong to different appointments.
const MAX_GAP_MS: i64 = 3 * HOUR_MS;
/// Sessions that began this close in the week are expected to end alike.
const ALIKE_MS: i64 = 30 * MINUTE_MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SessionRecord {
    created_at: Timestamp,
    peak_users: u32,
    busy_ms: i64,
}

/// What is remembered of a meeting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MeetingRecord {
    /// The oldest one first.
    sessions: Vec<SessionRecord>,
    /// In which minutes of the week its appointments usually begin.
    slots: Vec<i64>,
}

impl MeetingRecord {
    pub(super) fn insert(
        &mut self,
        created_at: Timestamp,
        peak_users: u32,
        busy: i64,
        most: usize,
    ) {
        let seen = SessionRecord { created_at, peak_users, busy_ms: busy.max(0) };
        match self.sessions.binary_search_by_key(&created_at, |one| one.created_at) {
            Ok(place) => self.sessions[place] = seen,
            Err(place) => self.sessions.insert(place, seen),
        }
        let surplus = self.sessions.len().saturating_sub(most.max(1));
        self.sessions.drain(..surplus);
        self.find_slots();
    }

    pub(super) fn forget_before(&mut self, oldest: Timestamp) {
        self.sessions.retain(|one| one.created_at >= oldest);
        self.find_slots();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn last_created_at(&self) -> Timestamp {
        self.sessions.last().map_or(Timestamp(i64::MIN), |one| one.created_at)
    }

    /// Peak and busy time, if it was seen once only.
    pub(super) fn only_session(&self) -> Option<(u32, i64)> {
        match self.sessions[..] {
            [one] => Some((one.peak_users, one.busy_ms)),
            _ => None,
        }
    }

    pub(super) fn slots(&self) -> &[i64] {
        &self.slots
    }

    /// The quarters of an hour in which its sessions were created.
    pub(super) fn quarters(&self) -> impl Iterator<Item = usize> {
        self.sessions.iter().map(|one| {
            let minute = one.created_at.0.rem_euclid(HOUR_MS) / MINUTE_MS;
            usize::try_from(minute / 15).unwrap_or(0)
        })
    }

    pub(super) fn usual_size(&self) -> u32 {
        let mut peaks: Vec<i64> =
            self.sessions.iter().map(|one| i64::from(one.peak_users)).collect();
        median(&mut peaks).and_then(|size| u32::try_from(size).ok()).unwrap_or(0)
    }

    /// When a session that began then will probably have ended.
    pub(super) fn expected_end(&self, created_at: Timestamp) -> Timestamp {
        let alike = self.sessions.iter().filter_map(|one| {
            let later = week_offset(one.created_at, created_at);
            (later.abs() <= ALIKE_MS).then(|| later + one.busy_ms)
        });
        let mut ends: Vec<i64> = alike.collect();
        if ends.is_empty() {
            ends = self.sessions.iter().map(|one| one.busy_ms).collect();
        }
        created_at.plus_ms(median(&mut ends).unwrap_or(0))
    }

    /// Its appointments between these two times, if it usually keeps them and was not seen today.
    pub(super) fn expected_meetings(
        &self,
        key: &Arc<MeetingKey>,
        from: Timestamp,
        to: Timestamp,
        least: u32,
    ) -> Vec<ExpectedMeeting> {
        let recent = |one: &&SessionRecord| from.ms_since(one.created_at) <= RECENT_MS;
        let recent: Vec<SessionRecord> = self.sessions.iter().filter(recent).copied().collect();
        let mut found = Vec::new();
        for group in group_appointments(&recent) {
            let today = |one: &SessionRecord| from.ms_since(one.created_at) < TODAY_MS;
            let weeks = count_weeks(&group, from);
            if weeks < least || group.iter().any(today) {
                continue;
            }
            let mut times: Vec<i64> =
                group.iter().map(|one| week_offset(one.created_at, from)).collect();
            let at = from.plus_ms(median(&mut times).unwrap_or(0));
            if from <= at && at <= to {
                let (key, size, end) = (Arc::clone(key), self.usual_size(), self.expected_end(at));
                found.push(ExpectedMeeting { key, weeks, size, starts_at: at, ends_at: end });
            }
        }
        found
    }

    fn find_slots(&mut self) {
        let newest = self.last_created_at();
        let recent = |one: &&SessionRecord| newest.ms_since(one.created_at) <= RECENT_MS;
        let recent: Vec<SessionRecord> = self.sessions.iter().filter(recent).copied().collect();
        let usual = group_appointments(&recent).into_iter().filter(|group| group.len() > 1);
        let starts = usual.filter_map(|group| {
            let mut times: Vec<i64> = group.iter().map(|one| week_time(one.created_at)).collect();
            median(&mut times).map(|time| time / MINUTE_MS)
        });
        self.slots = starts.collect();
    }
}

/// How much later in the week `one` is than `other`; negative if it is earlier.
fn week_offset(one: Timestamp, other: Timestamp) -> i64 {
    (one.ms_since(other) + WEEK_MS / 2).rem_euclid(WEEK_MS) - WEEK_MS / 2
}

/// Groups sessions that began at the same time of the week, more or less.
fn group_appointments(seen: &[SessionRecord]) -> Vec<Vec<SessionRecord>> {
    let mut sorted = seen.to_vec();
    sorted.sort_unstable_by_key(|one| (week_time(one.created_at), one.created_at));
    let mut groups: Vec<Vec<SessionRecord>> = Vec::new();
    for one in sorted {
        let time = week_time(one.created_at);
        match groups.last_mut() {
            Some(group)
                if group
                    .last()
                    .is_some_and(|last| time - week_time(last.created_at) <= MAX_GAP_MS) =>
            {
                group.push(one);
            }
            _ => groups.push(vec![one]),
        }
    }
    groups
}

/// In how many weeks there was one of these sessions.
fn count_weeks(group: &[SessionRecord], now: Timestamp) -> u32 {
    let week =
        |one: &SessionRecord| (now.ms_since(one.created_at) + WEEK_MS / 2).div_euclid(WEEK_MS);
    let mut weeks: Vec<i64> = group.iter().map(week).collect();
    weeks.sort_unstable();
    weeks.dedup();
    u32::try_from(weeks.len()).unwrap_or(u32::MAX)
}
