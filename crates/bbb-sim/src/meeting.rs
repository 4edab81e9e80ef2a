//! The meetings of one server. Users are counts, so that large pools stay cheap.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::checksum::Algorithm;
use crate::life::Schedule;
use crate::options::{MeetingView, Strictness};
use crate::params::Params;

/// One live meeting.
#[derive(Debug)]
pub(crate) struct Meeting {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) internal_id: String,
    pub(crate) attendee_pw: String,
    pub(crate) moderator_pw: String,
    pub(crate) voice_bridge: String,
    pub(crate) duration: u64,
    pub(crate) record: bool,
    pub(crate) max_users: u64,
    pub(crate) breakout: bool,
    pub(crate) meta: Vec<(String, String)>,
    pub(crate) users: u32,
    pub(crate) moderators: u32,
    pub(crate) videos: u32,
    pub(crate) joined: bool,
    pub(crate) schedule: Option<Schedule>,
}

/// Who is in a meeting at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) users: u32,
    pub(crate) moderators: u32,
    pub(crate) videos: u32,
    pub(crate) joined: bool,
}

impl Meeting {
    /// A meeting as `create` makes it; `n` is the number from which passwords are made up.
    pub(crate) fn new(id: &str, params: &Params, rules: Strictness, n: u64, now_ms: i64) -> Self {
        let or = |name, prefix| {
            params.filled(name).map_or_else(|| format!("{prefix}{n:06}"), str::to_owned)
        };
        Self {
            id: id.to_owned(),
            name: params.get("name").unwrap_or(id).to_owned(),
            created_ms: now_ms,
            internal_id: format!("{}-{now_ms}", Algorithm::Sha1.hex(id)),
            attendee_pw: or("attendeePW", "ap"),
            moderator_pw: or("moderatorPW", "mp"),
            voice_bridge: params
                .filled("voiceBridge")
                .map_or_else(|| made_up_voice_bridge(n), str::to_owned),
            duration: params.number("duration"),
            record: params.is("record", "true"),
            max_users: params.number("maxParticipants"),
            breakout: params.is("isBreakout", "true"),
            meta: params.meta(rules),
            users: 0,
            moderators: 0,
            videos: 0,
            joined: false,
            schedule: None,
        }
    }

    /// Who is in it at `now_ms`: those who joined by call, and those of the schedule.
    pub(crate) fn crowd(&self, now_ms: i64) -> Crowd {
        let Some(schedule) = &self.schedule else {
            return Crowd {
                users: self.users,
                moderators: self.moderators,
                videos: self.videos,
                joined: self.joined,
            };
        };
        let elapsed = now_ms - self.created_ms;
        let users = self.users.saturating_add(schedule.users(elapsed));
        Crowd {
            users,
            moderators: self.moderators.min(users),
            videos: self.videos.min(users),
            joined: self.joined || schedule.begun(elapsed),
        }
    }

    /// When the crowd changes by itself next.
    fn next_change(&self, now_ms: i64) -> Option<i64> {
        let next = self.schedule.as_ref()?.next_change(now_ms - self.created_ms)?;
        Some(self.created_ms + next)
    }

    pub(crate) fn view(&self, now_ms: i64) -> MeetingView {
        let crowd = self.crowd(now_ms);
        MeetingView {
            id: self.id.clone(),
            internal_id: self.internal_id.clone(),
            name: self.name.clone(),
            users: crowd.users,
            moderators: crowd.moderators,
            videos: crowd.videos,
            create_time_ms: self.created_ms,
            voice_bridge: self.voice_bridge.clone(),
            attendee_pw: self.attendee_pw.clone(),
            moderator_pw: self.moderator_pw.clone(),
            has_user_joined: crowd.joined,
            breakout: self.breakout,
            meta: self.meta.clone(),
        }
    }
}

/// The voice bridge of the `n`th meeting of a pool, if its creator named none.
pub(crate) fn made_up_voice_bridge(n: u64) -> String {
    (70_000 + n % 20_000).to_string()
}

/// All meetings of a server in order of creation, and their rendered list.
#[derive(Debug, Default)]
pub(crate) struct Meetings {
    order: BTreeMap<u64, Meeting>,
    index: HashMap<String, u64>,
    next: u64,
    rendered: Option<(Bytes, i64)>,
}

impl Meetings {
    pub(crate) fn get(&self, id: &str) -> Option<&Meeting> {
        self.order.get(self.index.get(id)?)
    }

    /// The meeting, to be changed.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Meeting> {
        self.rendered = None;
        self.order.get_mut(self.index.get(id)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Meeting> {
        self.order.values()
    }

    /// Adds a meeting, or puts it in the place of the one with its id.
    pub(crate) fn insert(&mut self, meeting: Meeting) {
        self.rendered = None;
        let place = self.index.get(&meeting.id).copied().unwrap_or_else(|| {
            self.next += 1;
            self.index.insert(meeting.id.clone(), self.next);
            self.next
        });
        self.order.insert(place, meeting);
    }

    pub(crate) fn remove(&mut self, id: &str) -> bool {
        self.rendered = None;
        self.index.remove(id).is_some_and(|place| self.order.remove(&place).is_some())
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn has_voice_bridge(&self, number: &str) -> bool {
        self.iter().any(|meeting| meeting.voice_bridge == number)
    }

    /// The list made by `render`, from memory while nothing can have changed.
    pub(crate) fn rendered(&mut self, now_ms: i64, render: impl FnOnce(&Self) -> String) -> Bytes {
        if let Some((bytes, until)) = &self.rendered
            && now_ms < *until
        {
            return bytes.clone();
        }
        let until = self.iter().filter_map(|m| m.next_change(now_ms)).min().unwrap_or(i64::MAX);
        let bytes = Bytes::from(render(self));
        self.rendered = Some((bytes.clone(), until));
        bytes
    }
}
