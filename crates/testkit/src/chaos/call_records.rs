//! The calls of the clients and their results.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Why a client creates a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CreateReason {
    /// The meeting is new.
    New,
    /// The meeting has been created before, and a user opens it again.
    Repeated,
    /// A user could not join it.
    AfterFailedJoin,
}

impl fmt::Display for CreateReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Repeated => "repeated",
            Self::AfterFailedJoin => "after a failed join",
        })
    }
}

/// Where a meeting is, as far as its clients can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MeetingLocation {
    /// The server that had the meeting when its create was answered, if any had.
    pub(super) server: Option<usize>,
    /// When that create was sent.
    pub(super) sent_at: Duration,
}

/// A create and its result.
#[derive(Clone, Debug)]
pub(super) struct CreateRecord {
    /// The id of the meeting.
    pub(super) id: String,
    /// Why it was created.
    pub(super) reason: CreateReason,
    /// When the create was due, since the beginning of the run.
    pub(super) due_at: Duration,
    /// How long it took from then to its result.
    pub(super) duration: Duration,
    /// Where the meeting is, or what went wrong.
    pub(super) result: Result<MeetingLocation, String>,
}

impl CreateRecord {
    /// When the result was there.
    pub(super) fn finished_at(&self) -> Duration {
        self.due_at + self.duration
    }
}

/// The result of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JoinOutcome {
    /// The user is in the meeting on this server.
    InMeeting(usize),
    /// The balancer refused the join with this message.
    Refused(String),
    /// The balancer did not answer.
    Unanswered(String),
    /// The balancer redirected to this server, which gave no valid response.
    ServerFailed(usize, String),
    /// The balancer redirected to this server, which refused the join.
    ServerRefused(usize, String),
}

/// A join and its result.
#[derive(Clone, Debug)]
pub(super) struct JoinRecord {
    /// The id of the meeting.
    pub(super) id: String,
    /// When the join was due, since the beginning of the run.
    pub(super) due_at: Duration,
    /// How long it took from then to the balancer's response.
    pub(super) duration: Duration,
    /// When the server's response was there, or the balancer's if it did not redirect.
    pub(super) finished_at: Duration,
    /// Whether the user had the meeting created again just before.
    pub(super) after_create: bool,
    /// Where the meeting was when the join was sent.
    pub(super) location: Option<MeetingLocation>,
    /// The result.
    pub(super) outcome: JoinOutcome,
}

impl JoinRecord {
    /// Returns whether the user is in the meeting.
    pub(super) fn is_successful(&self) -> bool {
        matches!(self.outcome, JoinOutcome::InMeeting(_))
    }
}

/// All calls of a run.
#[derive(Debug, Default)]
pub(super) struct CallRecords {
    pub(super) creates: Vec<CreateRecord>,
    pub(super) joins: Vec<JoinRecord>,
    locations: HashMap<String, MeetingLocation>,
    created_ids: Vec<String>,
}

impl CallRecords {
    /// Adds a create, and the location of the meeting if the create succeeded.
    pub(super) fn record_create(&mut self, create: CreateRecord) {
        if let Ok(location) = &create.result {
            let previous = self.locations.insert(create.id.clone(), location.clone());
            if previous.is_none() {
                self.created_ids.push(create.id.clone());
            }
        }
        self.creates.push(create);
    }

    /// Returns the meetings that were created successfully at least once.
    pub(super) fn created_ids(&self) -> &[String] {
        &self.created_ids
    }

    /// Returns the location of a meeting after its last successful create.
    pub(super) fn location(&self, id: &str) -> Option<&MeetingLocation> {
        self.locations.get(id)
    }
}
