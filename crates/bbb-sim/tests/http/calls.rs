//! The main responses of every call except `join`, by both sets of rules.

use bbb_sim::Strictness::{Real, Recorded};
use bbb_sim::{Algorithm, BbbPool, PoolOptions, SimClock, Strictness};

use crate::client::{get, post, send, signed_target, start_pool};

const FORM: &str = "application/x-www-form-urlencoded";
const BOTH: [Strictness; 2] = [Real, Recorded];

async fn start_pool_at(now_ms: i64, strictness: Strictness) -> BbbPool {
    let clock = SimClock::virtual_at(now_ms);
    BbbPool::start(PoolOptions { clock, strictness, ..PoolOptions::default() }).await.unwrap()
}

#[tokio::test]
async fn the_version_call_needs_no_checksum() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    for path in ["/bigbluebutton/api", "/any/prefix/bigbluebutton/api/?checksum=x"] {
        let reply = send(server, "GET", path, "", b"").await.unwrap();
        assert_eq!((reply.status, reply.field("bbbVersion")), (200, "2.7.12"));
        assert_eq!(reply.field("version"), "2.0");
        assert!(reply.head.contains("content-type: text/xml;charset=utf-8"));
    }
    server.set_version("3.0.4");
    let reply = send(server, "GET", "/bigbluebutton/api/", "", b"").await.unwrap();
    assert_eq!(reply.field("bbbVersion"), "3.0.4");
    let reply = send(server, "GET", "/favicon.ico", "", b"").await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (404, "<html>no such server</html>"));
}

#[tokio::test]
async fn invalid_checksums_and_unknown_calls_are_rejected() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let path = "/bigbluebutton/api/getMeetings?checksum=0";
    let reply = send(server, "GET", path, "", b"").await.unwrap();
    assert_eq!((reply.status, reply.message_key()), (200, "checksumError"));
    assert_eq!(reply.field("message"), "Checksums do not match");
    server.set_algorithms(&[Algorithm::Sha1]);
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "checksumError");
    server.set_algorithms(&Algorithm::ALL);
    server.set_secret("other");
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
    assert_eq!(get(server, "getRecordings", "").await.message_key(), "unsupportedRequest");
    assert_eq!(
        get(server, "getMeetingInfo", "meetingID=").await.message_key(),
        "missingParamMeetingID"
    );
}

#[tokio::test]
async fn get_meeting_info_shows_the_created_meeting() {
    for strictness in BOTH {
        let pool = start_pool_at(1_763_000_000_123, strictness).await;
        let server = pool.server(1);
        let query = "meetingID=room-7&name=A+%26+B&meta_Origin=x%3Cy&duration=060&record=true";
        let reply = get(server, "create", query).await;
        assert_eq!(
            reply.body,
            "<response><returncode>SUCCESS</returncode><meetingID>room-7</meetingID>\
             <internalMeetingID>4da2fe28308cb78ec62db25c7fd4b11d9e1bff68-1763000000123\
             </internalMeetingID><parentMeetingID>bbb-none</parentMeetingID>\
             <attendeePW>ap000001</attendeePW><moderatorPW>mp000001</moderatorPW>\
             <createTime>1763000000123</createTime><voiceBridge>70001</voiceBridge>\
             <dialNumber>613-555-1234</dialNumber>\
             <createDate>Thu Nov 13 02:13:20 UTC 2025</createDate>\
             <hasUserJoined>false</hasUserJoined><duration>60</duration>\
             <hasBeenForciblyEnded>false</hasBeenForciblyEnded><messageKey></messageKey>\
             <message></message></response>"
                .replace(
                    "4da2fe28308cb78ec62db25c7fd4b11d9e1bff68",
                    &Algorithm::Sha1.hex_digest("room-7")
                )
        );
        server.set_users("room-7", 2, 1);
        server.set_videos("room-7", 1);
        let info = get(server, "getMeetingInfo", "meetingID=room-7").await;
        assert!(info.body.starts_with(
            "<response><returncode>SUCCESS</returncode><meetingName>A &amp; B</meetingName>\
             <meetingID>room-7</meetingID><internalMeetingID>"
        ));
        assert!(info.body.ends_with(
            "<running>true</running><duration>60</duration><hasUserJoined>true</hasUserJoined>\
             <recording>true</recording><hasBeenForciblyEnded>false</hasBeenForciblyEnded>\
             <startTime>1763000001123</startTime><endTime>0</endTime>\
             <participantCount>2</participantCount><listenerCount>1</listenerCount>\
             <voiceParticipantCount>1</voiceParticipantCount><videoCount>1</videoCount>\
             <maxUsers>0</maxUsers><moderatorCount>1</moderatorCount><attendees>\
             <attendee><userID>w_0</userID><fullName>User 0</fullName><role>MODERATOR</role>\
             <isPresenter>true</isPresenter><isListeningOnly>false</isListeningOnly>\
             <hasJoinedVoice>true</hasJoinedVoice><hasVideo>true</hasVideo>\
             <clientType>HTML5</clientType></attendee>\
             <attendee><userID>w_1</userID><fullName>User 1</fullName><role>VIEWER</role>\
             <isPresenter>false</isPresenter><isListeningOnly>true</isListeningOnly>\
             <hasJoinedVoice>false</hasJoinedVoice><hasVideo>false</hasVideo>\
             <clientType>HTML5</clientType></attendee></attendees>\
             <metadata><origin>x&lt;y</origin></metadata><isBreakout>false</isBreakout></response>"
        ));
        let list = get(server, "getMeetings", "").await;
        let inner = info.body.replace("<returncode>SUCCESS</returncode>", "");
        let inner = inner.replace("response>", "meeting>");
        assert_eq!(list.field("meetings"), inner);
    }
}

