//! `end`: passed on unchanged; the meeting is forgotten when the server has ended it.

use bbb_sim::FaultMode;

use crate::tools::{
    assert_failed, assert_success, create, parameter, start_deployment_with, take_requests,
};

#[tokio::test]
async fn an_end_is_passed_on_unchanged_and_the_meeting_forgotten() {
    let deployment = start_deployment_with(2, &[]).await;
    let query = "meetingID=m1&name=M1&attendeePW=aa&moderatorPW=mm";
    assert_success(&deployment.product.call("create", query).await.unwrap());
    let server = deployment.servers_with("m1")[0].clone();
    let end = async |query: &str| deployment.product.call("end", query).await.unwrap();
    let refused = end("meetingID=m1&password=wrong").await;
    assert_failed(&refused, "invalidPassword");
    // The meeting is still recorded.
    let running = deployment.product.call("getMeetingInfo", "meetingID=m1");
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
    let deployment = start_deployment_with(1, &[]).await;
    create(&deployment.product, "m1").await;
    let response = deployment.product.call("end", "meetingID=m1").await.unwrap();
    assert_success(&response);
    let sent = take_requests(&deployment.pool.servers()[0], "end");
    assert_eq!(parameter(&sent[0].query, "password").as_deref(), Some(""));
    // The same id now creates a new meeting.
    let again = create(&deployment.product, "m1").await;
    assert_eq!(again.xml_field("messageKey"), "");
}

#[tokio::test]
async fn an_end_of_a_meeting_that_its_server_lost_forgets_it() {
    let deployment = start_deployment_with(1, &[]).await;
    create(&deployment.product, "m1").await;
    deployment.pool.servers()[0].drop_meetings(None);
    let end = async || deployment.product.call("end", "meetingID=m1").await.unwrap();
    let first = end().await;
    assert_failed(&first, "notFound");
    let server_message = "A meeting with that ID does not exist";
    assert_eq!(first.xml_field("message"), server_message);
    let second = end().await;
    assert_failed(&second, "notFound");
    assert_ne!(second.xml_field("message"), server_message);
}

#[tokio::test]
async fn a_failed_end_can_be_repeated() {
    let deployment =
        start_deployment_with(1, &[("RESPONSE_TIMEOUT", "0.5"), ("CONNECT_TIMEOUT", "0.5")]).await;
    create(&deployment.product, "m1").await;
    let server = &deployment.pool.servers()[0];
    let end = async || deployment.product.call("end", "meetingID=m1").await.unwrap();
    for fault in [FaultMode::Refuse, FaultMode::Hang, FaultMode::Error500] {
        server.set_fault(fault);
        assert_failed(&end().await, "internalError");
        server.clear_fault();
        let info = deployment.product.call("getMeetingInfo", "meetingID=m1");
        assert_success(&info.await.unwrap());
    }
    assert_success(&end().await);
    assert!(server.meetings().is_empty());
}
