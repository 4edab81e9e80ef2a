//! `end`: passed on as it is, and the meeting is forgotten exactly when it is over.

use bbb_sim::FaultMode;

use crate::tools::{
    assert_failed, assert_success, create, parameter, start_deployment_with, take_requests,
};

#[tokio::test]
async fn an_end_is_passed_on_as_it_is_and_then_forgotten() {
    let world = start_deployment_with(2, &[]).await;
    let query = "meetingID=m1&name=M1&attendeePW=aa&moderatorPW=mm";
    assert_success(&world.product.call("create", query).await.unwrap());
    let server = world.servers_with("m1")[0].clone();
    let end = async |query: &str| world.product.call("end", query).await.unwrap();
    let refused = end("meetingID=m1&password=wrong").await;
    assert_failed(&refused, "invalidPassword");
    // It is still there.
    let running = world.product.call("getMeetingInfo", "meetingID=m1");
    assert_success(&running.await.unwrap());
    let ended = end("meetingID=m1&password=mm").await;
    assert_success(&ended);
    assert_eq!(ended.xml_field("messageKey"), "sentEndMeetingRequest");
    let sent = take_requests(&server, "end");
    assert_eq!(parameter(&sent[0].query, "password").as_deref(), Some("wrong"));
    assert_eq!(parameter(&sent[1].query, "password").as_deref(), Some("mm"));
    assert_failed(&end("meetingID=m1&password=mm").await, "notFound");
    assert!(take_requests(&server, "end").is_empty());
}

#[tokio::test]
async fn an_end_needs_no_password() {
    let world = start_deployment_with(1, &[]).await;
    create(&world.product, "m1").await;
    let answer = world.product.call("end", "meetingID=m1").await.unwrap();
    assert_success(&answer);
    let sent = take_requests(&world.pool.servers()[0], "end");
    assert_eq!(parameter(&sent[0].query, "password").as_deref(), Some(""));
    // The same id is a new meeting now.
    let again = create(&world.product, "m1").await;
    assert_eq!(again.xml_field("messageKey"), "");
}

#[tokio::test]
async fn a_meeting_that_its_server_has_lost_is_forgotten_by_its_end() {
    let world = start_deployment_with(1, &[]).await;
    create(&world.product, "m1").await;
    world.pool.servers()[0].drop_meetings(None);
    let end = async || world.product.call("end", "meetingID=m1").await.unwrap();
    let first = end().await;
    assert_failed(&first, "notFound");
    let theirs = "A meeting with that ID does not exist";
    assert_eq!(first.xml_field("message"), theirs);
    let second = end().await;
    assert_failed(&second, "notFound");
    assert_ne!(second.xml_field("message"), theirs);
}

#[tokio::test]
async fn an_end_that_does_not_arrive_may_be_repeated() {
    let world =
        start_deployment_with(1, &[("RESPONSE_TIMEOUT", "0.5"), ("CONNECT_TIMEOUT", "0.5")]).await;
    create(&world.product, "m1").await;
    let server = &world.pool.servers()[0];
    let end = async || world.product.call("end", "meetingID=m1").await.unwrap();
    for fault in [FaultMode::Refuse, FaultMode::Hang, FaultMode::Error500] {
        server.set_fault(fault);
        assert_failed(&end().await, "internalError");
        server.clear_fault();
        let info = world.product.call("getMeetingInfo", "meetingID=m1");
        assert_success(&info.await.unwrap());
    }
    assert_success(&end().await);
    assert!(server.meetings().is_empty());
}
