//! Why meetings are where they are, and where a new one would go.

use domain::MeetingKey;
use domain::booking::{Newcomer, Quotes, Source};
use domain::parameters::wanted_tag;
use domain::placement::{Ask, Exclusion, Refusal, TagRequest, candidates, choose, seed};
use domain::{Server, ServerId};

use crate::context::App;
use crate::planner;
use crate::ports::StoreError;

/// A meeting that does not come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supposed {
    /// Its id; without one it is none that is known.
    pub id: Option<String>,
    /// Its tenant's id.
    pub tenant: Option<String>,
    /// The number of users that its front-end announces.
    pub size: Option<u32>,
    /// `meta_server-tag`, if it is given.
    pub tag: Option<String>,
}

/// A server as it looks to that meeting.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The server.
    pub server: Server,
    /// What it would cost to put the meeting there, or why that cannot be.
    pub outcome: Result<f64, Exclusion>,
    /// Its users from now on, every five minutes, if that is foreseen.
    pub curve: Vec<f32>,
}

/// Where the meeting would go, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Seats that are expected of it.
    pub seats: u32,
    /// Where that number comes from.
    pub source: Source,
    /// Its users from now on, every five minutes.
    pub own: Vec<f32>,
    /// Meetings that are expected to be created soon and are larger: they were given places first.
    pub promised: usize,
    /// All servers, the best one first, those that cannot take it last.
    pub looks: Vec<Look>,
    /// The one that gets it, and why; or why none does.
    pub choice: Result<(ServerId, String), Refusal>,
}

/// Where a meeting would be placed now. Nothing is changed.
///
/// # Errors
/// When the store fails.
pub async fn explain(app: &App, supposed: &Supposed) -> Result<Explained, StoreError> {
    planner::refresh(app).await?;
    let servers = app.cluster.servers().await?;
    let id = supposed.id.clone().unwrap_or_default();
    let key = MeetingKey { tenant: supposed.tenant.clone(), id };
    let known_as = app.policy.known_as(&key);
    let newcomer = Newcomer { key: &known_as, hint: supposed.size, users_max: None };
    let now = app.clock.now();
    let forecast = planner::forecast(app, &newcomer, now);
    let tags = wanted_tag(supposed.tag.as_deref(), &app.policy.create_rules).unwrap_or_default();
    let ask = Ask {
        tags: TagRequest::parse(tags),
        seats: forecast.seats,
        source: forecast.source,
        seed: seed(&key.id),
        now,
        avoid: Vec::new(),
        others: Vec::new(),
        rules: app.policy.placement,
        prices: forecast.prices,
    };
    let choice = choose(&servers, &ask).map(|choice| (choice.server.id.clone(), choice.reason));
    let mut looks: Vec<Look> = candidates(&servers, &ask)
        .into_iter()
        .map(|one| Look {
            curve: curve(&forecast.quotes, &one.server.id),
            server: one.server.clone(),
            outcome: one.outcome,
        })
        .collect();
    let chosen = choice.as_ref().ok().map(|(id, _)| id.clone());
    looks.sort_by(|a, b| {
        let order = |look: &Look| (look.outcome.is_err(), Some(&look.server.id) != chosen.as_ref());
        let cost = |look: &Look| look.outcome.unwrap_or(0.0);
        order(a).cmp(&order(b)).then(cost(a).total_cmp(&cost(b)))
    });
    Ok(Explained {
        seats: forecast.seats,
        source: forecast.source,
        own: forecast.quotes.own.points().to_vec(),
        promised: forecast.quotes.promised,
        looks,
        choice,
    })
}

fn curve(quotes: &Quotes, id: &ServerId) -> Vec<f32> {
    let offer = quotes.offers.iter().find(|offer| offer.server == *id);
    offer.map(|offer| offer.load.points().to_vec()).unwrap_or_default()
}

/// What a server carries and will carry.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outlook {
    /// Seats that are kept for young meetings, beyond the users that they have.
    pub reserve: f64,
    /// Seats that meetings take which are expected to be created soon.
    pub promised: f64,
    /// The highest load that is foreseen for the next two hours.
    pub effective: f64,
}

/// What each of these servers carries and will carry.
///
/// # Errors
/// When the store fails.
pub async fn outlook(app: &App, servers: &[Server]) -> Result<Vec<Outlook>, StoreError> {
    planner::refresh(app).await?;
    let foreseen = planner::outlook(app, app.clock.now());
    let of = |server: &Server| {
        let reserve = (server.seats() - f64::from(server.stats.users)).max(0.0);
        let load = server.load.unwrap_or(0.0);
        let (promised, peak) = foreseen.get(&server.id).copied().unwrap_or((0.0, 0.0));
        let effective = load.max(peak * server.load_multiplier);
        Outlook { reserve, promised, effective }
    };
    Ok(servers.iter().map(of).collect())
}
