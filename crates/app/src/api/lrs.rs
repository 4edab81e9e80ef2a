//! Access to the learning record store (LRS) of a tenant, which is sent to the server with a
//! create. A create does not fail if the access cannot be determined: that is logged, and the
//! access is left out.

use std::time::Duration;

use bbb::Query;
use bytes::Bytes;
use domain::tenant::Lrs;
use domain::{Server, Tenant};
use serde_json::{Value, json};

use crate::blocking::COMPUTING;
use crate::context::App;
use crate::ports::{BackendBody, BackendCall, CallPriority, CallTimeouts};
use crate::state::IssuedToken;

/// Timeouts of calls to Keycloak. Users are waiting for the meeting.
const KEYCLOAK_TIMEOUTS: CallTimeouts = CallTimeouts { connect_ms: 1_000, response_ms: 3_000 };
/// Maximum time to get a token.
const TOKEN_DEADLINE: Duration = Duration::from_secs(4);
/// Longest life of a token that is believed, in seconds.
const MAX_LIFETIME_S: u64 = 86_400;
/// Maximum length of a response with a token, in bytes.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Returns the endpoint and credentials of the tenant's learning record store in JSON, if the
/// tenant has one.
pub(crate) async fn find_lrs_access(app: &App, tenant: Option<&Tenant>) -> Option<String> {
    let tenant = tenant?;
    let endpoint = non_empty(&tenant.lrs.endpoint)?;
    let Lrs { kc_token_url, username, password, .. } = &tenant.lrs;
    let access = match non_empty(kc_token_url) {
        Some(url) => {
            let fetch = fetch_keycloak_token(app, url, &tenant.lrs);
            let token = app.keycloak_tokens.find_or_fetch(tenant, TOKEN_DEADLINE, fetch).await;
            token.map(|token| json!({ "lrs_endpoint": endpoint, "lrs_token": token }))
        }
        None => match (non_empty(username), non_empty(password)) {
            (Some(username), Some(password)) => Ok(json!({
                "lrs_endpoint": endpoint, "lrs_username": username, "lrs_password": password,
            })),
            _ => Err("neither user and password nor Keycloak are configured".to_owned()),
        },
    };
    match access {
        Ok(access) => Some(access.to_string()),
        Err(error) => {
            tracing::warn!(tenant = tenant.id, error, "learning record store left out of create");
            None
        }
    }
}

/// Encrypts the access data for one server, with its secret.
pub(crate) async fn encrypt_lrs_access(
    app: &App,
    server: &Server,
    access: Option<String>,
) -> Option<String> {
    let (access, secret, iv) = (access?, server.secret.clone(), app.entropy.generate_bytes());
    // The encryption takes milliseconds, in which it must not block other calls.
    let encrypt = move || bbb::lrs::encrypt_payload(&access, &secret, iv);
    COMPUTING.run(encrypt).await.ok()
}

fn non_empty(field: &Option<String>) -> Option<&str> {
    field.as_deref().filter(|text| !text.is_empty())
}

/// Gets a token from Keycloak by the password grant.
async fn fetch_keycloak_token(app: &App, url: &str, lrs: &Lrs) -> Result<IssuedToken, String> {
    let mut form = Query::default();
    form.push("grant_type", "password");
    for (name, value) in [
        ("client_id", &lrs.kc_client_id),
        ("client_secret", &lrs.kc_client_secret),
        ("username", &lrs.kc_username),
        ("password", &lrs.kc_password),
    ] {
        form.push(name, non_empty(value).unwrap_or_default());
    }
    let form = Bytes::from(form.to_text());
    let body = BackendBody {
        content_type: "application/x-www-form-urlencoded".to_owned(),
        length: u64::try_from(form.len()).ok(),
        stream: Box::pin(futures_util::stream::once(async move { Ok(form) })),
    };
    let call = BackendCall {
        url: url.to_owned(),
        body: Some(body),
        timeouts: KEYCLOAK_TIMEOUTS,
        max_response_bytes: MAX_RESPONSE_BYTES,
        priority: CallPriority::FrontEnd,
        request_id: None,
    };
    let response = app.bbb.send_call(call).await.map_err(|error| error.to_string())?;
    if response.status != 200 {
        return Err(format!("Keycloak answered with status {}", response.status));
    }
    let body: Option<Value> = serde_json::from_slice(&response.body).ok();
    let token = body.as_ref().and_then(|body| body.get("access_token")?.as_str());
    let token = token.ok_or("Keycloak answered without a token")?.to_owned();
    let seconds = body
        .as_ref()
        .and_then(|body| body.get("expires_in")?.as_u64())
        .unwrap_or(0)
        .min(MAX_LIFETIME_S);
    Ok(IssuedToken { token, lifetime: Duration::from_secs(seconds) })
}
