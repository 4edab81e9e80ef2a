//! Placement: chooses the server for a new meeting, and explains the choice.

mod order;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::forecast::ExpectedUsersSource;
use crate::health::HealthState;
use crate::server::{AdminState, Server, ServerId};
use crate::time::Timestamp;
use crate::twins::list_twins;

pub use order::meeting_seed;
pub use tags::TagRequest;

/// How servers are compared (`PLACEMENT_POLICY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlacementPolicy {
    /// By the load that they are expected to have in the next two hours; see [`crate::forecast`].
    #[default]
    Forecast,
    /// By their load, including the expected users of the new meeting.
    Reserve,
    /// By their load, as the original Scalelite does.
    Scalelite,
}

impl PlacementPolicy {
    /// Returns `forecast`, `reserve` or `scalelite`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Forecast => "forecast",
            Self::Reserve => "reserve",
            Self::Scalelite => "scalelite",
        }
    }

    /// Finds a policy by its [`Self::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Forecast, Self::Reserve, Self::Scalelite]
            .into_iter()
            .find(|policy| policy.name() == name)
    }
}

/// The administrator's settings for placement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlacementRules {
    /// How servers are compared.
    pub policy: PlacementPolicy,
    /// Whether requests without a tag may use tagged servers if there are no others
    /// (`UNTAGGED_MAY_USE_TAGGED`).
    pub untagged_may_use_tagged: bool,
    /// The load above which the servers of the next tier are used as well (`TIER_LOAD_MAX`).
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

/// The expected cost of a server with the new meeting on it, computed by [`crate::forecast`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlacementCost {
    /// Users × multiplier; the server with the lowest cost is best.
    pub cost: f64,
    /// The load of the server that the cost was computed from.
    pub basis_load: f64,
    /// [`Server::placed_since_poll`] when the cost was computed. If the server has more now, other
    /// replicas have placed meetings on it, and the increase of its load is added to the cost.
    pub placed_since_poll: u32,
}

/// The costs of servers.
pub type PlacementCosts = BTreeMap<ServerId, PlacementCost>;

/// The criteria by which a server is chosen for a meeting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlacementCriteria {
    /// The tags that the request asks for.
    pub tags: TagRequest,
    /// The number of users that the meeting is expected to have.
    pub expected_users: u32,
    /// The source of that number.
    pub source: ExpectedUsersSource,
    /// Determines the order of equal servers; the same seed gives the same order on all replicas.
    pub seed: u64,
    /// The current time.
    pub now: Timestamp,
    /// Servers on which this request has tried to create the meeting.
    pub tried_servers: Vec<ServerId>,
    /// Servers with another tenant's meeting of the same id. BBB servers do not tell tenants apart.
    pub same_id_servers: Vec<ServerId>,
    /// The administrator's settings.
    pub rules: PlacementRules,
    /// The expected costs, under [`PlacementPolicy::Forecast`]. Servers without one are compared by
    /// their load.
    pub costs: Option<Arc<PlacementCosts>>,
}

/// Why no server was found for a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlacementRefusal {
    /// No server with the required tag is available; holds the tag as the request wrote it.
    TagUnavailable(String),
    /// Servers are available, but all have reached their limits.
    Full,
    /// No server is available.
    NoServer,
}

/// Why a server is not considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExclusionReason {
    /// The administrator disabled it.
    Disabled,
    /// The administrator cordoned it: it gets no new meetings.
    Cordoned,
    /// It does not answer.
    Offline,
    /// It has not been polled since it became available.
    NoLoad,
    /// This request has tried it.
    Tried,
    /// It has another tenant's meeting of the same id.
    SameId,
    /// It has a tag other than the requested ones.
    OtherTag,
    /// It has reached its limit of meetings.
    MeetingsFull,
    /// It has reached its limit of users, counting only users who are there.
    UsersFull,
    /// The users that are expected on it would exceed its limit, and other servers have room.
    ExpectedUsersFull,
    /// It failed lately, and other servers can take the meeting.
    Distrusted,
    /// It is a backup, and the servers of lower tiers are not full.
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
            Self::SameId => "has a meeting of that id",
            Self::OtherTag => "other tag",
            Self::MeetingsFull => "meetings full",
            Self::UsersFull => "users full",
            Self::ExpectedUsersFull => "users full as expected",
            Self::Distrusted => "failed lately",
            Self::HigherTier => "backup",
        })
    }
}

/// The chosen server.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacementChoice<'a> {
    /// The server.
    pub server: &'a Server,
    /// Why it was chosen, in words for administrators.
    pub reason: String,
}

