//! What front-ends are to be told, until they have heard it: messages that survive a crash.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::{Callback, Recording};

use super::store_error::StoreError;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageTopic {
    /// A recording can be watched.
    RecordingReady,
    /// What happened in a meeting, as its server tells it.
    Analytics,
}

impl MessageTopic {
    /// Its name where messages are kept.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RecordingReady => "recording_ready",
            Self::Analytics => "analytics",
        }
    }

    /// The topic of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::RecordingReady, Self::Analytics].into_iter().find(|topic| topic.name() == name)
    }
}

/// A message to a front-end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Unique.
    pub id: String,
    /// What it is about.
    pub topic: MessageTopic,
    /// Whose meeting it is.
    pub tenant: Option<String>,
    /// The meeting.
    pub meeting_id: String,
    /// The recording, if it is about one.
    pub record_id: Option<String>,
    /// Where it goes.
    pub url: String,
    /// What is sent, where it is not made of the rest: JSON.
    pub body: Option<String>,
    /// Tells which secret signed the meeting's create, without telling the secret.
    pub secret_hint: Option<String>,
    /// When it was posted.
    pub posted_at: Timestamp,
    /// How often it was sent in vain.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub failure: Option<String>,
    /// When it is sent next; none: it was given up.
    pub due_at: Option<Timestamp>,
}

impl OutboxMessage {
    /// Tells a front-end that a recording can be watched, if the meeting's callback asks for that. Whoever
    /// imports the same formats again, because a crash made it forget that it had, sends no second one while the
    /// first waits.
    #[must_use]
    pub fn recording_ready(
        callback: &Callback,
        recording: &Recording,
        now: Timestamp,
    ) -> Option<Self> {
        let url = callback.attribute(Callback::READY_URL).filter(|url| !url.trim().is_empty())?;
        let formats: Vec<&str> = recording.formats.iter().map(|one| one.format.as_str()).collect();
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

/// Messages that wait to be heard.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Keeps a message; nothing happens if there is one of that id.
    async fn post_message(&self, message: &OutboxMessage) -> Result<(), StoreError>;

    /// Takes messages that are due, so many at most, those that were posted first: they are due again at that
    /// time, and until then nobody else gets them.
    async fn take_due_messages(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxMessage>, StoreError>;

    /// It was heard, or whom it was for does not want it: it is gone.
    async fn remove_message(&self, id: &str) -> Result<(), StoreError>;

    /// It was not heard: counts the attempt, and keeps it for later or, without a time, for
    /// administrators to look at.
    async fn postpone_message(
        &self,
        id: &str,
        failure: &str,
        due_at: Option<Timestamp>,
    ) -> Result<(), StoreError>;

    /// Messages, the oldest first, so many at most.
    async fn list_messages(&self, limit: u32) -> Result<Vec<OutboxMessage>, StoreError>;

    /// Makes one message due now, or all that were given up; returns how many. Their attempts still count.
    async fn retry_messages(&self, id: Option<&str>, now: Timestamp) -> Result<u64, StoreError>;

    /// Forgets messages that were posted before that time.
    async fn forget_messages(&self, before: Timestamp) -> Result<u64, StoreError>;
}
