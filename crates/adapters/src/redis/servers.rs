//! Servers as scripts want them.

use domain::{AdminState, Server};
use serde_json::{Map, Value, json};

use app::ports::ServerChange;

/// Fields of `server:<id>` that polls change, as the original spells them.
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

/// What is in the hash of the counters.
pub(super) fn counters(server: &Server) -> Value {
    json!({
        "healthy_counter": server.health.healthy_count.to_string(),
        "unhealthy_counter": server.health.unhealthy_count.to_string(),
    })
}

/// What only we keep of a server.
pub(super) fn own_fields(server: &Server) -> Map<String, Value> {
    let mut own = Map::new();
    if let Some(failure) = &server.health.last_failure {
        own.insert("failure_at".to_owned(), failure.at.0.to_string().into());
        own.insert("failure_reason".to_owned(), failure.reason.clone().into());
    }
    own
}

/// A load or a multiplier, as the original writes them.
pub(super) fn decimal(number: f64) -> String {
    format!("{number:?}")
}

/// A new server for `add_server`. What the original leaves out of one, we leave out too.
pub(super) fn new_server(server: &Server) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: String| {
        fields.insert(name.to_owned(), Value::String(value));
    };
    put("url", server.url.clone());
    put("secret", server.secret.clone());
    put("online", server.health.online.to_string());
    put("load_multiplier", decimal(server.load_multiplier));
    if let Some(tag) = &server.tag {
        put("tag", tag.clone());
    }
    if let Some(version) = &server.bbb_version {
        put("bbb_version", version.clone());
    }
    if server.stats != domain::server::Stats::default() {
        fields.extend(polled_fields(server));
    }
    let mut new = json!({
        "id": server.id.0,
        "fields": fields,
        "counters": counters(server),
        "own": own_fields(server),
    });
    if server.state != AdminState::Disabled {
        new["state"] = server.state.name().into();
    }
    if let Some(load) = server.load.filter(|_| server.accepts_joins()) {
        new["load"] = decimal(load).into();
    }
    new
}

/// A change for `update_server`.
pub(super) fn change(change: &ServerChange) -> Value {
    let mut fields = Map::new();
    let texts = [("url", &change.url), ("secret", &change.secret)];
    for (name, text) in texts {
        if let Some(text) = text {
            fields.insert(name.to_owned(), text.clone().into());
        }
    }
    if let Some(multiplier) = change.load_multiplier {
        fields.insert("load_multiplier".to_owned(), decimal(multiplier).into());
    }
    if let Some(Some(tag)) = &change.tag {
        fields.insert("tag".to_owned(), tag.clone().into());
    }
    let mut change_json = json!({ "fields": fields, "untag": change.tag == Some(None) });
    if let Some(state) = change.state {
        change_json["state"] = state.name().into();
    }
    change_json
}
