//! Why meetings are where they are, and where a new one would go.

use domain::MeetingKey;
use domain::forecast::{CostEstimate, ExpectedUsersSource, NewMeeting};
use domain::parameters::effective_tag;
use domain::placement::{
    ExclusionReason, PlacementCriteria, PlacementRefusal, TagRequest, choose_server,
    evaluate_candidates, meeting_seed,
};
use domain::{Server, ServerId};

use crate::context::App;
use crate::forecaster;
use crate::ports::StoreError;

/// A meeting that does not come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HypotheticalMeeting {
    /// Its id; without one it is none that is known.
    pub id: Option<String>,
    /// Its tenant's id.
    pub tenant: Option<String>,
    /// The number of users that its front-end announces.
    pub announced_users: Option<u32>,
    /// `meta_server-tag`, if it is given.
    pub tag: Option<String>,
}

/// A server as it looks to that meeting.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerEvaluation {
    /// The server.
    pub server: Server,
    /// What it would cost to put the meeting there, or why that cannot be.
    pub outcome: Result<f64, ExclusionReason>,
    /// Its users from now on, every five minutes, if that is foreseen.
    pub user_curve: Vec<f32>,
}

/// Where the meeting would go, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacementExplanation {
    /// Seats that are expected of it.
    pub expected_users: u32,
    /// Where that number comes from.
    pub source: ExpectedUsersSource,
    /// Its users from now on, every five minutes.
    pub user_curve: Vec<f32>,
    /// Meetings that are expected to be created soon and are larger: they were given places first.
    pub expected_meetings: usize,
    /// All servers, the best one first, those that cannot take it last.
    pub evaluations: Vec<ServerEvaluation>,
    /// The one that gets it, and why; or why none does.
    pub choice: Result<(ServerId, String), PlacementRefusal>,
}

/// Where a meeting would be placed now. Nothing is changed.
///
/// # Errors
/// When the store fails.
pub async fn explain_placement(
    app: &App,
    supposed: &HypotheticalMeeting,
) -> Result<PlacementExplanation, StoreError> {
    forecaster::refresh(app).await?;
    let servers = app.pool.list_servers().await?;
    let id = supposed.id.clone().unwrap_or_default();
    let key = MeetingKey { tenant: supposed.tenant.clone(), id };
    let known_as = app.policy.history_key(&key);
    let newcomer =
        NewMeeting { key: &known_as, size_hint: supposed.announced_users, max_users: None };
    let now = app.clock.now();
    let forecast = forecaster::forecast_new_meeting(app, &newcomer, now);
    let tags = effective_tag(supposed.tag.as_deref(), &app.policy.create_rules).unwrap_or_default();
    let ask = PlacementCriteria {
        tags: TagRequest::parse(tags),
        expected_users: forecast.expected_users,
        source: forecast.source,
        seed: meeting_seed(&key.id),
        now,
        tried_servers: Vec::new(),
        same_id_servers: Vec::new(),
        rules: app.policy.placement,
        costs: forecast.costs,
    };
    let choice =
        choose_server(&servers, &ask).map(|choice| (choice.server.id.clone(), choice.reason));
    let mut looks: Vec<ServerEvaluation> = evaluate_candidates(&servers, &ask)
        .into_iter()
        .map(|one| ServerEvaluation {
            user_curve: find_user_curve(&forecast.estimate, &one.server.id),
            server: one.server.clone(),
            outcome: one.outcome,
        })
        .collect();
    let chosen = choice.as_ref().ok().map(|(id, _)| id.clone());
    looks.sort_by(|a, b| {
        let order = |look: &ServerEvaluation| {
            (look.outcome.is_err(), Some(&look.server.id) != chosen.as_ref())
        };
        let cost = |look: &ServerEvaluation| look.outcome.unwrap_or(0.0);
        order(a).cmp(&order(b)).then(cost(a).total_cmp(&cost(b)))
    });
    Ok(PlacementExplanation {
        expected_users: forecast.expected_users,
        source: forecast.source,
        user_curve: forecast.estimate.own_load.points().to_vec(),
        expected_meetings: forecast.estimate.upcoming_placed,
        evaluations: looks,
        choice,
    })
}

fn find_user_curve(quotes: &CostEstimate, id: &ServerId) -> Vec<f32> {
    let offer = quotes.candidates.iter().find(|offer| offer.server == *id);
    offer.map(|offer| offer.load.points().to_vec()).unwrap_or_default()
}

/// What a server carries and will carry.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerOutlook {
    /// Seats that are kept for young meetings, beyond the users that they have.
    pub expected_users: f64,
    /// Seats that meetings take which are expected to be created soon.
    pub upcoming_users: f64,
    /// The highest load that is foreseen for the next two hours.
    pub expected_load: f64,
}

/// What each of these servers carries and will carry.
///
/// # Errors
/// When the store fails.
pub async fn forecast_servers(
    app: &App,
    servers: &[Server],
) -> Result<Vec<ServerOutlook>, StoreError> {
    forecaster::refresh(app).await?;
    let foreseen = forecaster::forecast_server_users(app, app.clock.now());
    let of = |server: &Server| {
        let reserve = (server.counted_users() - f64::from(server.stats.users)).max(0.0);
        let load = server.load.unwrap_or(0.0);
        let (promised, peak) = foreseen.get(&server.id).copied().unwrap_or((0.0, 0.0));
        let effective = load.max(peak * server.load_multiplier);
        ServerOutlook {
            expected_users: reserve,
            upcoming_users: promised,
            expected_load: effective,
        }
    };
    Ok(servers.iter().map(of).collect())
}
