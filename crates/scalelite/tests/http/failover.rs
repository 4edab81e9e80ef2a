//! Servers that fail, hang or are slow during a create: the create moves on to another server, and
//! a meeting that the first server made too late is ended.

use std::time::Duration;

use bbb_sim::{BbbServer, Fault, FaultMode, Latency};
use testkit::deployment::TestDeployment;
use testkit::product::{Product, exchange, new_request, signed_target, wait_until};

use crate::tools::{
    assert_failed, assert_success, create, parameter, send, start_deployment,
    start_deployment_with, take_requests,
};

/// Returns the server on which a meeting of that id is placed, by creating and ending it: among
/// equal servers the id decides.
async fn preferred_server(deployment: &TestDeployment, id: &str) -> BbbServer {
    create(&deployment.product, id).await;
    let server = deployment.servers_with(id)[0].clone();
    let end = format!("meetingID={id}");
    assert_success(&deployment.product.call("end", &end).await.unwrap());
    deployment.product.poll_servers().await.unwrap();
    server
}

async fn create_with_passwords(product: &Product, id: &str) -> String {
    let query = format!("meetingID={id}&name=Meeting&moderatorPW=mp&attendeePW=ap");
    let response = product.call("create", &query).await.unwrap();
    assert_success(&response);
    response.xml_field("messageKey")
}

/// The server answers polls, so the meeting and its users stay there.
#[tokio::test]
async fn a_server_that_fails_only_creates_keeps_its_meetings() {
    let deployment = start_deployment(2).await;
    let first = create(&deployment.product, "mm").await;
    let server = deployment.servers_with("mm")[0].clone();
    server.set_fault(Fault::for_calls(FaultMode::HangAfterEffect, &["create"]));
    let again = deployment.product.call("create", "meetingID=mm&name=Meeting").await.unwrap();
    assert_success(&again);
    assert_eq!(again.xml_field("messageKey"), "duplicateWarning");
    for name in ["internalMeetingID", "createTime", "voiceBridge", "attendeePW"] {
        assert_eq!(again.xml_field(name), first.xml_field(name), "{name}");
    }
    assert_eq!(deployment.servers_with("mm").len(), 1);
}

#[tokio::test]
async fn a_create_moves_on_to_the_next_server_after_any_failure() {
    for fault in [
        FaultMode::Refuse,
        FaultMode::Reset,
        FaultMode::Error500,
        FaultMode::Html,
        FaultMode::InvalidXml,
        FaultMode::Empty,
        FaultMode::NoReturncode,
    ] {
        let deployment = start_deployment(3).await;
        let dead = preferred_server(&deployment, "mm").await;
        dead.set_fault(fault.clone());
        create_with_passwords(&deployment.product, "mm").await;
        let [other] = &deployment.servers_with("mm")[..] else { panic!("{fault:?}: not one") };
        assert_ne!(other.number(), dead.number(), "{fault:?}");
        // The failed server gets no create while another one can take it.
        let _ = dead.take_log();
        for n in 0..10 {
            create_with_passwords(&deployment.product, &format!("later-{n}")).await;
        }
        assert_eq!(take_requests(&dead, "create").len(), 0, "{fault:?}");
        // The load of the failed attempt was removed.
        let loads: f64 =
            deployment.product.list_loads().await.unwrap().iter().map(|load| load.1).sum();
        assert!((loads - 11.0 * 15.0).abs() < 1e-9, "{fault:?}: {loads}");
    }
}

/// The server makes the meeting and never answers the create, but answers everything else.
#[tokio::test]
async fn a_create_that_is_never_answered_is_answered_from_meeting_info() {
    let deployment = start_deployment_with(2, &[("RESPONSE_TIMEOUT", "2")]).await;
    let silent = preferred_server(&deployment, "mm").await;
    silent.set_fault(Fault::for_calls(FaultMode::HangAfterEffect, &["create"]));
    create_with_passwords(&deployment.product, "mm").await;
    let servers = deployment.servers_with("mm");
    assert_eq!(servers.iter().map(|server| server.number()).collect::<Vec<_>>(), [silent.number()]);
    assert!(!deployment.product.log().contains("call to server failed"));
}

