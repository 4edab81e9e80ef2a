//! A server that has the meeting and answers everything but creates: what it tells of the meeting is what it would
//! have said to a repeated create.

use bbb::Response;
use bbb::response::{build_success, parse_text_elements};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::backend::{BbbReply, meeting_query};
use crate::ports::{CallError, MeetingOnServer};

use super::asking::Call;
use super::repeat::{Answered, EXISTS};

/// What an answer to a create tells, in BBB's order (`bbb-common-web`, `ApiController.create`).
const TOLD: [&str; 12] = [
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
/// What BBB says with [`EXISTS`].
const MESSAGE: &str = "This conference was already in existence and may currently be in progress.";
/// The parent of a meeting that is no breakout room.
const NO_PARENT: &str = "bbb-none";

/// Asks the server about the meeting, and makes of it what a repeated create is answered with. It is as if there
/// was no answer if the server does not say that it has the meeting, or has it under other passwords.
pub(super) fn asking(call: &Call<'_>, located: &MeetingOnServer) -> BoxFuture<'static, Answered> {
    let (app, server) = (call.app.clone(), located.server.clone());
    let query = meeting_query(&located.meeting.key.id);
    let given = |name: &'static str| {
        let password = call.query.get(name).filter(|password| !password.is_empty());
        password.map(|password| (name, password.into_owned()))
    };
    let passwords: Vec<_> = ["attendeePW", "moderatorPW"].into_iter().filter_map(given).collect();
    async move {
        let info = app.call_server_briefly(&server, "getMeetingInfo", &query).await?;
        let silence = || CallError::Timeout(app.policy.max_create_ms()).into();
        if !info.response.success {
            return Err(silence());
        }
        created(&info.body, &passwords).ok_or_else(silence)
    }
    .boxed()
}

/// The answer to a create, out of one to getMeetingInfo.
fn created(info: &[u8], passwords: &[(&str, String)]) -> Option<BbbReply> {
    let told = parse_text_elements(info);
    let find = |name: &str| {
        let mut found =
            told.iter().filter(|(path, _)| path.strip_prefix("response/") == Some(name));
        found.next().map(|(_, text)| text.as_str())
    };
    if passwords.iter().any(|(name, password)| find(name) != Some(password)) {
        return None;
    }
    // Without these it is no answer that front-ends could use.
    find("internalMeetingID").and(find("createTime"))?;
    let known = TOLD.into_iter().filter_map(|name| match name {
        "parentMeetingID" => Some((name, find(name).unwrap_or(NO_PARENT))),
        name => find(name).map(|text| (name, text)),
    });
    let mut elements: Vec<_> = known.collect();
    elements.extend([("messageKey", EXISTS), ("message", MESSAGE)]);
    let body = build_success(&elements);
    let answer = Response::read(body.as_bytes()).ok()?;
    Some(BbbReply { response: answer, body: body.into() })
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
    fn what_is_known_of_a_meeting_makes_an_answer_to_its_create() {
        let reply = created(INFO, &[("attendeePW", "ap".to_owned())]).unwrap();
        assert!(reply.response.success);
        assert_eq!(reply.response.message_key, EXISTS);
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
    fn nobody_vouches_for_another_meeting() {
        assert!(created(INFO, &[("moderatorPW", "other".to_owned())]).is_none());
        let failed = b"<response><returncode>SUCCESS</returncode></response>";
        assert!(created(failed, &[]).is_none());
    }
}
