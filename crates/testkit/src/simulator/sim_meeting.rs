//! A meeting on a simulated server, regardless of what the balancer has recorded of it.

use bbb::response::escape_xml;
use domain::{MeetingKey, Timestamp};

/// Metadata by which the balancer tells servers to which tenant a meeting belongs.
const TENANT_METADATA: &str = "tenant-id";

/// A running meeting.
#[derive(Clone, Debug)]
pub(crate) struct SimMeeting {
    /// Its tenant and its id.
    pub(crate) key: MeetingKey,
    /// Its `internalMeetingID`. Unlike that of BBB it names the server, since under paused time two
    /// servers may make a meeting in the same millisecond.
    pub(crate) internal_id: String,
    /// Its number in the telephone network.
    pub(crate) voice_bridge: String,
    /// The password of moderators.
    pub(crate) moderator_pw: String,
    /// The password of attendees.
    pub(crate) attendee_pw: String,
    /// The `meta_*` parameters of its create, without the prefix.
    pub(crate) metadata: Vec<(String, String)>,
    /// Its `createTime`: when its server got the create.
    pub(crate) created_at: Timestamp,
    /// When its server began to list it: when that has worked on the create.
    pub(crate) listed_since: Timestamp,
    /// The number of the use case that created it; 0 if another balancer did.
    pub(crate) created_by: u64,
    /// Whether a later create of it failed on its server. Then the pending end that named this meeting, and proved
    /// that it is ours, was replaced by that of the create, which names none.
    pub(crate) has_lost_create: bool,
    /// Whether a join has made it anew.
    pub(crate) is_revived: bool,
    /// Whether it was made by a create that was meant to find it there.
    pub(crate) is_of_repetition: bool,
    /// Whether a hostile server claims to have it.
    pub(crate) is_claimed: bool,
    /// The number of users in it.
    pub(crate) users: u32,
    /// Since when it has no users; `None` while it has users.
    pub(crate) empty_since: Option<Timestamp>,
    /// Whether it has ever had a user.
    pub(crate) had_users: bool,
    /// When it last changed from no users to one.
    pub(crate) entered_at: Option<Timestamp>,
    /// When a front-end was first told that its create succeeded.
    pub(crate) acknowledged_at: Option<Timestamp>,
    /// Whether a front-end was ever told that its create succeeded, also if another copy counts since.
    pub(crate) was_acknowledged: bool,
    /// When its front-end was told that it is over, although it still runs.
    pub(crate) ended_at: Option<Timestamp>,
    /// Why the balancer need not know it any longer, if that is so.
    pub(crate) abandon_reason: Option<&'static str>,
}

/// A meeting that is over.
#[derive(Clone, Debug)]
pub(crate) struct EndedMeeting {
    /// The meeting as it was at its end.
    pub(crate) meeting: SimMeeting,
    /// When it ended.
    pub(crate) ended_at: Timestamp,
}

impl SimMeeting {
    /// Returns how long the meeting may be empty before it ends, in ms; longer before the first
    /// user has joined.
    #[must_use]
    pub(crate) fn max_empty_ms(&self) -> i64 {
        if self.had_users { 60_000 } else { 300_000 }
    }

    /// Returns whether another balancer has created it.
    #[must_use]
    pub(crate) fn is_foreign(&self) -> bool {
        self.created_by == 0
    }

    /// Returns the tenant that the metadata names.
    #[must_use]
    pub(crate) fn tenant_from_metadata(metadata: &[(String, String)]) -> Option<String> {
        metadata.iter().find(|(name, _)| name == TENANT_METADATA).map(|(_, value)| value.clone())
    }

    /// Adds a user.
    pub(crate) fn add_user(&mut self, now: Timestamp) {
        if self.users == 0 {
            self.entered_at = Some(now);
        }
        self.users += 1;
        self.had_users = true;
        self.empty_since = None;
    }

    /// Removes a user.
    pub(crate) fn remove_user(&mut self, now: Timestamp) {
        self.users = self.users.saturating_sub(1);
        if self.users == 0 && self.had_users {
            self.empty_since = Some(now);
        }
    }

    /// Returns the elements by which `getMeetings` and `getMeetingInfo` describe the meeting.
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
             <internalMeetingID>{}</internalMeetingID><createTime>{created}</createTime>\
             <voiceBridge>{bridge}</voiceBridge><attendeePW>{}</attendeePW>\
             <moderatorPW>{}</moderatorPW><running>{running}</running>\
             <hasUserJoined>{}</hasUserJoined><participantCount>{users}</participantCount>\
             <videoCount>0</videoCount><attendees/><metadata>{metadata}</metadata>\
             <isBreakout>false</isBreakout>",
            escape_xml(&self.internal_id),
            escape_xml(&self.attendee_pw),
            escape_xml(&self.moderator_pw),
            self.had_users,
        )
    }
}
