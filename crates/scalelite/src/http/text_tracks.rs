//! Captions of recordings: getRecordingTextTracks and putRecordingTextTrack. Responses are JSON,
//! except for errors in the call itself, which are XML unless JSON is asked for. Source: BBB's
//! RecordingController.

use app::api::{ApiError, RequestLog, authenticate};
use app::playback::caller_scope;
use app::playback::tracks::{NewTrack, Track, TrackError};
use app::tenancy::Caller;
use bbb::{ApiCall, Query, response};
use domain::recording::captions::Language;
use http::{Response, StatusCode, header};
use serde_json::{Value, json};

use super::body;
use super::message::{ApiRequest, HttpResponse};
use super::origin::Origin;
use super::respond::{self, ResponseBody};
use super::state::HttpState;

/// A failed call. Strings are the key of the error and its message.
enum TrackFailure {
    /// An error that any call may have: XML, or JSON if that is asked for.
    Call(ApiError),
    /// A missing parameter: XML, or JSON if that is asked for.
    Parameter(String, String),
    /// A refusal, always JSON.
    Refused(String, String),
    /// An internal failure, with its cause for the log: XML, or JSON if that is asked for.
    Internal(String),
}

impl From<ApiError> for TrackFailure {
    fn from(error: ApiError) -> Self {
        Self::Call(error)
    }
}

/// Answers either call.
pub(super) async fn handle_call(
    state: &HttpState,
    caller: &Caller,
    call: ApiCall,
    request: ApiRequest,
) -> HttpResponse {
    let wants_json = wants_json(&request);
    let result = match call {
        ApiCall::PutRecordingTextTrack => upload_track(state, caller, call, request).await,
        _ => list_tracks(state, caller, call, &request).await,
    };
    let response = match result {
        Ok(value) => HttpResponse::ok(call.name(), respond::json(StatusCode::OK, &value)),
        Err(failure) => failure_response(call, failure, wants_json),
    };
    response.with_request_log(RequestLog::for_caller(caller))
}

fn failure_response(call: ApiCall, failure: TrackFailure, wants_json: bool) -> HttpResponse {
    let in_json = |key: &str, message: &str| {
        respond::json(StatusCode::OK, &response::build_failure_json(key, message))
    };
    let in_wanted_type = |key: &str, message: &str| -> Response<ResponseBody> {
        if wants_json {
            in_json(key, message)
        } else {
            respond::xml(response::build_failure(key, message))
        }
    };
    match failure {
        TrackFailure::Call(error) => {
            let mut response = HttpResponse::failed(call.name(), &error);
            response.response = in_wanted_type(error.key(), &error.message());
            response
        }
        TrackFailure::Parameter(key, message) => {
            refused_response(call, in_wanted_type(&key, &message), key)
        }
        TrackFailure::Refused(key, message) => refused_response(call, in_json(&key, &message), key),
        TrackFailure::Internal(detail) => {
            let message = ApiError::Internal.message();
            let response = in_wanted_type("internalError", &message);
            let mut response = refused_response(call, response, "internalError".to_owned());
            response.detail = Some(detail);
            response
        }
    }
}

fn refused_response(call: ApiCall, response: Response<ResponseBody>, key: String) -> HttpResponse {
    let mut response = HttpResponse::ok(call.name(), response);
    response.result = key;
    response
}

fn wants_json(request: &ApiRequest) -> bool {
    let mut accepted = request.headers.get_all(header::ACCEPT).iter();
    accepted.any(|value| value.to_str().is_ok_and(|text| text.contains("application/json")))
}

