//! Which server gets a new meeting, and why.

mod order;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::forecast::ExpectedUsersSource;
use crate::health::HealthState;
use crate::server::{AdminState, Server, ServerId};
use crate::time::Timestamp;

pub use order::meeting_seed;
pub use tags::TagRequest;

/// How servers are compared (`PLACEMENT_POLICY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlacementPolicy {
    /// By the seats that they will have to give in the next two hours, as far as the timetable
    /// tells; see [`crate::forecast`].
    #[default]
    Forecast,
    /// By their load with the new meeting's own seats on it.
    Reserve,
    /// By their load, as the original does.
    Scalelite,
}

impl PlacementPolicy {
    /// `forecast`, `reserve`, `scalelite`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Forecast => "forecast",
            Self::Reserve => "reserve",
            Self::Scalelite => "scalelite",
        }
    }

    /// Reads [`Self::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Forecast, Self::Reserve, Self::Scalelite].into_iter().find(|one| one.name() == name)
    }
}

/// What administrators choose about placement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlacementRules {
    /// How servers are compared.
    pub policy: PlacementPolicy,
    /// Whether requests without a tag may use tagged servers if there are no others
    /// (`UNTAGGED_MAY_USE_TAGGED`).
    pub untagged_may_use_tagged: bool,
    /// Load above which the servers of the next tier are used as well (`TIER_LOAD_MAX`).
    pub max_tier_load: f64,
}

impl Default for PlacementRules {
    fn default() -> Self {
        Self {
            policy: PlacementPolicy::Forecast,
            untagged_may_use_tagged: false,
            max_tier_load: 150.0,
        }
    }
}

/// What a server is foreseen to have to give, with the new meeting on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlacementCost {
    /// In seats × multiplier; the lowest one is best.
    pub cost: f64,
    /// The load that this was computed from.
    pub basis_load: f64,
    /// The meetings that were placed by then, after the poll. If there are more by now, others have
    /// placed them, and what the load has more is theirs.
    pub placed_since_poll: u32,
}

/// Prices of servers.
pub type PlacementCosts = BTreeMap<ServerId, PlacementCost>;

/// A meeting that looks for a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlacementCriteria {
    /// Servers it may go to.
    pub tags: TagRequest,
    /// Seats that it is expected to bring.
    pub expected_users: u32,
    /// Where that number comes from.
    pub source: ExpectedUsersSource,
    /// Decides among equals; the same seed decides alike everywhere.
    pub seed: u64,
    /// The time.
    pub now: Timestamp,
    /// Servers that this request has tried.
    pub tried_servers: Vec<ServerId>,
    /// Servers that have another tenant's meeting of its id: servers know no tenants.
    pub same_id_servers: Vec<ServerId>,
    /// What administrators chose.
    pub rules: PlacementRules,
    /// What is foreseen, under [`PlacementPolicy::Forecast`]. A server that is not in it counts by its load.
    pub costs: Option<Arc<PlacementCosts>>,
}

/// Why there is no server for a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlacementRefusal {
    /// No server with the required tag is available; the tag as it was written.
    TagUnavailable(String),
    /// Servers are available, but all have reached their limits.
    Full,
    /// No server is available.
    NoServer,
}

/// Why a server does not come into question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExclusionReason {
    /// The administrator disabled it.
    Disabled,
    /// The administrator wants no new meetings on it.
    Cordoned,
    /// It does not answer.
    Offline,
    /// It has not been polled since it became available.
    NoLoad,
    /// This request has tried it.
    Tried,
    /// It has another tenant's meeting of that id.
    SameId,
    /// It has another tag than the request asks for.
    OtherTag,
    /// It has reached its limit of meetings.
    MeetingsFull,
    /// It would go beyond its limit of users.
    UsersFull,
    /// It failed lately, and others can take the meeting.
    Distrusted,
    /// It is a backup, and the others are not full.
    HigherTier,
}

