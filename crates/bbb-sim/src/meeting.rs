//! The meetings of one server. Users are only counted, so that large pools need little memory.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::checksum::Algorithm;
use crate::odd_content::{NumberFormat, OddContent};
use crate::options::{MeetingView, Strictness};
use crate::params::Params;
use crate::schedule::UserSchedule;

/// Number of users of a meeting whose custom data is kept.
const MAX_CUSTOM_DATA: usize = 100;

/// A meeting.
#[derive(Debug)]
pub(crate) struct LiveMeeting {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) internal_id: String,
    pub(crate) attendee_pw: String,
    pub(crate) moderator_pw: String,
    pub(crate) voice_bridge: String,
    /// In minutes, as `create` gave it; 0 for no limit.
    pub(crate) duration: u64,
    pub(crate) record: bool,
    /// 0 for no limit.
    pub(crate) max_users: u64,
    pub(crate) breakout: bool,
    pub(crate) meta: Vec<(String, String)>,
    /// Users who joined by call or were set by a test, without those of the schedule.
    pub(crate) users: u32,
    pub(crate) moderators: u32,
    pub(crate) videos: u32,
    /// Whether any user has joined, not counting the schedule.
    pub(crate) joined: bool,
    pub(crate) schedule: Option<UserSchedule>,
    /// When the last of the users left who joined by call or were set by a test.
    pub(crate) left_ms: Option<i64>,
    /// In minutes, if `create` gave it: how long the meeting waits for its first user; 0 for no limit.
    pub(crate) expires_unjoined_min: Option<u64>,
    /// In minutes, if `create` gave it: how long the meeting lasts after its last user; 0 for no limit.
    pub(crate) expires_left_min: Option<u64>,
    /// The `meetingEndedURL`.
    pub(crate) ended_url: Option<String>,
    pub(crate) recording_marks: bool,
    /// Custom data of users who joined by call, by their numbers.
    pub(crate) custom_data: BTreeMap<u32, Vec<(String, String)>>,
    pub(crate) odd_content: OddContent,
}

/// The number of users in a meeting at one point in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attendance {
    pub(crate) users: u32,
    pub(crate) moderators: u32,
    pub(crate) videos: u32,
    pub(crate) joined: bool,
}

impl LiveMeeting {
    /// Builds a meeting from the parameters of `create`. Missing passwords and the voice bridge are generated from `number`.
    pub(crate) fn new(
        id: &str,
        params: &Params,
        strictness: Strictness,
        number: u64,
        now_ms: i64,
    ) -> Self {
        let get_or_generate = |name, prefix| {
            params.get_non_empty(name).map_or_else(|| format!("{prefix}{number:06}"), str::to_owned)
        };
        Self {
            id: id.to_owned(),
            name: params.get("name").unwrap_or(id).to_owned(),
            created_ms: now_ms,
            internal_id: format!("{}-{now_ms}", Algorithm::Sha1.hex_digest(id)),
            attendee_pw: get_or_generate("attendeePW", "ap"),
            moderator_pw: get_or_generate("moderatorPW", "mp"),
            voice_bridge: params
                .get_non_empty("voiceBridge")
                .map_or_else(|| generate_voice_bridge(number), str::to_owned),
            duration: params.get_number("duration"),
            record: params.has_value("record", "true"),
            max_users: params.get_number("maxParticipants"),
            breakout: params.has_value("isBreakout", "true"),
            meta: params.metadata(strictness),
            users: 0,
            moderators: 0,
            videos: 0,
            joined: false,
            schedule: None,
            left_ms: None,
            expires_unjoined_min: params
                .get_non_empty("meetingExpireIfNoUserJoinedInMinutes")
                .and_then(|minutes| minutes.parse().ok()),
            expires_left_min: params
                .get_non_empty("meetingExpireWhenLastUserLeftInMinutes")
                .and_then(|minutes| minutes.parse().ok()),
            ended_url: params.get_non_empty("meetingEndedURL").map(str::to_owned),
            recording_marks: false,
            custom_data: BTreeMap::new(),
            odd_content: OddContent::default(),
        }
    }

    /// A meeting that no create has made.
    pub(crate) fn invented(id: &str, created_ms: i64) -> Self {
        Self::new(id, &Params::default(), Strictness::default(), 1, created_ms)
    }

    /// Returns the number of users at `now_ms`: those who joined by call and those of the schedule.
    pub(crate) fn attendance(&self, now_ms: i64) -> Attendance {
        let Some(schedule) = &self.schedule else {
            return Attendance {
                users: self.users,
                moderators: self.moderators,
                videos: self.videos,
                joined: self.joined,
            };
        };
        let elapsed = now_ms - self.created_ms;
        let users = self.users.saturating_add(schedule.count_users(elapsed));
        Attendance {
            users,
            moderators: self.moderators.min(users),
            videos: self.videos.min(users),
            joined: self.joined || schedule.has_begun(elapsed),
        }
    }

