//! A meeting as it really is on a simulated server, whatever the balancer believes.

use bbb::response::escape_xml;
use domain::{MeetingKey, Timestamp};

/// Metadata in which the balancer tells servers whose meeting it is.
const TENANT_METADATA: &str = "tenant-id";

/// A meeting on a server.
#[derive(Clone, Debug)]
pub(crate) struct SimMeeting {
    /// Whose it is and its id.
    pub(crate) key: MeetingKey,
    /// Its number in the telephone network.
    pub(crate) voice_bridge: String,
    /// Password of moderators.
    pub(crate) moderator_pw: String,
    /// Password of attendees.
    pub(crate) attendee_pw: String,
    /// `meta_*` of its create, without the prefix.
    pub(crate) metadata: Vec<(String, String)>,
    /// When it was created.
    pub(crate) created_at: Timestamp,
    /// By which use case.
    pub(crate) created_by: u64,
    /// Users in it.
    pub(crate) users: u32,
    /// Since when nobody is in it.
    pub(crate) empty_since: Option<Timestamp>,
    /// Whether anybody has been in it.
    pub(crate) had_users: bool,
    /// When the first of those who are in it came.
    pub(crate) entered_at: Option<Timestamp>,
    /// When a front-end was told first that its create succeeded.
    pub(crate) acknowledged_at: Option<Timestamp>,
    /// When its front-end was told that it is over.
    pub(crate) ended_at: Option<Timestamp>,
    /// Why the balancer need not know it any longer, if an administrator or a front-end said so.
    pub(crate) abandon_reason: Option<&'static str>,
}

/// A meeting that is over.
#[derive(Clone, Debug)]
pub(crate) struct EndedMeeting {
    /// As it was.
    pub(crate) meeting: SimMeeting,
    /// When it ended.
    pub(crate) ended_at: Timestamp,
}

impl SimMeeting {
    /// How long a meeting may be empty, in ms: people take longer to come than to come back.
    #[must_use]
    pub(crate) fn max_empty_ms(&self) -> i64 {
        if self.had_users { 60_000 } else { 300_000 }
    }

    /// Whose it is by its metadata.
    #[must_use]
    pub(crate) fn tenant_from_metadata(metadata: &[(String, String)]) -> Option<String> {
        metadata.iter().find(|(name, _)| name == TENANT_METADATA).map(|(_, value)| value.clone())
    }

    /// Somebody comes.
    pub(crate) fn add_user(&mut self, now: Timestamp) {
        if self.users == 0 {
            self.entered_at = Some(now);
        }
        self.users += 1;
        self.had_users = true;
        self.empty_since = None;
    }

    /// Somebody goes.
    pub(crate) fn remove_user(&mut self, now: Timestamp) {
        self.users = self.users.saturating_sub(1);
        if self.users == 0 && self.had_users {
            self.empty_since = Some(now);
        }
    }

    /// The elements that `getMeetings` and `getMeetingInfo` show.
    #[must_use]
    pub(crate) fn to_xml(&self) -> String {
        let metadata: String = self
            .metadata
            .iter()
            .map(|(name, value)| format!("<{name}>{}</{name}>", escape_xml(value)))
            .collect();
        let (id, created, bridge) =
            (escape_xml(&self.key.id), self.created_at.0, &self.voice_bridge);
        let (users, running) = (self.users, self.users > 0);
        format!(
            "<meetingName>{id}</meetingName><meetingID>{id}</meetingID>\
             <internalMeetingID>{id}-{created}</internalMeetingID><createTime>{created}</createTime>\
             <voiceBridge>{bridge}</voiceBridge><attendeePW>{}</attendeePW>\
             <moderatorPW>{}</moderatorPW><running>{running}</running>\
             <hasUserJoined>{}</hasUserJoined><participantCount>{users}</participantCount>\
             <videoCount>0</videoCount><attendees/><metadata>{metadata}</metadata>\
             <isBreakout>false</isBreakout>",
            escape_xml(&self.attendee_pw),
            escape_xml(&self.moderator_pw),
            self.had_users,
        )
    }
}
