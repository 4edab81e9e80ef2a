//! The BBB API: verifies, reads parameters, and calls the use case of the same name.

use std::future::Future;
use std::sync::Arc;

use app::api::{self, ApiError, JoinRefusal, RequestLog};
use app::callbacks::CreateOrigin;
use app::ports::BackendBody;
use app::tenancy::Caller;
use bbb::{ApiCall, Query, response};
use bytes::Bytes;
use http::{Method, Response};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::body::{self, RequestContent};
use super::respond::{self, ResponseBody};
use super::route::{ApiRequest, HttpResponse, HttpState, RequestSummary, log_request};
use super::text_tracks;
use super::{host, recordings};

/// The version document: for anybody, signed or not.
pub(super) fn handle_index(gate: &HttpState, method: &Method) -> HttpResponse {
    if !ApiCall::Index.allows_method(method.as_str()) {
        return HttpResponse::failed("index", &ApiError::Unsupported);
    }
    let build = gate.app.policy.build_number.as_deref().map(|build| ("build", build));
    let elements: Vec<_> = std::iter::once(("version", "2.0")).chain(build).collect();
    HttpResponse::ok("index", respond::xml(response::build_success(&elements)))
}

/// Any other call.
pub(super) async fn handle_call(
    gate: &Arc<HttpState>,
    name: &str,
    incomer: ApiRequest,
) -> HttpResponse {
    let known = ApiCall::from_name(name).filter(|call| call.allows_method(incomer.method.as_str()));
    let Some(call) = known.filter(|call| *call != ApiCall::Index) else {
        return HttpResponse::failed("-", &ApiError::Unsupported);
    };
    if let Some(outcome) = respond_if_disabled(gate, call) {
        return outcome;
    }
    let caller = match api::identify_caller(&gate.app, incomer.tenant.as_deref()).await {
        Ok(caller) => caller,
        Err(error) => return HttpResponse::failed(call.name(), &error),
    };
    if matches!(call, ApiCall::GetRecordingTextTracks | ApiCall::PutRecordingTextTrack) {
        return text_tracks::handle_call(gate, &caller, call, incomer).await;
    }
    let mut trail = RequestLog::for_caller(&caller);
    let is_person = call == ApiCall::Join && prefers_html(&incomer);
    let origin =
        host::request_origin(&incomer.headers, gate.url_host.as_deref().unwrap_or_default());
    let host = incomer.host.clone();
    let result = match verify_call(gate, &caller, call, incomer).await {
        Ok(VerifiedCall { query, .. }) if recordings::is_recording_call(call) => {
            recordings::handle_call(gate, caller, call, query, &origin).await
        }
        Ok(asked) => execute_call(gate, caller, call, host, asked, &mut trail).await,
        Err(error) => Err(error),
    };
    let outcome = match result {
        Ok(response) => HttpResponse::ok(call.name(), response),
        // What may pass by itself; everything else is for front-ends to explain.
        Err(error) if is_person && error.is_transient() => {
            let mut outcome = HttpResponse::failed(call.name(), &error);
            outcome.response = respond::waiting_page(&error.message());
            outcome
        }
        Err(error) => HttpResponse::failed(call.name(), &error),
    };
    outcome.with_request_log(trail)
}

/// Whether it is a browser that asks: those name HTML, clients of the API do not.
fn prefers_html(incomer: &ApiRequest) -> bool {
    let accepted = incomer.headers.get_all(http::header::ACCEPT).iter();
    let mut texts = accepted.filter_map(|value| value.to_str().ok());
    let asked_for_xml =
        Query::parse(&incomer.query).get("redirect").is_some_and(|it| it == "false");
    !asked_for_xml && texts.any(|text| text.contains("text/html"))
}

