//! The users of running meetings over the last hours, minute by minute, for the console. They are kept in memory only.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use domain::{Meeting, MeetingKey, Timestamp};

/// Points that are kept of a meeting: four hours.
const MAX_POINTS: usize = 240;
/// Meetings whose users are kept; of more, those with the most users.
const MAX_MEETINGS: usize = 5_000;

/// The users of one meeting.
#[derive(Debug, Default)]
struct Curve(VecDeque<(Timestamp, u16)>);

/// The users of running meetings.
#[derive(Debug, Default)]
pub struct MeetingCurves(Mutex<HashMap<MeetingKey, Curve>>);

impl MeetingCurves {
    /// Adds a point for each meeting that runs now, and forgets those that do not.
    pub fn note(&self, meetings: &[Meeting], now: Timestamp) {
        let mut largest: Vec<&Meeting> = meetings.iter().collect();
        if largest.len() > MAX_MEETINGS {
            largest.sort_unstable_by_key(|meeting| std::cmp::Reverse(meeting.load.users));
            largest.truncate(MAX_MEETINGS);
        }
        let kept: HashSet<&MeetingKey> = largest.iter().map(|meeting| &meeting.key).collect();
        let mut curves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        curves.retain(|key, _| kept.contains(key));
        for meeting in largest {
            let Curve(points) = curves.entry(meeting.key.clone()).or_default();
            points.push_back((now, u16::try_from(meeting.load.users).unwrap_or(u16::MAX)));
            let excess = points.len().saturating_sub(MAX_POINTS);
            points.drain(..excess);
        }
    }

    /// The users of a meeting, the oldest point first.
    pub fn read(&self, key: &MeetingKey) -> Vec<(Timestamp, u32)> {
        let curves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let points = curves.get(key).map(|Curve(points)| points.iter().copied());
        points.into_iter().flatten().map(|(at, users)| (at, users.into())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::meeting::MeetingLoad;

    fn meeting(id: usize, users: u32) -> Meeting {
        Meeting {
            key: MeetingKey { tenant: None, id: id.to_string() },
            load: MeetingLoad { users, ..MeetingLoad::default() },
            ..Meeting::default()
        }
    }

    #[test]
    fn running_meetings_are_kept_and_their_number_is_bounded() {
        let curves = MeetingCurves::default();
        for minute in 0..300_u32 {
            curves.note(&[meeting(1, minute), meeting(2, 1)], Timestamp(i64::from(minute)));
        }
        let points = curves.read(&meeting(1, 0).key);
        assert_eq!((points.len(), points.first()), (MAX_POINTS, Some(&(Timestamp(60), 60))));
        curves.note(&[meeting(2, 70_000)], Timestamp(300));
        assert!(curves.read(&meeting(1, 0).key).is_empty());
        assert_eq!(curves.read(&meeting(2, 0).key).last(), Some(&(Timestamp(300), 65_535)));
        let many: Vec<Meeting> = (0..6_000).map(|id| meeting(id, id as u32)).collect();
        curves.note(&many, Timestamp(301));
        assert!(curves.read(&meeting(2, 0).key).is_empty(), "a small one");
        assert_eq!(curves.read(&meeting(5_999, 0).key).len(), 1);
    }
}
