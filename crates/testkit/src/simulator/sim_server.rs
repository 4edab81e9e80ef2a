//! A simulated BigBlueButton server under paused time: it answers calls as BBB does, and its
//! meetings end by themselves when nobody is in them.

use std::collections::BTreeMap;

use bbb::checksum::{split_checksum, verify};
use bbb::response::{build_failure, build_success};
use bbb::{Algorithms, Query};
use domain::{MeetingKey, Timestamp};

use super::sim_meeting::{EndedMeeting, SimMeeting};

const VERSION_RESPONSE: &str = "<response><returncode>SUCCESS</returncode><version>2.0</version>\
                       <apiVersion>2.0</apiVersion><bbbVersion>3.0.14</bbbVersion></response>";

/// A server.
#[derive(Debug)]
pub(crate) struct SimServer {
    /// Its host name, which is its id, too.
    pub(crate) host: String,
    /// Its secret.
    pub(crate) secret: String,
    /// Meetings that run, by their ids.
    pub(crate) meetings: BTreeMap<String, SimMeeting>,
    /// Meetings that are over.
    pub(crate) ended_meetings: Vec<EndedMeeting>,
    /// It is down until then.
    pub(crate) down_until: Option<Timestamp>,
    /// When something was last wrong with it or on the way to it.
    pub(crate) last_fault_at: Option<Timestamp>,
    /// Whether empty meetings go on, so that a quiet run can be looked at.
    pub(crate) keeps_empty_meetings: bool,
}

/// What a call did to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallEffect {
    /// The answer.
    pub(crate) body: String,
    /// The meeting that it began.
    pub(crate) started_meeting: Option<MeetingKey>,
}

impl From<String> for CallEffect {
    fn from(body: String) -> Self {
        Self { body, started_meeting: None }
    }
}

