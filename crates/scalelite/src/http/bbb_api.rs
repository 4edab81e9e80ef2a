//! The BBB API: verifies, reads parameters, and calls the use case of the same name.

use std::future::Future;
use std::sync::Arc;

use app::api::{self, ApiError, JoinRefused, Trail};
use app::callbacks::Asked;
use app::ports::BackendBody;
use app::tenancy::Caller;
use bbb::{Call, Query, answer};
use bytes::Bytes;
use http::{Method, Response};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::body::{self, Content};
use super::respond::{self, Body};
use super::route::{Gate, Incomer, Outcome, Summary, log};
use super::{host, recordings};

/// The version document: for anybody, signed or not.
pub(super) fn index(gate: &Gate, method: &Method) -> Outcome {
    if !Call::Index.allows(method.as_str()) {
        return Outcome::failed("index", &ApiError::Unsupported);
    }
    let build = gate.app.policy.build.as_deref().map(|build| ("build", build));
    let elements: Vec<_> = std::iter::once(("version", "2.0")).chain(build).collect();
    Outcome::ok("index", respond::xml(answer::success(&elements)))
}

/// Any other call.
pub(super) async fn call(gate: &Arc<Gate>, name: &str, incomer: Incomer) -> Outcome {
    let known = Call::from_name(name).filter(|call| call.allows(incomer.method.as_str()));
    let Some(call) = known.filter(|call| *call != Call::Index) else {
        return Outcome::failed("-", &ApiError::Unsupported);
    };
    if let Some(outcome) = without_checksum(gate, call) {
        return outcome;
    }
    let caller = match api::caller(&gate.app, incomer.tenant.as_deref()).await {
        Ok(caller) => caller,
        Err(error) => return Outcome::failed(call.name(), &error),
    };
    let mut trail = Trail::of(&caller);
    let is_person = call == Call::Join && prefers_html(&incomer);
    let origin = host::origin(&incomer.headers, gate.url_host.as_deref().unwrap_or_default());
    let host = incomer.host.clone();
    let result = match verified(gate, &caller, call, incomer).await {
        Ok(Verified { query, .. }) if recordings::is_about(call) => {
            recordings::call(gate, caller, call, query, &origin).await
        }
        Ok(asked) => answered(gate, caller, call, host, asked, &mut trail).await,
        Err(error) => Err(error),
    };
    let outcome = match result {
        Ok(response) => Outcome::ok(call.name(), response),
        // What may pass by itself; everything else is for front-ends to explain.
        Err(error) if is_person && error.may_pass() => {
            let mut outcome = Outcome::failed(call.name(), &error);
            outcome.response = respond::waiting_page(&error.message());
            outcome
        }
        Err(error) => Outcome::failed(call.name(), &error),
    };
    outcome.about(trail)
}

/// Whether it is a browser that asks: those name HTML, clients of the API do not.
fn prefers_html(incomer: &Incomer) -> bool {
    let accepted = incomer.headers.get_all(http::header::ACCEPT).iter();
    let mut texts = accepted.filter_map(|value| value.to_str().ok());
    let asked_for_xml =
        Query::parse(&incomer.query).get("redirect").is_some_and(|it| it == "false");
    !asked_for_xml && texts.any(|text| text.contains("text/html"))
}

/// Calls that are switched off.
fn without_checksum(gate: &Gate, call: Call) -> Option<Outcome> {
    let policy = &gate.app.policy;
    let no_recordings = policy.recording_disabled || gate.app.records.is_none();
    match call {
        Call::GetMeetings if policy.get_meetings_disabled => {
            Some(Outcome::ok(call.name(), respond::xml(api::no_meetings())))
        }
        Call::GetRecordings if no_recordings => {
            Some(Outcome::ok(call.name(), respond::xml(api::no_recordings())))
        }
        Call::PublishRecordings | Call::UpdateRecordings | Call::DeleteRecordings
            if no_recordings =>
        {
            Some(Outcome::failed(call.name(), &ApiError::NoRecordings))
        }
        _ => None,
    }
}

/// A call whose checksum is right.
struct Verified {
    /// Its parameters.
    query: Query,
    /// Its body, if that is passed on.
    body: Option<BackendBody>,
    /// The secret that signed it.
    secret: String,
}