/// Calls that are switched off.
fn respond_if_disabled(gate: &HttpState, call: ApiCall) -> Option<HttpResponse> {
    let policy = &gate.app.policy;
    let no_recordings = policy.recording_disabled || gate.app.recording_store.is_none();
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

/// A call whose checksum is right.
struct VerifiedCall {
    /// Its parameters.
    query: Query,
    /// Its body, if that is passed on.
    body: Option<BackendBody>,
    /// The secret that signed it.
    secret: String,
}

async fn verify_call(
    gate: &HttpState,
    caller: &Caller,
    call: ApiCall,
    incomer: ApiRequest,
) -> Result<VerifiedCall, ApiError> {
    let mut query = Query::parse(&incomer.query);
    let authenticate =
        |form| api::authenticate(&gate.app, caller, call.name(), &incomer.query, form);
    let content = if incomer.method == Method::POST {
        body::read_content(&incomer.headers, incomer.body, call.body_kind(), gate.max_body_bytes)
            .await?
    } else {
        RequestContent::None
    };
    // What is signed is the query: only who signed it may have us read much.
    let signed = query.contains("checksum");
    let mut secret = if signed { authenticate(None)? } else { "" };
    let body = match content {
        RequestContent::None if signed => None,
        RequestContent::Xml(body) if signed => Some(body),
        RequestContent::None | RequestContent::Xml(_) => return Err(ApiError::Checksum),
        RequestContent::Form(form) => {
            let form = form.read(signed).await?;
            // A form changes the verdict only if it brings a checksum.
            if !signed || form.contains("checksum") {
                secret = authenticate(Some(&form))?;
            }
            api::merge_form(&mut query, form);
            None
        }
    };
    Ok(VerifiedCall { query, body, secret: secret.to_owned() })
}

async fn execute_call(
    gate: &Arc<HttpState>,
    caller: Caller,
    call: ApiCall,
    host: String,
    verified: VerifiedCall,
    trail: &mut RequestLog,
) -> Result<Response<ResponseBody>, ApiError> {
    let app = &gate.app;
    let VerifiedCall { query, body, secret } = verified;
    let xml = match call {
        ApiCall::Create => {
            let app = app.clone();
            let create = async move {
                let origin = CreateOrigin { host: &host, secret: Some(&secret) };
                app::create::create(&app, &caller, origin, query, body).await
            };
            run_to_completion(gate, call, create, trail).await
        }
        ApiCall::End => {
            let app = app.clone();
            let end = async move {
                let mut trail = RequestLog::for_caller(&caller);
                (api::end(&app, &caller, &query, &mut trail).await, trail)
            };
            run_to_completion(gate, call, end, trail).await
        }
        ApiCall::Join => return handle_join(gate, &caller, query, trail).await,
        ApiCall::IsMeetingRunning => api::is_meeting_running(app, &caller, &query, trail).await,
        ApiCall::GetMeetingInfo => api::get_meeting_info(app, &caller, &query, trail).await,
        ApiCall::InsertDocument => api::insert_document(app, &caller, &query, body, trail).await,
        ApiCall::SendChatMessage => api::send_chat_message(app, &caller, query, trail).await,
        ApiCall::GetMeetings => {
            return Ok(respond::xml_stream(api::get_meetings(app, &caller).await?));
        }
        // The first one has a route of its own, the others are not about meetings.
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

/// Runs what must not stop in the middle because a client hangs up: the server has the request,
/// and its answer must be recorded. If nobody waits for it any more, the log is told.
async fn run_to_completion(
    gate: &HttpState,
    call: ApiCall,
    work: impl Future<Output = (Result<Bytes, ApiError>, RequestLog)> + Send + 'static,
    trail: &mut RequestLog,
) -> Result<Bytes, ApiError> {
    let (sender, receiver) = oneshot::channel();
    let started = Instant::now();
    gate.background.spawn(async move {
        if let Err((result, trail)) = sender.send(work.await) {
            let result = result.as_ref().map_or_else(ApiError::key, |_| "ok");
            let summary = RequestSummary { result, status: 0, detail: Some("its client was gone") };
            log_request(call.name(), &trail, &summary, started.elapsed());
        }
    });
    let (result, done) = receiver.await.map_err(|_| ApiError::Internal)?;
    *trail = done;
    result
}

async fn handle_join(
    gate: &HttpState,
    caller: &Caller,
    query: Query,
    trail: &mut RequestLog,
) -> Result<Response<ResponseBody>, ApiError> {
    match api::join(&gate.app, caller, query, trail).await {
        // What our encoder wrote always fits into a header, unless a server's URL does not.
        Ok(location) => respond::redirect(&location).ok_or(ApiError::Internal),
        Err(JoinRefusal { error, error_url }) => {
            error_url.and_then(|url| respond::redirect(&url)).ok_or(error)
        }
    }
}
