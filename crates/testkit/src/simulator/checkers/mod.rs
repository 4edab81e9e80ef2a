//! The rules that no run may break, each in a function of its own that says what is wrong. Some
//! look at every change of the store, some at what a use case answered, some at the quiet end.

pub(crate) mod begun;
pub(crate) mod done;
pub(crate) mod landing;
mod quiet;
mod step;

use app::api::ApiError;
use bytes::Bytes;
use domain::{ServerId, Timestamp};

use super::ledger::{Ledger, Snapshot};
use super::op::Op;
use super::rules::Rules;
use super::scenario::Scenario;
use super::world::{Machines, World};

/// What a checker says: what is wrong, if anything is.
pub(crate) type Verdict = Result<(), String>;

/// A change of the store.
pub(crate) struct Step<'a> {
    /// The store before.
    pub(crate) before: &'a Snapshot,
    /// The store after.
    pub(crate) after: &'a Snapshot,
    /// What has happened so far.
    pub(crate) ledger: &'a Ledger,
    /// Whose change it is.
    pub(crate) op: &'a Op,
    /// Which operation.
    pub(crate) call: &'static str,
    /// When.
    pub(crate) now: Timestamp,
    /// The servers as they really are.
    pub(crate) machines: &'a Machines,
    /// What is expected.
    pub(crate) rules: &'a Rules,
}

/// What a use case answered.
pub(crate) enum Outcome {
    /// `create`.
    Created(Result<Bytes, ApiError>),
    /// `join`: where the browser is sent.
    Joined(Result<String, ApiError>),
    /// `end`.
    Ended(Result<Bytes, ApiError>),
    /// `isMeetingRunning`.
    Running(Result<Bytes, ApiError>),
    /// `getMeetingInfo`.
    Info(Result<Bytes, ApiError>),
    /// `getMeetings`.
    Listed(Result<Bytes, ApiError>),
    /// An administrator's action.
    Done(Result<(), String>),
}

impl Outcome {
    fn error(&self) -> Option<String> {
        match self {
            Self::Created(Err(error))
            | Self::Joined(Err(error))
            | Self::Ended(Err(error))
            | Self::Running(Err(error))
            | Self::Info(Err(error))
            | Self::Listed(Err(error)) => Some(error.to_string()),
            Self::Done(Err(error)) => Some(error.clone()),
            _ => None,
        }
    }

    /// For a trace.
    #[must_use]
    pub(crate) fn brief(&self) -> String {
        self.error().map_or_else(|| "ok".to_owned(), |error| format!("failed, {error}"))
    }

    /// For counting.
    #[must_use]
    pub(crate) fn name(&self) -> &'static str {
        match (self, self.error().is_none()) {
            (Self::Created(_), true) => "created",
            (Self::Created(_), false) => "create failed",
            (Self::Joined(_), true) => "joined",
            (Self::Joined(_), false) => "join failed",
            (Self::Ended(_), true) => "ended",
            (Self::Ended(_), false) => "end failed",
            (Self::Done(_), true) => "administered",
            (Self::Done(_), false) => "administration failed",
            (_, true) => "asked",
            (_, false) => "asked in vain",
        }
    }
}

/// A use case that is over.
pub(crate) struct Done<'a> {
    /// The world.
    pub(crate) world: &'a World,
    /// The use case.
    pub(crate) op: &'a Op,
    /// The server that it names in the log.
    pub(crate) server: Option<&'a ServerId>,
    /// What it answered.
    pub(crate) outcome: &'a Outcome,
}

/// The end of a run, when all has been well for a while.
pub(crate) struct Quiet<'a> {
    /// The store.
    pub(crate) store: &'a Snapshot,
    /// What has happened.
    pub(crate) ledger: &'a Ledger,
    /// The servers as they really are.
    pub(crate) machines: &'a Machines,
    /// What is expected.
    pub(crate) rules: &'a Rules,
    /// What the run was like.
    pub(crate) scenario: &'a Scenario,
    /// The time.
    pub(crate) now: Timestamp,
    /// Use cases that still run.
    pub(crate) under_way: usize,
}

type StepRule = fn(&Step<'_>) -> Verdict;
type DoneRule = fn(&Done<'_>) -> Verdict;
type QuietRule = fn(&Quiet<'_>) -> Verdict;

/// Checkers of changes.
pub(crate) const STEP: &[(&str, StepRule)] = &[
    ("loads_are_never_negative", step::loads_are_never_negative),
    ("voice_bridges_are_unique", step::voice_bridges_are_unique),
    ("claims_run_out_soon", step::claims_run_out_soon),
    ("places_are_on_open_servers", step::places_are_on_open_servers),
    ("places_are_counted", step::places_are_counted),
    ("running_meetings_are_not_forgotten", step::running_meetings_are_not_forgotten),
];

/// Checkers of answers.
pub(crate) const DONE: &[(&str, DoneRule)] = &[
    ("created_meetings_exist", done::created_meetings_exist),
    ("created_meetings_are_recorded", done::created_meetings_are_recorded),
    ("failed_creates_leave_nothing", done::failed_creates_leave_nothing),
    ("joins_go_where_the_record_says", done::joins_go_where_the_record_says),
    ("ended_meetings_are_gone", done::ended_meetings_are_gone),
    ("running_meetings_are_called_running", done::running_meetings_are_called_running),
    ("tenants_see_their_own", done::tenants_see_their_own),
];

/// Checkers of the quiet end.
pub(crate) const QUIET: &[(&str, QuietRule)] = &[
    ("all_use_cases_have_ended", quiet::all_use_cases_have_ended),
    ("servers_are_online_again", quiet::servers_are_online_again),
    ("meetings_live_once", quiet::meetings_live_once),
    ("loads_are_facts", quiet::loads_are_facts),
    ("no_claims_are_left", quiet::no_claims_are_left),
    ("running_meetings_are_known", quiet::running_meetings_are_known),
    ("records_are_true", quiet::records_are_true),
    ("ended_meetings_stay_ended", quiet::ended_meetings_stay_ended),
    ("servers_are_all_there", quiet::servers_are_all_there),
    ("running_voice_bridges_are_unique", quiet::running_voice_bridges_are_unique),
];
