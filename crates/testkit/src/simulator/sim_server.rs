//! A simulated BigBlueButton server under paused time: it answers calls as BBB does, and ends
//! meetings that have had no users for a while.

use std::collections::BTreeMap;

use bbb::checksum::{split_checksum, verify};
use bbb::response::{build_failure, build_success};
use bbb::{Algorithms, Query};
use domain::{MeetingKey, Timestamp};

use super::server_speed::ServerSpeed;
use super::sim_meeting::{EndedMeeting, SimMeeting};

const VERSION_RESPONSE: &str = "<response><returncode>SUCCESS</returncode><version>2.0</version>\
                       <apiVersion>2.0</apiVersion><bbbVersion>3.0.14</bbbVersion></response>";

/// The metadata with the address that is called when a meeting ends.
const END_CALLBACK: &str = "endcallbackurl";

/// A simulated server.
#[derive(Debug)]
pub(crate) struct SimServer {
    /// Its host name, which is also its id in the pool.
    pub(crate) host: String,
    /// The secret that signs its calls.
    pub(crate) secret: String,
    /// Running meetings by id.
    pub(crate) meetings: BTreeMap<String, SimMeeting>,
    /// Meetings that have ended.
    pub(crate) ended_meetings: Vec<EndedMeeting>,
    /// What it reports of ends and nobody has received: the queries of the addresses.
    pub(crate) end_reports: Vec<String>,
    /// Until when it is down, if it has crashed.
    pub(crate) down_until: Option<Timestamp>,
    /// When it crashed last.
    pub(crate) crashed_at: Option<Timestamp>,
    /// When it or the network to it last had a fault; may lie in the future.
    pub(crate) last_fault_at: Option<Timestamp>,
    /// Whether meetings without users keep running, so that the final state does not change while
    /// it is checked.
    pub(crate) keeps_empty_meetings: bool,
    /// How long it works on calls.
    pub(crate) speed: ServerSpeed,
    /// How often it has crashed.
    pub(crate) crashes: u32,
    /// Meetings that were placed on it or that it was asked to create, and when.
    pub(crate) asked_creates: Vec<(String, Timestamp)>,
}