async fn list_tracks(
    state: &HttpState,
    caller: &Caller,
    call: ApiCall,
    request: &ApiRequest,
) -> Result<Value, TrackFailure> {
    let query = Query::parse(&request.query);
    let record_id = non_empty_parameter(&query, "recordID").ok_or_else(|| {
        TrackFailure::Parameter(
            "missingParamRecordID".to_owned(),
            "You must specify a recordID.".to_owned(),
        )
    })?;
    authenticate(&state.app, caller, call.name(), &request.query, None)?;
    let service = state.playback.as_ref().ok_or_else(|| no_recording(&record_id))?;
    let tracks = service.playback.list_tracks(&caller_scope(caller), &record_id).await;
    let tracks = tracks.map_err(|error| track_failure(error, &record_id))?;
    if tracks.is_empty() {
        let message = format!("No captions found for {record_id}");
        return Err(TrackFailure::Refused("noCaptionsFound".to_owned(), message));
    }
    let playback_origin = state.hosts.playback_origin(request);
    let origin = Origin::from_headers(&request.headers, request.client.is_https);
    let url = |path: &str| match &playback_origin {
        Some(playback_origin) => format!("{playback_origin}{path}"),
        None => origin.url(path),
    };
    let tracks: Vec<Value> =
        tracks.iter().map(|track| track_json(track, url(&track.path))).collect();
    Ok(json!({ "response": { "returncode": "SUCCESS", "tracks": tracks } }))
}

fn track_json(track: &Track, url: String) -> Value {
    json!({
        "href": url,
        "kind": track.kind,
        "label": track.label,
        "lang": track.lang,
        "source": track.source,
    })
}

async fn upload_track(
    state: &HttpState,
    caller: &Caller,
    call: ApiCall,
    request: ApiRequest,
) -> Result<Value, TrackFailure> {
    let query = Query::parse(&request.query);
    for name in ["recordID", "kind", "lang"] {
        if non_empty_parameter(&query, name).is_none() {
            let message = format!("Missing param {name}.");
            return Err(TrackFailure::Parameter("paramError".to_owned(), message));
        }
    }
    authenticate(&state.app, caller, call.name(), &request.query, None)?;
    request.body.prove_sender().await;
    let text = |name| non_empty_parameter(&query, name).unwrap_or_default();
    let (record_id, kind, lang) = (text("recordID"), text("kind"), text("lang"));
    let service = state.playback.as_ref().ok_or_else(|| no_recording(&record_id))?;
    let (playback, scope) = (&service.playback, caller_scope(caller));
    let checked = playback.check_recording(&scope, &record_id).await;
    checked.map_err(|error| track_failure(error, &record_id))?;
    if kind != "subtitles" && kind != "captions" {
        let message =
            format!("Invalid kind parameter, expected='subtitles|captions' actual={kind}");
        return Err(TrackFailure::Refused("invalidKind".to_owned(), message));
    }
    let lang = Language::parse(&lang).ok_or_else(|| {
        TrackFailure::Refused(
            "invalidLang".to_owned(),
            format!("Malformed lang param, received={lang}"),
        )
    })?;
    let content = body::read_file(&request.headers, request.body).await?;
    if content.is_empty() {
        let message = "Empty uploaded text track.".to_owned();
        return Err(TrackFailure::Refused("empty_uploaded_text_track".to_owned(), message));
    }
    let track = NewTrack { kind, label: text("label"), lang, content };
    let stored = playback.put_track(&scope, &record_id, &track).await;
    stored.map_err(|error| track_failure(error, &record_id))?;
    Ok(json!({ "response": {
        "returncode": "SUCCESS",
        "messageKey": "upload_text_track_success",
        "message": "Text track uploaded successfully",
        "recordId": record_id,
    }}))
}

/// Returns the trimmed value of a parameter, unless it is empty.
fn non_empty_parameter(query: &Query, name: &str) -> Option<String> {
    query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn no_recording(record_id: &str) -> TrackFailure {
    TrackFailure::Refused(
        "noRecordings".to_owned(),
        format!("No recording was found for {record_id}"),
    )
}

fn track_failure(error: TrackError, record_id: &str) -> TrackFailure {
    match error {
        TrackError::NoRecording => no_recording(record_id),
        TrackError::NoFormat | TrackError::NotCaptions => {
            let message = format!("Text track upload failed: {error}.");
            TrackFailure::Refused("upload_text_track_failed".to_owned(), message)
        }
        TrackError::Store(error) => TrackFailure::Internal(error.to_string()),
        TrackError::Files(error) => TrackFailure::Internal(error.to_string()),
    }
}