impl fmt::Display for ExclusionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "disabled",
            Self::Cordoned => "cordoned",
            Self::Offline => "offline",
            Self::NoLoad => "not polled yet",
            Self::Tried => "tried",
            Self::SameId => "has that id",
            Self::OtherTag => "other tag",
            Self::MeetingsFull => "meetings full",
            Self::UsersFull => "users full",
            Self::Distrusted => "failed lately",
            Self::HigherTier => "backup",
        })
    }
}

/// The server that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacementChoice<'a> {
    /// It.
    pub server: &'a Server,
    /// Why, for people to read.
    pub reason: String,
}

/// Chooses the server that is best off with the meeting on it.
///
/// What is compared includes the meeting's own seats: it must not go to an idle weak server that
/// it would overload. Servers that failed lately get it only if no other one can.
///
/// # Errors
/// When no server may take it.
pub fn choose_server<'a>(
    servers: &'a [Server],
    ask: &PlacementCriteria,
) -> Result<PlacementChoice<'a>, PlacementRefusal> {
    let candidates = evaluate_candidates(servers, ask);
    let open = candidates.iter().filter_map(|one| Some((one.outcome.ok()?, one.server)));
    let mut ranked: Vec<_> =
        open.map(|(cost, server)| (cost, order::server_rank(server, ask.seed), server)).collect();
    ranked.sort_unstable_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let Some((cost, _, server)) = ranked.first().copied() else {
        return Err(explain_refusal(&candidates, ask));
    };
    let mut reason = format!(
        "{}: {cost:.1} with {} seats ({}), of {}",
        ask.rules.policy.name(),
        ask.expected_users,
        ask.source.name(),
        ranked.len()
    );
    if let Some((cost, _, next)) = ranked.get(1) {
        reason += &format!("; next {} with {cost:.1}", next.id);
    }
    Ok(PlacementChoice { server, reason })
}

fn explain_refusal(
    candidates: &[PlacementCandidate<'_>],
    ask: &PlacementCriteria,
) -> PlacementRefusal {
    let has = |wanted: &[ExclusionReason]| {
        candidates.iter().any(|one| one.outcome.is_err_and(|why| wanted.contains(&why)))
    };
    if has(&[ExclusionReason::MeetingsFull, ExclusionReason::UsersFull]) {
        PlacementRefusal::Full
    } else if ask.tags.required {
        PlacementRefusal::TagUnavailable(ask.tags.text.clone())
    } else {
        PlacementRefusal::NoServer
    }
}

/// A server and what was found about it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacementCandidate<'a> {
    /// It.
    pub server: &'a Server,
    /// What it would cost to put the meeting there, or why that cannot be.
    pub outcome: Result<f64, ExclusionReason>,
}

/// All servers, each with its cost or the reason why it is out.
#[must_use]
pub fn evaluate_candidates<'a>(
    servers: &'a [Server],
    ask: &PlacementCriteria,
) -> Vec<PlacementCandidate<'a>> {
    let all_tagged =
        servers.iter().all(|one| one.tag.is_some() || one.state != AdminState::Enabled);
    let any_tag = ask.rules.untagged_may_use_tagged && all_tagged;
    let is_plain = |server: &Server| server.tag.is_none() || any_tag;
    // In this order: what was asked for, then what will do, then those that failed lately.
    let fits =
        |server: &Server| ask.tags.matches(server) || (!ask.tags.has_tags() && is_plain(server));
    let will_do = |server: &Server| !ask.tags.required && is_plain(server);
    let trusted = |server: &Server| server.health.state(ask.now) == HealthState::Online;
    let able = |server: &Server| find_exclusion(server, ask).is_none();
    let groups: [&dyn Fn(&Server) -> bool; 4] =
        [&|one| fits(one) && trusted(one), &|one| will_do(one) && trusted(one), &fits, &will_do];
    let open = groups.iter().find(|group| servers.iter().any(|one| group(one) && able(one)));
    let in_group = |server: &Server| open.is_some_and(|group| group(server));
    let costs: Vec<f64> = servers.iter().map(|server| cost_with_meeting(server, ask)).collect();
    let taken = servers.iter().zip(&costs).filter(|(server, _)| in_group(server) && able(server));
    let tier = find_highest_tier(taken, ask);
    let outcome = |server: &Server, cost: f64| match find_exclusion(server, ask) {
        Some(why) => Err(why),
        None if !fits(server) && !will_do(server) => Err(ExclusionReason::OtherTag),
        None if !in_group(server) && !trusted(server) => Err(ExclusionReason::Distrusted),
        None if !in_group(server) => Err(ExclusionReason::OtherTag),
        None if server.limits.tier > tier => Err(ExclusionReason::HigherTier),
        None => Ok(cost),
    };
    let found = servers.iter().zip(&costs);
    found
        .map(|(server, cost)| PlacementCandidate { server, outcome: outcome(server, *cost) })
        .collect()
}

