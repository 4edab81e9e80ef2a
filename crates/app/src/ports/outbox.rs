//! The outbox: messages to front-ends that are kept until they are delivered or given up.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::{Callback, Recording};

use super::store_error::StoreError;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageTopic {
    /// A recording is ready to be watched.
    RecordingReady,
    /// The report of a meeting's server about what happened in the meeting.
    Analytics,
    /// A meeting is over.
    MeetingEnded,
}

impl MessageTopic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RecordingReady, Self::Analytics, Self::MeetingEnded];

    /// Returns the name by which stores keep the topic.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RecordingReady => "recording_ready",
            Self::Analytics => "analytics",
            Self::MeetingEnded => "meeting_ended",
        }
    }

    /// Returns the topic of that name; `None` if there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// A message to a front-end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMessage {
    /// The unique id of the message.
    pub id: String,
    /// What the message is about.
    pub topic: MessageTopic,
    /// The tenant of the meeting.
    pub tenant: Option<String>,
    /// The meeting.
    pub meeting_id: String,
    /// The recording, if the message is about one.
    pub record_id: Option<String>,
    /// The address that the message is sent to.
    pub url: String,
    /// The JSON body, if it is not built from the other fields.
    pub body: Option<String>,
    /// Which secret signed the create of the meeting, without revealing it
    /// ([`crate::callbacks::secret_hint`]).
    pub secret_hint: Option<String>,
    /// When the message was posted.
    pub posted_at: Timestamp,
    /// How many attempts to deliver the message failed.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub failure: Option<String>,
    /// When the message is sent next; `None` if it was given up.
    pub due_at: Option<Timestamp>,
}

impl OutboxMessage {
    /// Creates the message that a recording is ready, if the callback of its meeting asks for it.
    /// Its id depends on the recording and its formats: an import that is repeated after a crash
    /// adds no second message while the first one is in the outbox.
    #[must_use]
    pub fn recording_ready(
        callback: &Callback,
        recording: &Recording,
        now: Timestamp,
    ) -> Option<Self> {
        let url = callback.attribute(Callback::READY_URL).filter(|url| !url.trim().is_empty())?;
        let formats: Vec<&str> =
            recording.formats.iter().map(|format| format.format.as_str()).collect();
        Some(Self {
            id: format!("ready:{}:{}", recording.record_id, formats.join("+")),
            topic: MessageTopic::RecordingReady,
            tenant: recording.tenant().map(str::to_owned),
            meeting_id: recording.meeting_id.clone().unwrap_or_default(),
            record_id: Some(recording.record_id.clone()),
            url: url.to_owned(),
            body: None,
            secret_hint: callback.attribute(Callback::SECRET_HINT).map(str::to_owned),
            posted_at: now,
            attempts: 0,
            failure: None,
            due_at: Some(now),
        })
    }
}

/// Stores messages. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Adds a message. Nothing changes if there is a message of this id.
    async fn post_message(&self, message: &OutboxMessage) -> Result<(), StoreError>;

    /// Takes the messages that are due at `now`, those that were posted first, `limit` at most, and
    /// makes them due again at `until`. No other caller gets them before that time. If the process
    /// dies, they are sent again then.
    async fn take_due_messages(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxMessage>, StoreError>;

    /// Removes a message that was delivered, or that its recipient does not accept. An unknown id
    /// changes nothing.
    async fn remove_message(&self, id: &str) -> Result<(), StoreError>;

    /// Records a failed attempt, and makes the message due at a later time. Without a time it is
    /// given up, and kept for administrators. An unknown id changes nothing.
    async fn postpone_message(
        &self,
        id: &str,
        failure: &str,
        due_at: Option<Timestamp>,
    ) -> Result<(), StoreError>;

    /// Lists messages, the oldest first, `limit` at most.
    async fn list_messages(&self, limit: u32) -> Result<Vec<OutboxMessage>, StoreError>;

    /// Lists messages that were given up, the newest first, `limit` at most, without their bodies.
    async fn list_given_up(&self, limit: u32) -> Result<Vec<OutboxMessage>, StoreError>;

    /// Makes one message due now, or without an id all that were given up; returns their number.
    /// Their attempts still count.
    async fn retry_messages(&self, id: Option<&str>, now: Timestamp) -> Result<u64, StoreError>;

    /// Deletes messages that were posted before that time; returns their number.
    async fn forget_messages(&self, before: Timestamp) -> Result<u64, StoreError>;
}
