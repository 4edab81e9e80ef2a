//! The rules that no run may break, each in a function of its own that says what is wrong. Some
//! look at every change of the store, some at what a use case answered, some at the quiet end.

mod final_state;
pub(crate) mod join_redirects;
pub(crate) mod start_and_end;
mod store_changes;
pub(crate) mod use_case_results;

use app::api::ApiError;
use bytes::Bytes;
use domain::{ServerId, Timestamp};

use super::expectations::{Expectations, StoreSnapshot};
use super::rules::Rules;
use super::scenario::Scenario;
use super::sim_run::{SimRun, SimServers};
use super::use_case::UseCase;

/// What a checker says: what is wrong, if anything is.
pub(crate) type CheckResult = Result<(), String>;

/// A change of the store.
pub(crate) struct StoreChange<'a> {
    /// The store before.
    pub(crate) before: &'a StoreSnapshot,
    /// The store after.
    pub(crate) after: &'a StoreSnapshot,
    /// What has happened so far.
    pub(crate) expectations: &'a Expectations,
    /// Whose change it is.
    pub(crate) use_case: &'a UseCase,
    /// Which operation.
    pub(crate) operation: &'static str,
    /// When.
    pub(crate) now: Timestamp,
    /// The servers as they really are.
    pub(crate) servers: &'a SimServers,
    /// What is expected.
    pub(crate) rules: &'a Rules,
}

/// What a use case answered.
pub(crate) enum UseCaseOutcome {
    /// `create`.
    Created(Result<Bytes, ApiError>),
    /// `join`: where the browser is sent.
    Joined(Result<String, ApiError>),
    /// `end`.
    Ended(Result<Bytes, ApiError>),
    /// `isMeetingRunning`.
    RunningChecked(Result<Bytes, ApiError>),
    /// `getMeetingInfo`.
    InfoReturned(Result<Bytes, ApiError>),
    /// `getMeetings`.
    Listed(Result<Bytes, ApiError>),
    /// An administrator's action.
    Administered(Result<(), String>),
}

impl UseCaseOutcome {
    fn error(&self) -> Option<String> {
        match self {
            Self::Created(Err(error))
            | Self::Joined(Err(error))
            | Self::Ended(Err(error))
            | Self::RunningChecked(Err(error))
            | Self::InfoReturned(Err(error))
            | Self::Listed(Err(error)) => Some(error.to_string()),
            Self::Administered(Err(error)) => Some(error.clone()),
            _ => None,
        }
    }

    /// For a trace.
    #[must_use]
    pub(crate) fn summary(&self) -> String {
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
            (Self::Administered(_), true) => "administered",
            (Self::Administered(_), false) => "administration failed",
            (_, true) => "asked",
            (_, false) => "asked in vain",
        }
    }
}

/// A use case that is over.
pub(crate) struct FinishedUseCase<'a> {
    /// The world.
    pub(crate) sim: &'a SimRun,
    /// The use case.
    pub(crate) use_case: &'a UseCase,
    /// The server that it names in the log.
    pub(crate) server: Option<&'a ServerId>,
    /// What it answered.
    pub(crate) outcome: &'a UseCaseOutcome,
}

/// The end of a run, when all has been well for a while.
pub(crate) struct FinalState<'a> {
    /// The store.
    pub(crate) store: &'a StoreSnapshot,
    /// What has happened.
    pub(crate) expectations: &'a Expectations,
    /// The servers as they really are.
    pub(crate) servers: &'a SimServers,
    /// What is expected.
    pub(crate) rules: &'a Rules,
    /// What the run was like.
    pub(crate) scenario: &'a Scenario,
    /// The time.
    pub(crate) now: Timestamp,
    /// Use cases that still run.
    pub(crate) running_calls: usize,
}

type StoreChangeChecker = fn(&StoreChange<'_>) -> CheckResult;
type UseCaseChecker = fn(&FinishedUseCase<'_>) -> CheckResult;
type FinalStateChecker = fn(&FinalState<'_>) -> CheckResult;

/// Checkers of changes.
pub(crate) const STORE_CHANGE_CHECKERS: &[(&str, StoreChangeChecker)] = &[
    ("loads_are_never_negative", store_changes::loads_are_never_negative),
    ("voice_bridges_are_unique", store_changes::voice_bridges_are_unique),
    ("claims_run_out_soon", store_changes::claims_run_out_soon),
    ("places_are_on_open_servers", store_changes::places_are_on_open_servers),
    ("places_are_counted", store_changes::places_are_counted),
    ("running_meetings_are_not_forgotten", store_changes::running_meetings_are_not_forgotten),
];

/// Checkers of answers.
pub(crate) const USE_CASE_CHECKERS: &[(&str, UseCaseChecker)] = &[
    ("created_meetings_exist", use_case_results::created_meetings_exist),
    ("created_meetings_are_recorded", use_case_results::created_meetings_are_recorded),
    ("failed_creates_leave_nothing", use_case_results::failed_creates_leave_nothing),
    ("joins_go_where_the_record_says", use_case_results::joins_go_where_the_record_says),
    ("ended_meetings_are_gone", use_case_results::ended_meetings_are_gone),
    ("running_meetings_are_called_running", use_case_results::running_meetings_are_called_running),
    ("tenants_see_their_own", use_case_results::tenants_see_their_own),
];

/// Checkers of the quiet end.
pub(crate) const FINAL_STATE_CHECKERS: &[(&str, FinalStateChecker)] = &[
    ("all_use_cases_have_ended", final_state::all_use_cases_have_ended),
    ("servers_are_online_again", final_state::servers_are_online_again),
    ("meetings_live_once", final_state::meetings_live_once),
    ("loads_are_facts", final_state::loads_are_facts),
    ("no_claims_are_left", final_state::no_claims_are_left),
    ("running_meetings_are_known", final_state::running_meetings_are_known),
    ("records_are_true", final_state::records_are_true),
    ("ended_meetings_stay_ended", final_state::ended_meetings_stay_ended),
    ("servers_are_all_there", final_state::servers_are_all_there),
    ("running_voice_bridges_are_unique", final_state::running_voice_bridges_are_unique),
];
