//! The call `create`: creates a meeting, accepts repeated calls and rejects conflicting ones.

use crate::calls::{CallContext, CallFailure, CallResult, SimResponse, check_length};
use crate::meeting::{LiveMeeting, generate_voice_bridge};
use crate::options::Strictness;
use crate::params::Params;
use crate::render;

/// Handles `create` for meeting `id`.
pub(crate) fn create(context: &mut CallContext<'_>, id: &str, params: &Params) -> CallResult {
    if context.is_real() {
        check_params(params)?;
    }
    if let Some(meeting) = context.meetings.get(id) {
        return repeat_create(context, meeting, params);
    }
    if context.is_real()
        && params
            .get_non_empty("voiceBridge")
            .is_some_and(|number| context.meetings.has_voice_bridge(number))
    {
        let message = "The selected voice bridge is already in use.";
        return Ok(render::errors_response("nonUniqueVoiceBridge", message).into());
    }
    let meeting = build_meeting(context, id, params, context.now_ms);
    let response = render::create_response(&meeting, context.now_ms, "", "");
    context.meetings.insert(meeting);
    context.created = true;
    Ok(response.into())
}

/// Builds a meeting that is created at `created_ms`, with a generated voice bridge if the caller named none.
pub(crate) fn build_meeting(
    context: &CallContext<'_>,
    id: &str,
    params: &Params,
    created_ms: i64,
) -> LiveMeeting {
    let mut number = context.next_number();
    let mut meeting = LiveMeeting::new(id, params, context.strictness, number, created_ms);
    // Generated voice bridges repeat after 20,000 meetings.
    if context.is_real() && params.get_non_empty("voiceBridge").is_none() {
        while context.meetings.has_voice_bridge(&meeting.voice_bridge) {
            number = context.next_number();
            meeting.voice_bridge = generate_voice_bridge(number);
        }
    }
    meeting
}

/// Handles `create` for a meeting that exists.
fn repeat_create(
    context: &CallContext<'_>,
    meeting: &LiveMeeting,
    params: &Params,
) -> Result<SimResponse, CallFailure> {
    if !is_same_create(context.strictness, meeting, params) {
        let message =
            "A meeting already exists with that meeting ID.  Please use a different meeting ID.";
        return Err(CallFailure::new("idNotUnique", message));
    }
    let message = "This conference was already in existence and may currently be in progress.";
    Ok(render::create_response(meeting, context.now_ms, "duplicateWarning", message).into())
}

/// Whether a repeated `create` is accepted. BigBlueButton requires that both passwords are equal, or that neither is
/// given; the recorded server compared each password that was given.
fn is_same_create(strictness: Strictness, meeting: &LiveMeeting, params: &Params) -> bool {
    match strictness {
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
            params.get("attendeePW").is_none_or(|password| password == meeting.attendee_pw)
                && params.get("moderatorPW").is_none_or(|password| password == meeting.moderator_pw)
        }
    }
}

/// Checks the parameters of `create` by BigBlueButton's rules.
fn check_params(params: &Params) -> Result<(), CallFailure> {
    check_length("Meeting name", params.get("name").unwrap_or(""), 2, 256)?;
    for (name, role) in [("attendeePW", "Attendee"), ("moderatorPW", "Moderator")] {
        if params
            .get_non_empty(name)
            .is_some_and(|password| !(2..=64).contains(&password.chars().count()))
        {
            let message = format!("{role} password must be between 2 and 64 characters");
            return Err(CallFailure::new("invalidPassword", message));
        }
    }
    if params.get_non_empty("voiceBridge").is_some_and(|number| number.parse::<i64>().is_err()) {
        return Err(CallFailure::new("validationError", "Voice bridge must be an integer"));
    }
    if params.get_non_empty("record").is_some_and(|value| !["true", "false"].contains(&value)) {
        let message = "Record must be a boolean value (true or false)";
        return Err(CallFailure::new("validationError", message));
    }
    Ok(())
}
