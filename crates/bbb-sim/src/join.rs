//! The call `join`: one more user, and errors that travel in redirects.

use std::fmt::Write;

use crate::calls::{CallContext, CallFailure, CallResult, SimResponse};
use crate::meeting::LiveMeeting;
use crate::params::Params;
use crate::render;

const MISSING_NAME: &str =
    "You must specify a name for the attendee who will be joining the meeting.";

/// Answers `join` into meeting `id`.
pub(crate) fn join(desk: &mut CallContext<'_>, id: &str, params: &Params) -> CallResult {
    let moderator = if desk.is_real() {
        match check_role(desk, id, params)? {
            Some(moderator) => moderator,
            None => {
                let message = "You must supply a role or a password.";
                return Ok(render::failed_response("Params required", message).into());
            }
        }
    } else {
        check_recorded_role(desk, id, params)?
    };
    let token = desk.next_number();
    let url = format!("{}html5client/join?sessionToken=tok{token}", public_url(desk.server_number));
    let guest = if desk.is_real() { "<guestStatus>ALLOW</guestStatus>" } else { "" };
    let meeting = desk.meetings.get_mut(id).ok_or_else(CallFailure::not_found)?;
    meeting.users = meeting.users.saturating_add(1);
    meeting.moderators += u32::from(moderator);
    meeting.joined = true;
    if !params.has_value("redirect", "false") {
        return Ok(SimResponse::Redirect(url));
    }
    Ok(render::success_response(&format!(
        "<messageKey>successfullyJoined</messageKey>\
         <message>You have joined successfully.</message><meeting_id>{}</meeting_id>\
         <user_id>w_{}</user_id><auth_token>x</auth_token><session_token>y</session_token>\
         {guest}<url>{url}</url>",
        meeting.internal_id, meeting.users,
    ))
    .into())
}

/// Whether the user is a moderator, by the rules of the recorded server.
fn check_recorded_role(
    desk: &CallContext<'_>,
    id: &str,
    params: &Params,
) -> Result<bool, CallFailure> {
    let meeting = desk.meetings.get(id).ok_or_else(CallFailure::not_found)?;
    if params.get_non_empty("fullName").is_none() {
        return Err(CallFailure::new("missingParamFullName", MISSING_NAME));
    }
    let role = params.get("role").unwrap_or("");
    Ok(role.to_uppercase() == "MODERATOR" || params.has_value("password", &meeting.moderator_pw))
}

/// Whether the user is a moderator, by BigBlueButton's rules; `None` if nothing tells.
fn check_role(
    desk: &CallContext<'_>,
    id: &str,
    params: &Params,
) -> Result<Option<bool>, CallFailure> {
    if params.get_non_empty("fullName").is_none() {
        return Err(CallFailure::new("missingParamFullName", MISSING_NAME));
    }
    let meeting = desk.meetings.get(id).ok_or_else(|| {
        let message = "The meeting ID that you supplied did not match any existing meetings";
        CallFailure::new("invalidMeetingIdentifier", message)
    })?;
    let time = params.get_non_empty("createTime").map(str::parse::<i64>);
    if time.is_some_and(|time| time.ok() != Some(meeting.created_ms)) {
        let message = "The createTime parameter submitted mismatches with the current meeting.";
        return Err(CallFailure::new("mismatchCreateTimeParam", message));
    }
    let Some(moderator) = is_moderator(meeting, params)? else {
        return Ok(None);
    };
    let users = u64::from(meeting.attendance(desk.now_ms).users);
    if meeting.max_users > 0 && users >= meeting.max_users {
        let message = "The number of participants allowed for this meeting has been reached.";
        return Err(CallFailure::new("maxParticipantsReached", message));
    }
    Ok(Some(moderator))
}

/// A valid role wins over any password.
fn is_moderator(meeting: &LiveMeeting, params: &Params) -> Result<Option<bool>, CallFailure> {
    match params.get("role").unwrap_or("").to_uppercase().as_str() {
        "MODERATOR" => return Ok(Some(true)),
        "VIEWER" => return Ok(Some(false)),
        _ => {}
    }
    match params.get_non_empty("password") {
        None => Ok(None),
        Some(given) if given == meeting.moderator_pw => Ok(Some(true)),
        Some(given) if given == meeting.attendee_pw => Ok(Some(false)),
        Some(_) => {
            let message = "You either did not supply a password or the password supplied is \
                           neither the attendee or moderator password for this conference.";
            Err(CallFailure::new("invalidPassword", message))
        }
    }
}

/// Sends the browser away with the reason, as BigBlueButton does: to the address that a properly
/// signed request named, else to the server's own logout address.
pub(crate) fn redirect_with_error(
    number: usize,
    params: &Params,
    failure: &CallFailure,
) -> SimResponse {
    let own = public_url(number);
    let target = params
        .get_non_empty("errorRedirectUrl")
        .filter(|url| url.starts_with("http://") || url.starts_with("https://"))
        .filter(|_| failure.key != "checksumError")
        .unwrap_or(&own);
    let errors = format!(
        r#"[{{"key":{},"message":{}}}]"#,
        quote_json(failure.key),
        quote_json(&failure.message)
    );
    let query: String = form_urlencoded::byte_serialize(errors.as_bytes()).collect();
    let joint = if target.contains('?') { '&' } else { '?' };
    let location: String = format!("{target}{joint}errors={query}");
    SimResponse::Redirect(location)
}

/// The public address of a server, which is also its logout address. Nothing answers there.
fn public_url(number: usize) -> String {
    format!("https://bbb{number}.example.test/")
}

fn quote_json(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
