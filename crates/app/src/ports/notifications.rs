//! Notifications to administrators, and what sends them.

use async_trait::async_trait;
use domain::Timestamp;

/// What a notification says of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationState {
    /// It has begun.
    Begun,
    /// It is over.
    Over,
    /// There is none: somebody tries the channels.
    Test,
}

impl NotificationState {
    /// Returns `begun`, `over` or `test`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Over => "over",
            Self::Test => "test",
        }
    }
}

/// A message to administrators. No part of it contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// A unique id: a repeated delivery has the same.
    pub id: String,
    /// When it was written.
    pub at: Timestamp,
    /// Whether the problem begins or is over.
    pub state: NotificationState,
    /// Whether it is sent in quiet hours too.
    pub is_critical: bool,
    /// The kind of the problem.
    pub kind: &'static str,
    /// What has the problem: a host name, a part, a file.
    pub subject: String,
    /// What happened, in a sentence.
    pub what: String,
    /// Why.
    pub reason: String,
    /// What can be done; empty if nothing needs to be done.
    pub remedy: String,
    /// Since when it is so.
    pub since: Timestamp,
    /// How often it has begun or ended since the last notification about it.
    pub changes: u32,
    /// The host name of the balancer that sends it.
    pub balancer: String,
    /// The page of the console to look at.
    pub console: Option<String>,
}

/// Sends notifications in one way.
#[async_trait]
pub trait NotificationSender: Send + Sync {
    /// The name of the channel.
    fn name(&self) -> &'static str;

    /// Where it sends to, for administrators, without secrets.
    fn destination(&self) -> String;

    /// Sends a notification once; returns what the other side said. It takes half a minute at most.
    ///
    /// # Errors
    /// Why it was not accepted. The text contains no secret.
    async fn send(&self, notification: &Notification) -> Result<String, String>;
}
