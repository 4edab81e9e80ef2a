//! A use case that is under way, as the checkers see it: who does what since when, and what it has
//! done so far.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{MeetingKey, Timestamp};

/// What a use case does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A front-end creates.
    Create(MeetingKey),
    /// A front-end joins.
    Join(MeetingKey),
    /// A front-end ends.
    End(MeetingKey),
    /// A front-end asks whether a meeting runs.
    Running(MeetingKey),
    /// A front-end asks for details.
    Info(MeetingKey),
    /// A front-end asks for its meetings.
    List(Option<String>),
    /// A cycle of polls.
    Poll,
    /// An administrator changes a server.
    Server(ServerDeed, String),
    /// An administrator ends a meeting.
    Dismiss(MeetingKey),
    /// The replica for itself.
    House,
}

/// What an administrator does to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerDeed {
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

impl ServerDeed {
    /// Whether meetings may be forgotten by it.
    #[must_use]
    pub(crate) fn forgets(self) -> bool {
        matches!(self, Self::Remove | Self::Panic)
    }
}

impl Kind {
    /// The meeting it is about.
    #[must_use]
    pub(crate) fn key(&self) -> Option<&MeetingKey> {
        match self {
            Self::Create(key)
            | Self::Join(key)
            | Self::End(key)
            | Self::Running(key)
            | Self::Info(key)
            | Self::Dismiss(key) => Some(key),
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
            Self::Running(_) => "isMeetingRunning",
            Self::Info(_) => "getMeetingInfo",
            Self::List(_) => "getMeetings",
            Self::Poll => "poll",
            Self::Server(..) => "server",
            Self::Dismiss(_) => "dismiss",
            Self::House => "house",
        }
    }
}

/// A use case.
#[derive(Debug)]
pub(crate) struct Op {
    /// Counts all use cases of a run.
    pub(crate) number: u64,
    /// Which replica.
    pub(crate) replica: usize,
    /// What it does.
    pub(crate) kind: Kind,
    /// Since when.
    pub(crate) began: Timestamp,
    seen: Mutex<Seen>,
}

/// What a use case has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Calls sent: server, call, what about.
    pub(crate) sent: BTreeSet<(String, String, String)>,
    /// Claims that it asked for.
    pub(crate) tokens: BTreeSet<String>,
    /// Whether the store failed it.
    pub(crate) store_failed: bool,
    /// Whether a server failed it.
    pub(crate) server_failed: bool,
}

impl Op {
    /// A use case that begins.
    #[must_use]
    pub(crate) fn new(number: u64, replica: usize, kind: Kind, began: Timestamp) -> Self {
        Self { number, replica, kind, began, seen: Mutex::default() }
    }

    /// What it has done.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{} r{} {}", self.number, self.replica, self.kind.name())?;
        match &self.kind {
            Kind::List(tenant) => write!(f, " of {}", tenant.as_deref().unwrap_or("all")),
            Kind::Server(deed, host) => write!(f, " {deed:?} {host}"),
            kind => kind.key().map_or(Ok(()), |key| write!(f, " {}", name(key))),
        }
    }
}

/// A meeting's name in traces.
#[must_use]
pub(crate) fn name(key: &MeetingKey) -> String {
    format!("{}/{}", key.tenant.as_deref().unwrap_or("-"), key.id)
}