#[tokio::test]
async fn repeated_create_is_accepted_if_the_passwords_match() {
    // Passwords of the repeated call, then whether it is accepted by the real and by the recorded rules.
    let cases = [
        ("", true, true),
        ("&attendeePW=aa&moderatorPW=mm", true, true),
        ("&attendeePW=aa", false, true),
        ("&moderatorPW=mm", false, true),
        ("&attendeePW=aa&moderatorPW=xx", false, false),
        ("&attendeePW=&moderatorPW=", true, false),
    ];
    for (index, strictness) in BOTH.into_iter().enumerate() {
        let pool = start_pool(1, strictness).await;
        let first = "meetingID=m1&name=mm&attendeePW=aa&moderatorPW=mm";
        assert_eq!(get(pool.server(1), "create", first).await.message_key(), "");
        for (passwords, real, recorded) in cases {
            let is_accepted = [real, recorded][index];
            let query = format!("meetingID=m1&name=mm{passwords}");
            let reply = get(pool.server(1), "create", &query).await;
            let key = if is_accepted { "duplicateWarning" } else { "idNotUnique" };
            assert_eq!(reply.message_key(), key, "{strictness:?} {passwords}");
            assert_eq!(reply.field("returncode"), if is_accepted { "SUCCESS" } else { "FAILED" });
        }
        assert_eq!(pool.server(1).meetings().len(), 1);
    }
}

#[tokio::test]
async fn create_is_stricter_by_the_real_rules() {
    let (strict, lenient) = (start_pool(1, Real).await, start_pool(1, Recorded).await);
    let cases = [
        ("meetingID=m1", "validationError"),
        ("meetingID=m&name=mm", "validationError"),
        ("meetingID=a%2Cb&name=mm", "validationError"),
        ("meetingID=m2&name=mm&voiceBridge=x", "validationError"),
        ("meetingID=m3&name=mm&record=yes", "validationError"),
        ("meetingID=m4&name=mm&moderatorPW=x", "invalidPassword"),
    ];
    for (query, key) in cases {
        assert_eq!(get(strict.server(1), "create", query).await.message_key(), key, "{query}");
        assert_eq!(get(lenient.server(1), "create", query).await.message_key(), "", "{query}");
    }
    for id in ["v1", "v2"] {
        let query = format!("meetingID={id}&name=mm&voiceBridge=12345");
        get(strict.server(1), "create", &query).await;
        assert_eq!(get(lenient.server(1), "create", &query).await.message_key(), "");
    }
    let conflict = get(strict.server(1), "create", "meetingID=v3&name=mm&voiceBridge=12345").await;
    assert!(conflict.body.contains("<errors><error><key>nonUniqueVoiceBridge</key>"));
    assert!(!conflict.body.contains("messageKey"));
    let ids: Vec<_> = strict.server(1).meetings().into_iter().map(|meeting| meeting.id).collect();
    assert_eq!(ids, ["v1"]);
}

