//! A simulated BigBlueButton server under paused time: it answers calls as BBB does, and its
//! meetings end by themselves when nobody is in them.

use std::collections::BTreeMap;

use bbb::answer::{failed, success};
use bbb::checksum::{cut, verify};
use bbb::{Algorithms, Query};
use domain::{MeetingKey, Timestamp};

use super::room::{Past, Room};

const VERSION: &str = "<response><returncode>SUCCESS</returncode><version>2.0</version>\
                       <apiVersion>2.0</apiVersion><bbbVersion>3.0.14</bbbVersion></response>";

/// A server.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Its host name, which is its id, too.
    pub(crate) host: String,
    /// Its secret.
    pub(crate) secret: String,
    /// Meetings that run, by their ids.
    pub(crate) rooms: BTreeMap<String, Room>,
    /// Meetings that are over.
    pub(crate) past: Vec<Past>,
    /// It is down until then.
    pub(crate) down_until: Option<Timestamp>,
    /// When something was last wrong with it or on the way to it.
    pub(crate) troubled_at: Option<Timestamp>,
    /// Whether empty meetings go on, so that a quiet run can be looked at.
    pub(crate) frozen: bool,
}

/// What a call did to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// The answer.
    pub(crate) body: String,
    /// The meeting that it began.
    pub(crate) began: Option<MeetingKey>,
}

impl From<String> for Done {
    fn from(body: String) -> Self {
        Self { body, began: None }
    }
}