/// The server makes the meeting and does not answer the create, a poll finds the meeting there, and
/// then the server dies.
#[tokio::test]
async fn a_create_goes_on_when_the_server_dies_where_a_poll_found_the_meeting() {
    let deployment = start_deployment_with(2, &[("RESPONSE_TIMEOUT", "30")]).await;
    let dying = preferred_server(&deployment, "mm").await;
    dying.set_fault(Fault::for_calls(FaultMode::HangAfterEffect, &["create"]));
    let port = deployment.product.port();
    let creating = tokio::spawn(async move {
        let target = signed_target("create", "meetingID=mm&name=Meeting");
        exchange(port, &new_request("GET", &target)).await
    });
    let exists = async || !deployment.servers_with("mm").is_empty();
    wait_until("made", exists).await.unwrap();
    deployment.product.poll_servers().await.unwrap();
    assert!(!creating.is_finished(), "the create should be in progress");
    dying.crash();
    assert_success(&creating.await.unwrap().unwrap());
    let join = "meetingID=mm&fullName=A&role=VIEWER";
    let join = deployment.product.call("join", join).await.unwrap();
    assert!(!join.header("location").unwrap().starts_with(&dying.url()));
}

#[tokio::test]
async fn slow_creates_are_awaited_and_made_once() {
    let deployment = start_deployment_with(3, &[("RESPONSE_TIMEOUT", "30")]).await;
    for server in deployment.pool.servers() {
        server.set_create_latency(Latency::Fixed(Duration::from_secs_f64(2.5)));
    }
    for id in ["m1", "m2", "m3"] {
        create_with_passwords(&deployment.product, id).await;
        assert_eq!(deployment.servers_with(id).len(), 1, "{id}");
    }
    let logs: Vec<_> = deployment.pool.servers().iter().map(|server| server.take_log()).collect();
    let count = |call: &str| logs.iter().flatten().filter(|request| request.call == call).count();
    assert_eq!((count("create"), count("end")), (3, 0));
    let log = deployment.product.log();
    assert!(!log.contains("call to server failed") && !log.contains("create timed out"), "{log}");
}

#[tokio::test]
async fn a_slow_server_keeps_the_meeting_if_it_answers_first() {
    let deployment = start_deployment(2).await;
    let slow = preferred_server(&deployment, "mm").await;
    let other =
        deployment.pool.servers().iter().find(|server| server.number() != slow.number()).unwrap();
    slow.set_latency(Latency::Fixed(Duration::from_secs_f64(2.5)));
    other.set_fault(Fault::for_calls(FaultMode::HangAfterEffect, &["create"]));
    create_with_passwords(&deployment.product, "mm").await;
    let join = "meetingID=mm&fullName=A&password=ap";
    let join = deployment.product.call("join", join).await.unwrap();
    assert!(
        join.header("location").unwrap().starts_with(&slow.url()),
        "the slow server has the meeting"
    );
    other.clear_fault();
    slow.set_latency(Latency::None);
    let settled = async || {
        deployment.product.poll_servers().await.unwrap();
        deployment.servers_with("mm").len() == 1
    };
    wait_until("settled", settled).await.unwrap();
    assert_eq!(deployment.servers_with("mm")[0].number(), slow.number());
}

#[tokio::test]
async fn slides_are_sent_to_the_next_server_too() {
    let deployment = start_deployment(2).await;
    let dead = preferred_server(&deployment, "mm").await;
    dead.set_fault(Fault::for_calls(FaultMode::Error500, &["create"]));
    let slides = b"<modules><module name=\"presentation\"/></modules>";
    let target = signed_target("create", "meetingID=mm&name=Meeting");
    let xml = [("Content-Type", "application/xml")];
    let response = send(&deployment.product, "POST", &target, &xml, Some(slides)).await;
    assert_success(&response);
    let other = deployment.servers_with("mm")[0];
    assert_ne!(other.number(), dead.number());
    assert_eq!(take_requests(other, "create").last().unwrap().body, slides);
}