#[tokio::test]
async fn request_bodies_are_checked() {
    for strictness in BOTH {
        let pool = start_pool(1, strictness).await;
        let server = pool.server(1);
        let with_slides =
            post(server, "create", "meetingID=m1&name=mm", "application/xml", "<x/>").await;
        assert_eq!(with_slides.message_key(), "");
        let checksum = Algorithm::Sha512.hex_digest(&format!("create{}", server.secret()));
        let form = format!("meetingID=m2&name=mm&checksum={checksum}");
        let head = format!("Content-Type: {FORM}; charset=UTF-8\r\n");
        let path = "/bigbluebutton/api/create";
        let reply = send(server, "POST", path, &head, form.as_bytes()).await.unwrap();
        assert_eq!(reply.field("meetingID"), "m2");
        let json = post(server, "end", "meetingID=m1", "application/json", "{}").await;
        let expected =
            if strictness == Real { "unsupportedContentType" } else { "sentEndMeetingRequest" };
        assert_eq!(json.message_key(), expected);
        // A content type without a body is ignored.
        let empty = post(server, "isMeetingRunning", "meetingID=00", "application/xml", "").await;
        assert_eq!(empty.field("running"), "false");
        // A body must not override parameters of the query.
        let both = post(server, "end", "meetingID=m2", FORM, "meetingID=m1").await;
        let expected = if strictness == Real { "checksumError" } else { "notFound" };
        assert_eq!(both.message_key(), expected);
    }
}

#[tokio::test]
async fn end_and_is_meeting_running() {
    for strictness in BOTH {
        let pool = start_pool(1, strictness).await;
        let server = pool.server(1);
        get(server, "create", "meetingID=m1&name=mm&moderatorPW=mm&attendeePW=aa").await;
        let running = get(server, "isMeetingRunning", "meetingID=m1").await;
        assert_eq!(running.field("running"), "false");
        server.set_users("m1", 1, 0);
        let running = get(server, "isMeetingRunning", "meetingID=m1").await;
        assert_eq!(running.field("running"), "true");
        if strictness == Real {
            let wrong = get(server, "end", "meetingID=m1&password=aa").await;
            assert_eq!(wrong.message_key(), "invalidPassword");
        }
        assert_eq!(get(server, "end", "meetingID=m1").await.message_key(), "sentEndMeetingRequest");
        let repeated = get(server, "end", "meetingID=m1").await;
        assert_eq!(repeated.message_key(), "notFound");
        assert_eq!(repeated.field("message"), "A meeting with that ID does not exist");
        assert_eq!(get(server, "getMeetingInfo", "meetingID=m1").await.message_key(), "notFound");
        assert_eq!(get(server, "getMeetings", "random=1").await.message_key(), "noMeetings");
    }
}

#[tokio::test]
async fn insert_document_and_send_chat_message() {
    for strictness in BOTH {
        let pool = start_pool(1, strictness).await;
        let server = pool.server(1);
        get(server, "create", "meetingID=m1&name=mm").await;
        let insert = async |query, body| {
            post(server, "insertDocument", query, "application/xml", body).await
        };
        assert_eq!(insert("meetingID=m1", "<x/>").await.message_key(), "documentInserted");
        assert_eq!(insert("meetingID=m2", "<x/>").await.message_key(), "notFound");
        let empty = insert("meetingID=m1", "").await;
        let by_get = get(server, "insertDocument", "meetingID=m1").await;
        let chat = get(server, "sendChatMessage", "meetingID=m1&message=hi").await;
        assert_eq!(chat.field("returncode"), "SUCCESS");
        let without_message = get(server, "sendChatMessage", "meetingID=m1").await;
        let unknown = get(server, "sendChatMessage", "meetingID=m2&message=hi").await;
        assert_eq!(unknown.message_key(), "notFound");
        if strictness == Real {
            assert_eq!((empty.body.as_str(), by_get.status), ("", 405));
            assert_eq!(
                (chat.message_key(), without_message.message_key()),
                ("", "validationError")
            );
        } else {
            assert_eq!(
                (empty.message_key(), by_get.message_key()),
                ("insertDocumentError", "insertDocumentError")
            );
            assert_eq!(without_message.message_key(), "missingParamMessage");
        }
    }
}

#[tokio::test]
async fn a_large_body_is_read_completely_and_kept_in_part() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let body = vec![b'x'; 20 << 20];
    let target = signed_target(server, "create", "meetingID=m1&name=mm");
    let head = "Content-Type: application/xml\r\n";
    let reply = send(server, "POST", &target, head, &body).await.unwrap();
    assert_eq!(reply.message_key(), "");
    assert_eq!(server.take_log()[0].body.len(), 1 << 20);
}
