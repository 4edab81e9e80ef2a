//! The call `create`: new meetings, harmless repetitions and clashes.

use crate::calls::{Answer, Desk, Failure, Outcome, check_length};
use crate::meeting::{Meeting, made_up_voice_bridge};
use crate::options::Strictness;
use crate::params::Params;
use crate::render;

/// Answers `create` of meeting `id`.
pub(crate) fn create(desk: &mut Desk<'_>, id: &str, params: &Params) -> Outcome {
    if desk.is_real() {
        check(params)?;
    }
    if let Some(meeting) = desk.meetings.get(id) {
        return repeated(desk, meeting, params);
    }
    if desk.is_real()
        && params.filled("voiceBridge").is_some_and(|number| desk.meetings.has_voice_bridge(number))
    {
        let message = "The selected voice bridge is already in use.";
        return Ok(render::failed_with_errors("nonUniqueVoiceBridge", message).into());
    }
    let meeting = new_meeting(desk, id, params, desk.now_ms);
    let answer = render::created(&meeting, desk.now_ms, "", "");
    desk.meetings.insert(meeting);
    Ok(answer.into())
}

/// A meeting as of `created_ms`, with a voice bridge of its own if the caller named none.
pub(crate) fn new_meeting(desk: &Desk<'_>, id: &str, params: &Params, created_ms: i64) -> Meeting {
    let mut n = desk.next_number();
    let mut meeting = Meeting::new(id, params, desk.rules, n, created_ms);
    // Made-up numbers come round again after 20,000 meetings.
    if desk.is_real() && params.filled("voiceBridge").is_none() {
        while desk.meetings.has_voice_bridge(&meeting.voice_bridge) {
            n = desk.next_number();
            meeting.voice_bridge = made_up_voice_bridge(n);
        }
    }
    meeting
}

/// The answer to a second `create` of a live meeting.
fn repeated(desk: &Desk<'_>, meeting: &Meeting, params: &Params) -> Result<Answer, Failure> {
    if !is_harmless(desk.rules, meeting, params) {
        let message =
            "A meeting already exists with that meeting ID.  Please use a different meeting ID.";
        return Err(Failure::new("idNotUnique", message));
    }
    let message = "This conference was already in existence and may currently be in progress.";
    Ok(render::created(meeting, desk.now_ms, "duplicateWarning", message).into())
}

/// Whether a repeated `create` is taken for the same one: BigBlueButton wants both passwords equal
/// or neither given; the recorded server compared each that was given.
fn is_harmless(rules: Strictness, meeting: &Meeting, params: &Params) -> bool {
    match rules {
        Strictness::Real => match (params.filled("attendeePW"), params.filled("moderatorPW")) {
            (None, None) => true,
            (Some(attendee), Some(moderator)) => {
                attendee == meeting.attendee_pw && moderator == meeting.moderator_pw
            }
            _ => false,
        },
        Strictness::Recorded => {
            params.get("attendeePW").is_none_or(|given| given == meeting.attendee_pw)
                && params.get("moderatorPW").is_none_or(|given| given == meeting.moderator_pw)
        }
    }
}

/// BigBlueButton's constraints on the parameters of `create`.
fn check(params: &Params) -> Result<(), Failure> {
    check_length("Meeting name", params.get("name").unwrap_or(""), 2, 256)?;
    for (name, what) in [("attendeePW", "Attendee"), ("moderatorPW", "Moderator")] {
        if params.filled(name).is_some_and(|given| !(2..=64).contains(&given.chars().count())) {
            let message = format!("{what} password must be between 2 and 64 characters");
            return Err(Failure::new("invalidPassword", message));
        }
    }
    if params.filled("voiceBridge").is_some_and(|given| given.parse::<i64>().is_err()) {
        return Err(Failure::new("validationError", "Voice bridge must be an integer"));
    }
    if params.filled("record").is_some_and(|given| !["true", "false"].contains(&given)) {
        let message = "Record must be a boolean value (true or false)";
        return Err(Failure::new("validationError", message));
    }
    Ok(())
}
