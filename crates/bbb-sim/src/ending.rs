//! How meetings end: by a call, from inside, or because they expire. Each end is recorded and leads to callbacks.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::callback::{CallbackLog, OutgoingCallback, SentCallback};
use crate::meeting::{LiveMeeting, LiveMeetings};
use crate::server::{BbbServer, ServerInner};

/// Number of ended meetings that are kept for each server. The oldest are dropped first.
const MAX_ENDED: usize = 10_000;
/// How often a server looks for meetings that have expired.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(50);

/// Why a meeting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// The call `end`.
    EndCall,
    /// A moderator ended it from inside; see [`BbbServer::end_meeting`].
    Moderator,
    /// Nobody joined within the time for that.
    NobodyJoined,
    /// The last user left, and nobody came back within the time for that.
    EverybodyLeft,
    /// Its `duration` was over.
    DurationOver,
}

/// A meeting that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedMeeting {
    /// The id that the client chose.
    pub id: String,
    /// The internal id that the server generated.
    pub internal_id: String,
    /// Number of users who were in it when it ended.
    pub users: u32,
    /// Why it ended.
    pub cause: EndCause,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: i64,
}

/// When meetings end by themselves. A create's own parameters (`meetingExpireIfNoUserJoinedInMinutes`,
/// `meetingExpireWhenLastUserLeftInMinutes`, where 0 means never) come first; its `duration` counts in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryRules {
    /// How long a meeting waits for its first user. `None` means without end.
    pub nobody_joined: Option<Duration>,
    /// How long a meeting lasts after its last user has left. `None` means without end.
    pub everybody_left: Option<Duration>,
}

impl Default for ExpiryRules {
    /// Returns the rules with which BigBlueButton is shipped: five minutes and one minute.
    fn default() -> Self {
        Self {
            nobody_joined: Some(Duration::from_secs(300)),
            everybody_left: Some(Duration::from_secs(60)),
        }
    }
}

/// The ended meetings of one server and their callbacks.
#[derive(Debug)]
pub(crate) struct Endings {
    /// `None` if meetings do not expire.
    expiry: Option<ExpiryRules>,
    /// Counts up when the rules change, which stops the task that watches over the former ones.
    expiry_version: u64,
    ended: VecDeque<EndedMeeting>,
    pub(crate) callbacks: CallbackLog,
}

impl Endings {
    pub(crate) fn new(server: usize) -> Self {
        Self {
            expiry: None,
            expiry_version: 0,
            ended: VecDeque::new(),
            callbacks: CallbackLog::new(server),
        }
    }

    /// Records the end of a meeting that was removed, and its callbacks.
    pub(crate) fn record(&mut self, meeting: &LiveMeeting, cause: EndCause, now_ms: i64) {
        if self.ended.len() >= MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(EndedMeeting {
            id: meeting.id.clone(),
            internal_id: meeting.internal_id.clone(),
            users: meeting.attendance(now_ms).users,
            cause,
            ended_ms: now_ms,
        });
        self.callbacks.add_callbacks(meeting);
    }

    /// Ends the meetings that have expired.
    pub(crate) fn end_expired(&mut self, meetings: &mut LiveMeetings, now_ms: i64) {
        let Some(rules) = self.expiry else { return };
        let expired: Vec<(String, EndCause)> = meetings
            .iter()
            .filter_map(|meeting| Some((meeting.id.clone(), find_cause(meeting, rules, now_ms)?)))
            .collect();
        for (id, cause) in expired {
            if let Some(meeting) = meetings.remove(&id) {
                self.record(&meeting, cause, now_ms);
            }
        }
    }
}