/// The effect of a call on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallEffect {
    /// The body of the response.
    pub(crate) body: String,
    /// The meeting that the call started.
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
            end_reports: Vec::new(),
            down_until: None,
            crashed_at: None,
            last_fault_at: None,
            keeps_empty_meetings: false,
            speed: ServerSpeed::default(),
            crashes: 0,
            asked_creates: Vec::new(),
        }
    }

    /// Returns the URL of its API.
    #[must_use]
    pub(crate) fn url(&self) -> String {
        format!("http://{}/bigbluebutton/api", self.host)
    }

    /// Returns whether neither it nor the network to it has had a fault from `since` on.
    #[must_use]
    pub(crate) fn was_healthy_since(&self, since: Timestamp) -> bool {
        self.down_until.is_none() && self.last_fault_at.is_none_or(|at| at < since)
    }

    /// Applies what has happened until now: ends its down time, and ends meetings that have been
    /// without users for too long, as of the time at which each was due.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if self.down_until.is_some_and(|until| until <= now) {
            self.down_until = None;
        }
        if self.keeps_empty_meetings {
            return;
        }
        let due = |meeting: &SimMeeting| {
            meeting.empty_since.map(|since| since.plus_ms(meeting.max_empty_ms()))
        };
        let ends = self
            .meetings
            .values()
            .filter_map(|meeting| Some((due(meeting)?, meeting.key.id.clone())));
        let ends: Vec<_> = ends.filter(|(due, _)| *due <= now).collect();
        for (due, id) in ends {
            self.end_meeting(&id, due);
        }
    }

    /// Crashes the server: it loses its meetings, and is down for a while.
    pub(crate) fn crash(&mut self, now: Timestamp, until: Timestamp) {
        let ids: Vec<String> = self.meetings.keys().cloned().collect();
        for id in ids {
            self.remove_meeting(&id, now);
        }
        self.crashes += 1;
        if self.down_until.is_none() {
            self.crashed_at = Some(now);
        }
        self.down_until = Some(until);
        self.last_fault_at = Some(until);
    }

    /// Ends a meeting because its owner, another balancer, has said so.
    pub(crate) fn end_by_its_owner(&mut self, id: &str, now: Timestamp) {
        self.remove_meeting(id, now);
    }

    /// Ends a meeting, and reports that to the address that its create names.
    fn end_meeting(&mut self, id: &str, ended_at: Timestamp) {
        let metadata = self.meetings.get(id).into_iter().flat_map(|meeting| &meeting.metadata);
        let address = metadata.filter(|(name, _)| name == END_CALLBACK).map(|(_, url)| url);
        let query = address.filter_map(|url| url.split_once('?')).map(|(_, query)| query);
        let reports: Vec<_> = query.map(|query| format!("{query}&recordingmarks=false")).collect();
        self.end_reports.extend(reports);
        self.remove_meeting(id, ended_at);
    }

    fn remove_meeting(&mut self, id: &str, ended_at: Timestamp) {
        self.ended_meetings
            .extend(self.meetings.remove(id).map(|meeting| EndedMeeting { meeting, ended_at }));
    }

    /// Returns a running meeting of this id and tenant.
    #[must_use]
    pub(crate) fn meeting(&self, key: &MeetingKey) -> Option<&SimMeeting> {
        self.meetings.get(&key.id).filter(|meeting| meeting.key == *key)
    }

    /// Answers a call of this name that arrived then; `raw_query` includes the checksum.
    pub(crate) fn answer_call(
        &mut self,
        call: &str,
        raw_query: &str,
        arrived_at: Timestamp,
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
            "create" => self.answer_create(&id, &query, arrived_at, now),
            "end" => self.answer_end(&id, now).into(),
            "isMeetingRunning" => {
                let running = self.meetings.get(&id).is_some_and(|meeting| meeting.users > 0);
                build_success(&[("running", if running { "true" } else { "false" })]).into()
            }
            "getMeetingInfo" => match self.meetings.get(&id) {
                Some(meeting) => success_response(&meeting.to_xml()).into(),
                None => not_found_response().into(),
            },
            "getMeetings" => self.answer_get_meetings().into(),
            _ => build_failure("unsupportedRequest", "This request is not supported.").into(),
        }
    }

    fn verify_query(&self, call: &str, raw_query: &str) -> Option<Query> {
        let split = split_checksum(raw_query).ok()?;
        let secrets = std::slice::from_ref(&self.secret);
        let genuine =
            verify(call, &split.signed_text, &split.checksum, secrets, Algorithms::default());
        genuine.then(|| Query::parse(&split.signed_text))
    }

    fn answer_create(
        &mut self,
        id: &str,
        query: &Query,
        arrived_at: Timestamp,
        now: Timestamp,
    ) -> CallEffect {
        let parameter = |name: &str| {
            let value = query.get(name).filter(|value| !value.is_empty());
            value.map(std::borrow::Cow::into_owned)
        };
        let (attendee_pw, moderator_pw) = (parameter("attendeePW"), parameter("moderatorPW"));
        if let Some(meeting) = self.meetings.get(id) {
            return answer_repeated_create(
                meeting,
                attendee_pw.as_deref(),
                moderator_pw.as_deref(),
            )
            .into();
        }
        let voice_bridge = parameter("voiceBridge").unwrap_or_else(|| format!("made-up-{}", now.0));
        if self.meetings.values().any(|meeting| meeting.voice_bridge == voice_bridge) {
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
        let meeting = SimMeeting {
            key: key.clone(),
            internal_id: format!("{id}@{}-{}", self.host, arrived_at.0),
            voice_bridge,
            moderator_pw: moderator_pw.unwrap_or_else(|| "made-up-mp".to_owned()),
            attendee_pw: attendee_pw.unwrap_or_else(|| "made-up-ap".to_owned()),
            metadata,
            created_at: arrived_at,
            listed_since: now,
            created_by: 0,
            has_lost_create: false,
            is_revived: false,
            is_of_repetition: false,
            is_claimed: false,
            users: 0,
            empty_since: Some(now),
            had_users: false,
            entered_at: None,
            acknowledged_at: None,
            was_acknowledged: false,
            ended_at: None,
            abandon_reason: None,
        };
        let body = created_response(&meeting, "");
        self.meetings.insert(id.to_owned(), meeting);
        CallEffect { body, started_meeting: Some(key) }
    }

    fn answer_end(&mut self, id: &str, now: Timestamp) -> String {
        if !self.meetings.contains_key(id) {
            return not_found_response();
        }
        self.end_meeting(id, now);
        build_success(&[("messageKey", "sentEndMeetingRequest"), ("message", "It was sent.")])
    }

    fn answer_get_meetings(&self) -> String {
        let meetings: String = self
            .meetings
            .values()
            .map(|meeting| format!("<meeting>{}</meeting>", meeting.to_xml()))
            .collect();
        success_response(&format!("<meetings>{meetings}</meetings>"))
    }
}

/// Answers a create of a running meeting. It succeeds if it contains both passwords of the meeting,
/// or none.
fn answer_repeated_create(
    meeting: &SimMeeting,
    attendee_pw: Option<&str>,
    moderator_pw: Option<&str>,
) -> String {
    let is_same = match (attendee_pw, moderator_pw) {
        (None, None) => true,
        (Some(attendee), Some(moderator)) => {
            attendee == meeting.attendee_pw && moderator == meeting.moderator_pw
        }
        _ => false,
    };
    if is_same {
        return created_response(meeting, "duplicateWarning");
    }
    build_failure("idNotUnique", "A meeting already exists with that meeting ID.")
}

fn created_response(meeting: &SimMeeting, message_key: &str) -> String {
    let created = meeting.created_at.0.to_string();
    build_success(&[
        ("meetingID", meeting.key.id.as_str()),
        ("internalMeetingID", meeting.internal_id.as_str()),
        ("attendeePW", meeting.attendee_pw.as_str()),
        ("moderatorPW", meeting.moderator_pw.as_str()),
        ("createTime", created.as_str()),
        ("voiceBridge", meeting.voice_bridge.as_str()),
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
