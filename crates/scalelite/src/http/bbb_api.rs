//! The BBB API: verifies the checksum of a call, reads its parameters, and calls the use case of
//! the same name.

use std::future::Future;
use std::sync::Arc;

use app::api::{self, ApiError, JoinRefusal, RequestLog};
use app::callbacks::CreateOrigin;
use app::origin;
use app::ports::BackendBody;
use app::tenancy::Caller;
use bbb::call::BodyKind;
use bbb::{ApiCall, Query, response};
use bytes::Bytes;
use http::{Method, Response};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::access_log::{RequestSummary, log_request};
use super::body::{self, RequestContent};
use super::message::{ApiRequest, HttpResponse};
use super::peer::ShownAddress;
use super::respond::{self, ResponseBody};
use super::state::HttpState;
use super::{host, join_retry, recordings, session_calls, text_tracks};

/// Returns the version document, which needs no checksum.
pub(super) fn handle_index(state: &HttpState, method: &Method) -> HttpResponse {
    if !ApiCall::Index.allows_method(method.as_str()) {
        return HttpResponse::failed("index", &ApiError::Unsupported);
    }
    let build = state.app.policy.build_number.as_deref().map(|build| ("build", build));
    // BBB's elements, in its order. The servers of the pool may have several versions of BBB: none is named.
    let versions = [("version", "2.0"), ("apiVersion", "2.0"), ("bbbVersion", "")];
    let elements: Vec<_> = versions.into_iter().chain(build).collect();
    HttpResponse::ok("index", respond::xml(response::build_success(&elements)))
}

/// Answers any other call.
pub(super) async fn handle_call(
    state: &Arc<HttpState>,
    name: &str,
    request: ApiRequest,
) -> HttpResponse {
    let call = ApiCall::from_name(name).filter(|call| call.allows_method(request.method.as_str()));
    let Some(call) = call.filter(|call| *call != ApiCall::Index) else {
        let refusal = session_calls::refuse(name, &request.method);
        return refusal.unwrap_or_else(|| HttpResponse::failed("-", &ApiError::Unsupported));
    };
    if let Some(response) = respond_if_disabled(state, call) {
        return response;
    }
    let caller = match api::identify_caller(&state.app, request.tenant.as_deref()).await {
        Ok(caller) => caller,
        Err(error) => return HttpResponse::failed(call.name(), &error),
    };
    if matches!(call, ApiCall::GetRecordingTextTracks | ApiCall::PutRecordingTextTrack) {
        return text_tracks::handle_call(state, &caller, call, request).await;
    }
    let mut request_log = RequestLog::for_caller(&caller);
    let is_browser_join = call == ApiCall::Join && prefers_html(&request);
    let url_host = state.hosts.url_host().unwrap_or_default();
    let origin = state.hosts.playback_origin(&request);
    let origin = origin.unwrap_or_else(|| {
        host::request_origin(&request.headers, request.client.is_https, url_host)
    });
    let (host, client) = (request.host.clone(), ShownAddress(request.client.address));
    let result = match verify_call(state, &caller, call, request).await {
        Ok(VerifiedCall { query, .. }) if recordings::is_recording_call(call) => {
            recordings::handle_call(state, caller, call, query, &origin).await
        }
        // In a box, so that a form that is awaited takes no room for what follows.
        Ok(verified) => {
            let executing =
                execute_call(state, (caller, client, host), call, verified, &mut request_log);
            Box::pin(executing).await
        }
        Err(error) => Err(error),
    };
    let response = match result {
        Ok(response) => HttpResponse::ok(call.name(), response),
        // Only failures that may pass get a page that retries; front-ends explain all others.
        Err(error) if is_browser_join && error.is_transient() => {
            let mut response = HttpResponse::failed(call.name(), &error);
            response.response = join_retry::build_response(&error.message());
            response
        }
        Err(error) => HttpResponse::failed(call.name(), &error),
    };
    response.with_request_log(request_log)
}

/// Returns whether a browser sent the request: browsers accept HTML, clients of the API do not.
fn prefers_html(request: &ApiRequest) -> bool {
    let mut accepted = request.headers.get_all(http::header::ACCEPT).iter();
    let query = Query::parse(&request.query);
    let wants_xml = query.get("redirect").is_some_and(|redirect| redirect == "false");
    !wants_xml && accepted.any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}

/// Returns the response to a call that the settings disable.
fn respond_if_disabled(state: &HttpState, call: ApiCall) -> Option<HttpResponse> {
    let policy = &state.app.policy;
    let no_recordings = policy.recording_disabled || state.app.recording_store.is_none();
    match call {
        ApiCall::GetMeetings if policy.get_meetings_disabled => {
            Some(HttpResponse::ok(call.name(), respond::xml(api::no_meetings_response())))
        }
        ApiCall::GetRecordings if no_recordings => {
            Some(HttpResponse::ok(call.name(), respond::xml(api::no_recordings_response())))
        }
        ApiCall::PublishRecordings | ApiCall::UpdateRecordings | ApiCall::DeleteRecordings
            if no_recordings =>
        {
            Some(HttpResponse::failed(call.name(), &ApiError::NoRecordings))
        }
        _ => None,
    }
}

/// A call whose checksum is valid.
struct VerifiedCall {
    /// Parameters of the query and of a form.
    query: Query,
    /// XML body, which is passed on to the BBB server.
    body: Option<BackendBody>,
    /// The secret that signed the call.
    secret: String,
}

