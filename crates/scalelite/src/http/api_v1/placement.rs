//! Where meetings were placed and why, and where one would be placed now.

use app::admin::placement::{
    HypotheticalMeeting, PlacementExplanation, ServerEvaluation, explain_placement,
};
use domain::Timestamp;
use domain::placement::{ExclusionReason, PlacementRefusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Call, Reply};
use super::input::Nothing;
use super::meetings::{TenantQuery, find};
use super::problem::Problem;

/// Minutes between two points of a curve of users.
const STEP_MINUTES: u32 = 5;

/// A server as a candidate.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PlacementCandidate")]
struct CandidateView {
    server: String,
    host: String,
    /// online, suspect, offline or probation.
    health: &'static str,
    /// 0 for servers that are used first.
    tier: u32,
    /// What its fullest moment will be with the meeting on it; lower is better.
    cost: Option<f64>,
    /// Why the meeting cannot go there.
    #[schemars(with = "Option<String>")]
    excluded: Option<ExclusionReason>,
    users: u32,
    load: Option<f64>,
    /// Its users from now on, as forecast.
    expected_users: Vec<f32>,
}

/// Where a meeting would be placed now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Placement")]
pub(super) struct PlacementView {
    /// The server; absent if none accepts the meeting.
    server: Option<String>,
    /// Why there, or why nowhere.
    reason: String,
    /// Users that the meeting is expected to draw.
    expected_users: u32,
    /// Where that number comes from.
    source: String,
    /// Its users from now on, as forecast.
    own_users: Vec<f32>,
    /// Larger meetings that are expected soon and were placed first.
    expected_meetings_before: usize,
    /// Minutes between two points of the curves.
    step_minutes: u32,
    /// The best one first, those that cannot take the meeting last.
    candidates: Vec<CandidateView>,
}

fn describe_refusal(refusal: &PlacementRefusal) -> String {
    match refusal {
        PlacementRefusal::TagUnavailable(tag) => {
            format!("no server with the required tag {tag} is available")
        }
        PlacementRefusal::Full => "all available servers have reached their limits".to_owned(),
        PlacementRefusal::NoServer => "no server is available".to_owned(),
    }
}

fn view(explanation: PlacementExplanation, now: Timestamp) -> PlacementView {
    let candidate = |evaluation: ServerEvaluation| CandidateView {
        host: evaluation.server.hostname().to_owned(),
        health: evaluation.server.health.state(now).name(),
        tier: evaluation.server.limits.tier,
        cost: evaluation.outcome.ok().filter(|cost| cost.is_finite()),
        excluded: evaluation.outcome.err(),
        users: evaluation.server.stats.users,
        load: evaluation.server.load,
        expected_users: evaluation.user_curve,
        server: evaluation.server.id.0,
    };
    let (server, reason) = match explanation.choice {
        Ok((id, reason)) => (Some(id.0), reason),
        Err(refusal) => (None, describe_refusal(&refusal)),
    };
    PlacementView {
        server,
        reason,
        expected_users: explanation.expected_users,
        source: explanation.source.name().to_owned(),
        own_users: explanation.user_curve,
        expected_meetings_before: explanation.expected_meetings,
        step_minutes: STEP_MINUTES,
        candidates: explanation.evaluations.into_iter().map(candidate).collect(),
    }
}

/// A meeting that is placed on trial.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TrialQuery {
    /// Users that its front-end announces.
    #[schemars(range(max = 100_000))]
    size: Option<u32>,
    /// The tag that it asks for.
    #[schemars(length(max = 255))]
    tag: Option<String>,
    /// The id of the meeting, of which sessions may be known.
    #[schemars(length(max = 1000))]
    meeting: Option<String>,
    /// The id of its tenant.
    #[schemars(length(max = 255))]
    tenant: Option<String>,
}

pub(super) async fn try_out(
    call: Call,
    query: TrialQuery,
    _: Nothing,
) -> Result<Reply<PlacementView>, Problem> {
    let hypothetical = HypotheticalMeeting {
        announced_users: query.size,
        tag: query.tag,
        id: query.meeting,
        tenant: query.tenant,
    };
    let app = call.app();
    Ok(view(explain_placement(app, &hypothetical).await?, app.clock.now()).into())
}

/// Where a meeting is, why, and where it would be placed now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MeetingPlacement")]
pub(super) struct MeetingPlacementView {
    server: String,
    host: String,
    /// Why it was placed there.
    reason: String,
    /// Where it would be placed now.
    now: PlacementView,
}

pub(super) async fn explain(
    call: Call,
    query: TenantQuery,
    _: Nothing,
) -> Result<Reply<MeetingPlacementView>, Problem> {
    // It shows all servers.
    call.require_all_tenants()?;
    let found = find(&call, &query).await?;
    let key = found.meeting.key;
    let hypothetical = HypotheticalMeeting {
        id: Some(key.id),
        tenant: key.tenant,
        ..HypotheticalMeeting::default()
    };
    let app = call.app();
    let now = view(explain_placement(app, &hypothetical).await?, app.clock.now());
    let view = MeetingPlacementView {
        host: found.server.hostname().to_owned(),
        server: found.server.id.0,
        reason: found.meeting.placement_reason,
        now,
    };
    Ok(view.into())
}
