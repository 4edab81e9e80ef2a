//! What clients asked for and what they were told.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Why a meeting is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CreateReason {
    /// It is a new one.
    New,
    /// It has been created before, and somebody clicks again.
    Repeated,
    /// Somebody could not join it.
    AfterFailedJoin,
}

impl fmt::Display for CreateReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Repeated => "repeated",
            Self::AfterFailedJoin => "again",
        })
    }
}

/// Where a meeting is, as far as its clients can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MeetingLocation {
    /// The server that had it when its create was answered, if any had.
    pub(super) server: Option<usize>,
    /// When that create was sent.
    pub(super) sent_at: Duration,
}

/// A create with its end.
#[derive(Clone, Debug)]
pub(super) struct CreateRecord {
    /// The meeting.
    pub(super) id: String,
    /// Why.
    pub(super) reason: CreateReason,
    /// When it was due, from the beginning of the run.
    pub(super) due_at: Duration,
    /// From then to its end.
    pub(super) duration: Duration,
    /// Where it is, or what went wrong.
    pub(super) result: Result<MeetingLocation, String>,
}

/// How a join ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JoinOutcome {
    /// In the meeting on this server.
    InMeeting(usize),
    /// The balancer said no, in these words.
    Refused(String),
    /// The balancer gave no answer.
    Unanswered(String),
    /// It led to this server, which gave no answer, or none that makes sense.
    ServerFailed(usize, String),
    /// It led to this server, which said no.
    ServerRefused(usize, String),
}

/// A join with its end.
#[derive(Clone, Debug)]
pub(super) struct JoinRecord {
    /// The meeting.
    pub(super) id: String,
    /// When it was due, from the beginning of the run.
    pub(super) due_at: Duration,
    /// From then to the balancer's answer.
    pub(super) duration: Duration,
    /// When the server's answer came, if it led to one.
    pub(super) finished_at: Duration,
    /// Whether it follows a create of its own.
    pub(super) after_create: bool,
    /// Where the meeting was when it was sent.
    pub(super) location: Option<MeetingLocation>,
    /// How it ended.
    pub(super) outcome: JoinOutcome,
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
    pub(super) fn record_create(&mut self, created: CreateRecord) {
        if let Ok(home) = &created.result {
            let before = self.locations.insert(created.id.clone(), home.clone());
            if before.is_none() {
                self.created_ids.push(created.id.clone());
            }
        }
        self.creates.push(created);
    }

    /// The meetings whose create has succeeded at least once.
    pub(super) fn created_ids(&self) -> &[String] {
        &self.created_ids
    }

    pub(super) fn location(&self, id: &str) -> Option<&MeetingLocation> {
        self.locations.get(id)
    }
}
