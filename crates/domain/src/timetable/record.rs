//! The sessions of one meeting, and the times of the week at which it usually takes place.

use std::sync::Arc;

use crate::meeting::MeetingKey;
use crate::time::Timestamp;

use super::{ExpectedMeeting, HOUR_MS, MINUTE_MS, RECENT_MS, TODAY_MS, WEEK_MS, median, week_time};

/// Maximum difference between the times of the week of successive sessions of one appointment, in
/// ms.
const MAX_GAP_MS: i64 = 3 * HOUR_MS;
/// Maximum difference between the times of the week of sessions that are expected to end at the
/// same time of the week, in ms.
const SIMILAR_START_MS: i64 = 30 * MINUTE_MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SessionRecord {
    created_at: Timestamp,
    peak_users: u32,
    busy_ms: i64,
}

/// The known sessions of one meeting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MeetingRecord {
    /// The sessions, the oldest first.
    sessions: Vec<SessionRecord>,
    /// The minutes of the week in which its appointments usually begin.
    slots: Vec<i64>,
}

impl MeetingRecord {
    pub(super) fn insert(
        &mut self,
        created_at: Timestamp,
        peak_users: u32,
        busy_ms: i64,
        max_sessions: usize,
    ) {
        let new = SessionRecord { created_at, peak_users, busy_ms: busy_ms.max(0) };
        match self.sessions.binary_search_by_key(&created_at, |session| session.created_at) {
            Ok(index) => self.sessions[index] = new,
            Err(index) => self.sessions.insert(index, new),
        }
        let surplus = self.sessions.len().saturating_sub(max_sessions.max(1));
        self.sessions.drain(..surplus);
        self.compute_slots();
    }

    pub(super) fn forget_before(&mut self, oldest: Timestamp) {
        self.sessions.retain(|session| session.created_at >= oldest);
        self.compute_slots();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn last_created_at(&self) -> Timestamp {
        self.sessions.last().map_or(Timestamp(i64::MIN), |session| session.created_at)
    }

    /// Returns peak users and busy time in ms, if there is a single session.
    pub(super) fn only_session(&self) -> Option<(u32, i64)> {
        match self.sessions[..] {
            [session] => Some((session.peak_users, session.busy_ms)),
            _ => None,
        }
    }

    pub(super) fn slots(&self) -> &[i64] {
        &self.slots
    }

    /// Iterates over the quarters of the hour in which the sessions were created.
    pub(super) fn quarters(&self) -> impl Iterator<Item = usize> {
        self.sessions.iter().map(|session| {
            let minute = session.created_at.0.rem_euclid(HOUR_MS) / MINUTE_MS;
            usize::try_from(minute / 15).unwrap_or(0)
        })
    }

    pub(super) fn usual_size(&self) -> u32 {
        let mut peaks: Vec<i64> =
            self.sessions.iter().map(|session| i64::from(session.peak_users)).collect();
        median(&mut peaks).and_then(|size| u32::try_from(size).ok()).unwrap_or(0)
    }

    /// Returns when a session that was created at this time will probably end.
    pub(super) fn expected_end(&self, created_at: Timestamp) -> Timestamp {
        // Ends relative to `created_at`, in ms.
        let similar = self.sessions.iter().filter_map(|session| {
            let offset = week_offset(session.created_at, created_at);
            (offset.abs() <= SIMILAR_START_MS).then(|| offset + session.busy_ms)
        });
        let mut ends: Vec<i64> = similar.collect();
        if ends.is_empty() {
            ends = self.sessions.iter().map(|session| session.busy_ms).collect();
        }
        created_at.plus_ms(median(&mut ends).unwrap_or(0))
    }

    /// Returns the appointments between these two times that took place in at least `min_weeks`
    /// weeks and not today.
    pub(super) fn expected_meetings(
        &self,
        key: &Arc<MeetingKey>,
        from: Timestamp,
        to: Timestamp,
        min_weeks: u32,
    ) -> Vec<ExpectedMeeting> {
        let mut expected = Vec::new();
        for appointment in group_appointments(&self.recent_sessions(from)) {
            let is_today = |session: &SessionRecord| from.ms_since(session.created_at) < TODAY_MS;
            let weeks = count_weeks(&appointment, from);
            if weeks < min_weeks || appointment.iter().any(is_today) {
                continue;
            }
            let mut offsets: Vec<i64> =
                appointment.iter().map(|session| week_offset(session.created_at, from)).collect();
            let starts_at = from.plus_ms(median(&mut offsets).unwrap_or(0));
            if from <= starts_at && starts_at <= to {
                expected.push(ExpectedMeeting {
                    key: Arc::clone(key),
                    weeks,
                    size: self.usual_size(),
                    starts_at,
                    ends_at: self.expected_end(starts_at),
                });
            }
        }
        expected
    }

    fn recent_sessions(&self, now: Timestamp) -> Vec<SessionRecord> {
        let is_recent = |session: &&SessionRecord| now.ms_since(session.created_at) <= RECENT_MS;
        self.sessions.iter().filter(is_recent).copied().collect()
    }

    /// Computes the slots from appointments with more than one session.
    fn compute_slots(&mut self) {
        let appointments = group_appointments(&self.recent_sessions(self.last_created_at()));
        let regular = appointments.into_iter().filter(|appointment| appointment.len() > 1);
        let slots = regular.filter_map(|appointment| {
            let mut times: Vec<i64> =
                appointment.iter().map(|session| week_time(session.created_at)).collect();
            median(&mut times).map(|time| time / MINUTE_MS)
        });
        self.slots = slots.collect();
    }
}

/// Returns how much later in the week `time` is than `reference`, in ms; negative if it is earlier.
fn week_offset(time: Timestamp, reference: Timestamp) -> i64 {
    (time.ms_since(reference) + WEEK_MS / 2).rem_euclid(WEEK_MS) - WEEK_MS / 2
}

/// Groups sessions into appointments: sessions that began at about the same time of the week.
fn group_appointments(sessions: &[SessionRecord]) -> Vec<Vec<SessionRecord>> {
    let mut sorted = sessions.to_vec();
    sorted.sort_unstable_by_key(|session| (week_time(session.created_at), session.created_at));
    let mut appointments: Vec<Vec<SessionRecord>> = Vec::new();
    for session in sorted {
        let time = week_time(session.created_at);
        let is_close =
            |previous: &SessionRecord| time - week_time(previous.created_at) <= MAX_GAP_MS;
        match appointments.last_mut() {
            Some(appointment) if appointment.last().is_some_and(is_close) => {
                appointment.push(session);
            }
            _ => appointments.push(vec![session]),
        }
    }
    appointments
}

/// Returns the number of weeks in which one of these sessions took place.
fn count_weeks(sessions: &[SessionRecord], now: Timestamp) -> u32 {
    let week = |session: &SessionRecord| {
        (now.ms_since(session.created_at) + WEEK_MS / 2).div_euclid(WEEK_MS)
    };
    let mut weeks: Vec<i64> = sessions.iter().map(week).collect();
    weeks.sort_unstable();
    weeks.dedup();
    u32::try_from(weeks.len()).unwrap_or(u32::MAX)
}
