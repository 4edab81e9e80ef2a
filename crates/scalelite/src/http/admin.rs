//! The management API: JSON, signed with the balancer's own secret, HTTP status codes that matter.

mod tenants;

use std::sync::Arc;

use app::admin::servers::{self, AdminError, NewServer, PanicOptions};
use app::api::{ApiError, authenticate};
use app::ports::ServerChange;
use app::tenancy::Caller;
use bbb::Query;
use bbb::call::ContentType;
use domain::{AdminState, Server, ServerLimits};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::body;
use super::respond;
use super::route::{ApiRequest, HttpResponse, HttpState};

/// Longest body.
const MAX_BODY_BYTES: u64 = 1 << 20;

/// A failure with its HTTP status.
struct AdminRefusal(StatusCode, String);

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

impl From<app::ports::StoreError> for AdminRefusal {
    fn from(error: app::ports::StoreError) -> Self {
        AdminError::from(error).into()
    }
}

/// Every call, its name for the log, and whether it is a POST.
const CALLS: [(&str, bool); 11] = [
    ("getServers", false),
    ("getServerInfo", false),
    ("addServer", true),
    ("updateServer", true),
    ("deleteServer", true),
    ("panicServer", true),
    ("getTenants", false),
    ("getTenantInfo", false),
    ("addTenant", true),
    ("updateTenant", true),
    ("deleteTenant", true),
];

/// The name of a call, if it is one, for the log.
pub(super) fn call_name(name: &str) -> &'static str {
    CALLS.iter().find(|(call, _)| *call == name).map_or("-", |(call, _)| call)
}

/// Answers one call.
pub(super) async fn handle_call(
    gate: &Arc<HttpState>,
    name: &str,
    incomer: ApiRequest,
) -> HttpResponse {
    let post = incomer.method == Method::POST;
    let get = matches!(incomer.method, Method::GET | Method::HEAD);
    let fits = |posted: bool| if posted { post } else { get };
    let known = CALLS.iter().find(|(call, posted)| *call == name && fits(*posted));
    let Some((call, _)) = known else {
        return HttpResponse::failed("-", &ApiError::Unsupported);
    };
    let parameters = match read_parameters(gate, call, incomer).await {
        Ok(parameters) => parameters,
        Err(error) => return HttpResponse::failed(call, &error),
    };
    let result = match parameters {
        Some(parameters) => {
            let work = gate.clone();
            // A panic that stops halfway would be none.
            gate.run_to_completion(async move { execute_call(&work, call, &parameters).await })
                .await
        }
        None => {
            let text = "The body is not a JSON object".to_owned();
            Ok(Err(AdminRefusal(StatusCode::BAD_REQUEST, text)))
        }
    };
    match result {
        Ok(Ok((status, value))) => HttpResponse::ok(call, respond::json(status, &value)),
        Ok(Err(AdminRefusal(status, error))) => {
            let mut outcome =
                HttpResponse::ok(call, respond::json(status, &json!({ "error": error })));
            outcome.result = "refused".to_owned();
            outcome
        }
        Err(error) => HttpResponse::failed(call, &error),
    }
}

/// The parameters of a verified call: those of a JSON body, and those of the query, where
/// `server[url]` is a field of `server`. `None` if the body is no JSON object.
async fn read_parameters(
    gate: &HttpState,
    call: &str,
    incomer: ApiRequest,
) -> Result<Option<Map<String, Value>>, ApiError> {
    let header = body::content_type(&incomer.headers).to_owned();
    let body = if incomer.method == Method::POST {
        body::read_whole(&incomer.headers, incomer.body, MAX_BODY_BYTES).await?
    } else {
        bytes::Bytes::new()
    };
    if !body.is_empty() && ContentType::parse(&header) != ContentType::Json {
        return Err(ApiError::UnsupportedContentType);
    }
    // The balancer's own secret, under whatever host name it is called.
    authenticate(&gate.app, &Caller::default(), call, &incomer.query, None)?;
    let mut parameters = if body.is_empty() {
        Map::new()
    } else {
        match serde_json::from_slice(&body) {
            Ok(Value::Object(object)) => object,
            _ => return Ok(None),
        }
    };
    for (name, value) in Query::parse(&incomer.query).iter() {
        let name = name.as_ref();
        let value = Value::String(value.into_owned());
        match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((object, field)) => {
                let object = parameters.entry(object).or_insert_with(|| json!({}));
                if let Value::Object(object) = object {
                    object.insert(field.to_owned(), value);
                }
            }
            None => {
                parameters.insert(name.to_owned(), value);
            }
        }
    }
    Ok(Some(parameters))
}

