//! A wanted state as JSON, for the management API: the file of `apply` with its secrets in it.

use app::apply::{WantedServer, WantedSetting, WantedState, WantedTenant};
use domain::tenant::{Lrs, split_secrets};
use serde_json::{Map, Value, json};

/// The fields that are given.
fn given<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(fields.collect())
}

/// Returns the state as JSON.
pub(super) fn to_json(wanted: &WantedState) -> Value {
    let WantedState { servers, tenants } = wanted;
    let servers = servers.as_ref().map(|list| list.iter().map(server).collect::<Vec<_>>());
    let tenants = tenants.as_ref().map(|list| list.iter().map(tenant).collect::<Vec<_>>());
    given([
        ("servers", servers.map(|list| json!(list))),
        ("tenants", tenants.map(|list| json!(list))),
    ])
}

fn server(wanted: &WantedServer) -> Value {
    given([
        ("url", Some(json!(wanted.url))),
        ("secret", wanted.secret.as_ref().map(|secret| json!(secret))),
        ("join_url", wanted.join_url.as_ref().map(|url| json!(url))),
        ("load_multiplier", wanted.load_multiplier.map(|multiplier| json!(multiplier))),
        ("tag", wanted.tag.as_ref().map(|tag| json!(tag))),
        ("state", wanted.state.map(|state| json!(state.name()))),
        ("max_meetings", wanted.max_meetings.map(|limit| json!(limit))),
        ("max_users", wanted.max_users.map(|limit| json!(limit))),
        ("tier", wanted.tier.map(|tier| json!(tier))),
    ])
}

fn tenant(wanted: &WantedTenant) -> Value {
    let secrets = wanted.secrets.as_deref();
    let secrets = secrets.map(|secrets| json!(split_secrets(secrets).collect::<Vec<_>>()));
    let fields = Lrs::FIELDS.into_iter().zip(wanted.lrs.values());
    let lrs: Map<String, Value> = fields
        .filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))))
        .collect();
    let settings =
        wanted.settings.as_ref().map(|list| list.iter().map(setting).collect::<Vec<_>>());
    given([
        ("name", Some(json!(wanted.name))),
        ("secrets", secrets),
        ("lrs", (!lrs.is_empty()).then_some(Value::Object(lrs))),
        ("settings", settings.map(|list| json!(list))),
    ])
}

fn setting(wanted: &WantedSetting) -> Value {
    let WantedSetting { param, value, is_override } = wanted;
    json!({ "param": param, "value": value, "override": is_override })
}