/// Chooses the server with the lowest cost, including the new meeting.
///
/// The cost includes the expected users of the meeting, so that it does not overload a weak server
/// that is idle. Servers that failed lately are chosen only if no other server can take the
/// meeting. If all servers would exceed their limits of users by expectation alone, the one that
/// exceeds its limit least is chosen: expectations rank servers, and never refuse a meeting.
///
/// # Errors
/// When no server can take the meeting.
pub fn choose_server<'a>(
    servers: &'a [Server],
    criteria: &PlacementCriteria,
) -> Result<PlacementChoice<'a>, PlacementRefusal> {
    let candidates = evaluate_candidates(servers, criteria);
    let open = candidates.iter().filter_map(|candidate| Some((candidate, candidate.outcome.ok()?)));
    let mut ranked: Vec<_> = open
        .map(|(candidate, cost)| {
            let rank = order::server_rank(candidate.server, criteria.seed);
            (candidate.excess_users, cost, rank, candidate.server)
        })
        .collect();
    ranked
        .sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
    let Some((excess_users, cost, _, server)) = ranked.first().copied() else {
        return Err(explain_refusal(&candidates, criteria));
    };
    let mut reason = format!(
        "{}: cost {cost:.1} with {} expected users ({}), of {} servers",
        criteria.rules.policy.name(),
        criteria.expected_users,
        criteria.source.name(),
        ranked.len()
    );
    if excess_users > 0.0 {
        reason +=
            &format!("; all exceed their limits by expected users, this one by {excess_users:.0}");
    }
    if let Some((_, cost, _, next)) = ranked.get(1) {
        reason += &format!("; next: {} with cost {cost:.1}", next.id);
    }
    Ok(PlacementChoice { server, reason })
}

fn explain_refusal(
    candidates: &[PlacementCandidate<'_>],
    criteria: &PlacementCriteria,
) -> PlacementRefusal {
    let any_excluded_by = |reasons: &[ExclusionReason]| {
        candidates
            .iter()
            .any(|candidate| candidate.outcome.is_err_and(|reason| reasons.contains(&reason)))
    };
    if any_excluded_by(&[ExclusionReason::MeetingsFull, ExclusionReason::UsersFull]) {
        PlacementRefusal::Full
    } else if criteria.tags.required {
        PlacementRefusal::TagUnavailable(criteria.tags.text.clone())
    } else {
        PlacementRefusal::NoServer
    }
}

/// A server and its evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacementCandidate<'a> {
    /// The server.
    pub server: &'a Server,
    /// The cost with the meeting on the server, or why the server is excluded.
    pub outcome: Result<f64, ExclusionReason>,
    /// The number of users by which the server would exceed its limit if all expected users came.
    pub excess_users: f64,
}

/// Evaluates all servers: returns the cost of each, or why it is excluded.
#[must_use]
pub fn evaluate_candidates<'a>(
    servers: &'a [Server],
    criteria: &PlacementCriteria,
) -> Vec<PlacementCandidate<'a>> {
    let all_tagged =
        servers.iter().all(|server| server.tag.is_some() || server.state != AdminState::Enabled);
    let ignores_tags = criteria.rules.untagged_may_use_tagged && all_tagged;
    let is_untagged = |server: &Server| server.tag.is_none() || ignores_tags;
    let is_requested = |server: &Server| {
        criteria.tags.matches(server) || (!criteria.tags.has_tags() && is_untagged(server))
    };
    let is_acceptable = |server: &Server| !criteria.tags.required && is_untagged(server);
    let is_trusted = |server: &Server| server.health.state(criteria.now) == HealthState::Online;
    let same_id = list_same_id_servers(servers, criteria);
    let exclusion = |server: &Server| find_exclusion(server, criteria, &same_id);
    let is_able = |server: &Server| exclusion(server).is_none();
    let has_room = |server: &Server| is_able(server) && excess_users(server, criteria) == 0.0;
    // The first group with a server that has room for the meeting is used; if there is none, the
    // first one with a server that has room as long as fewer users come than are expected.
    let groups: [&dyn Fn(&Server) -> bool; 4] = [
        &|server| is_requested(server) && is_trusted(server),
        &|server| is_acceptable(server) && is_trusted(server),
        &is_requested,
        &is_acceptable,
    ];
    let find_group = |is_usable: &dyn Fn(&Server) -> bool| {
        let mut groups = groups.iter();
        groups.find(|group| servers.iter().any(|server| group(server) && is_usable(server)))
    };
    let with_room = find_group(&has_room);
    let any_has_room = with_room.is_some();
    let group = with_room.or_else(|| find_group(&is_able));
    let is_in_group = |server: &Server| group.is_some_and(|group| group(server));
    let is_usable = |server: &Server| if any_has_room { has_room(server) } else { is_able(server) };
    let usable = servers.iter().filter(|server| is_in_group(server) && is_usable(server));
    let tier = find_highest_tier(usable, criteria);
    let outcome = |server: &Server| match exclusion(server) {
        Some(reason) => Err(reason),
        None if !is_requested(server) && !is_acceptable(server) => Err(ExclusionReason::OtherTag),
        None if !is_usable(server) => Err(ExclusionReason::ExpectedUsersFull),
        None if !is_in_group(server) && !is_trusted(server) => Err(ExclusionReason::Distrusted),
        None if !is_in_group(server) => Err(ExclusionReason::OtherTag),
        None if server.limits.tier > tier => Err(ExclusionReason::HigherTier),
        None => Ok(cost_with_meeting(server, criteria)),
    };
    servers
        .iter()
        .map(|server| PlacementCandidate {
            server,
            outcome: outcome(server),
            excess_users: excess_users(server, criteria),
        })
        .collect()
}

