//! The management API: JSON, signed with the balancer's own secret, with meaningful HTTP status
//! codes.

mod parameters;
mod servers;
mod tenants;

use std::sync::Arc;

use app::api::{ApiError, authenticate};
use app::tenancy::Caller;
use bbb::Query;
use bbb::call::ContentType;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use self::parameters::AdminRefusal;
use super::body;
use super::message::{ApiRequest, HttpResponse};
use super::respond;
use super::state::HttpState;

/// Longest body, in bytes.
const MAX_BODY_BYTES: u64 = 1 << 20;

/// Every call, and whether it is a POST.
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

/// Returns the name of a known call for the log, or `-`.
pub(super) fn call_name(name: &str) -> &'static str {
    CALLS.iter().find(|(call, _)| *call == name).map_or("-", |(call, _)| call)
}

/// Answers one call.
pub(super) async fn handle_call(
    state: &Arc<HttpState>,
    name: &str,
    request: ApiRequest,
) -> HttpResponse {
    let is_post = request.method == Method::POST;
    let is_get = matches!(request.method, Method::GET | Method::HEAD);
    let is_allowed = |needs_post: bool| if needs_post { is_post } else { is_get };
    let known = CALLS.iter().find(|(call, needs_post)| *call == name && is_allowed(*needs_post));
    let Some((call, _)) = known else {
        return HttpResponse::failed("-", &ApiError::Unsupported);
    };
    let parameters = match read_parameters(state, call, request).await {
        Ok(parameters) => parameters,
        Err(error) => return HttpResponse::failed(call, &error),
    };
    let result = match parameters {
        Some(parameters) => {
            let shared_state = state.clone();
            // A panic must end all meetings of the server even if the client disconnects.
            let execution = async move { execute_call(&shared_state, call, &parameters).await };
            state.run_to_completion(execution).await
        }
        None => {
            let text = "The body is not a JSON object".to_owned();
            Ok(Err(AdminRefusal(StatusCode::BAD_REQUEST, text)))
        }
    };
    match result {
        Ok(Ok((status, value))) => HttpResponse::ok(call, respond::json(status, &value)),
        Ok(Err(AdminRefusal(status, error))) => {
            let mut response =
                HttpResponse::ok(call, respond::json(status, &json!({ "error": error })));
            response.result = "refused".to_owned();
            response
        }
        Err(error) => HttpResponse::failed(call, &error),
    }
}

/// Verifies a call and returns its parameters: those of a JSON body and those of the query, where
/// `server[url]` is a field of `server`. `None` if the body is not a JSON object.
async fn read_parameters(
    state: &HttpState,
    call: &str,
    request: ApiRequest,
) -> Result<Option<Map<String, Value>>, ApiError> {
    let content_type = body::content_type(&request.headers).to_owned();
    let body = if request.method == Method::POST {
        body::read_whole(&request.headers, request.body, MAX_BODY_BYTES).await?
    } else {
        bytes::Bytes::new()
    };
    if !body.is_empty() && ContentType::parse(&content_type) != ContentType::Json {
        return Err(ApiError::UnsupportedContentType);
    }
    // The balancer's own secret is required on every host, also on the host of a tenant.
    authenticate(&state.app, &Caller::default(), call, &request.query, None)?;
    let mut parameters = if body.is_empty() {
        Map::new()
    } else {
        match serde_json::from_slice(&body) {
            Ok(Value::Object(object)) => object,
            _ => return Ok(None),
        }
    };
    for (name, value) in Query::parse(&request.query).iter() {
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
    state: &HttpState,
    call: &str,
    parameters: &Map<String, Value>,
) -> Result<(StatusCode, Value), AdminRefusal> {
    if call.contains("Tenant") {
        tenants::execute_call(&state.app, call, parameters).await
    } else {
        servers::execute_call(&state.app, call, parameters).await
    }
}
