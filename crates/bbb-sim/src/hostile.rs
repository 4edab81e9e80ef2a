//! What a hostile member of a pool reports: meetings of other servers, with as many users as it likes.

use crate::meeting::LiveMeeting;
use crate::server::BbbServer;

/// How a hostile server shows the meetings of another one as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The users that it reports in each of them.
    pub users: u32,
    /// Whether it also tells their `internalMeetingID` and `createTime`, instead of other ones.
    pub with_identity: bool,
}

impl BbbServer {
    /// Reports the meetings of another server, and answers for them, from now on until they are ended
    /// here. Meetings that it has itself keep their identity and get the users.
    pub fn claim_meetings_of(&self, other: &Self, claims: Claims) {
        let theirs: Vec<LiveMeeting> =
            other.lock_state().meetings.iter().map(|meeting| imitate(meeting, claims)).collect();
        let mut state = self.lock_state();
        for meeting in theirs {
            match state.meetings.get_mut(&meeting.id) {
                Some(known) => {
                    (known.users, known.joined, known.schedule) = (claims.users, true, None);
                }
                None => state.meetings.insert(meeting),
            }
        }
    }

    /// Reports so many meetings that nobody has created, with ids that begin with `prefix`.
    pub fn invent_meetings(
        &self,
        prefix: &str,
        count: usize,
        voice_bridge: impl Fn(&str) -> String,
    ) {
        let now_ms = self.now_ms();
        let mut state = self.lock_state();
        for number in 0..count {
            let id = format!("{prefix}{number}");
            let mut meeting = LiveMeeting::invented(&id, now_ms);
            meeting.voice_bridge = voice_bridge(&id);
            state.meetings.insert(meeting);
        }
    }
}

fn imitate(meeting: &LiveMeeting, claims: Claims) -> LiveMeeting {
    let mut claimed = LiveMeeting::invented(&meeting.id, meeting.created_ms);
    claimed.voice_bridge.clone_from(&meeting.voice_bridge);
    claimed.meta.clone_from(&meeting.meta);
    (claimed.users, claimed.joined) = (claims.users, true);
    if claims.with_identity {
        claimed.internal_id.clone_from(&meeting.internal_id);
    } else {
        claimed.internal_id.push_str("-claimed");
    }
    claimed
}
