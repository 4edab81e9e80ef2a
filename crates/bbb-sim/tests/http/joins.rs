//! The call `join`: accepted users, redirects and errors.

use bbb_sim::Strictness::{Real, Recorded};
use bbb_sim::{BbbPool, Strictness};

use crate::client::{get, send, start_pool};

/// Starts a pool with the meeting m1, whose passwords are aa and mm and which allows five users.
async fn start_pool_with_meeting(strictness: Strictness) -> BbbPool {
    let pool = start_pool(1, strictness).await;
    let query = "meetingID=m1&name=mm&attendeePW=aa&moderatorPW=mm&maxParticipants=5";
    assert_eq!(get(pool.server(1), "create", query).await.message_key(), "");
    pool
}

#[tokio::test]
async fn users_are_counted_and_redirected_to_the_html5_client() {
    for strictness in [Real, Recorded] {
        let pool = start_pool_with_meeting(strictness).await;
        let server = pool.server(1);
        for credentials in ["role=Moderator&password=", "password=mm", "password=aa", "role=viewer"]
        {
            let query = format!("meetingID=m1&fullName=A&{credentials}");
            let reply = get(server, "join", &query).await;
            assert_eq!(reply.status, 302);
            let client = "https://bbb1.example.test/html5client/join?sessionToken=tok";
            assert!(reply.location().starts_with(client), "{}", reply.location());
        }
        let query = "meetingID=m1&fullName=A&password=mm&redirect=false";
        let reply = get(server, "join", query).await;
        assert_eq!((reply.message_key(), reply.field("user_id")), ("successfullyJoined", "w_5"));
        assert_eq!(reply.body.contains("<guestStatus>ALLOW</guestStatus>"), strictness == Real);
        let meeting = server.meetings().remove(0);
        assert_eq!(reply.field("meeting_id"), meeting.internal_id);
        assert_eq!((meeting.users, meeting.moderators, meeting.has_user_joined), (5, 3, true));
        let full = get(server, "join", query).await;
        assert_eq!(
            full.message_key(),
            if strictness == Real { "maxParticipantsReached" } else { "successfullyJoined" }
        );
    }
}

#[tokio::test]
async fn errors_are_redirects_by_the_real_rules() {
    let pool = start_pool_with_meeting(Real).await;
    let server = pool.server(1);
    let created = server.meetings()[0].create_time_ms;
    let valid_time = format!("meetingID=m1&fullName=A&role=viewer&createTime={created}");
    assert!(get(server, "join", &valid_time).await.location().contains("sessionToken"));
    let cases = [
        ("fullName=A", "missingParamMeetingID"),
        ("meetingID=m1&role=viewer", "missingParamFullName"),
        ("meetingID=m2&fullName=A&role=viewer", "invalidMeetingIdentifier"),
        ("meetingID=m1&fullName=A&role=viewer&createTime=1", "mismatchCreateTimeParam"),
        ("meetingID=m1&fullName=A&role=viewer&createTime=x", "mismatchCreateTimeParam"),
        ("meetingID=m1&fullName=A&password=zz", "invalidPassword"),
    ];
    for (query, key) in cases {
        let reply = get(server, "join", query).await;
        let prefix = "https://bbb1.example.test/?errors=%5B%7B%22key%22%3A%22";
        assert_eq!(reply.status, 302);
        assert!(reply.location().starts_with(&format!("{prefix}{key}%22")), "{query}");
        let reply = get(server, "join", &format!("{query}&redirect=false")).await;
        assert_eq!((reply.status, reply.message_key()), (200, key));
        let query = format!("{query}&errorRedirectUrl=https%3A%2F%2Fa.test%2F%3Fb%3Dc");
        let reply = get(server, "join", &query).await;
        assert!(reply.location().starts_with("https://a.test/?b=c&errors=%5B"), "{query}");
    }
    let reply = get(server, "join", "meetingID=m1&fullName=A").await;
    assert_eq!((reply.status, reply.message_key()), (200, "Params required"));
    let unsigned = "/bigbluebutton/api/join?meetingID=m1&errorRedirectUrl=https%3A%2F%2Fa.test";
    let reply = send(server, "GET", unsigned, "", b"").await.unwrap();
    assert!(reply.location().starts_with("https://bbb1.example.test/?errors="));
    assert!(reply.location().contains("checksumError"));
}

#[tokio::test]
async fn errors_are_xml_by_the_recorded_rules() {
    let pool = start_pool_with_meeting(Recorded).await;
    let server = pool.server(1);
    for (query, key) in [
        ("fullName=A", "missingParamMeetingID"),
        ("meetingID=m1", "missingParamFullName"),
        ("meetingID=m2", "notFound"),
    ] {
        let reply = get(server, "join", query).await;
        assert_eq!((reply.status, reply.message_key()), (200, key));
    }
    // Any user with a name may join.
    let reply = get(server, "join", "meetingID=m1&fullName=A&password=zz&createTime=1").await;
    assert_eq!(reply.status, 302);
}
