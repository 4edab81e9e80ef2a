//! What clients asked for and what they were told.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Why a meeting is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is a new one.
    New,
    /// It has been created before, and somebody clicks again.
    Repeated,
    /// Somebody could not join it.
    Again,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Repeated => "repeated",
            Self::Again => "again",
        })
    }
}

/// Where a meeting is, as far as its clients can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    /// The server that had it when its create was answered, if any had.
    pub(super) server: Option<usize>,
    /// When that create was sent.
    pub(super) since: Duration,
}

/// A create with its end.
#[derive(Clone, Debug)]
pub(super) struct Created {
    /// The meeting.
    pub(super) id: String,
    /// Why.
    pub(super) why: Why,
    /// When it was due, from the beginning of the run.
    pub(super) at: Duration,
    /// From then to its end.
    pub(super) took: Duration,
    /// Where it is, or what went wrong.
    pub(super) end: Result<Home, String>,
}

/// How a join ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In the meeting on this server.
    In(usize),
    /// The balancer said no, in these words.
    Refused(String),
    /// The balancer gave no answer.
    Unanswered(String),
    /// It led to this server, which gave no answer, or none that makes sense.
    Stranded(usize, String),
    /// It led to this server, which said no.
    TurnedAway(usize, String),
}

/// A join with its end.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    /// The meeting.
    pub(super) id: String,
    /// When it was due, from the beginning of the run.
    pub(super) at: Duration,
    /// From then to the balancer's answer.
    pub(super) took: Duration,
    /// When the server's answer came, if it led to one.
    pub(super) over: Duration,
    /// Whether it follows a create of its own.
    pub(super) after_create: bool,
    /// Where the meeting was when it was sent.
    pub(super) home: Option<Home>,
    /// How it ended.
    pub(super) way: Way,
}

/// All calls of a run.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) creates: Vec<Created>,
    pub(super) joins: Vec<Joined>,
    homes: HashMap<String, Home>,
    known: Vec<String>,
}

impl Ledger {
    pub(super) fn note_create(&mut self, created: Created) {
        if let Ok(home) = &created.end {
            let before = self.homes.insert(created.id.clone(), home.clone());
            if before.is_none() {
                self.known.push(created.id.clone());
            }
        }
        self.creates.push(created);
    }

    /// The meetings whose create has succeeded at least once.
    pub(super) fn known(&self) -> &[String] {
        &self.known
    }

    pub(super) fn home(&self, id: &str) -> Option<&Home> {
        self.homes.get(id)
    }
}