/// Returns why a meeting has expired, or `None` if it has not.
fn find_cause(meeting: &LiveMeeting, rules: ExpiryRules, now_ms: i64) -> Option<EndCause> {
    let is_over = |since_ms: i64, time: Option<Duration>| {
        let time = time.and_then(|time| i64::try_from(time.as_millis()).ok());
        time.is_some_and(|time| now_ms >= since_ms.saturating_add(time))
    };
    let own_or = |minutes: Option<u64>, usual: Option<Duration>| match minutes {
        None => usual,
        Some(0) => None,
        Some(minutes) => Some(Duration::from_secs(minutes.saturating_mul(60))),
    };
    let attendance = meeting.attendance(now_ms);
    if is_over(meeting.created_ms, own_or(Some(meeting.duration), None)) {
        Some(EndCause::DurationOver)
    } else if !attendance.joined {
        let time = own_or(meeting.expires_unjoined_min, rules.nobody_joined);
        is_over(meeting.created_ms, time).then_some(EndCause::NobodyJoined)
    } else if attendance.users == 0 {
        let time = own_or(meeting.expires_left_min, rules.everybody_left);
        is_over(meeting.empty_since(now_ms), time).then_some(EndCause::EverybodyLeft)
    } else {
        None
    }
}

impl BbbServer {
    /// Ends a meeting from inside, as a moderator does. Returns whether it existed.
    pub fn end_meeting(&self, meeting: &str) -> bool {
        let now_ms = self.now_ms();
        let mut state = self.lock_state();
        let ended = state.meetings.remove(meeting);
        if let Some(ended) = &ended {
            state.endings.record(ended, EndCause::Moderator, now_ms);
        }
        let outgoing = state.endings.callbacks.take_outgoing();
        drop(state);
        self.send_callbacks(outgoing);
        ended.is_some()
    }

    /// Sets when meetings end by themselves, which initially they never do (`None`). The clock of the pool decides; a test
    /// that advances a virtual clock can call [`BbbServer::expire_meetings`] in place of waiting.
    pub fn set_expiry(&self, rules: Option<ExpiryRules>) {
        let mut state = self.lock_state();
        state.endings.expiry = rules;
        state.endings.expiry_version += 1;
        let version = state.endings.expiry_version;
        drop(state);
        if rules.is_some() {
            self.0.context.runtime.spawn(watch_expiry(Arc::downgrade(&self.0), version));
        }
        self.expire_meetings();
    }

    /// Ends the meetings that have expired by now.
    pub fn expire_meetings(&self) {
        let now_ms = self.now_ms();
        let mut state = self.lock_state();
        let outgoing = state.end_expired(now_ms);
        drop(state);
        self.send_callbacks(outgoing);
    }

    /// Removes and returns the meetings that ended, oldest first: those that were lost in a crash or dropped by a test
    /// did not end. At most 10,000 are kept.
    #[must_use]
    pub fn take_ended(&self) -> Vec<EndedMeeting> {
        std::mem::take(&mut self.lock_state().endings.ended).into()
    }

    /// Returns the callbacks of all meetings that ended, in the order of their ends. At most 10,000 are kept.
    #[must_use]
    pub fn callbacks(&self) -> Vec<SentCallback> {
        self.lock_state().endings.callbacks.to_vec()
    }

    /// Sets what the user marked in a meeting: `recordingmarks` of its end callback, which is false initially. Returns
    /// whether the meeting exists.
    pub fn set_recording_marks(&self, meeting: &str, has_marks: bool) -> bool {
        self.change_meeting(meeting, |meeting| meeting.recording_marks = has_marks)
    }

    /// Sets how long the server waits before each further attempt at a callback that was not answered with 2xx. Initially
    /// these are BigBlueButton's: 30 s, 60 s, 120 s and 300 s.
    pub fn set_callback_retries(&self, pauses: &[Duration]) {
        self.lock_state().endings.callbacks.set_retries(pauses);
    }

    pub(crate) fn send_callbacks(&self, outgoing: Vec<OutgoingCallback>) {
        for callback in outgoing {
            self.0.context.runtime.spawn(callback.deliver(Arc::downgrade(&self.0)));
        }
    }
}

/// Ends expired meetings until the server is gone or has other rules.
async fn watch_expiry(server: Weak<ServerInner>, version: u64) {
    loop {
        tokio::time::sleep(EXPIRY_INTERVAL).await;
        let Some(server) = server.upgrade().map(BbbServer) else { return };
        if server.lock_state().endings.expiry_version != version {
            return;
        }
        server.expire_meetings();
    }
}
