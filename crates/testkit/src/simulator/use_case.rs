//! A running use case as the checkers see it: what it is, when it began, and what it has done so
//! far.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{MeetingKey, Timestamp};

use super::pending_creates::PendingCreates;

/// The kind of a use case, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UseCaseKind {
    /// A front-end creates a meeting.
    Create(MeetingKey),
    /// A front-end sends a user to a meeting.
    Join(MeetingKey),
    /// A front-end ends a meeting.
    End(MeetingKey),
    /// A front-end asks whether a meeting is running.
    IsMeetingRunning(MeetingKey),
    /// A front-end asks for the details of a meeting.
    GetMeetingInfo(MeetingKey),
    /// The front-ends of a tenant ask for all their meetings.
    GetMeetings(Option<String>),
    /// A poll of several servers.
    Poll,
    /// An administrator changes a server.
    ChangeServer(ServerAction, String),
    /// An administrator ends a meeting.
    AdminEnd(MeetingKey),
    /// Work that a replica does for itself, or a change by the simulator.
    Internal,
}

/// An administrator's change of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerAction {
    /// Adds it to the pool and enables it.
    Add,
    /// Enables it.
    Enable,
    /// Cordons it.
    Cordon,
    /// Disables it.
    Disable,
    /// Removes it from the pool.
    Remove,
    /// Ends and forgets its meetings.
    Panic,
    /// Adds it to the pool once more, under its other name.
    AddTwin,
    /// Replaces its entry by one with its other name.
    Rename,
    /// Tries to add it once more, with its URL in another spelling.
    AddSpelling,
}

impl ServerAction {
    /// Returns whether the action may forget meetings that are still running.
    #[must_use]
    pub(crate) fn may_forget_meetings(self) -> bool {
        matches!(self, Self::Remove | Self::Panic)
    }
}

impl UseCaseKind {
    /// Returns the meeting that the use case is about, if it is about one.
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

    /// Returns the name that traces show.
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
            Self::ChangeServer(..) => "change server",
            Self::AdminEnd(_) => "end as administrator",
            Self::Internal => "internal",
        }
    }
}

/// A use case that has begun.
#[derive(Debug)]
pub(crate) struct UseCase {
    /// Consecutive number within the run.
    pub(crate) number: u64,
    /// The replica that executes it.
    pub(crate) replica: usize,
    /// What it does.
    pub(crate) kind: UseCaseKind,
    /// When it began.
    pub(crate) started_at: Timestamp,
    progress: Mutex<UseCaseProgress>,
}

/// What a use case has done so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct UseCaseProgress {
    /// Calls sent to servers: host, name of the call, and its subject.
    pub(crate) sent_calls: BTreeSet<(String, String, String)>,
    /// Tokens of the claims that it requested.
    pub(crate) claim_tokens: BTreeSet<String>,
    /// Whether an operation of the store has failed.
    pub(crate) store_failed: bool,
    /// Host names of the servers on which it has placed its meeting.
    pub(crate) claimed_servers: BTreeSet<String>,
    /// Creates that servers have not answered yet.
    pub(crate) pending_creates: PendingCreates,
}

impl UseCase {
    /// A use case that begins now.
    #[must_use]
    pub(crate) fn new(number: u64, replica: usize, kind: UseCaseKind, now: Timestamp) -> Self {
        Self { number, replica, kind, started_at: now, progress: Mutex::default() }
    }

    /// Returns what it has done so far.
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
            UseCaseKind::ChangeServer(action, host) => write!(f, " {action:?} {host}"),
            kind => kind.key().map_or(Ok(()), |key| write!(f, " {}", meeting_name(key))),
        }
    }
}

/// Returns the name of a meeting in traces: its tenant and its id.
#[must_use]
pub(crate) fn meeting_name(key: &MeetingKey) -> String {
    format!("{}/{}", key.tenant.as_deref().unwrap_or("-"), key.id)
}
