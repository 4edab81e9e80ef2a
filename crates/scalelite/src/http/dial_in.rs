//! Dial-in (`/fsapi`): a FreeSWITCH asks what to do with a call, by a form, as its `mod_xml_curl` sends it.

use std::sync::Arc;

use app::api::ApiError;
use app::dial_in::{PhoneCall, answer_phone_call, may_ask};
use bbb::Query;
use bbb::dialplan::{Dialect, build_not_found};
use domain::dial_in::CallerId;
use headers::authorization::Basic;
use headers::{Authorization, HeaderMapExt as _};
use http::{HeaderValue, Method, StatusCode, header};

use super::body;
use super::message::{ApiRequest, HttpResponse};
use super::respond;
use super::state::HttpState;

/// Name of the call in the log.
pub(super) const CALL_NAME: &str = "fsapi";
/// Longest form, in bytes: FreeSWITCH sends all variables of a channel.
const MAX_FORM_BYTES: u64 = 256 << 10;
/// What networks and FreeSWITCH put in place of the number of a caller who hides it.
const HIDDEN_NUMBERS: [&str; 6] =
    ["anonymous", "unknown", "unavailable", "restricted", "private", "0000000000"];

/// Answers a question.
pub(super) async fn handle_call(state: &Arc<HttpState>, request: ApiRequest) -> HttpResponse {
    if request.method != Method::POST {
        return HttpResponse::failed(CALL_NAME, &ApiError::Unsupported);
    }
    if !is_allowed(state, &request) {
        return refuse(state, &request);
    }
    let is_open = state.app.policy.dial_in.password.is_none();
    if !is_open {
        request.body.prove_sender().await;
    }
    let form = body::read_form(&request.headers, request.body.clone(), MAX_FORM_BYTES).await;
    let mut parameters = match form {
        Ok(form) => form.unwrap_or_default(),
        Err(error) => return HttpResponse::failed(CALL_NAME, &error),
    };
    app::api::merge_form(&mut parameters, Query::parse(&request.query));
    let user_agent = request.headers.get(header::USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let dialect = Dialect::for_user_agent(user_agent);
    let call = read_call(&parameters, &request);
    match answer_phone_call(&state.app, request.tenant.as_deref(), &call, dialect).await {
        Ok(answer) => {
            let plan = answer.dialplan.map_or_else(build_not_found, |plan| plan.to_xml(dialect));
            let mut response = HttpResponse::ok(CALL_NAME, respond::xml(plan));
            answer.result.clone_into(&mut response.result);
            response.with_request_log(answer.log)
        }
        Err(error) => {
            // FreeSWITCH takes an error for no answer, and looks at its own files.
            let text = "The balancer's store is unavailable.\n";
            let unavailable = respond::text(StatusCode::SERVICE_UNAVAILABLE, text);
            let mut response = HttpResponse::ok(CALL_NAME, unavailable);
            "internalError".clone_into(&mut response.result);
            response.detail = Some(error.to_string());
            response
        }
    }
}

fn is_allowed(state: &HttpState, request: &ApiRequest) -> bool {
    let basic = request.headers.typed_get::<Authorization<Basic>>();
    match &basic {
        Some(basic) => may_ask(&state.app, basic.username(), basic.password()),
        None => may_ask(&state.app, "", ""),
    }
}

/// Asks for the password, in the original's words.
fn refuse(state: &HttpState, request: &ApiRequest) -> HttpResponse {
    let page = respond::html(StatusCode::UNAUTHORIZED, "HTTP Basic: Access denied.\n");
    let mut refusal = HttpResponse::ok(CALL_NAME, page);
    "unauthorized".clone_into(&mut refusal.result);
    let realm = state.hosts.url_host().unwrap_or(&request.host);
    // Quotes and backslashes do not occur in host names, but in what a client may send as one.
    let realm: String = realm.chars().filter(|c| !matches!(c, '"' | '\\')).collect();
    if let Ok(challenge) = HeaderValue::from_str(&format!("Basic realm=\"{realm}\"")) {
        let headers = refusal.response.headers_mut();
        // In the original's order.
        let content_type = headers.remove(header::CONTENT_TYPE);
        headers.insert(header::WWW_AUTHENTICATE, challenge);
        headers.extend(content_type.map(|it| (header::CONTENT_TYPE, it)));
    }
    refusal
}

/// Reads what FreeSWITCH says of the call.
fn read_call(parameters: &Query, request: &ApiRequest) -> PhoneCall {
    let text = |name: &str| parameters.get(name).unwrap_or_default().into_owned();
    let not_blank = |text: String| if text.trim().is_empty() { String::new() } else { text };
    let is_true = |name: &str| parameters.get(name).is_some_and(|value| value == "true");
    let dialled = ["variable_sip_to_user", "variable_sip_req_user", "Caller-RDNIS"];
    PhoneCall {
        section: text("section"),
        destination: not_blank(text("Caller-Destination-Number")),
        dialled: dialled.into_iter().map(text).filter(|number| !number.is_empty()).collect(),
        pin: not_blank(text("variable_pin")),
        caller: CallerId {
            name: parameters.get("Caller-Caller-ID-Name").unwrap_or_default().into_owned(),
            hides_name: is_true("Caller-Privacy-Hide-Name"),
            hides_number: is_true("Caller-Privacy-Hide-Number"),
        },
        caller_key: find_caller_key(parameters, request),
    }
}

/// Returns what tells callers apart: the number, or else the call, or else who sent the request.
fn find_caller_key(parameters: &Query, request: &ApiRequest) -> String {
    let find = |name: &str| parameters.get(name).filter(|value| !value.trim().is_empty());
    let is_hidden =
        |number: &str| HIDDEN_NUMBERS.iter().any(|hidden| hidden.eq_ignore_ascii_case(number));
    let number = find("Caller-Caller-ID-Number").or_else(|| find("Caller-ANI"));
    if let Some(number) = number.filter(|number| !is_hidden(number.trim())) {
        return format!("number {}", number.trim());
    }
    match find("Caller-Unique-ID").or_else(|| find("Unique-ID")) {
        Some(call) => format!("call {call}"),
        None => format!("client {}", super::peer::ShownAddress(request.client.address)),
    }
}
