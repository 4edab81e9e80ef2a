//! The calls of the management API that concern servers.

use app::App;
use app::admin::servers::{self, AdminError, NewServer, PanicOptions};
use app::ports::{ServerChange, StoreError};
use domain::{AdminState, Server, ServerLimits};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::parameters::{AdminRefusal, MASK, id_field, object_fields, show_secret, text_field};
use crate::http::management::ManagementRight;

/// Fields of a server that callers set.
const FIELDS: [&str; 9] = [
    "url",
    "join_url",
    "secret",
    "tag",
    "state",
    "load_multiplier",
    "max_meetings",
    "max_users",
    "tier",
];

impl From<AdminError> for AdminRefusal {
    fn from(error: AdminError) -> Self {
        let status = match &error {
            AdminError::Unknown(_) => StatusCode::NOT_FOUND,
            AdminError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

impl From<StoreError> for AdminRefusal {
    fn from(error: StoreError) -> Self {
        AdminError::from(error).into()
    }
}

/// Answers a call that concerns servers.
pub(super) async fn execute_call(
    app: &App,
    call: &str,
    parameters: &Map<String, Value>,
    right: ManagementRight,
) -> Result<(StatusCode, Value), AdminRefusal> {
    let id = id_field(parameters, "server");
    let ok = StatusCode::OK;
    let to_json = |server: &Server| server_json(server, right);
    match call {
        "getServers" => {
            let servers = app.pool.list_servers().await?;
            if servers.is_empty() {
                let text = "No servers are configured".to_owned();
                return Err(AdminRefusal(StatusCode::NOT_FOUND, text));
            }
            Ok((ok, servers.iter().map(to_json).collect()))
        }
        "getServerInfo" => Ok((ok, to_json(&servers::find(app, &id).await?))),
        "addServer" => {
            let new_server = read_new_server(object_fields(parameters, "server", &FIELDS)?)?;
            Ok((StatusCode::CREATED, to_json(&servers::add(app, new_server).await?)))
        }
        "updateServer" => {
            servers::find(app, &id).await?;
            let change = read_change(object_fields(parameters, "server", &FIELDS)?)?;
            Ok((ok, to_json(&servers::update(app, &id, change).await?)))
        }
        "deleteServer" => {
            servers::remove(app, &id).await?;
            Ok((ok, json!({ "success": format!("Server id={id} was destroyed") })))
        }
        _ => {
            let nested = parameters.get("server").and_then(|server| server.get("keep_state"));
            let keep_state =
                [parameters.get("keep_state"), nested].into_iter().flatten().any(is_true);
            servers::panic(app, &id, PanicOptions { keep_state, skip_end_calls: false }).await?;
            let text =
                format!("Server id={id} has been disabled and the meetings have been destroyed");
            Ok((ok, json!({ "success": text })))
        }
    }
}

/// Returns a server as JSON, with the fields of the original.
fn server_json(server: &Server, right: ManagementRight) -> Value {
    let mut json = json!({
        "id": server.id.0,
        "url": server.url,
        "secret": show_secret(&server.secret, right),
        "tag": server.tag.as_deref().unwrap_or_default(),
        "bbb_version": server.bbb_version.as_deref().unwrap_or_default(),
        "state": server.state.name(),
        "load": server.load.map_or_else(|| json!("unavailable"), |load| json!(load)),
        "load_multiplier": format!("{:?}", server.load_multiplier),
        "online": if server.is_online() { "online" } else { "offline" },
    });
    // Fields that the original does not have appear only where they are set.
    let ServerLimits { max_meetings, max_users, tier } = server.limits;
    let tier = Some(tier).filter(|tier| *tier > 0);
    for (name, limit) in [("max_meetings", max_meetings), ("max_users", max_users), ("tier", tier)]
    {
        if let Some(limit) = limit {
            json[name] = limit.into();
        }
    }
    if let Some(url) = &server.join_url {
        json["join_url"] = url.as_str().into();
    }
    json
}

/// Reads a limit: `None` if it is not given, `Some(None)` if it is null or empty, which removes it.
fn read_limit(
    server: &Map<String, Value>,
    name: &str,
) -> Result<Option<Option<u32>>, AdminRefusal> {
    let Some(given) = server.get(name) else {
        return Ok(None);
    };
    match text_field(server, name).as_deref() {
        None if given.is_null() => Ok(Some(None)),
        Some("") => Ok(Some(None)),
        Some(number) if number.parse::<u32>().is_ok() => Ok(Some(number.parse().ok())),
        _ => {
            let text = format!("{name} must be a whole number, or null for no limit");
            Err(AdminRefusal(StatusCode::BAD_REQUEST, text))
        }
    }
}

/// Returns whether a switch is on: any value except null, `false` and blank text, as in the
/// original.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    }
}

/// Reads a load multiplier: `None` if it is not given, an error if it is not a number or 0.
fn read_multiplier(server: &Map<String, Value>) -> Option<Result<f64, AdminRefusal>> {
    let given = server.get("load_multiplier")?;
    if given.is_null() || given.as_str().is_some_and(|text| text.trim().is_empty()) {
        return None;
    }
    let number =
        given.as_f64().or_else(|| given.as_str().and_then(|text| text.trim().parse().ok()));
    let multiplier = number.filter(|number| number.is_finite() && *number != 0.0);
    Some(multiplier.ok_or_else(|| {
        let text = "Load-multiplier must be a non-zero number";
        AdminRefusal(StatusCode::BAD_REQUEST, text.to_owned())
    }))
}

fn read_new_server(server: &Map<String, Value>) -> Result<NewServer, AdminRefusal> {
    let secret = text_field(server, "secret").unwrap_or_default();
    if secret == MASK {
        let text = format!("{MASK} stands for a secret that is not shown, and is none");
        return Err(AdminRefusal(StatusCode::BAD_REQUEST, text));
    }
    Ok(NewServer {
        id: None,
        url: text_field(server, "url").unwrap_or_default(),
        secret,
        tag: text_field(server, "tag"),
        // As in the original, an invalid multiplier counts as 1 for a new server, but is an error
        // for an existing one.
        load_multiplier: read_multiplier(server).map(|number| number.unwrap_or(1.0)),
    })
}

fn read_change(server: &Map<String, Value>) -> Result<ServerChange, AdminRefusal> {
    let state = match text_field(server, "state").as_deref() {
        None | Some("") => None,
        Some("enable") => Some(AdminState::Enabled),
        Some("cordon") => Some(AdminState::Cordoned),
        Some("disable") => Some(AdminState::Disabled),
        Some(unknown) => {
            let text = format!("Invalid state parameter: {unknown}");
            return Err(AdminRefusal(StatusCode::BAD_REQUEST, text));
        }
    };
    let join_url = server.get("join_url").map(|_| text_field(server, "join_url"));
    Ok(ServerChange {
        url: None,
        join_url: join_url.map(|url| url.filter(|url| !url.is_empty())),
        secret: text_field(server, "secret").filter(|secret| !secret.is_empty() && secret != MASK),
        tag: text_field(server, "tag").map(|tag| Some(tag).filter(|tag| !tag.is_empty())),
        state,
        load_multiplier: read_multiplier(server).transpose()?,
        max_meetings: read_limit(server, "max_meetings")?,
        max_users: read_limit(server, "max_users")?,
        tier: read_limit(server, "tier")?.map(|tier| tier.unwrap_or(0)),
    })
}