#[tokio::test]
async fn a_refusal_of_the_server_is_passed_on() {
    let deployment = start_deployment(2).await;
    let server = preferred_server(&deployment, "mm").await;
    let message = "Too many".to_owned();
    let refusal = FaultMode::Failed { key: "maxConcurrentMeetings".to_owned(), message };
    server.set_fault(Fault::for_calls(refusal, &["create"]));
    let response = deployment.product.call("create", "meetingID=mm&name=Meeting").await.unwrap();
    assert_failed(&response, "maxConcurrentMeetings");
    assert!(deployment.servers_with("mm").is_empty());
}

#[tokio::test]
async fn a_meeting_on_a_dead_server_is_placed_anew_in_the_same_request() {
    let deployment = start_deployment(2).await;
    create_with_passwords(&deployment.product, "mm").await;
    let dead = deployment.servers_with("mm")[0].clone();
    dead.drop_meetings(None);
    dead.set_fault(FaultMode::Refuse);
    create_with_passwords(&deployment.product, "mm").await;
    let other = deployment.servers_with("mm")[0];
    assert_ne!(other.number(), dead.number());
    let password = parameter(&take_requests(other, "create")[0].query, "moderatorPW");
    assert_eq!(password.as_deref(), Some("mp"));
}

/// Polls until the server is offline.
async fn take_offline(deployment: &TestDeployment, server: &BbbServer) {
    server.set_fault(FaultMode::Refuse);
    deployment.product.poll_servers().await.unwrap();
    deployment.product.poll_servers().await.unwrap();
}

#[tokio::test]
async fn a_browser_joining_a_detached_meeting_gets_the_retry_page() {
    let deployment = start_deployment(1).await;
    create_with_passwords(&deployment.product, "mm").await;
    take_offline(&deployment, deployment.pool.server(1)).await;
    let join = "meetingID=mm&fullName=A&password=ap";
    assert_failed(&deployment.product.call("join", join).await.unwrap(), "serverUnavailable");
    let browser = [("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")];
    let page = send(&deployment.product, "GET", &signed_target("join", join), &browser, None).await;
    assert_eq!((page.status, page.header("retry-after")), (503, Some("10")));
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.text().contains("http-equiv=\"refresh\" content=\"10\""), "{}", page.text());
    let xml = format!("{join}&redirect=false");
    let xml = send(&deployment.product, "GET", &signed_target("join", &xml), &browser, None).await;
    assert_failed(&xml, "serverUnavailable");
    let back = format!("{join}&errorRedirectUrl=https%3A%2F%2Ffront.example%2Fx");
    let back =
        send(&deployment.product, "GET", &signed_target("join", &back), &browser, None).await;
    assert_eq!(back.status, 302);
    assert!(back.header("location").unwrap().contains("errors=%5B%7B%22key%22%3A%22serverUn"));
    // The join succeeds as soon as the server is back with the meeting.
    deployment.pool.server(1).clear_fault();
    deployment.product.poll_servers().await.unwrap();
    let page = send(&deployment.product, "GET", &signed_target("join", join), &browser, None).await;
    assert_eq!(page.status, 302);
}

#[tokio::test]
async fn a_meeting_returns_unchanged_with_its_server() {
    let deployment = start_deployment(2).await;
    let created = create(&deployment.product, "mm").await.xml_field("createTime");
    let server = deployment.servers_with("mm")[0].clone();
    take_offline(&deployment, &server).await;
    let query = "meetingID=mm";
    assert_failed(&deployment.product.call("getMeetingInfo", query).await.unwrap(), "notFound");
    let running = deployment.product.call("isMeetingRunning", query).await.unwrap();
    assert_eq!(running.xml_field("running"), "false");
    server.clear_fault();
    deployment.product.poll_servers().await.unwrap();
    let info = deployment.product.call("getMeetingInfo", query).await.unwrap();
    assert_eq!(info.xml_field("createTime"), created);
    assert_eq!(create(&deployment.product, "mm").await.xml_field("messageKey"), "duplicateWarning");
}