/// Returns the number of users by which the server would exceed its limit if all users came that are
/// expected of its meetings and of the new one.
fn excess_users(server: &Server, criteria: &PlacementCriteria) -> f64 {
    let users = server.counted_users() + f64::from(criteria.expected_users);
    server.limits.max_users.map_or(0.0, |max| (users - f64::from(max)).max(0.0))
}

/// Returns the servers that have a meeting of this id, under all names under which they are listed.
fn list_same_id_servers<'a>(
    servers: &'a [Server],
    criteria: &'a PlacementCriteria,
) -> Vec<&'a ServerId> {
    let mut same_id: Vec<&ServerId> = criteria.same_id_servers.iter().collect();
    for server in servers.iter().filter(|server| criteria.same_id_servers.contains(&server.id)) {
        same_id.extend(list_twins(server, servers));
    }
    same_id
}

/// Returns why a server cannot take the meeting, regardless of tags and of other servers.
fn find_exclusion(
    server: &Server,
    criteria: &PlacementCriteria,
    same_id: &[&ServerId],
) -> Option<ExclusionReason> {
    let limits = server.limits;
    let meetings = server.stats.meetings.saturating_add(server.placed_since_poll);
    match server.state {
        AdminState::Disabled => Some(ExclusionReason::Disabled),
        AdminState::Cordoned => Some(ExclusionReason::Cordoned),
        AdminState::Enabled if !server.is_online() => Some(ExclusionReason::Offline),
        AdminState::Enabled if server.load.is_none() => Some(ExclusionReason::NoLoad),
        AdminState::Enabled if criteria.tried_servers.contains(&server.id) => {
            Some(ExclusionReason::Tried)
        }
        AdminState::Enabled if same_id.contains(&&server.id) => Some(ExclusionReason::SameId),
        AdminState::Enabled if limits.max_meetings.is_some_and(|max| meetings >= max) => {
            Some(ExclusionReason::MeetingsFull)
        }
        AdminState::Enabled if limits.max_users.is_some_and(|max| server.stats.users >= max) => {
            Some(ExclusionReason::UsersFull)
        }
        AdminState::Enabled => None,
    }
}

/// Returns the highest tier to use. A tier is used if the servers of all tiers below it would
/// exceed the load limit.
fn find_highest_tier<'a>(
    usable: impl Iterator<Item = &'a Server>,
    criteria: &PlacementCriteria,
) -> u32 {
    let mut lowest_loads: BTreeMap<u32, f64> = BTreeMap::new();
    for server in usable {
        let load = load_with_meeting(server, criteria);
        let lowest = lowest_loads.entry(server.limits.tier).or_insert(load);
        *lowest = lowest.min(load);
    }
    let within_limit = lowest_loads.iter().find(|(_, load)| **load <= criteria.rules.max_tier_load);
    within_limit.or(lowest_loads.iter().next_back()).map_or(0, |(tier, _)| *tier)
}

/// Returns the cost of a server with the meeting on it, under the configured policy.
#[must_use]
pub fn cost_with_meeting(server: &Server, criteria: &PlacementCriteria) -> f64 {
    let load = server.load.unwrap_or(f64::INFINITY);
    match (criteria.rules.policy, &criteria.costs) {
        (PlacementPolicy::Scalelite, _) => load,
        (PlacementPolicy::Forecast, Some(costs)) => match costs.get(&server.id) {
            Some(cost) if server.placed_since_poll > cost.placed_since_poll => {
                cost.cost + (load - cost.basis_load).max(0.0)
            }
            Some(cost) => cost.cost,
            None => load_with_meeting(server, criteria),
        },
        (PlacementPolicy::Forecast | PlacementPolicy::Reserve, _) => {
            load_with_meeting(server, criteria)
        }
    }
}

/// Returns the load of a server with the expected users of the meeting.
#[must_use]
pub fn load_with_meeting(server: &Server, criteria: &PlacementCriteria) -> f64 {
    server.load.unwrap_or(f64::INFINITY)
        + f64::from(criteria.expected_users) * server.load_multiplier
}
