//! The management API: JSON, signed with a secret of its own or one of the front-ends', with meaningful HTTP status codes.

mod parameters;
mod servers;
mod tenants;

use std::sync::Arc;

use app::api::ApiError;
use app::origin::{self, Actor};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use self::parameters::{AdminRefusal, ManagementCall, read_call};
use super::management::ManagementRight;
use super::message::{ApiRequest, HttpResponse};
use super::respond;
use super::state::HttpState;

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
    let administrator = Actor::Administrator(request.client.address);
    let is_post = request.method == Method::POST;
    let is_get = matches!(request.method, Method::GET | Method::HEAD);
    let is_allowed = |needs_post: bool| if needs_post { is_post } else { is_get };
    let known = CALLS.iter().find(|(call, needs_post)| *call == name && is_allowed(*needs_post));
    let Some((call, _)) = known else {
        return HttpResponse::failed("-", &ApiError::Unsupported);
    };
    let ManagementCall { parameters, right } = match read_call(state, call, request).await {
        Ok(verified) => verified,
        Err(error) => return HttpResponse::failed(call, &error),
    };
    let result = match parameters {
        Some(parameters) => {
            let shared_state = state.clone();
            // A panic must end all meetings of the server even if the client disconnects.
            let execution =
                async move { execute_call(&shared_state, call, &parameters, right).await };
            let execution = origin::run_as(administrator, execution);
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
            let mut text = json!({ "error": error });
            if is_tenant_call(call) {
                // The original calls the texts of these calls so.
                text["message"] = text["error"].clone();
            }
            let mut response = HttpResponse::ok(call, respond::json(status, &text));
            response.result = "refused".to_owned();
            response
        }
        Err(error) => HttpResponse::failed(call, &error),
    }
}

/// Returns whether a call concerns tenants.
fn is_tenant_call(call: &str) -> bool {
    call.contains("Tenant")
}

async fn execute_call(
    state: &HttpState,
    call: &str,
    parameters: &Map<String, Value>,
    right: ManagementRight,
) -> Result<(StatusCode, Value), AdminRefusal> {
    if is_tenant_call(call) {
        tenants::execute_call(&state.app, call, parameters, right).await
    } else {
        servers::execute_call(&state.app, call, parameters, right).await
    }
}