/// What keeps a server from taking any meeting like this.
fn find_exclusion(server: &Server, ask: &PlacementCriteria) -> Option<ExclusionReason> {
    let limits = server.limits;
    let meetings = server.stats.meetings.saturating_add(server.placed_since_poll);
    let users = server.counted_users() + f64::from(ask.expected_users);
    match server.state {
        AdminState::Disabled => Some(ExclusionReason::Disabled),
        AdminState::Cordoned => Some(ExclusionReason::Cordoned),
        AdminState::Enabled if !server.is_online() => Some(ExclusionReason::Offline),
        AdminState::Enabled if server.load.is_none() => Some(ExclusionReason::NoLoad),
        AdminState::Enabled if ask.tried_servers.contains(&server.id) => {
            Some(ExclusionReason::Tried)
        }
        AdminState::Enabled if ask.same_id_servers.contains(&server.id) => {
            Some(ExclusionReason::SameId)
        }
        AdminState::Enabled if limits.max_meetings.is_some_and(|most| meetings >= most) => {
            Some(ExclusionReason::MeetingsFull)
        }
        AdminState::Enabled if limits.max_users.is_some_and(|most| users > f64::from(most)) => {
            Some(ExclusionReason::UsersFull)
        }
        AdminState::Enabled => None,
    }
}

/// The last tier that is needed: backups are, once all before them are loaded beyond the limit.
fn find_highest_tier<'a>(
    open: impl Iterator<Item = (&'a Server, &'a f64)>,
    ask: &PlacementCriteria,
) -> u32 {
    let mut lightest: BTreeMap<u32, f64> = BTreeMap::new();
    for (server, _) in open {
        let load = load_with_meeting(server, ask);
        let least = lightest.entry(server.limits.tier).or_insert(load);
        *least = least.min(load);
    }
    let fits = lightest.iter().find(|(_, load)| **load <= ask.rules.max_tier_load);
    fits.or(lightest.iter().next_back()).map_or(0, |(tier, _)| *tier)
}

/// What a server would cost with the meeting on it.
#[must_use]
pub fn cost_with_meeting(server: &Server, ask: &PlacementCriteria) -> f64 {
    let load = server.load.unwrap_or(f64::INFINITY);
    match (ask.rules.policy, &ask.costs) {
        (PlacementPolicy::Scalelite, _) => load,
        (PlacementPolicy::Forecast, Some(prices)) => match prices.get(&server.id) {
            Some(price) if server.placed_since_poll > price.placed_since_poll => {
                price.cost + (load - price.basis_load).max(0.0)
            }
            Some(price) => price.cost,
            None => load_with_meeting(server, ask),
        },
        (PlacementPolicy::Forecast | PlacementPolicy::Reserve, _) => load_with_meeting(server, ask),
    }
}

/// The load that a server would have with the meeting on it.
#[must_use]
pub fn load_with_meeting(server: &Server, ask: &PlacementCriteria) -> f64 {
    server.load.unwrap_or(f64::INFINITY) + f64::from(ask.expected_users) * server.load_multiplier
}
