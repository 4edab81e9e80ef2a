//! Explains where meetings are placed, and forecasts the load of servers.

use domain::forecast::{CostEstimate, ExpectedUsersSource};
use domain::placement::{ExclusionReason, PlacementRefusal, choose_server, evaluate_candidates};
use domain::{MeetingKey, Server, ServerId};

use crate::context::App;
use crate::forecaster;
use crate::placement::{PlacementInput, plan_placement};
use crate::ports::StoreError;
use crate::tenancy::Caller;

/// A meeting that is placed on trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HypotheticalMeeting {
    /// Its id; `None` for a meeting without history.
    pub id: Option<String>,
    /// Its tenant's id.
    pub tenant: Option<String>,
    /// The number of users that its front-end announces.
    pub announced_users: Option<u32>,
    /// `meta_server-tag`, if it is given.
    pub tag: Option<String>,
}

/// A server as a candidate for the meeting.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerEvaluation {
    /// The server.
    pub server: Server,
    /// The cost of the meeting there, or why it cannot go there.
    pub outcome: Result<f64, ExclusionReason>,
    /// The server's users from now on, every five minutes, as forecast; empty without a forecast.
    pub user_curve: Vec<f32>,
}

/// Where the meeting would go, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacementExplanation {
    /// Users that the meeting is expected to draw.
    pub expected_users: u32,
    /// Where that number comes from.
    pub source: ExpectedUsersSource,
    /// Its users from now on, every five minutes.
    pub user_curve: Vec<f32>,
    /// Number of larger meetings that are expected to be created soon and were placed first.
    pub expected_meetings: usize,
    /// All servers: the best one first, those that cannot take the meeting last.
    pub evaluations: Vec<ServerEvaluation>,
    /// The server that gets the meeting and why, or why none does.
    pub choice: Result<(ServerId, String), PlacementRefusal>,
}

/// Explains where a meeting would be placed now, by the very criteria of a create. Nothing is changed.
///
/// # Errors
/// When the store fails.
pub async fn explain_placement(
    app: &App,
    meeting: &HypotheticalMeeting,
) -> Result<PlacementExplanation, StoreError> {
    forecaster::refresh(app).await?;
    let servers = app.pool.list_servers().await?;
    let caller = find_caller(app, meeting.tenant.as_deref()).await?;
    let key =
        MeetingKey { tenant: meeting.tenant.clone(), id: meeting.id.clone().unwrap_or_default() };
    let input = PlacementInput {
        key: &key,
        tag: meeting.tag.as_deref(),
        size_hint: meeting.announced_users,
        max_users: None,
        rules: caller.create_rules(&app.policy),
    };
    let (criteria, forecast) = plan_placement(app, &input, app.clock.now());
    let choice =
        choose_server(&servers, &criteria).map(|choice| (choice.server.id.clone(), choice.reason));
    let mut evaluations: Vec<ServerEvaluation> = evaluate_candidates(&servers, &criteria)
        .into_iter()
        .map(|candidate| ServerEvaluation {
            user_curve: find_user_curve(&forecast.estimate, &candidate.server.id),
            server: candidate.server.clone(),
            outcome: candidate.outcome,
        })
        .collect();
    let chosen = choice.as_ref().ok().map(|(id, _)| id.clone());
    evaluations.sort_by(|a, b| {
        let order = |evaluation: &ServerEvaluation| {
            (evaluation.outcome.is_err(), Some(&evaluation.server.id) != chosen.as_ref())
        };
        let cost = |evaluation: &ServerEvaluation| evaluation.outcome.unwrap_or(0.0);
        order(a).cmp(&order(b)).then(cost(a).total_cmp(&cost(b)))
    });
    Ok(PlacementExplanation {
        expected_users: forecast.expected_users,
        source: forecast.source,
        user_curve: forecast.estimate.own_load.points().to_vec(),
        expected_meetings: forecast.estimate.upcoming_placed,
        evaluations,
        choice,
    })
}

/// The caller whose rules apply: the tenant of that id, or the one without multitenancy.
async fn find_caller(app: &App, tenant_id: Option<&str>) -> Result<Caller, StoreError> {
    let Some(id) = tenant_id else { return Ok(Caller::default()) };
    let Some(tenant) = app.tenants.find_tenant(id).await? else { return Ok(Caller::default()) };
    Ok(app.tenant_cache.find_caller(&tenant.name).await?.unwrap_or_default())
}

fn find_user_curve(estimate: &CostEstimate, id: &ServerId) -> Vec<f32> {
    let candidate = estimate.candidates.iter().find(|candidate| candidate.server == *id);
    candidate.map(|candidate| candidate.load.points().to_vec()).unwrap_or_default()
}

/// What a server carries and is expected to carry.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerOutlook {
    /// Users that young meetings are still expected to draw, beyond those that are there.
    pub expected_users: f64,
    /// Users of meetings that are expected to be created soon.
    pub upcoming_users: f64,
    /// The highest load forecast for the next two hours, or the present one if that is higher.
    pub expected_load: f64,
}

/// Forecasts the load of each of these servers.
///
/// # Errors
/// When the store fails.
pub async fn forecast_servers(
    app: &App,
    servers: &[Server],
) -> Result<Vec<ServerOutlook>, StoreError> {
    forecaster::refresh(app).await?;
    let forecast = forecaster::forecast_server_users(app, app.clock.now());
    let outlook = |server: &Server| {
        let expected_users = (server.counted_users() - f64::from(server.stats.users)).max(0.0);
        let users = forecast.get(&server.id).copied().unwrap_or_default();
        let load = server.load.unwrap_or(0.0);
        let expected_load = load.max(users.peak * server.load_multiplier);
        ServerOutlook { expected_users, upcoming_users: users.upcoming, expected_load }
    };
    Ok(servers.iter().map(outlook).collect())
}