impl SimServer {
    /// A server without meetings.
    #[must_use]
    pub(crate) fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            secret: format!("secret-of-{host}"),
            meetings: BTreeMap::new(),
            ended_meetings: Vec::new(),
            down_until: None,
            last_fault_at: None,
            keeps_empty_meetings: false,
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
        self.down_until.is_none() && self.last_fault_at.is_none_or(|at| at < since)
    }

    /// Meetings in which nobody has been for long end, as of when they were due.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if self.down_until.is_some_and(|until| until <= now) {
            self.down_until = None;
        }
        if self.keeps_empty_meetings {
            return;
        }
        let due =
            |room: &SimMeeting| room.empty_since.map(|since| since.plus_ms(room.max_empty_ms()));
        let over =
            self.meetings.values().filter_map(|room| Some((due(room)?, room.key.id.clone())));
        let over: Vec<_> = over.filter(|(due, _)| *due <= now).collect();
        for (due, id) in over {
            self.remove_meeting(&id, due);
        }
    }

    /// It goes down and loses its meetings.
    pub(crate) fn crash(&mut self, now: Timestamp, until: Timestamp) {
        let ids: Vec<String> = self.meetings.keys().cloned().collect();
        for id in ids {
            self.remove_meeting(&id, now);
        }
        self.down_until = Some(until);
        self.last_fault_at = Some(until);
    }

    fn remove_meeting(&mut self, id: &str, ended_at: Timestamp) {
        self.ended_meetings
            .extend(self.meetings.remove(id).map(|room| EndedMeeting { meeting: room, ended_at }));
    }

    /// The meeting that runs under this name.
    #[must_use]
    pub(crate) fn meeting(&self, key: &MeetingKey) -> Option<&SimMeeting> {
        self.meetings.get(&key.id).filter(|room| room.key == *key)
    }

    /// Answers a call: its name, and the query with its checksum.
    pub(crate) fn answer_call(
        &mut self,
        call: &str,
        raw_query: &str,
        now: Timestamp,
    ) -> CallEffect {
        self.advance(now);
        if call.is_empty() {
            return VERSION_RESPONSE.to_owned().into();
        }
        let Some(query) = self.verify_query(call, raw_query) else {
            return build_failure("checksumError", "You did not pass the checksum security check")
                .into();
        };
        let id = query.get("meetingID").unwrap_or_default().into_owned();
        match call {
            "create" => self.answer_create(&id, &query, now),
            "end" => self.answer_end(&id, now).into(),
            "isMeetingRunning" => {
                let running = self.meetings.get(&id).is_some_and(|room| room.users > 0);
                build_success(&[("running", if running { "true" } else { "false" })]).into()
            }
            "getMeetingInfo" => match self.meetings.get(&id) {
                Some(room) => success_response(&room.to_xml()).into(),
                None => not_found_response().into(),
            },
            "getMeetings" => self.answer_get_meetings().into(),
            _ => build_failure("unsupportedRequest", "This request is not supported.").into(),
        }
    }

    fn verify_query(&self, call: &str, raw_query: &str) -> Option<Query> {
        let cut = split_checksum(raw_query).ok()?;
        let secrets = std::slice::from_ref(&self.secret);
        let genuine = verify(call, &cut.signed_text, &cut.checksum, secrets, Algorithms::default());
        genuine.then(|| Query::parse(&cut.signed_text))
    }

    fn answer_create(&mut self, id: &str, query: &Query, now: Timestamp) -> CallEffect {
        let given = |name: &str| {
            let value = query.get(name).filter(|value| !value.is_empty());
            value.map(std::borrow::Cow::into_owned)
        };
        let (attendee_pw, moderator_pw) = (given("attendeePW"), given("moderatorPW"));
        if let Some(room) = self.meetings.get(id) {
            return answer_repeated_create(room, attendee_pw.as_deref(), moderator_pw.as_deref())
                .into();
        }
        let voice_bridge = given("voiceBridge").unwrap_or_else(|| format!("made-up-{}", now.0));
        if self.meetings.values().any(|room| room.voice_bridge == voice_bridge) {
            return build_failure("nonUniqueVoiceBridge", "The voice bridge is in use.").into();
        }
        let metadata: Vec<_> = query
            .iter()
            .filter_map(|(name, value)| {
                Some((name.strip_prefix("meta_")?.to_lowercase(), value.into_owned()))
            })
            .collect();
        let key =
            MeetingKey { tenant: SimMeeting::tenant_from_metadata(&metadata), id: id.to_owned() };
        let room = SimMeeting {
            key: key.clone(),
            voice_bridge,
            moderator_pw: moderator_pw.unwrap_or_else(|| "made-up-mp".to_owned()),
            attendee_pw: attendee_pw.unwrap_or_else(|| "made-up-ap".to_owned()),
            metadata,
            created_at: now,
            created_by: 0,
            users: 0,
            empty_since: Some(now),
            had_users: false,
            entered_at: None,
            acknowledged_at: None,
            ended_at: None,
            abandon_reason: None,
        };
        let body = created_response(&room, "");
        self.meetings.insert(id.to_owned(), room);
        CallEffect { body, started_meeting: Some(key) }
    }

    fn answer_end(&mut self, id: &str, now: Timestamp) -> String {
        if !self.meetings.contains_key(id) {
            return not_found_response();
        }
        self.remove_meeting(id, now);
        build_success(&[("messageKey", "sentEndMeetingRequest"), ("message", "It was sent.")])
    }

    fn answer_get_meetings(&self) -> String {
        let meetings: String = self
            .meetings
            .values()
            .map(|room| format!("<meeting>{}</meeting>", room.to_xml()))
            .collect();
        success_response(&format!("<meetings>{meetings}</meetings>"))
    }
}

/// A create of a meeting that runs is harmless if it brings both passwords or none.
fn answer_repeated_create(
    room: &SimMeeting,
    attendee_pw: Option<&str>,
    moderator_pw: Option<&str>,
) -> String {
    let harmless = match (attendee_pw, moderator_pw) {
        (None, None) => true,
        (Some(attendee), Some(moderator)) => {
            attendee == room.attendee_pw && moderator == room.moderator_pw
        }
        _ => false,
    };
    if harmless {
        return created_response(room, "duplicateWarning");
    }
    build_failure("idNotUnique", "A meeting already exists with that meeting ID.")
}

fn created_response(room: &SimMeeting, message_key: &str) -> String {
    let created = room.created_at.0.to_string();
    build_success(&[
        ("meetingID", room.key.id.as_str()),
        ("attendeePW", room.attendee_pw.as_str()),
        ("moderatorPW", room.moderator_pw.as_str()),
        ("createTime", created.as_str()),
        ("voiceBridge", room.voice_bridge.as_str()),
        ("messageKey", message_key),
        ("message", ""),
    ])
}

fn success_response(content: &str) -> String {
    format!("<response><returncode>SUCCESS</returncode>{content}</response>")
}

fn not_found_response() -> String {
    build_failure("notFound", "A meeting with that ID does not exist")
}
