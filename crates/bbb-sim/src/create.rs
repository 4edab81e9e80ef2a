//! The call `create`: new meetings, harmless repetitions and clashes.

use crate::calls::{CallContext, CallFailure, CallResult, SimResponse, check_length};
use crate::meeting::{LiveMeeting, generate_voice_bridge};
use crate::options::Strictness;
use crate::params::Params;
use crate::render;

/// Answers `create` of meeting `id`.
pub(crate) fn create(desk: &mut CallContext<'_>, id: &str, params: &Params) -> CallResult {
    if desk.is_real() {
        check_params(params)?;
    }
    if let Some(meeting) = desk.meetings.get(id) {
        return repeat_create(desk, meeting, params);
    }
    if desk.is_real()
        && params
            .get_non_empty("voiceBridge")
            .is_some_and(|number| desk.meetings.has_voice_bridge(number))
    {
        let message = "The selected voice bridge is already in use.";
        return Ok(render::errors_response("nonUniqueVoiceBridge", message).into());
    }
    let meeting = build_meeting(desk, id, params, desk.now_ms);
    let answer = render::create_response(&meeting, desk.now_ms, "", "");
    desk.meetings.insert(meeting);
    Ok(answer.into())
}

/// A meeting as of `created_ms`, with a voice bridge of its own if the caller named none.
pub(crate) fn build_meeting(
    desk: &CallContext<'_>,
    id: &str,
    params: &Params,
    created_ms: i64,
) -> LiveMeeting {
    let mut n = desk.next_number();
    let mut meeting = LiveMeeting::new(id, params, desk.strictness, n, created_ms);
    // Made-up numbers come round again after 20,000 meetings.
    if desk.is_real() && params.get_non_empty("voiceBridge").is_none() {
        while desk.meetings.has_voice_bridge(&meeting.voice_bridge) {
            n = desk.next_number();
            meeting.voice_bridge = generate_voice_bridge(n);
        }
    }
    meeting
}

/// The answer to a second `create` of a live meeting.
fn repeat_create(
    desk: &CallContext<'_>,
    meeting: &LiveMeeting,
    params: &Params,
) -> Result<SimResponse, CallFailure> {
    if !is_same_create(desk.strictness, meeting, params) {
        let message =
            "A meeting already exists with that meeting ID.  Please use a different meeting ID.";
        return Err(CallFailure::new("idNotUnique", message));
    }
    let message = "This conference was already in existence and may currently be in progress.";
    Ok(render::create_response(meeting, desk.now_ms, "duplicateWarning", message).into())
}

/// Whether a repeated `create` is taken for the same one: BigBlueButton wants both passwords equal
/// or neither given; the recorded server compared each that was given.
fn is_same_create(rules: Strictness, meeting: &LiveMeeting, params: &Params) -> bool {
    match rules {
        Strictness::Real => {
            match (params.get_non_empty("attendeePW"), params.get_non_empty("moderatorPW")) {
                (None, None) => true,
                (Some(attendee), Some(moderator)) => {
                    attendee == meeting.attendee_pw && moderator == meeting.moderator_pw
                }
                _ => false,
            }
        }
        Strictness::Recorded => {
            params.get("attendeePW").is_none_or(|given| given == meeting.attendee_pw)
                && params.get("moderatorPW").is_none_or(|given| given == meeting.moderator_pw)
        }
    }
}

/// BigBlueButton's constraints on the parameters of `create`.
fn check_params(params: &Params) -> Result<(), CallFailure> {
    check_length("Meeting name", params.get("name").unwrap_or(""), 2, 256)?;
    for (name, what) in [("attendeePW", "Attendee"), ("moderatorPW", "Moderator")] {
        if params
            .get_non_empty(name)
            .is_some_and(|given| !(2..=64).contains(&given.chars().count()))
        {
            let message = format!("{what} password must be between 2 and 64 characters");
            return Err(CallFailure::new("invalidPassword", message));
        }
    }
    if params.get_non_empty("voiceBridge").is_some_and(|given| given.parse::<i64>().is_err()) {
        return Err(CallFailure::new("validationError", "Voice bridge must be an integer"));
    }
    if params.get_non_empty("record").is_some_and(|given| !["true", "false"].contains(&given)) {
        let message = "Record must be a boolean value (true or false)";
        return Err(CallFailure::new("validationError", message));
    }
    Ok(())
}
