//! Captions of recordings: getRecordingTextTracks and putRecordingTextTrack. They answer in JSON, except for what is
//! wrong with a call itself: that is told in XML unless JSON is asked for. Source: BBB's RecordingController.

use app::api::{ApiError, Trail, authenticate};
use app::playback::scope_of;
use app::playback::tracks::{NewTrack, Track, TrackError};
use app::tenancy::Caller;
use bbb::{Call, Query, answer};
use domain::recording::captions::Language;
use http::{Response, StatusCode, header};
use serde_json::{Value, json};

use super::body;
use super::origin::Origin;
use super::respond::{self, Body};
use super::route::{Gate, Incomer, Outcome};

/// A call that ends in a failure.
enum Failed {
    /// Of every call: in XML, or in JSON if that is asked for.
    Call(ApiError),
    /// The same with a key of its own.
    Parameter(String, String),
    /// In JSON.
    Told(String, String),
    /// The same, for something of ours that failed.
    Internal(String),
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self::Call(error)
    }
}

/// Answers either call.
pub(super) async fn call(gate: &Gate, caller: &Caller, call: Call, incomer: Incomer) -> Outcome {
    let wants_json = wants_json(&incomer);
    let answered = match call {
        Call::PutRecordingTextTrack => put(gate, caller, call, incomer).await,
        _ => get(gate, caller, call, &incomer).await,
    };
    let outcome = match answered {
        Ok(value) => Outcome::ok(call.name(), respond::json(StatusCode::OK, &value)),
        Err(failed) => told(call, failed, wants_json),
    };
    outcome.about(Trail::of(caller))
}

fn told(call: Call, failed: Failed, wants_json: bool) -> Outcome {
    let in_json = |key: &str, message: &str| {
        respond::json(StatusCode::OK, &answer::failed_json(key, message))
    };
    let as_wanted = |key: &str, message: &str| -> Response<Body> {
        if wants_json { in_json(key, message) } else { respond::xml(answer::failed(key, message)) }
    };
    match failed {
        Failed::Call(error) => {
            let mut outcome = Outcome::failed(call.name(), &error);
            outcome.response = as_wanted(error.key(), &error.message());
            outcome
        }
        Failed::Parameter(key, message) => refused(call, as_wanted(&key, &message), key),
        Failed::Told(key, message) => refused(call, in_json(&key, &message), key),
        Failed::Internal(detail) => {
            let message = ApiError::Internal.message();
            let response = as_wanted("internalError", &message);
            let mut outcome = refused(call, response, "internalError".to_owned());
            outcome.detail = Some(detail);
            outcome
        }
    }
}

fn refused(call: Call, response: Response<Body>, key: String) -> Outcome {
    let mut outcome = Outcome::ok(call.name(), response);
    outcome.result = key;
    outcome
}

fn wants_json(incomer: &Incomer) -> bool {
    let accepted = incomer.headers.get_all(header::ACCEPT).iter();
    accepted.filter_map(|value| value.to_str().ok()).any(|text| text.contains("application/json"))
}

async fn get(gate: &Gate, caller: &Caller, call: Call, incomer: &Incomer) -> Result<Value, Failed> {
    let query = Query::parse(&incomer.query);
    let record_id = given(&query, "recordID").ok_or_else(|| {
        Failed::Parameter(
            "missingParamRecordID".to_owned(),
            "You must specify a recordID.".to_owned(),
        )
    })?;
    authenticate(&gate.app, caller, call.name(), &incomer.query, None)?;
    let theatre = gate.theatre.as_ref().ok_or_else(|| no_recording(&record_id))?;
    let found = theatre.playback.tracks(&scope_of(caller), &record_id).await;
    let tracks = found.map_err(|error| track_error(error, &record_id))?;
    if tracks.is_empty() {
        let message = format!("No captions found for {record_id}");
        return Err(Failed::Told("noCaptionsFound".to_owned(), message));
    }
    let origin = Origin::of(&incomer.headers);
    let tracks: Vec<Value> = tracks.iter().map(|track| shown(track, &origin)).collect();
    Ok(json!({ "response": { "returncode": "SUCCESS", "tracks": tracks } }))
}

fn shown(track: &Track, origin: &Origin<'_>) -> Value {
    json!({
        "href": origin.url(&track.path),
        "kind": track.kind,
        "label": track.label,
        "lang": track.lang,
        "source": track.source,
    })
}

async fn put(gate: &Gate, caller: &Caller, call: Call, incomer: Incomer) -> Result<Value, Failed> {
    let query = Query::parse(&incomer.query);
    for name in ["recordID", "kind", "lang"] {
        if given(&query, name).is_none() {
            let message = format!("Missing param {name}.");
            return Err(Failed::Parameter("paramError".to_owned(), message));
        }
    }
    authenticate(&gate.app, caller, call.name(), &incomer.query, None)?;
    let text = |name| given(&query, name).unwrap_or_default();
    let (record_id, kind, lang) = (text("recordID"), text("kind"), text("lang"));
    let theatre = gate.theatre.as_ref().ok_or_else(|| no_recording(&record_id))?;
    let (playback, scope) = (&theatre.playback, scope_of(caller));
    let found = playback.has_recording(&scope, &record_id).await;
    found.map_err(|error| track_error(error, &record_id))?;
    if kind != "subtitles" && kind != "captions" {
        let message =
            format!("Invalid kind parameter, expected='subtitles|captions' actual={kind}");
        return Err(Failed::Told("invalidKind".to_owned(), message));
    }
    let lang = Language::parse(&lang).ok_or_else(|| {
        Failed::Told("invalidLang".to_owned(), format!("Malformed lang param, received={lang}"))
    })?;
    let content = body::file(&incomer.headers, incomer.body).await?;
    if content.is_empty() {
        let message = "Empty uploaded text track.".to_owned();
        return Err(Failed::Told("empty_uploaded_text_track".to_owned(), message));
    }
    let track = NewTrack { kind, label: text("label"), lang, content };
    let put = playback.put_track(&scope, &record_id, &track).await;
    put.map_err(|error| track_error(error, &record_id))?;
    Ok(json!({ "response": {
        "returncode": "SUCCESS",
        "messageKey": "upload_text_track_success",
        "message": "Text track uploaded successfully",
        "recordId": record_id,
    }}))
}

/// A parameter that says something.
fn given(query: &Query, name: &str) -> Option<String> {
    query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn no_recording(record_id: &str) -> Failed {
    Failed::Told("noRecordings".to_owned(), format!("No recording was found for {record_id}"))
}

fn track_error(error: TrackError, record_id: &str) -> Failed {
    match error {
        TrackError::NoRecording => no_recording(record_id),
        TrackError::NoFormat | TrackError::NotCaptions => {
            let message = format!("Text track upload failed: {error}.");
            Failed::Told("upload_text_track_failed".to_owned(), message)
        }
        TrackError::Store(error) => Failed::Internal(error.to_string()),
        TrackError::Files(error) => Failed::Internal(error.to_string()),
    }
}
