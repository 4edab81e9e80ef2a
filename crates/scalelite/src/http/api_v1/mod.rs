//! The management API, version 1: JSON below `/scalelite/api/v1`, for holders of management tokens. It is served where the original's
//! management API is, and can be switched off with it.
//!
//! `table` lists the endpoints, `endpoint` says what one is, `input` and `problem` read requests and refuse them, `openapi` documents the
//! table. The other files are the endpoints themselves.

mod apply;
mod audit;
mod callbacks;
mod drains;
mod endpoint;
mod idempotency;
mod imports;
mod input;
mod meetings;
mod openapi;
mod paging;
mod placement;
mod planned_drains;
mod pool;
mod problem;
mod recordings;
mod server_changes;
mod server_contents;
mod servers;
mod table;
mod table_recordings;
mod tenant_settings;
mod tenants;
mod tokens;
mod trash;
mod views;

use std::sync::Arc;

use app::origin::{self, Actor};
use app::token_authentication::{TokenHolder, TokenRefusal, authenticate_token};
use domain::management::may;
use headers::authorization::Bearer;
use headers::{Authorization, HeaderMapExt as _};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::Value;

pub use openapi::render_document;

use self::endpoint::{Answer, Call, Endpoint};
use self::idempotency::Decision;
use self::problem::{InputFault, Problem};
use super::body;
use super::message::{ApiRequest, HttpResponse};
use super::respond::{self, ResponseBody};
use super::state::HttpState;

/// The path of the API.
pub(super) const BASE: &str = "/scalelite/api/v1";
/// Name of calls in the log, until the endpoint is known.
pub(super) const CALL_NAME: &str = "api v1";
/// Longest `If-Match`, in bytes.
const MAX_IF_MATCH_BYTES: usize = 1_000;

/// Answers one request. The target is that of the request, below any host.
pub(super) async fn handle(
    state: &Arc<HttpState>,
    target: &str,
    request: ApiRequest,
) -> HttpResponse {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let segments: Vec<String> = path
        .trim_start_matches('/')
        .split('/')
        .skip(3)
        .map(|segment| bbb::query::decode(&segment.replace('+', "%2B")).into_owned())
        .collect();
    let is_reading = matches!(request.method, Method::GET | Method::HEAD);
    if is_reading && segments == ["openapi.json"] {
        return HttpResponse::ok(CALL_NAME, openapi::answer());
    }
    let mut call = CALL_NAME;
    let result = answer(state, &segments, (target, query), request, &mut call).await;
    match result {
        Ok(response) => HttpResponse::ok(call, response),
        Err(problem) => {
            let (result, detail) = (problem.kind().to_owned(), problem.failure());
            let response = problem.into_response();
            HttpResponse { result, detail, ..HttpResponse::ok(call, response) }
        }
    }
}

async fn answer(
    state: &Arc<HttpState>,
    segments: &[String],
    (target, query): (&str, &str),
    request: ApiRequest,
    call_name: &mut &'static str,
) -> Result<Response<ResponseBody>, Problem> {
    let holder = Arc::new(authenticate(state, &request.headers).await?);
    // Nothing of the body was read before; from here on its sender is known.
    request.body.prove_sender().await;
    let (endpoint, path) = find_endpoint(segments, &request.method)?;
    *call_name = endpoint.name;
    if let Some(scope) = endpoint.scope.filter(|scope| !may(&holder.scopes, *scope)) {
        return Err(Problem::missing_scope(scope));
    }
    let query = endpoint.query.read_query(query)?;
    let bytes =
        body::read_whole(&request.headers, request.body.clone(), endpoint.max_body_bytes).await?;
    check_content_type(&request.headers, &bytes)?;
    let body = endpoint.body.read_body(&bytes)?;
    let if_match = read_if_match(&request.headers)?;
    let call = Call { state: state.clone(), holder: holder.clone(), path, if_match };
    let actor = Actor::Token(holder.name.as_str().into());
    let answer = match endpoint.is_change() {
        false => origin::run_as(actor, endpoint.handle(call, query, body)).await?,
        true => {
            let is_post = endpoint.method == Method::POST;
            let headers = if is_post { request.headers.clone() } else { HeaderMap::new() };
            let target = format!("{} {target}", endpoint.method);
            let work = change(endpoint, call, (query, body), (headers, target, bytes));
            // What has begun is finished, even if the client hangs up.
            state.run_to_completion(origin::run_as(actor, work)).await??
        }
    };
    Ok(to_response(answer))
}

