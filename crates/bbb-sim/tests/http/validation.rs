//! Ids that are refused, and meetings that do not exist.

use bbb_sim::Strictness::Real;

use crate::client::{get, start_pool};

const CALLS: [&str; 3] = ["getMeetingInfo", "isMeetingRunning", "end"];

#[tokio::test]
async fn ids_that_bigbluebutton_refuses_are_validation_errors() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let too_long = "x".repeat(257);
    let length = "Meeting ID must be between 2 and 256 characters";
    let cases =
        [("0", length), (too_long.as_str(), length), ("a%2Cb", "Meeting ID cannot contain ','")];
    for (id, message) in cases {
        for call in CALLS.into_iter().chain(["create"]) {
            let reply = get(server, call, &format!("meetingID={id}&name=mm")).await;
            assert_eq!(reply.message_key(), "validationError", "{call} {id}");
            assert_eq!(reply.field("message"), message);
        }
    }
    for call in CALLS {
        assert_eq!(get(server, call, "meetingID=").await.message_key(), "missingParamMeetingID");
    }
    let longest = format!("meetingID={}&name=mm", "ü".repeat(256).replace('ü', "%C3%BC"));
    assert_eq!(get(server, "create", &longest).await.message_key(), "");
}

#[tokio::test]
async fn unknown_meetings_are_not_found_or_what_a_test_sets() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let answers = async || {
        let mut answers = Vec::new();
        for call in ["getMeetingInfo", "end", "sendChatMessage"] {
            let reply = get(server, call, "meetingID=m1&message=x").await;
            answers.push((reply.message_key().to_owned(), reply.field("message").to_owned()));
        }
        let running = get(server, "isMeetingRunning", "meetingID=m1").await;
        assert_eq!((running.field("returncode"), running.field("running")), ("SUCCESS", "false"));
        let join = get(server, "join", "meetingID=m1&fullName=A&role=viewer&redirect=false").await;
        assert_eq!(join.message_key(), "invalidMeetingIdentifier");
        answers.dedup();
        answers
    };
    let usual = ("notFound".to_owned(), "A meeting with that ID does not exist".to_owned());
    assert_eq!(answers().await, [usual]);
    server.set_unknown_meeting_answer("validationError", "No <such> meeting");
    let set = ("validationError".to_owned(), "No &lt;such&gt; meeting".to_owned());
    assert_eq!(answers().await, [set]);
}

#[tokio::test]
async fn a_meeting_whose_passwords_were_generated_accepts_them_or_none() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let created = get(server, "create", "meetingID=m1&name=mm").await;
    let (attendee, moderator) = (created.field("attendeePW"), created.field("moderatorPW"));
    let cases = [
        (String::new(), "duplicateWarning"),
        ("&attendeePW=".to_owned(), "duplicateWarning"),
        (format!("&attendeePW={attendee}&moderatorPW={moderator}"), "duplicateWarning"),
        (format!("&attendeePW={moderator}&moderatorPW={attendee}"), "idNotUnique"),
        (format!("&attendeePW={attendee}"), "idNotUnique"),
        (format!("&attendeePW={attendee}&moderatorPW="), "idNotUnique"),
        ("&attendeePW=xx&moderatorPW=yy".to_owned(), "idNotUnique"),
    ];
    for (passwords, key) in cases {
        let reply = get(server, "create", &format!("meetingID=m1&name=other{passwords}")).await;
        assert_eq!(reply.message_key(), key, "{passwords}");
    }
    assert_eq!(server.meeting("m1").unwrap().name, "mm");
}