#[tokio::test]
async fn of_two_duplicate_meetings_the_old_one_is_ended_when_it_is_not_fuller() {
    for (old_users, new_users) in [(30, 2), (2, 30)] {
        let deployment = start_deployment_with(2, &[("MEETING_GRACE", "0")]).await;
        create_with_passwords(&deployment.product, "mm").await;
        let old = deployment.servers_with("mm")[0].clone();
        old.set_users("mm", old_users, 1);
        take_offline(&deployment, &old).await;
        create_with_passwords(&deployment.product, "mm").await;
        let new = deployment
            .servers_with("mm")
            .into_iter()
            .find(|server| server.number() != old.number());
        let new = new.unwrap().clone();
        new.set_users("mm", new_users, 1);
        deployment.product.poll_servers().await.unwrap();
        old.clear_fault();
        for _ in 0..3 {
            deployment.product.poll_servers().await.unwrap();
        }
        // The number is what the old server says; users may stay in both.
        let count = if old_users > new_users { 2 } else { 1 };
        assert_eq!(deployment.servers_with("mm").len(), count);
        old.set_users("mm", 1, 1);
        let settled = async || {
            deployment.product.poll_servers().await.unwrap();
            deployment.servers_with("mm").len() == 1
        };
        wait_until("settled", settled).await.unwrap();
        assert_eq!(deployment.servers_with("mm")[0].number(), new.number());
        let join =
            deployment.product.call("join", "meetingID=mm&fullName=A&password=ap").await.unwrap();
        assert!(join.header("location").unwrap().starts_with(&new.url()));
    }
}

#[tokio::test]
async fn unrecorded_meetings_of_the_balancer_are_adopted() {
    let deployment = start_deployment(2).await;
    create_with_passwords(&deployment.product, "ours").await;
    let server = deployment.servers_with("ours")[0].clone();
    let preload =
        bbb_sim::Preload { ids: vec!["foreign".to_owned()], users: 3, ..Default::default() };
    server.preload(preload);
    // All state except the servers is lost.
    let id = server_id(&deployment, &server).await;
    let forget = ["servers", "panic", &id, "--yes", "--keep-state", "--skip-end-calls"];
    let output = deployment.product.setup().run_command(&forget).await.unwrap();
    assert!(output.status.success());
    let is_known = async |id: &str| {
        let info = deployment.product.call("getMeetingInfo", &format!("meetingID={id}")).await;
        info.unwrap().xml_field("returncode") == "SUCCESS"
    };
    assert!(!is_known("ours").await);
    deployment.product.poll_servers().await.unwrap();
    assert!(is_known("ours").await);
    assert!(!is_known("foreign").await, "not created by the balancer");
    let listed =
        deployment.product.setup().run_command(&["meetings", "list", "--foreign"]).await.unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    // That it is ours cannot be proven any more.
    assert!(listed.contains("\tforeign") && listed.contains("\tours"), "{listed}");
    let output =
        deployment.product.setup().run_command(&["servers", "panic", &id, "--yes"]).await.unwrap();
    assert!(output.status.success());
    assert_eq!(server.meetings().len(), 2, "not ended unless named");
}

async fn server_id(deployment: &TestDeployment, server: &BbbServer) -> String {
    let servers = deployment.product.call_management("getServers", None).await.unwrap();
    let mut servers = servers.as_array().unwrap().iter();
    let managed = servers.find(|managed| managed["url"] == server.url()).unwrap();
    managed["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_end_on_an_offline_server_is_repeated_when_it_is_back() {
    let deployment = start_deployment_with(2, &[("MEETING_GRACE", "0")]).await;
    create_with_passwords(&deployment.product, "mm").await;
    let server = deployment.servers_with("mm")[0].clone();
    take_offline(&deployment, &server).await;
    let end = deployment.product.call("end", "meetingID=mm&password=mp").await.unwrap();
    assert_failed(&end, "notFound");
    assert_eq!(server.meetings().len(), 1);
    server.clear_fault();
    let ended = async || {
        deployment.product.poll_servers().await.unwrap();
        server.meetings().is_empty()
    };
    wait_until("ended", ended).await.unwrap();
    let info = deployment.product.call("getMeetingInfo", "meetingID=mm").await.unwrap();
    assert_failed(&info, "notFound");
}