impl Machine {
    /// A server without meetings.
    #[must_use]
    pub(crate) fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            secret: format!("secret-of-{host}"),
            rooms: BTreeMap::new(),
            past: Vec::new(),
            down_until: None,
            troubled_at: None,
            frozen: false,
        }
    }

    /// The address of its API.
    #[must_use]
    pub(crate) fn url(&self) -> String {
        format!("http://{}/bigbluebutton/api", self.host)
    }

    /// Whether nothing was wrong with it since then.
    #[must_use]
    pub(crate) fn was_healthy_since(&self, since: Timestamp) -> bool {
        self.down_until.is_none() && self.troubled_at.is_none_or(|at| at < since)
    }

    /// Meetings in which nobody has been for long end, as of when they were due.
    pub(crate) fn tidy(&mut self, now: Timestamp) {
        if self.down_until.is_some_and(|until| until <= now) {
            self.down_until = None;
        }
        if self.frozen {
            return;
        }
        let due = |room: &Room| room.empty_since.map(|since| since.plus_ms(room.patience_ms()));
        let over = self.rooms.values().filter_map(|room| Some((due(room)?, room.key.id.clone())));
        let over: Vec<_> = over.filter(|(due, _)| *due <= now).collect();
        for (due, id) in over {
            self.close(&id, due);
        }
    }

    /// It goes down and loses its meetings.
    pub(crate) fn crash(&mut self, now: Timestamp, until: Timestamp) {
        let ids: Vec<String> = self.rooms.keys().cloned().collect();
        for id in ids {
            self.close(&id, now);
        }
        self.down_until = Some(until);
        self.troubled_at = Some(until);
    }

    fn close(&mut self, id: &str, ended_at: Timestamp) {
        self.past.extend(self.rooms.remove(id).map(|room| Past { room, ended_at }));
    }

    /// The meeting that runs under this name.
    #[must_use]
    pub(crate) fn room(&self, key: &MeetingKey) -> Option<&Room> {
        self.rooms.get(&key.id).filter(|room| room.key == *key)
    }

    /// Answers a call: its name, and the query with its checksum.
    pub(crate) fn answer(&mut self, call: &str, raw_query: &str, now: Timestamp) -> Done {
        self.tidy(now);
        if call.is_empty() {
            return VERSION.to_owned().into();
        }
        let Some(query) = self.admitted(call, raw_query) else {
            return failed("checksumError", "You did not pass the checksum security check").into();
        };
        let id = query.get("meetingID").unwrap_or_default().into_owned();
        match call {
            "create" => self.create(&id, &query, now),
            "end" => self.end(&id, now).into(),
            "isMeetingRunning" => {
                let running = self.rooms.get(&id).is_some_and(|room| room.users > 0);
                success(&[("running", if running { "true" } else { "false" })]).into()
            }
            "getMeetingInfo" => match self.rooms.get(&id) {
                Some(room) => enclosed(&room.to_xml()).into(),
                None => not_found().into(),
            },
            "getMeetings" => self.list().into(),
            _ => failed("unsupportedRequest", "This request is not supported.").into(),
        }
    }

    fn admitted(&self, call: &str, raw_query: &str) -> Option<Query> {
        let cut = cut(raw_query).ok()?;
        let secrets = std::slice::from_ref(&self.secret);
        let genuine = verify(call, &cut.signed, &cut.checksum, secrets, Algorithms::default());
        genuine.then(|| Query::parse(&cut.signed))
    }

    fn create(&mut self, id: &str, query: &Query, now: Timestamp) -> Done {
        let given = |name: &str| {
            let value = query.get(name).filter(|value| !value.is_empty());
            value.map(std::borrow::Cow::into_owned)
        };
        let (attendee_pw, moderator_pw) = (given("attendeePW"), given("moderatorPW"));
        if let Some(room) = self.rooms.get(id) {
            return repeated(room, attendee_pw.as_deref(), moderator_pw.as_deref()).into();
        }
        let voice_bridge = given("voiceBridge").unwrap_or_else(|| format!("made-up-{}", now.0));
        if self.rooms.values().any(|room| room.voice_bridge == voice_bridge) {
            return failed("nonUniqueVoiceBridge", "The voice bridge is in use.").into();
        }
        let metadata: Vec<_> = query
            .iter()
            .filter_map(|(name, value)| {
                Some((name.strip_prefix("meta_")?.to_lowercase(), value.into_owned()))
            })
            .collect();
        let key = MeetingKey { tenant: Room::tenant_of(&metadata), id: id.to_owned() };
        let room = Room {
            key: key.clone(),
            voice_bridge,
            moderator_pw: moderator_pw.unwrap_or_else(|| "made-up-mp".to_owned()),
            attendee_pw: attendee_pw.unwrap_or_else(|| "made-up-ap".to_owned()),
            metadata,
            born_at: now,
            born_by: 0,
            users: 0,
            empty_since: Some(now),
            was_used: false,
            entered_at: None,
            acknowledged_at: None,
            ended_at: None,
            written_off: None,
        };
        let body = created(&room, "");
        self.rooms.insert(id.to_owned(), room);
        Done { body, began: Some(key) }
    }

    fn end(&mut self, id: &str, now: Timestamp) -> String {
        if !self.rooms.contains_key(id) {
            return not_found();
        }
        self.close(id, now);
        success(&[("messageKey", "sentEndMeetingRequest"), ("message", "It was sent.")])
    }

    fn list(&self) -> String {
        let meetings: String = self
            .rooms
            .values()
            .map(|room| format!("<meeting>{}</meeting>", room.to_xml()))
            .collect();
        enclosed(&format!("<meetings>{meetings}</meetings>"))
    }
}

/// A create of a meeting that runs is harmless if it brings both passwords or none.
fn repeated(room: &Room, attendee_pw: Option<&str>, moderator_pw: Option<&str>) -> String {
    let harmless = match (attendee_pw, moderator_pw) {
        (None, None) => true,
        (Some(attendee), Some(moderator)) => {
            attendee == room.attendee_pw && moderator == room.moderator_pw
        }
        _ => false,
    };
    if harmless {
        return created(room, "duplicateWarning");
    }
    failed("idNotUnique", "A meeting already exists with that meeting ID.")
}

fn created(room: &Room, message_key: &str) -> String {
    let created = room.born_at.0.to_string();
    success(&[
        ("meetingID", room.key.id.as_str()),
        ("attendeePW", room.attendee_pw.as_str()),
        ("moderatorPW", room.moderator_pw.as_str()),
        ("createTime", created.as_str()),
        ("voiceBridge", room.voice_bridge.as_str()),
        ("messageKey", message_key),
        ("message", ""),
    ])
}

fn enclosed(content: &str) -> String {
    format!("<response><returncode>SUCCESS</returncode>{content}</response>")
}

fn not_found() -> String {
    failed("notFound", "A meeting with that ID does not exist")
}
