//! The rules that no run may break. Each rule is a function that returns what is wrong. Some rules
//! apply to every change of the store, some to the results of use cases, some to the final state.

pub(crate) mod claims;
pub(crate) mod clocks;
pub(crate) mod ends;
mod final_state;
pub(crate) mod foreign;
pub(crate) mod join_redirects;
pub(crate) mod revivals;
pub(crate) mod slow_servers;
pub(crate) mod start_and_end;
mod store_changes;
pub(crate) mod told_ends;
mod twins;
pub(crate) mod use_case_results;

use std::collections::BTreeSet;

use app::api::ApiError;
use bytes::Bytes;
use domain::{MeetingKey, ServerId, Timestamp};

use super::entries::SimServers;
use super::expectations::{Expectations, StoreSnapshot};
use super::rules::Rules;
use super::scenario::Scenario;
use super::sim_run::SimRun;
use super::use_case::UseCase;

/// How much the clocks of replicas and servers may differ in all, in ms: twice what one of them is wrong.
const MAX_SKEW_MS: i64 = 10_000;

/// The result of a checker; the error says what is wrong.
pub(crate) type CheckResult = Result<(), String>;

/// A change of the store.
pub(crate) struct StoreChange<'a> {
    /// The store before the change.
    pub(crate) before: &'a StoreSnapshot,
    /// The store after the change.
    pub(crate) after: &'a StoreSnapshot,
    /// What has happened so far.
    pub(crate) expectations: &'a Expectations,
    /// The use case that made the change.
    pub(crate) use_case: &'a UseCase,
    /// The operation of the store.
    pub(crate) operation: &'static str,
    /// The true time.
    pub(crate) now: Timestamp,
    /// The simulated servers.
    pub(crate) servers: &'a SimServers,
    /// The limits of the rules.
    pub(crate) rules: &'a Rules,
}

/// The result of a use case.
pub(crate) enum UseCaseOutcome {
    /// `create`.
    Created(Result<Bytes, ApiError>),
    /// `join`: the URL to which the browser is redirected.
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

    /// Returns the text that the trace shows.
    #[must_use]
    pub(crate) fn summary(&self) -> String {
        self.error().map_or_else(|| "ok".to_owned(), |error| format!("failed, {error}"))
    }

    /// Returns the name under which the result is counted.
    #[must_use]
    pub(crate) fn name(&self) -> &'static str {
        match (self, self.error().is_none()) {
            (Self::Created(_), true) => "creates",
            (Self::Created(_), false) => "failed creates",
            (Self::Joined(_), true) => "joins",
            (Self::Joined(_), false) => "failed joins",
            (Self::Ended(_), true) => "ends",
            (Self::Ended(_), false) => "failed ends",
            (Self::Administered(_), true) => "administrative actions",
            (Self::Administered(_), false) => "failed administrative actions",
            (_, true) => "queries",
            (_, false) => "failed queries",
        }
    }
}

/// A use case that has ended.
pub(crate) struct FinishedUseCase<'a> {
    /// The run.
    pub(crate) sim: &'a SimRun,
    /// The use case.
    pub(crate) use_case: &'a UseCase,
    /// The server that its request log names.
    pub(crate) server: Option<&'a ServerId>,
    /// Its result.
    pub(crate) outcome: &'a UseCaseOutcome,
}

/// The state at the end of a run, after some time without faults.
pub(crate) struct FinalState<'a> {
    /// The content of the store.
    pub(crate) store: &'a StoreSnapshot,
    /// What has happened.
    pub(crate) expectations: &'a Expectations,
    /// The simulated servers.
    pub(crate) servers: &'a SimServers,
    /// The limits of the rules.
    pub(crate) rules: &'a Rules,
    /// The scenario of the run.
    pub(crate) scenario: &'a Scenario,
    /// The true time.
    pub(crate) now: Timestamp,
    /// Meetings whose end is not told yet for a reason.
    pub(crate) excused_ends: BTreeSet<MeetingKey>,
    /// Number of calls of front-ends and administrators that are still running.
    pub(crate) running_calls: usize,
}

type StoreChangeChecker = fn(&StoreChange<'_>) -> CheckResult;
type UseCaseChecker = fn(&FinishedUseCase<'_>) -> CheckResult;
type FinalStateChecker = fn(&FinalState<'_>) -> CheckResult;

/// Checkers that run after every change of the store.
pub(crate) const STORE_CHANGE_CHECKERS: &[(&str, StoreChangeChecker)] = &[
    ("loads_are_never_negative", store_changes::loads_are_never_negative),
    ("voice_bridges_are_unique", store_changes::voice_bridges_are_unique),
    ("claims_run_out_soon", store_changes::claims_run_out_soon),
    ("places_are_on_open_servers", store_changes::places_are_on_open_servers),
    ("places_are_counted", store_changes::places_are_counted),
    ("running_meetings_are_not_forgotten", store_changes::running_meetings_are_not_forgotten),
    ("slow_servers_stay_sound", slow_servers::slow_servers_stay_sound),
    ("claims_move_nothing", claims::claims_move_nothing),
    ("floods_are_not_adopted", claims::floods_are_not_adopted),
];

/// Checkers that run when a use case has ended.
pub(crate) const USE_CASE_CHECKERS: &[(&str, UseCaseChecker)] = &[
    ("created_meetings_exist", use_case_results::created_meetings_exist),
    ("created_meetings_are_recorded", use_case_results::created_meetings_are_recorded),
    ("failed_creates_leave_nothing", use_case_results::failed_creates_leave_nothing),
    ("joins_go_where_the_record_says", use_case_results::joins_go_where_the_record_says),
    ("ended_meetings_are_gone", use_case_results::ended_meetings_are_gone),
    ("running_meetings_are_called_running", use_case_results::running_meetings_are_called_running),
    ("tenants_see_their_own", use_case_results::tenants_see_their_own),
    ("joins_survive_dead_servers", revivals::joins_survive_dead_servers),
    ("meetings_are_listed_once", twins::meetings_are_listed_once),
    ("urls_are_listed_once", twins::urls_are_listed_once),
    ("dead_servers_are_offline", clocks::dead_servers_are_offline),
];

/// Checkers that run at the end of a run.
pub(crate) const FINAL_STATE_CHECKERS: &[(&str, FinalStateChecker)] = &[
    ("all_use_cases_have_ended", final_state::all_use_cases_have_ended),
    ("servers_are_online_again", final_state::servers_are_online_again),
    ("meetings_live_once", final_state::meetings_live_once),
    ("loads_are_facts", final_state::loads_are_facts),
    ("twins_count_once", twins::twins_count_once),
    ("no_claims_are_left", final_state::no_claims_are_left),
    ("running_meetings_are_known", final_state::running_meetings_are_known),
    ("records_are_true", final_state::records_are_true),
    ("ended_meetings_stay_ended", final_state::ended_meetings_stay_ended),
    ("revived_meetings_stay_ended", revivals::revived_meetings_stay_ended),
    ("servers_are_all_there", final_state::servers_are_all_there),
    ("ends_are_told", told_ends::ends_are_told),
    ("running_voice_bridges_are_unique", final_state::running_voice_bridges_are_unique),
];
