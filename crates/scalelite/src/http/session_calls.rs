//! Calls that name a session of one BBB server and no meeting: a balancer cannot know which server to ask. They are refused in the shape that
//! their callers parse.

use bbb::response;
use http::{Method, StatusCode};

use super::message::HttpResponse;
use super::respond;

/// The key of the refusal.
const KEY: &str = "unsupportedRequest";
/// The refusal for people.
const MESSAGE: &str = "This call names a session and no meeting, so the load balancer cannot know which BigBlueButton server to \
     ask. Send it to the server to which the join was redirected.";

/// The names of these calls, and whether BBB answers them in JSON.
const CALLS: [(&str, bool); 8] = [
    ("getJoinUrl", true),
    ("learningDashboard", true),
    ("feedback", true),
    ("guestWait", true),
    ("enter", true),
    ("stuns", true),
    ("checkAuthorization", true),
    ("signOut", false),
];

/// Returns the refusal if the call is one of these.
pub(super) fn refuse(name: &str, method: &Method) -> Option<HttpResponse> {
    let (call, is_json) = CALLS.iter().find(|(call, _)| *call == name)?;
    if !matches!(*method, Method::GET | Method::HEAD | Method::POST) {
        return None;
    }
    let response = if *is_json {
        respond::json(StatusCode::OK, &response::build_failure_json(KEY, MESSAGE))
    } else {
        respond::xml(response::build_failure(KEY, MESSAGE))
    };
    let mut refusal = HttpResponse::ok(call, response);
    refusal.result = KEY.to_owned();
    Some(refusal)
}