/// Makes a change, once if the client has given it a key.
async fn change(
    endpoint: &'static Endpoint,
    call: Call,
    (query, body): (Value, Value),
    (headers, target, bytes): (HeaderMap, String, bytes::Bytes),
) -> Result<Answer, Problem> {
    let (app, holder) = (call.state.app.clone(), call.holder.clone());
    let keyed = match idempotency::begin(&app, &holder, &headers, (&target, &bytes)).await? {
        Decision::Repeat(answer) => return Ok(answer),
        Decision::Make(keyed) => keyed,
    };
    let changes = call.state.clone();
    // A version that was checked must still be there when the change is made.
    let _lock = match call.if_match.is_some() {
        true => Some(changes.versioned_changes.lock().await),
        false => None,
    };
    let result = endpoint.handle(call, query, body).await;
    idempotency::end(&app, keyed, &result).await;
    result
}

async fn authenticate(state: &HttpState, headers: &HeaderMap) -> Result<TokenHolder, Problem> {
    let Some(bearer) = headers.typed_get::<Authorization<Bearer>>() else {
        let detail = "send `Authorization: Bearer TOKEN`; `scalelite tokens create` makes a token";
        return Err(Problem::unauthorized(false, detail));
    };
    authenticate_token(&state.app, bearer.token()).await.map_err(|refusal| match refusal {
        TokenRefusal::Store(error) => error.into(),
        refusal => Problem::unauthorized(true, &refusal.to_string()),
    })
}

/// Finds the endpoint of a path and method, with the parts of the path that vary.
fn find_endpoint(
    segments: &[String],
    method: &Method,
) -> Result<(&'static Endpoint, Vec<String>), Problem> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let mut allowed: Vec<&str> = Vec::new();
    for endpoint in table::endpoints() {
        if let Some(parts) = endpoint.match_path(segments) {
            if endpoint.method == *method {
                return Ok((endpoint, parts));
            }
            allowed.push(endpoint.method.as_str());
        }
    }
    if segments == ["openapi.json"] {
        allowed.push("GET");
    }
    if allowed.is_empty() {
        return Err(Problem::not_found("endpoint"));
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    Err(Problem::method_not_allowed(&allowed.join(", ")))
}

fn check_content_type(headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    let kind = body::content_type(headers).split(';').next().unwrap_or_default().trim();
    let is_json = ["application/json", "application/merge-patch+json"]
        .iter()
        .any(|json| kind.eq_ignore_ascii_case(json));
    if body.is_empty() || is_json { Ok(()) } else { Err(Problem::unsupported_media_type()) }
}

fn read_if_match(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| text.len() <= MAX_IF_MATCH_BYTES);
    let text = text.ok_or_else(|| {
        let (pointer, detail) = ("/If-Match".to_owned(), "it is no short list of tags".to_owned());
        Problem::bad_request(vec![InputFault { part: "header", pointer, detail }])
    })?;
    Ok(Some(text.to_owned()))
}

fn to_response(answer: Answer) -> Response<ResponseBody> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = match answer.body {
        Some(body) => respond::json(status, &body),
        None => {
            let mut response = Response::new(respond::empty_body());
            *response.status_mut() = status;
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(etag) = answer.etag.and_then(|etag| HeaderValue::from_str(&etag).ok()) {
        headers.insert(header::ETAG, etag);
    }
    response
}