async fn verified(
    gate: &Gate,
    caller: &Caller,
    call: Call,
    incomer: Incomer,
) -> Result<Verified, ApiError> {
    let mut query = Query::parse(&incomer.query);
    let authenticate =
        |form| api::authenticate(&gate.app, caller, call.name(), &incomer.query, form);
    let content = if incomer.method == Method::POST {
        body::content(&incomer.headers, incomer.body, call.body(), gate.body_bytes_max).await?
    } else {
        Content::None
    };
    // What is signed is the query: only who signed it may have us read much.
    let signed = query.contains("checksum");
    let mut secret = if signed { authenticate(None)? } else { "" };
    let body = match content {
        Content::None if signed => None,
        Content::Xml(body) if signed => Some(body),
        Content::None | Content::Xml(_) => return Err(ApiError::Checksum),
        Content::Form(form) => {
            let form = form.read(signed).await?;
            // A form changes the verdict only if it brings a checksum.
            if !signed || form.contains("checksum") {
                secret = authenticate(Some(&form))?;
            }
            api::merge_form(&mut query, form);
            None
        }
    };
    Ok(Verified { query, body, secret: secret.to_owned() })
}

async fn answered(
    gate: &Arc<Gate>,
    caller: Caller,
    call: Call,
    host: String,
    verified: Verified,
    trail: &mut Trail,
) -> Result<Response<Body>, ApiError> {
    let app = &gate.app;
    let Verified { query, body, secret } = verified;
    let xml = match call {
        Call::Create => {
            let app = app.clone();
            let create = async move {
                let mut trail = Trail::of(&caller);
                let asked = Asked { host: &host, secret: Some(&secret) };
                (api::create(&app, &caller, asked, query, body, &mut trail).await, trail)
            };
            to_the_end(gate, call, create, trail).await
        }
        Call::End => {
            let app = app.clone();
            let end = async move {
                let mut trail = Trail::of(&caller);
                (api::end(&app, &caller, &query, &mut trail).await, trail)
            };
            to_the_end(gate, call, end, trail).await
        }
        Call::Join => return join(gate, &caller, query, trail).await,
        Call::IsMeetingRunning => api::is_meeting_running(app, &caller, &query, trail).await,
        Call::GetMeetingInfo => api::get_meeting_info(app, &caller, &query, trail).await,
        Call::InsertDocument => api::insert_document(app, &caller, &query, body, trail).await,
        Call::SendChatMessage => api::send_chat_message(app, &caller, query, trail).await,
        Call::GetMeetings => {
            return Ok(respond::xml_stream(api::get_meetings(app, &caller).await?));
        }
        // The first one has a route of its own, the others are not about meetings.
        Call::Index
        | Call::GetRecordings
        | Call::PublishRecordings
        | Call::UpdateRecordings
        | Call::DeleteRecordings => Err(ApiError::Unsupported),
    };
    xml.map(respond::xml)
}

/// Runs what must not stop in the middle because a client hangs up: the server has the request,
/// and its answer must be recorded. If nobody waits for it any more, the log is told.
async fn to_the_end(
    gate: &Gate,
    call: Call,
    work: impl Future<Output = (Result<Bytes, ApiError>, Trail)> + Send + 'static,
    trail: &mut Trail,
) -> Result<Bytes, ApiError> {
    let (sender, receiver) = oneshot::channel();
    let started = Instant::now();
    gate.background.spawn(async move {
        if let Err((result, trail)) = sender.send(work.await) {
            let result = result.as_ref().map_or_else(ApiError::key, |_| "ok");
            let summary = Summary { result, status: 0, detail: Some("its client was gone") };
            log(call.name(), &trail, &summary, started.elapsed());
        }
    });
    let (result, done) = receiver.await.map_err(|_| ApiError::Internal)?;
    *trail = done;
    result
}

async fn join(
    gate: &Gate,
    caller: &Caller,
    query: Query,
    trail: &mut Trail,
) -> Result<Response<Body>, ApiError> {
    match api::join(&gate.app, caller, query, trail).await {
        // What our encoder wrote always fits into a header, unless a server's URL does not.
        Ok(location) => respond::redirect(&location).ok_or(ApiError::Internal),
        Err(JoinRefused { error, error_url }) => {
            error_url.and_then(|url| respond::redirect(&url)).ok_or(error)
        }
    }
}
