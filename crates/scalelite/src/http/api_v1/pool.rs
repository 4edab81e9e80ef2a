//! The pool as a whole: its numbers, polls, readiness, checks, settings.

use app::admin::doctor;
use app::admin::monitoring::count_pool;
use app::poll;
use app::ports::Finding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Call, Reply};
use super::input::Nothing;
use super::problem::Problem;
use crate::http::administration::ShownSetting;

/// The pool in numbers.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PoolStatus")]
pub(super) struct StatusView {
    /// The version of the balancer.
    version: &'static str,
    /// Servers that are enabled.
    enabled_servers: usize,
    /// Host names of enabled servers that are offline.
    offline: Vec<String>,
    meetings: u64,
    users: u64,
    /// The load of all enabled servers that are online.
    load: f64,
    /// How long ago the last poll cycle began.
    poll_age_ms: Option<i64>,
    /// How often the servers are polled.
    poll_interval_ms: i64,
}

pub(super) async fn status(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<StatusView>, Problem> {
    let numbers = count_pool(call.app()).await?;
    let view = StatusView {
        version: env!("CARGO_PKG_VERSION"),
        enabled_servers: numbers.enabled,
        offline: numbers.offline,
        meetings: numbers.meetings,
        users: numbers.users,
        load: numbers.load,
        poll_age_ms: numbers.poll_age_ms,
        poll_interval_ms: call.state.administration.poll_interval_ms,
    };
    Ok(view.into())
}

/// What a poll reads.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum PolledParts {
    /// Everything.
    #[default]
    All,
    /// Health, load, statistics and meetings.
    Servers,
    /// Versions.
    Versions,
}

/// A poll of all servers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Poll")]
pub(super) struct PollBody {
    #[serde(default)]
    target: PolledParts,
}

/// What a poll found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PollResult")]
pub(super) struct PollView {
    /// Servers that answered.
    answered: usize,
    /// Servers that did not.
    failed: usize,
    /// Meetings that were forgotten.
    forgotten: usize,
}

pub(super) async fn poll_all(
    call: Call,
    _: Nothing,
    body: PollBody,
) -> Result<Reply<PollView>, Problem> {
    let app = call.app();
    if body.target == PolledParts::Versions {
        poll::refresh_versions(app).await?;
        return Ok(PollView { answered: 0, failed: 0, forgotten: 0 }.into());
    }
    let summary = poll::poll_all_servers(app, body.target == PolledParts::All, None).await?;
    let poll::PollSummary { answered, failed, forgotten } = summary;
    Ok(PollView { answered, failed, forgotten }.into())
}

/// Whether the process has what it needs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Readiness")]
pub(super) struct ReadinessView {
    ready: bool,
    parts: Vec<PartView>,
}

/// A part of what the process needs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Part")]
struct PartView {
    name: &'static str,
    status: &'static str,
    /// For how long it has been so.
    since_s: u64,
    detail: Option<String>,
}

/// Which parts count.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadinessQuery {
    /// Parts that do not count, with commas between them.
    #[schemars(length(max = 1000))]
    exclude: Option<String>,
}

pub(super) async fn readiness(
    call: Call,
    query: ReadinessQuery,
    _: Nothing,
) -> Result<Reply<ReadinessView>, Problem> {
    let parts = call.state.health.report();
    let excluded = query.exclude.unwrap_or_default();
    let is_excluded = |name: &str| excluded.split(',').any(|it| it.trim() == name);
    let view = ReadinessView {
        ready: parts.iter().all(|part| part.is_usable() || is_excluded(part.name)),
        parts: parts
            .iter()
            .map(|part| PartView {
                name: part.name,
                status: part.status(),
                since_s: part.since_s,
                detail: part.detail().map(str::to_owned),
            })
            .collect(),
    };
    Ok(view.into())
}

/// What a check found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
struct FindingView {
    /// What was checked.
    check: String,
    /// ok, warn, fail or skipped.
    level: &'static str,
    detail: String,
    /// What to do.
    advice: Option<String>,
}

/// What the checks of stores and servers found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Findings")]
pub(super) struct FindingsView {
    findings: Vec<FindingView>,
}

pub(super) async fn run_checks(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<FindingsView>, Problem> {
    let findings = match &call.state.administration.checks {
        Some(checks) => checks.run_checks().await,
        None => doctor::check_servers(call.app()).await,
    };
    let view = |finding: Finding| FindingView {
        check: finding.check,
        level: finding.level.name(),
        detail: finding.detail,
        advice: finding.advice,
    };
    Ok(FindingsView { findings: findings.into_iter().map(view).collect() }.into())
}

/// The settings in effect.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Settings")]
pub(super) struct SettingsView {
    settings: Vec<ShownSetting>,
}

pub(super) async fn show_settings(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<SettingsView>, Problem> {
    Ok(SettingsView { settings: call.state.administration.settings.to_vec() }.into())
}
