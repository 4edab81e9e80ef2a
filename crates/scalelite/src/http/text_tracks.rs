//! Captions of recordings: getRecordingTextTracks and putRecordingTextTrack. They answer in JSON, except for what is
//! wrong with a call itself: that is told in XML unless JSON is asked for. Source: BBB's RecordingController.

use app::api::{ApiError, RequestLog, authenticate};
use app::playback::caller_scope;
use app::playback::tracks::{NewTrack, Track, TrackError};
use app::tenancy::Caller;
use bbb::{ApiCall, Query, response};
use domain::recording::captions::Language;
use http::{Response, StatusCode, header};
use serde_json::{Value, json};

use super::body;
use super::origin::Origin;
use super::respond::{self, ResponseBody};
use super::route::{ApiRequest, HttpResponse, HttpState};

/// A call that ends in a failure.
enum TrackFailure {
    /// Of every call: in XML, or in JSON if that is asked for.
    Call(ApiError),
    /// The same with a key of its own.
    Parameter(String, String),
    /// In JSON.
    Refused(String, String),
    /// The same, for something of ours that failed.
    Internal(String),
}

impl From<ApiError> for TrackFailure {
    fn from(error: ApiError) -> Self {
        Self::Call(error)
    }
}

/// Answers either call.
pub(super) async fn handle_call(
    gate: &HttpState,
    caller: &Caller,
    call: ApiCall,
    incomer: ApiRequest,
) -> HttpResponse {
    let wants_json = wants_json(&incomer);
    let answered = match call {
        ApiCall::PutRecordingTextTrack => upload_track(gate, caller, call, incomer).await,
        _ => list_tracks(gate, caller, call, &incomer).await,
    };
    let outcome = match answered {
        Ok(value) => HttpResponse::ok(call.name(), respond::json(StatusCode::OK, &value)),
        Err(failed) => failure_response(call, failed, wants_json),
    };
    outcome.with_request_log(RequestLog::for_caller(caller))
}

fn failure_response(call: ApiCall, failed: TrackFailure, wants_json: bool) -> HttpResponse {
    let in_json = |key: &str, message: &str| {
        respond::json(StatusCode::OK, &response::build_failure_json(key, message))
    };
    let as_wanted = |key: &str, message: &str| -> Response<ResponseBody> {
        if wants_json {
            in_json(key, message)
        } else {
            respond::xml(response::build_failure(key, message))
        }
    };
    match failed {
        TrackFailure::Call(error) => {
            let mut outcome = HttpResponse::failed(call.name(), &error);
            outcome.response = as_wanted(error.key(), &error.message());
            outcome
        }
        TrackFailure::Parameter(key, message) => {
            refused_response(call, as_wanted(&key, &message), key)
        }
        TrackFailure::Refused(key, message) => refused_response(call, in_json(&key, &message), key),
        TrackFailure::Internal(detail) => {
            let message = ApiError::Internal.message();
            let response = as_wanted("internalError", &message);
            let mut outcome = refused_response(call, response, "internalError".to_owned());
            outcome.detail = Some(detail);
            outcome
        }
    }
}

fn refused_response(call: ApiCall, response: Response<ResponseBody>, key: String) -> HttpResponse {
    let mut outcome = HttpResponse::ok(call.name(), response);
    outcome.result = key;
    outcome
}

fn wants_json(incomer: &ApiRequest) -> bool {
    let accepted = incomer.headers.get_all(header::ACCEPT).iter();
    accepted.filter_map(|value| value.to_str().ok()).any(|text| text.contains("application/json"))
}

async fn list_tracks(
    gate: &HttpState,
    caller: &Caller,
    call: ApiCall,
    incomer: &ApiRequest,
) -> Result<Value, TrackFailure> {
    let query = Query::parse(&incomer.query);
    let record_id = non_empty_parameter(&query, "recordID").ok_or_else(|| {
        TrackFailure::Parameter(
            "missingParamRecordID".to_owned(),
            "You must specify a recordID.".to_owned(),
        )
    })?;
    authenticate(&gate.app, caller, call.name(), &incomer.query, None)?;
    let theatre = gate.playback.as_ref().ok_or_else(|| no_recording(&record_id))?;
    let found = theatre.playback.list_tracks(&caller_scope(caller), &record_id).await;
    let tracks = found.map_err(|error| track_failure(error, &record_id))?;
    if tracks.is_empty() {
        let message = format!("No captions found for {record_id}");
        return Err(TrackFailure::Refused("noCaptionsFound".to_owned(), message));
    }
    let origin = Origin::from_headers(&incomer.headers);
    let tracks: Vec<Value> = tracks.iter().map(|track| track_json(track, &origin)).collect();
    Ok(json!({ "response": { "returncode": "SUCCESS", "tracks": tracks } }))
}

fn track_json(track: &Track, origin: &Origin<'_>) -> Value {
    json!({
        "href": origin.url(&track.path),
        "kind": track.kind,
        "label": track.label,
        "lang": track.lang,
        "source": track.source,
    })
}

async fn upload_track(
    gate: &HttpState,
    caller: &Caller,
    call: ApiCall,
    incomer: ApiRequest,
) -> Result<Value, TrackFailure> {
    let query = Query::parse(&incomer.query);
    for name in ["recordID", "kind", "lang"] {
        if non_empty_parameter(&query, name).is_none() {
            let message = format!("Missing param {name}.");
            return Err(TrackFailure::Parameter("paramError".to_owned(), message));
        }
    }
    authenticate(&gate.app, caller, call.name(), &incomer.query, None)?;
    let text = |name| non_empty_parameter(&query, name).unwrap_or_default();
    let (record_id, kind, lang) = (text("recordID"), text("kind"), text("lang"));
    let theatre = gate.playback.as_ref().ok_or_else(|| no_recording(&record_id))?;
    let (playback, scope) = (&theatre.playback, caller_scope(caller));
    let found = playback.check_recording(&scope, &record_id).await;
    found.map_err(|error| track_failure(error, &record_id))?;
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
    let content = body::read_file(&incomer.headers, incomer.body).await?;
    if content.is_empty() {
        let message = "Empty uploaded text track.".to_owned();
        return Err(TrackFailure::Refused("empty_uploaded_text_track".to_owned(), message));
    }
    let track = NewTrack { kind, label: text("label"), lang, content };
    let put = playback.put_track(&scope, &record_id, &track).await;
    put.map_err(|error| track_failure(error, &record_id))?;
    Ok(json!({ "response": {
        "returncode": "SUCCESS",
        "messageKey": "upload_text_track_success",
        "message": "Text track uploaded successfully",
        "recordId": record_id,
    }}))
}

/// A parameter that says something.
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
