//! The call `join`: adds a user to a meeting, and reports errors in redirects.

use std::fmt::Write;

use crate::calls::{CallContext, CallFailure, CallResult, SimResponse};
use crate::meeting::LiveMeeting;
use crate::params::Params;
use crate::render;

const MISSING_NAME: &str =
    "You must specify a name for the attendee who will be joining the meeting.";

/// Handles `join` for meeting `id`.
pub(crate) fn join(context: &mut CallContext<'_>, id: &str, params: &Params) -> CallResult {
    let joins_as_moderator = if context.is_real() {
        match check_role(context, id, params)? {
            Some(is_moderator) => is_moderator,
            None => {
                let message = "You must supply a role or a password.";
                return Ok(render::failed_response("Params required", message).into());
            }
        }
    } else {
        check_recorded_role(context, id, params)?
    };
    let (token, is_real) = (context.next_number(), context.is_real());
    let url =
        format!("{}html5client/join?sessionToken=tok{token}", public_url(context.server_number));
    let guest_status = if is_real { "<guestStatus>ALLOW</guestStatus>" } else { "" };
    let meeting = context.meetings.get_mut(id);
    let meeting = meeting.ok_or_else(|| context.unknown_meeting.clone())?;
    if is_real {
        meeting.add_custom_data(params.user_data());
    }
    meeting.users = meeting.users.saturating_add(1);
    meeting.moderators += u32::from(joins_as_moderator);
    meeting.joined = true;
    meeting.left_ms = None;
    if !params.has_value("redirect", "false") {
        return Ok(SimResponse::Redirect(url));
    }
    Ok(render::success_response(&format!(
        "<messageKey>successfullyJoined</messageKey>\
         <message>You have joined successfully.</message><meeting_id>{}</meeting_id>\
         <user_id>w_{}</user_id><auth_token>x</auth_token><session_token>y</session_token>\
         {guest_status}<url>{url}</url>",
        meeting.internal_id, meeting.users,
    ))
    .into())
}

/// Returns whether the user is a moderator, by the rules of the recorded server.
fn check_recorded_role(
    context: &CallContext<'_>,
    id: &str,
    params: &Params,
) -> Result<bool, CallFailure> {
    let meeting = context.meetings.get(id).ok_or_else(|| context.unknown_meeting.clone())?;
    if params.get_non_empty("fullName").is_none() {
        return Err(CallFailure::new("missingParamFullName", MISSING_NAME));
    }
    let role = params.get("role").unwrap_or("");
    Ok(role.to_uppercase() == "MODERATOR" || params.has_value("password", &meeting.moderator_pw))
}

/// Returns whether the user is a moderator, by BigBlueButton's rules, or `None` if neither role nor password is password.
fn check_role(
    context: &CallContext<'_>,
    id: &str,
    params: &Params,
) -> Result<Option<bool>, CallFailure> {
    if params.get_non_empty("fullName").is_none() {
        return Err(CallFailure::new("missingParamFullName", MISSING_NAME));
    }
    let meeting = context.meetings.get(id).ok_or_else(|| {
        let message = "The meeting ID that you supplied did not match any existing meetings";
        CallFailure::new("invalidMeetingIdentifier", message)
    })?;
    let create_time = params.get_non_empty("createTime").map(str::parse::<i64>);
    if create_time.is_some_and(|time| time.ok() != Some(meeting.created_ms)) {
        let message = "The createTime parameter submitted mismatches with the current meeting.";
        return Err(CallFailure::new("mismatchCreateTimeParam", message));
    }
    let Some(is_moderator) = find_role(meeting, params)? else {
        return Ok(None);
    };
    let users = u64::from(meeting.attendance(context.now_ms).users);
    if meeting.max_users > 0 && users >= meeting.max_users {
        let message = "The number of participants allowed for this meeting has been reached.";
        return Err(CallFailure::new("maxParticipantsReached", message));
    }
    Ok(Some(is_moderator))
}

/// Returns whether the user is a moderator. A valid role takes precedence over the password.
fn find_role(meeting: &LiveMeeting, params: &Params) -> Result<Option<bool>, CallFailure> {
    match params.get("role").unwrap_or("").to_uppercase().as_str() {
        "MODERATOR" => return Ok(Some(true)),
        "VIEWER" => return Ok(Some(false)),
        _ => {}
    }
    match params.get_non_empty("password") {
        None => Ok(None),
        Some(password) if password == meeting.moderator_pw => Ok(Some(true)),
        Some(password) if password == meeting.attendee_pw => Ok(Some(false)),
        Some(_) => {
            let message = "You either did not supply a password or the password supplied is \
                           neither the attendee or moderator password for this conference.";
            Err(CallFailure::new("invalidPassword", message))
        }
    }
}

/// Redirects the browser with the error in the query, as BigBlueButton does: to the URL that a request with a valid
/// checksum named, otherwise to the server's own logout URL.
pub(crate) fn redirect_with_error(
    number: usize,
    params: &Params,
    failure: &CallFailure,
) -> SimResponse {
    let logout_url = public_url(number);
    let target = params
        .get_non_empty("errorRedirectUrl")
        .filter(|url| url.starts_with("http://") || url.starts_with("https://"))
        .filter(|_| failure.key != "checksumError")
        .unwrap_or(&logout_url);
    let errors = format!(
        r#"[{{"key":{},"message":{}}}]"#,
        quote_json(&failure.key),
        quote_json(&failure.message)
    );
    let query: String = form_urlencoded::byte_serialize(errors.as_bytes()).collect();
    let separator = if target.contains('?') { '&' } else { '?' };
    let location: String = format!("{target}{separator}errors={query}");
    SimResponse::Redirect(location)
}

/// Returns the public URL of a server, which is also its logout URL. No server exists there.
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
