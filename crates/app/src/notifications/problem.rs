//! What can be wrong, what it means, and what can be done.

use serde::{Deserialize, Serialize};

use crate::health::PartReport;

/// Longest text of a problem, in characters.
const MAX_TEXT_CHARS: usize = 300;
/// A part of this process is told to have failed after this many seconds.
const MIN_FAILED_S: u64 = 5;

/// The kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// A server that should be online is offline.
    ServerOffline,
    /// No server takes new meetings.
    NoServer,
    /// All places are taken.
    NoPlaces,
    /// All places will be taken, by the forecast.
    NoPlacesAhead,
    /// An archive of a recording cannot be imported.
    ArchiveQuarantined,
    /// A callback to a front-end was given up.
    CallbackGivenUp,
    /// A part of this process has failed.
    PartFailed,
    /// A part of this process needs attention, such as a disk with little space.
    PartWarning,
    /// The certificate ends soon.
    CertificateEnds,
}

impl ProblemKind {
    /// Returns its name, as webhooks tell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerOffline => "server-offline",
            Self::NoServer => "no-server",
            Self::NoPlaces => "no-places",
            Self::NoPlacesAhead => "no-places-ahead",
            Self::ArchiveQuarantined => "archive-quarantined",
            Self::CallbackGivenUp => "callback-given-up",
            Self::PartFailed => "part-failed",
            Self::PartWarning => "part-warning",
            Self::CertificateEnds => "certificate-ends",
        }
    }

    /// Returns whether it is told in quiet hours too: users cannot meet.
    #[must_use]
    pub fn is_critical(self) -> bool {
        matches!(self, Self::NoServer | Self::NoPlaces | Self::PartFailed)
    }

    /// Returns whether its end is told. That somebody has dealt with an archive or a callback is no news to them.
    #[must_use]
    pub fn tells_end(self) -> bool {
        !matches!(self, Self::ArchiveQuarantined | Self::CallbackGivenUp)
    }

    fn sentence(self, subject: &str) -> String {
        match self {
            Self::ServerOffline => format!("{subject} is offline."),
            Self::NoServer => "No server takes new meetings.".to_owned(),
            Self::NoPlaces => "All places of the pool are taken.".to_owned(),
            Self::NoPlacesAhead => {
                "By the forecast all places of the pool will be taken.".to_owned()
            }
            Self::ArchiveQuarantined => format!("The recording {subject} cannot be imported."),
            Self::CallbackGivenUp => format!("A callback to {subject} was given up."),
            Self::PartFailed => format!("{subject} has failed."),
            Self::PartWarning => format!("{subject} needs attention."),
            Self::CertificateEnds => format!("The certificate of {subject} ends soon."),
        }
    }

    pub(super) fn end_sentence(self, subject: &str) -> String {
        match self {
            Self::ServerOffline => format!("{subject} is not offline any more."),
            Self::NoServer => "Servers take new meetings again.".to_owned(),
            Self::NoPlaces => "The pool has free places again.".to_owned(),
            Self::NoPlacesAhead => "By the forecast the pool keeps free places.".to_owned(),
            Self::ArchiveQuarantined | Self::CallbackGivenUp => format!("{subject} is settled."),
            Self::PartFailed => format!("{subject} works again."),
            Self::PartWarning => format!("{subject} needs no more attention."),
            Self::CertificateEnds => format!("The certificate of {subject} was renewed."),
        }
    }

    pub(super) fn end_reason(self) -> &'static str {
        match self {
            Self::ServerOffline => "It answers again, or somebody has disabled or removed it.",
            _ => "",
        }
    }

    /// Returns what can be done.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::ServerOffline => {
                "Check the machine and BigBlueButton on it (`bbb-conf --check`); `scalelite doctor` says what the balancer sees. Its meetings are made anew \
                 on other servers when users join."
            }
            Self::NoServer => "Bring a server back or enable one: `scalelite servers enable ID`.",
            Self::NoPlaces | Self::NoPlacesAhead => {
                "Enable or add servers, or raise their limits: `scalelite servers update`."
            }
            Self::ArchiveQuarantined => {
                "Read the reason, and try again once it is dealt with: `scalelite recordings retry`."
            }
            Self::CallbackGivenUp => {
                "Ask those who run the front-end, then send it again: `scalelite callbacks retry`."
            }
            Self::PartFailed | Self::PartWarning => {
                "`scalelite doctor` on this machine says what is wrong and what to do."
            }
            Self::CertificateEnds => {
                "Find out why it is not renewed; the log has the reason, `scalelite doctor` checks it."
            }
        }
    }

    /// Returns the path of the console's page about it.
    pub(super) fn page(self) -> &'static str {
        match self {
            Self::NoPlaces | Self::NoPlacesAhead => "/scalelite/forecast",
            Self::ArchiveQuarantined => "/scalelite/recordings",
            _ => "/scalelite/",
        }
    }
}

/// A problem as it is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundProblem {
    /// Which problem it is, among all of its kind.
    pub id: String,
    /// Its kind.
    pub kind: ProblemKind,
    /// What has it, as administrators call it.
    pub subject: String,
    /// Why.
    pub reason: String,
}

impl FoundProblem {
    /// A problem. Texts are made short, and a line.
    #[must_use]
    pub fn new(kind: ProblemKind, id: &str, subject: &str, reason: &str) -> Self {
        Self { id: shorten(id), kind, subject: shorten(subject), reason: shorten(reason) }
    }

    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.kind.name(), self.id)
    }

    pub(super) fn what(&self) -> String {
        self.kind.sentence(&self.subject)
    }
}

fn shorten(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MAX_TEXT_CHARS).map(printable).collect()
}

/// Finds the problems in the report of a health board, on this machine.
#[must_use]
pub fn find_part_problems(parts: &[PartReport], balancer: &str) -> Vec<FoundProblem> {
    let to_problem = |part: &PartReport| {
        let kind = match part.status() {
            "failed" if part.since_s >= MIN_FAILED_S => ProblemKind::PartFailed,
            "warning" => ProblemKind::PartWarning,
            _ => return None,
        };
        let subject = format!("{} of {balancer}", part.name);
        Some(FoundProblem::new(kind, part.name, &subject, part.detail().unwrap_or_default()))
    };
    parts.iter().filter_map(to_problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::PartHealth;

    #[test]
    fn a_part_that_fails_for_some_seconds_is_a_problem() {
        let part = |name, health, since_s| PartReport { name, health: Some(health), since_s };
        let failed = || PartHealth::Failed("away\nfor long".to_owned());
        let parts = [
            part("store", failed(), 5),
            part("spool", failed(), 4),
            part("disk", PartHealth::Warning("little space".to_owned()), 0),
            part("poller", PartHealth::Ok, 9),
            PartReport { name: "new", health: None, since_s: 9 },
        ];
        let found = find_part_problems(&parts, "lb1");
        let found: Vec<_> =
            found.iter().map(|problem| (problem.what(), problem.reason.as_str())).collect();
        let expected = [
            ("store of lb1 has failed.".to_owned(), "away for long"),
            ("disk of lb1 needs attention.".to_owned(), "little space"),
        ];
        assert_eq!(found, expected);
    }
}
