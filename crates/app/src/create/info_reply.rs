//! Makes the reply to a create from getMeetingInfo, for a server that has the meeting and answers everything but creates.
//! getMeetingInfo tells all that BBB's reply to a repeated create says.

use bbb::Response;
use bbb::response::{build_success, parse_text_elements};
use futures_util::FutureExt as _;

use crate::backend::{BackendError, BbbReply, meeting_query};
use crate::ports::MeetingOnServer;

use super::request::CreateRequest;
use super::send::{ALREADY_EXISTS, PendingReply};

/// The elements of a reply to create, in BBB's order (`bbb-common-web`, `ApiController.create`).
const CREATE_ELEMENTS: [&str; 12] = [
    "meetingID",
    "internalMeetingID",
    "parentMeetingID",
    "attendeePW",
    "moderatorPW",
    "createTime",
    "voiceBridge",
    "dialNumber",
    "createDate",
    "hasUserJoined",
    "duration",
    "hasBeenForciblyEnded",
];
/// BBB's message with [`ALREADY_EXISTS`].
const MESSAGE: &str = "This conference was already in existence and may currently be in progress.";
/// `parentMeetingID` of a meeting that is no breakout room.
const NO_PARENT: &str = "bbb-none";

/// Asks the server about the meeting, and makes a reply to create of that. Fails with [`BackendError::NotThere`] if the server
/// does not have the meeting, or has it under other passwords than the request gives.
pub(super) fn create_reply_from_info(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
) -> PendingReply {
    let (app, server) = (request.app.clone(), target.server.clone());
    let query = meeting_query(&target.meeting.key.id);
    let given = |name: &'static str| {
        let password = request.query.get(name).filter(|password| !password.is_empty());
        password.map(|password| (name, password.into_owned()))
    };
    let passwords: Vec<_> = ["attendeePW", "moderatorPW"].into_iter().filter_map(given).collect();
    async move {
        let info = app.call_server_briefly(&server, "getMeetingInfo", &query).await?;
        if !info.response.success {
            return Err(BackendError::NotThere);
        }
        build_create_reply(&info.body, &passwords).ok_or(BackendError::NotThere)
    }
    .boxed()
}

/// The reply to a create, built from one to getMeetingInfo. Returns `None` if the passwords differ, or if elements are missing
/// that front-ends cannot do without.
fn build_create_reply(info: &[u8], passwords: &[(&str, String)]) -> Option<BbbReply> {
    let elements = parse_text_elements(info);
    let find = |name: &str| {
        let mut found =
            elements.iter().filter(|(path, _)| path.strip_prefix("response/") == Some(name));
        found.next().map(|(_, text)| text.as_str())
    };
    if passwords.iter().any(|(name, password)| find(name) != Some(password)) {
        return None;
    }
    find("internalMeetingID").and(find("createTime"))?;
    let known = CREATE_ELEMENTS.into_iter().filter_map(|name| match name {
        "parentMeetingID" => Some((name, find(name).unwrap_or(NO_PARENT))),
        name => find(name).map(|text| (name, text)),
    });
    let mut reply: Vec<_> = known.collect();
    reply.extend([("messageKey", ALREADY_EXISTS), ("message", MESSAGE)]);
    let body = build_success(&reply);
    let response = Response::read(body.as_bytes()).ok()?;
    Some(BbbReply { response, body: body.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &[u8] = b"<response><returncode>SUCCESS</returncode><meetingName>M</meetingName>\
        <meetingID>a&amp;b</meetingID><internalMeetingID>i-5</internalMeetingID><createTime>5</createTime>\
        <createDate>Mon</createDate><voiceBridge>70001</voiceBridge><attendeePW>ap</attendeePW>\
        <moderatorPW>mp</moderatorPW><running>true</running><duration>0</duration>\
        <hasUserJoined>true</hasUserJoined><attendees><attendee><duration>9</duration></attendee></attendees>\
        <hasBeenForciblyEnded>false</hasBeenForciblyEnded></response>";

    #[test]
    fn a_reply_to_create_is_built_from_meeting_info() {
        let reply = build_create_reply(INFO, &[("attendeePW", "ap".to_owned())]).unwrap();
        assert!(reply.response.success);
        assert_eq!(reply.response.message_key, ALREADY_EXISTS);
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(text.contains("<meetingID>a&amp;b</meetingID>"), "{text}");
        let told: Vec<_> =
            parse_text_elements(text.as_bytes()).into_iter().map(|(path, _)| path).collect();
        let wanted = [
            "returncode",
            "meetingID",
            "internalMeetingID",
            "parentMeetingID",
            "attendeePW",
            "moderatorPW",
            "createTime",
            "voiceBridge",
            "createDate",
            "hasUserJoined",
            "duration",
            "hasBeenForciblyEnded",
            "messageKey",
            "message",
        ];
        let wanted: Vec<String> = wanted.iter().map(|name| format!("response/{name}")).collect();
        assert_eq!(told, wanted);
    }

    #[test]
    fn meetings_with_other_passwords_are_refused() {
        assert!(build_create_reply(INFO, &[("moderatorPW", "other".to_owned())]).is_none());
        let failed = b"<response><returncode>SUCCESS</returncode></response>";
        assert!(build_create_reply(failed, &[]).is_none());
    }
}