/// Verifies a call. Nothing of its body is read before its head proves who sent it, except for a form that may carry the proof.
async fn verify_call(
    state: &HttpState,
    caller: &Caller,
    call: ApiCall,
    request: ApiRequest,
) -> Result<VerifiedCall, ApiError> {
    let mut query = Query::parse(&request.query);
    let authenticate =
        |form| api::authenticate(&state.app, caller, call.name(), &request.query, form);
    let (headers, body) = (&request.headers, &request.body);
    let has_body = request.method == Method::POST && !body.is_at_end();
    if has_body {
        body::check_head(headers, call.body_kind(), state.max_body_bytes)?;
    }
    let may_carry_proof = has_body && body::is_form(headers) && call.body_kind() != BodyKind::Xml;
    // The query is verified first: only a client that signed it may send a long form.
    let may_sign_form = state.app.policy.accepts_form_checksums && may_carry_proof;
    let mut secret = match authenticate(None) {
        Ok(secret) => secret,
        Err(error) if !may_carry_proof || query.contains("checksum") && !may_sign_form => {
            return Err(error);
        }
        Err(_) => "",
    };
    let is_verified = !secret.is_empty();
    if is_verified {
        body.prove_sender().await;
    }
    let content = match has_body {
        true => {
            let (kind, max_bytes) = (call.body_kind(), state.max_body_bytes);
            body::read_content(headers, body.clone(), kind, max_bytes).await?
        }
        false => RequestContent::None,
    };
    let body = match content {
        RequestContent::None if is_verified => None,
        RequestContent::Xml(body) if is_verified => Some(body),
        RequestContent::None | RequestContent::Xml(_) => return Err(ApiError::Checksum),
        RequestContent::Form(form) => {
            let form = form.read(is_verified).await?;
            // A form without a checksum cannot invalidate the one of the query.
            if !is_verified || form.contains("checksum") {
                secret = authenticate(Some(&form)).or_else(|_| {
                    api::authenticate_form(&state.app, caller, call.name(), &query, &form)
                })?;
                request.body.prove_sender().await;
            }
            api::merge_form(&mut query, form);
            None
        }
    };
    Ok(VerifiedCall { query, body, secret: secret.to_owned() })
}

async fn execute_call(
    state: &Arc<HttpState>,
    (caller, client, host): (Caller, ShownAddress, String),
    call: ApiCall,
    verified: VerifiedCall,
    request_log: &mut RequestLog,
) -> Result<Response<ResponseBody>, ApiError> {
    let app = &state.app;
    let VerifiedCall { query, body, secret } = verified;
    let xml = match call {
        ApiCall::Create => {
            let app = app.clone();
            let create = async move {
                let origin = CreateOrigin { host: &host, secret: Some(&secret) };
                app::create::create(&app, &caller, origin, query, body).await
            };
            Box::pin(complete_and_log(state, (call, client), create, request_log)).await
        }
        ApiCall::End => {
            let app = app.clone();
            let end = async move {
                let mut request_log = RequestLog::for_caller(&caller);
                (api::end(&app, &caller, &query, &mut request_log).await, request_log)
            };
            Box::pin(complete_and_log(state, (call, client), end, request_log)).await
        }
        ApiCall::Join => return handle_join(state, &caller, query, request_log).await,
        ApiCall::IsMeetingRunning => {
            Box::pin(api::is_meeting_running(app, &caller, &query, request_log)).await
        }
        ApiCall::GetMeetingInfo => {
            Box::pin(api::get_meeting_info(app, &caller, &query, request_log)).await
        }
        ApiCall::InsertDocument => {
            Box::pin(api::insert_document(app, &caller, &query, body, request_log)).await
        }
        ApiCall::SendChatMessage => {
            Box::pin(api::send_chat_message(app, &caller, query, request_log)).await
        }
        ApiCall::GetMeetings => {
            return Ok(respond::xml_stream(Box::pin(api::get_meetings(app, &caller)).await?));
        }
        // Answered by `handle_index`, `recordings.rs` and `text_tracks.rs`.
        ApiCall::Index
        | ApiCall::GetRecordings
        | ApiCall::PublishRecordings
        | ApiCall::UpdateRecordings
        | ApiCall::DeleteRecordings
        | ApiCall::GetRecordingTextTracks
        | ApiCall::PutRecordingTextTrack => Err(ApiError::Unsupported),
    };
    xml.map(respond::xml)
}

/// Runs a call to its end even if the client disconnects: the BBB server has the request, and its
/// response must be recorded. If the client is gone by then, a log line of its own tells the
/// outcome.
async fn complete_and_log(
    state: &HttpState,
    (call, client): (ApiCall, ShownAddress),
    work: impl Future<Output = (Result<Bytes, ApiError>, RequestLog)> + Send + 'static,
    request_log: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let (sender, receiver) = oneshot::channel();
    let started = Instant::now();
    let completing = async move {
        if let Err((result, request_log)) = sender.send(work.await) {
            let result = result.as_ref().map_or_else(ApiError::key, |_| "ok");
            let detail = Some("completed after the client disconnected");
            let summary = RequestSummary { result, status: 0, detail };
            log_request(call.name(), client, &request_log, &summary, started.elapsed());
        }
    };
    state.background.spawn(origin::keep_origin(completing));
    let (result, completed_log) = receiver.await.map_err(|_| ApiError::Internal)?;
    *request_log = completed_log;
    result
}

async fn handle_join(
    state: &HttpState,
    caller: &Caller,
    query: Query,
    request_log: &mut RequestLog,
) -> Result<Response<ResponseBody>, ApiError> {
    match api::join(&state.app, caller, query, request_log).await {
        // An encoded query always fits into a header; the URL of a server may not.
        Ok(location) => respond::redirect(&location).ok_or(ApiError::Internal),
        Err(JoinRefusal { error, error_url }) => {
            error_url.and_then(|url| respond::redirect(&url)).ok_or(error)
        }
    }
}
