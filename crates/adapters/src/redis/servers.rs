//! Converts servers and their changes to the arguments of scripts.

use domain::{AdminState, Server, ServerLimits};
use serde_json::{Map, Value, json};

use app::ports::ServerChange;

/// Returns the fields of `server:<id>` that polls change, as the original writes them.
pub(super) fn polled_fields(server: &Server) -> Map<String, Value> {
    let stats = server.stats;
    let numbers = [
        ("meetings", stats.meetings),
        ("users", stats.users),
        ("largest_meeting", stats.largest_meeting),
        ("videos", stats.videos),
    ];
    let numbers = numbers.into_iter().map(|(name, number)| (name, number.to_string()));
    let online = ("online", server.health.online.to_string());
    numbers.chain([online]).map(|(name, text)| (name.to_owned(), Value::String(text))).collect()
}

/// Returns the fields of the hash of counters.
pub(super) fn counters(server: &Server) -> Value {
    json!({
        "healthy_counter": server.health.healthy_count.to_string(),
        "unhealthy_counter": server.health.unhealthy_count.to_string(),
    })
}

/// Returns our own fields of a server, without its limits.
pub(super) fn own_fields(server: &Server) -> Map<String, Value> {
    let health = &server.health;
    let numbers = [
        ("failures", health.failures.to_string()),
        ("relapses", health.relapses.to_string()),
        ("probation_until", health.probation_until.0.to_string()),
        ("answered_at", health.answered_at.0.to_string()),
        ("placed_since_poll", server.placed_since_poll.to_string()),
    ];
    let numbers = numbers.into_iter().map(|(name, text)| (name.to_owned(), text.into()));
    let mut own: Map<String, Value> = numbers.collect();
    if let Some(failure) = &server.health.last_failure {
        own.insert("failure_at".to_owned(), failure.at.0.to_string().into());
        own.insert("failure_reason".to_owned(), failure.reason.clone().into());
    }
    if let Some(twin) = &server.twin_of {
        own.insert("twin_of".to_owned(), twin.0.as_str().into());
    }
    own
}

/// Returns the limits that a change sets, and the names of those that it removes.
fn limit_fields(change: &ServerChange) -> (Map<String, Value>, Vec<&'static str>) {
    let (mut own, mut removed) = (Map::new(), Vec::new());
    let tier = change.tier.map(|tier| Some(tier).filter(|tier| *tier > 0));
    let limits =
        [("max_meetings", change.max_meetings), ("max_users", change.max_users), ("tier", tier)];
    for (name, limit) in limits {
        match limit {
            Some(Some(limit)) => drop(own.insert(name.to_owned(), limit.to_string().into())),
            Some(None) => removed.push(name),
            None => {}
        }
    }
    (own, removed)
}

/// Formats a load or a multiplier as the original does.
pub(super) fn format_decimal(number: f64) -> String {
    format!("{number:?}")
}

/// Converts a new server for `add_server.lua`. Fields that the original omits are omitted.
pub(super) fn new_server_json(server: &Server) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: String| {
        fields.insert(name.to_owned(), Value::String(value));
    };
    put("url", server.url.clone());
    put("secret", server.secret.clone());
    put("online", server.health.online.to_string());
    put("load_multiplier", format_decimal(server.load_multiplier));
    if let Some(tag) = &server.tag {
        put("tag", tag.clone());
    }
    if let Some(version) = &server.bbb_version {
        put("bbb_version", version.clone());
    }
    if server.stats != domain::server::ServerStats::default() {
        fields.extend(polled_fields(server));
    }
    let ServerLimits { max_meetings, max_users, tier } = server.limits;
    let (max_meetings, max_users, tier) = (Some(max_meetings), Some(max_users), Some(tier));
    let limits = ServerChange { max_meetings, max_users, tier, ..ServerChange::default() };
    let mut own = own_fields(server);
    own.extend(limit_fields(&limits).0);
    let mut new = json!({
        "id": server.id.0,
        "fields": fields,
        "counters": counters(server),
        "own": own,
    });
    if server.state != AdminState::Disabled {
        new["state"] = server.state.name().into();
    }
    if let Some(load) = server.load.filter(|_| server.accepts_joins()) {
        new["load"] = format_decimal(load).into();
    }
    new
}

/// Converts a change for `update_server.lua`.
pub(super) fn server_change_json(change: &ServerChange) -> Value {
    let mut fields = Map::new();
    let texts = [("url", &change.url), ("secret", &change.secret)];
    for (name, text) in texts {
        if let Some(text) = text {
            fields.insert(name.to_owned(), text.clone().into());
        }
    }
    if let Some(multiplier) = change.load_multiplier {
        fields.insert("load_multiplier".to_owned(), format_decimal(multiplier).into());
    }
    if let Some(Some(tag)) = &change.tag {
        fields.insert("tag".to_owned(), tag.clone().into());
    }
    let (own, mut removed) = limit_fields(change);
    removed.extend(change.url.is_some().then_some("twin_of"));
    let remove_tag = change.tag == Some(None);
    let mut change_json =
        json!({ "fields": fields, "remove_tag": remove_tag, "own": own, "removed": removed });
    if let Some(state) = change.state {
        change_json["state"] = state.name().into();
    }
    change_json
}