async fn execute_call(
    gate: &HttpState,
    call: &str,
    parameters: &Map<String, Value>,
) -> Result<(StatusCode, Value), AdminRefusal> {
    if call.contains("Tenant") {
        return tenants::execute_call(&gate.app, call, parameters).await;
    }
    let id = text_field(parameters, "id").unwrap_or_default();
    let (app, ok) = (&gate.app, StatusCode::OK);
    match call {
        "getServers" => {
            let servers = app.pool.list_servers().await?;
            if servers.is_empty() {
                let none = "No servers are configured".to_owned();
                return Err(AdminRefusal(StatusCode::NOT_FOUND, none));
            }
            Ok((ok, servers.iter().map(server_json).collect()))
        }
        "getServerInfo" => Ok((ok, server_json(&servers::find(app, &id).await?))),
        "addServer" => {
            let new = read_new_server(object_field(parameters, "server")?)?;
            Ok((StatusCode::CREATED, server_json(&servers::add(app, new).await?)))
        }
        "updateServer" => {
            servers::find(app, &id).await?;
            let change = read_change(object_field(parameters, "server")?)?;
            Ok((ok, server_json(&servers::update(app, &id, change).await?)))
        }
        "deleteServer" => {
            servers::remove(app, &id).await?;
            Ok((ok, json!({ "success": format!("Server id={id} was destroyed") })))
        }
        _ => {
            let nested = parameters.get("server").and_then(|server| server.get("keep_state"));
            let keep_state =
                [parameters.get("keep_state"), nested].into_iter().flatten().any(is_on);
            servers::panic(app, &id, PanicOptions { keep_state, skip_end_calls: false }).await?;
            let text =
                format!("Server id={id} has been disabled and the meetings have been destroyed");
            Ok((ok, json!({ "success": text })))
        }
    }
}

/// A server as the management API shows it.
fn server_json(server: &Server) -> Value {
    let mut view = json!({
        "id": server.id.0,
        "url": server.url,
        "secret": server.secret,
        "tag": server.tag.as_deref().unwrap_or_default(),
        "bbb_version": server.bbb_version.as_deref().unwrap_or_default(),
        "state": server.state.name(),
        "load": server.load.map_or_else(|| json!("unavailable"), |load| json!(load)),
        "load_multiplier": format!("{:?}", server.load_multiplier),
        "online": if server.is_online() { "online" } else { "offline" },
    });
    // What the original does not know is shown where it is used.
    let ServerLimits { max_meetings, max_users, tier } = server.limits;
    let tier = Some(tier).filter(|tier| *tier > 0);
    for (name, limit) in [("max_meetings", max_meetings), ("max_users", max_users), ("tier", tier)]
    {
        if let Some(limit) = limit {
            view[name] = limit.into();
        }
    }
    view
}

/// A limit as sent: a number, or nothing to take it away.
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
            let text = format!("{name} must be a whole number, or null for none");
            Err(AdminRefusal(StatusCode::BAD_REQUEST, text))
        }
    }
}

fn object_field<'a>(
    parameters: &'a Map<String, Value>,
    name: &str,
) -> Result<&'a Map<String, Value>, AdminRefusal> {
    match parameters.get(name) {
        Some(Value::Object(object)) if !object.is_empty() => Ok(object),
        _ => {
            let text = format!("param is missing or the value is empty: {name}");
            Err(AdminRefusal(StatusCode::BAD_REQUEST, text))
        }
    }
}

fn text_field(object: &Map<String, Value>, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a switch is on: anything but nothing, `false` and blanks, as in the original.
fn is_on(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    }
}

/// A multiplier as sent: `None` if there is none, an error in it if it cannot be one.
fn read_multiplier(object: &Map<String, Value>) -> Option<Result<f64, AdminRefusal>> {
    let given = object.get("load_multiplier")?;
    if given.is_null() || given.as_str().is_some_and(|text| text.trim().is_empty()) {
        return None;
    }
    let number =
        given.as_f64().or_else(|| given.as_str().and_then(|text| text.trim().parse().ok()));
    let usable = number.filter(|number| number.is_finite() && *number != 0.0);
    Some(usable.ok_or_else(|| {
        let text = "Load-multiplier must be a non-zero number";
        AdminRefusal(StatusCode::BAD_REQUEST, text.to_owned())
    }))
}

fn read_new_server(server: &Map<String, Value>) -> Result<NewServer, AdminRefusal> {
    Ok(NewServer {
        id: None,
        url: text_field(server, "url").unwrap_or_default(),
        secret: text_field(server, "secret").unwrap_or_default(),
        tag: text_field(server, "tag"),
        // As in the original, what is none counts as 1 for a new server, and is refused for a known
        // one.
        load_multiplier: read_multiplier(server).map(|number| number.unwrap_or(1.0)),
    })
}

fn read_change(server: &Map<String, Value>) -> Result<ServerChange, AdminRefusal> {
    let state = match text_field(server, "state").as_deref() {
        None | Some("") => None,
        Some("enable") => Some(AdminState::Enabled),
        Some("cordon") => Some(AdminState::Cordoned),
        Some("disable") => Some(AdminState::Disabled),
        Some(other) => {
            let text = format!("Invalid state parameter: {other}");
            return Err(AdminRefusal(StatusCode::BAD_REQUEST, text));
        }
    };
    Ok(ServerChange {
        url: None,
        secret: text_field(server, "secret").filter(|secret| !secret.is_empty()),
        tag: text_field(server, "tag").map(|tag| Some(tag).filter(|tag| !tag.is_empty())),
        state,
        load_multiplier: read_multiplier(server).transpose()?,
        max_meetings: read_limit(server, "max_meetings")?,
        max_users: read_limit(server, "max_users")?,
        tier: read_limit(server, "tier")?.map(|tier| tier.unwrap_or(0)),
    })
}