    /// Adds the custom data of the user who joins next.
    pub(crate) fn add_custom_data(&mut self, data: Vec<(String, String)>) {
        if !data.is_empty() && self.custom_data.len() < MAX_CUSTOM_DATA {
            self.custom_data.insert(self.users, data);
        }
    }

    /// Returns since when a meeting has been empty that has no users at `now_ms`, in ms since 1970.
    pub(crate) fn empty_since(&self, now_ms: i64) -> i64 {
        let elapsed = now_ms - self.created_ms;
        let by_schedule = self.schedule.as_ref().and_then(|schedule| schedule.last_leave(elapsed));
        let by_schedule = by_schedule.map(|ms| self.created_ms + ms);
        self.left_ms.max(by_schedule).unwrap_or(self.created_ms)
    }

    /// Returns when the schedule next changes the number of users, in ms since 1970.
    fn next_change(&self, now_ms: i64) -> Option<i64> {
        let next = self.schedule.as_ref()?.next_change(now_ms - self.created_ms)?;
        Some(self.created_ms + next)
    }

    pub(crate) fn to_view(&self, now_ms: i64) -> MeetingView {
        let attendance = self.attendance(now_ms);
        MeetingView {
            id: self.id.clone(),
            internal_id: self.internal_id.clone(),
            name: self.name.clone(),
            users: attendance.users,
            moderators: attendance.moderators,
            videos: attendance.videos,
            create_time_ms: self.created_ms,
            voice_bridge: self.voice_bridge.clone(),
            attendee_pw: self.attendee_pw.clone(),
            moderator_pw: self.moderator_pw.clone(),
            has_user_joined: attendance.joined,
            breakout: self.breakout,
            meta: self.meta.clone(),
        }
    }
}

/// Generates a voice bridge from a number of the pool, between 70,000 and 89,999.
pub(crate) fn generate_voice_bridge(number: u64) -> String {
    (70_000 + number % 20_000).to_string()
}

/// All meetings of a server in order of creation, with a cache of the response to `getMeetings`.
#[derive(Debug, Default)]
pub(crate) struct LiveMeetings {
    by_position: BTreeMap<u64, LiveMeeting>,
    positions: HashMap<String, u64>,
    last_position: u64,
    number_format: NumberFormat,
    /// The rendered list, and the time in ms since 1970 from which on it is outdated.
    cached_list: Option<(Bytes, i64)>,
}

impl LiveMeetings {
    pub(crate) fn get(&self, id: &str) -> Option<&LiveMeeting> {
        self.by_position.get(self.positions.get(id)?)
    }

    /// Returns a meeting for changes.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut LiveMeeting> {
        self.cached_list = None;
        self.by_position.get_mut(self.positions.get(id)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LiveMeeting> {
        self.by_position.values()
    }

    /// Adds a meeting, or replaces the meeting with the same id.
    pub(crate) fn insert(&mut self, meeting: LiveMeeting) {
        self.cached_list = None;
        let position = self.positions.get(&meeting.id).copied().unwrap_or_else(|| {
            self.last_position += 1;
            self.positions.insert(meeting.id.clone(), self.last_position);
            self.last_position
        });
        self.by_position.insert(position, meeting);
    }

    /// Removes a meeting and returns it.
    pub(crate) fn remove(&mut self, id: &str) -> Option<LiveMeeting> {
        self.cached_list = None;
        self.by_position.remove(&self.positions.remove(id)?)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self { number_format: self.number_format, ..Self::default() };
    }

    pub(crate) fn number_format(&self) -> NumberFormat {
        self.number_format
    }

    pub(crate) fn set_number_format(&mut self, format: NumberFormat) {
        self.cached_list = None;
        self.number_format = format;
    }

    pub(crate) fn has_voice_bridge(&self, number: &str) -> bool {
        self.iter().any(|meeting| meeting.voice_bridge == number)
    }

    /// Returns the list of meetings that `render` builds, from the cache while no meeting has changed.
    pub(crate) fn render_list(
        &mut self,
        now_ms: i64,
        render: impl FnOnce(&Self) -> String,
    ) -> Bytes {
        if let Some((bytes, until)) = &self.cached_list
            && now_ms < *until
        {
            return bytes.clone();
        }
        let until =
            self.iter().filter_map(|meeting| meeting.next_change(now_ms)).min().unwrap_or(i64::MAX);
        let bytes = Bytes::from(render(self));
        self.cached_list = Some((bytes.clone(), until));
        bytes
    }
}
