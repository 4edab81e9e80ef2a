//! A use case that is under way, as the checkers see it: who does what since when, and what it has
//! done so far.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{MeetingKey, Timestamp};

/// What a use case does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UseCaseKind {
    /// A front-end creates.
    Create(MeetingKey),
    /// A front-end joins.
    Join(MeetingKey),
    /// A front-end ends.
    End(MeetingKey),
    /// A front-end asks whether a meeting runs.
    IsMeetingRunning(MeetingKey),
    /// A front-end asks for details.
    GetMeetingInfo(MeetingKey),
    /// A front-end asks for its meetings.
    GetMeetings(Option<String>),
    /// A cycle of polls.
    Poll,
    /// An administrator changes a server.
    ChangeServer(ServerAction, String),
    /// An administrator ends a meeting.
    AdminEnd(MeetingKey),
    /// The replica for itself.
    Internal,
}

/// What an administrator does to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerAction {
    /// Adds and enables it.
    Add,
    /// Enables it.
    Enable,
    /// Cordons it.
    Cordon,
    /// Disables it.
    Disable,
    /// Removes it.
    Remove,
    /// Forgets its meetings and ends them.
    Panic,
}

impl ServerAction {
    /// Whether meetings may be forgotten by it.
    #[must_use]
    pub(crate) fn may_forget_meetings(self) -> bool {
        matches!(self, Self::Remove | Self::Panic)
    }
}

impl UseCaseKind {
    /// The meeting it is about.
    #[must_use]
    pub(crate) fn key(&self) -> Option<&MeetingKey> {
        match self {
            Self::Create(key)
            | Self::Join(key)
            | Self::End(key)
            | Self::IsMeetingRunning(key)
            | Self::GetMeetingInfo(key)
            | Self::AdminEnd(key) => Some(key),
            _ => None,
        }
    }

    /// One word.
    #[must_use]
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Join(_) => "join",
            Self::End(_) => "end",
            Self::IsMeetingRunning(_) => "isMeetingRunning",
            Self::GetMeetingInfo(_) => "getMeetingInfo",
            Self::GetMeetings(_) => "getMeetings",
            Self::Poll => "poll",
            Self::ChangeServer(..) => "server",
            Self::AdminEnd(_) => "dismiss",
            Self::Internal => "house",
        }
    }
}

/// A use case.
#[derive(Debug)]
pub(crate) struct UseCase {
    /// Counts all use cases of a run.
    pub(crate) number: u64,
    /// Which replica.
    pub(crate) replica: usize,
    /// What it does.
    pub(crate) kind: UseCaseKind,
    /// Since when.
    pub(crate) started_at: Timestamp,
    progress: Mutex<UseCaseProgress>,
}

/// What a use case has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct UseCaseProgress {
    /// Calls sent: server, call, what about.
    pub(crate) sent_calls: BTreeSet<(String, String, String)>,
    /// Claims that it asked for.
    pub(crate) claim_tokens: BTreeSet<String>,
    /// Whether the store failed it.
    pub(crate) store_failed: bool,
    /// Whether a server failed it.
    pub(crate) server_failed: bool,
}

impl UseCase {
    /// A use case that begins.
    #[must_use]
    pub(crate) fn new(number: u64, replica: usize, kind: UseCaseKind, began: Timestamp) -> Self {
        Self { number, replica, kind, started_at: began, progress: Mutex::default() }
    }

    /// What it has done.
    pub(crate) fn progress(&self) -> MutexGuard<'_, UseCaseProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for UseCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{} r{} {}", self.number, self.replica, self.kind.name())?;
        match &self.kind {
            UseCaseKind::GetMeetings(tenant) => {
                write!(f, " of {}", tenant.as_deref().unwrap_or("all"))
            }
            UseCaseKind::ChangeServer(deed, host) => write!(f, " {deed:?} {host}"),
            kind => kind.key().map_or(Ok(()), |key| write!(f, " {}", meeting_name(key))),
        }
    }
}

/// A meeting's name in traces.
#[must_use]
pub(crate) fn meeting_name(key: &MeetingKey) -> String {
    format!("{}/{}", key.tenant.as_deref().unwrap_or("-"), key.id)
}
