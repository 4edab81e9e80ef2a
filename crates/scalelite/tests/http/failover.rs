//! Servers that die, hang or crawl while creates come in: the create goes on to another one, and what
//! a slow one made too late is ended.

use std::time::Duration;

use bbb_sim::{BbbServer, Fault, FaultMode, Latency};
use testkit::deployment::TestDeployment;
use testkit::product::{Product, signed_target, wait_until};

use crate::tools::{
    assert_failed, assert_success, create, parameter, send, start_deployment,
    start_deployment_with, take_requests,
};

/// The server on which a meeting of that id would be placed, found by placing it and ending it: among
/// equals the id decides.
async fn preferred_server(world: &TestDeployment, id: &str) -> BbbServer {
    create(&world.product, id).await;
    let server = world.servers_with(id)[0].clone();
    let end = format!("meetingID={id}");
    assert_success(&world.product.call("end", &end).await.unwrap());
    world.product.poll_servers().await.unwrap();
    server
}

async fn create_anyhow(product: &Product, id: &str) -> String {
    let query = format!("meetingID={id}&name=Meeting&moderatorPW=mp&attendeePW=ap");
    let answer = product.call("create", &query).await.unwrap();
    assert_success(&answer);
    answer.xml_field("messageKey")
}

/// It answers polls, so the meeting stays with it and with everybody in it.
#[tokio::test]
async fn a_server_that_fails_only_creates_keeps_its_meetings() {
    let world = start_deployment(2).await;
    let first = create(&world.product, "mm").await;
    let server = world.servers_with("mm")[0].clone();
    server.set_fault(Fault::for_calls(FaultMode::HangAfterEffect, &["create"]));
    let again = world.product.call("create", "meetingID=mm&name=Meeting").await.unwrap();
    assert_success(&again);
    assert_eq!(again.xml_field("messageKey"), "duplicateWarning");
    for name in ["internalMeetingID", "createTime", "voiceBridge", "attendeePW"] {
        assert_eq!(again.xml_field(name), first.xml_field(name), "{name}");
    }
    assert_eq!(world.servers_with("mm").len(), 1);
}

#[tokio::test]
async fn a_create_goes_on_to_the_next_server_whatever_is_wrong_with_the_first() {
    for fault in [
        FaultMode::Refuse,
        FaultMode::Reset,
        FaultMode::Error500,
        FaultMode::Html,
        FaultMode::InvalidXml,
        FaultMode::Empty,
        FaultMode::NoReturncode,
    ] {
        let world = start_deployment(3).await;
        let dead = preferred_server(&world, "mm").await;
        dead.set_fault(fault.clone());
        create_anyhow(&world.product, "mm").await;
        let [other] = &world.servers_with("mm")[..] else { panic!("{fault:?}: not one") };
        assert_ne!(other.number(), dead.number(), "{fault:?}");
        // From now on it is not tried while another one can.
        let _ = dead.take_log();
        for n in 0..10 {
            create_anyhow(&world.product, &format!("later-{n}")).await;
        }
        assert_eq!(take_requests(&dead, "create").len(), 0, "{fault:?}");
        // The load of the failed try is gone.
        let loads: f64 = world.product.list_loads().await.unwrap().iter().map(|one| one.1).sum();
        assert!((loads - 11.0 * 15.0).abs() < 1e-9, "{fault:?}: {loads}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_costs_a_moment_and_what_it_makes_later_is_ended() {
    let world = start_deployment_with(2, &[("MEETING_GRACE", "0")]).await;
    let slow = preferred_server(&world, "mm").await;
    slow.set_fault(Fault::for_calls(FaultMode::HangAfterEffect, &["create"]));
    let begun = tokio::time::Instant::now();
    create_anyhow(&world.product, "mm").await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(world.servers_with("mm").len(), 2, "the slow one has made it as well");
    slow.clear_fault();
    let gone = async || {
        world.product.poll_servers().await.unwrap();
        world.servers_with("mm").len() == 1
    };
    wait_until("ended", gone).await.unwrap();
    assert_ne!(world.servers_with("mm")[0].number(), slow.number());
    let info = world.product.call("getMeetingInfo", "meetingID=mm").await.unwrap();
    assert_success(&info);
}

#[tokio::test]
async fn the_slow_server_may_still_be_the_first() {
    let world = start_deployment(2).await;
    let slow = preferred_server(&world, "mm").await;
    let other = world.pool.servers().iter().find(|one| one.number() != slow.number()).unwrap();
    slow.set_latency(Latency::Fixed(Duration::from_secs_f64(2.5)));
    other.set_fault(Fault::for_calls(FaultMode::HangAfterEffect, &["create"]));
    create_anyhow(&world.product, "mm").await;
    let join = "meetingID=mm&fullName=A&password=ap";
    let join = world.product.call("join", join).await.unwrap();
    assert!(join.header("location").unwrap().starts_with(&slow.url()), "it has the meeting");
    other.clear_fault();
    slow.set_latency(Latency::None);
    let settled = async || {
        world.product.poll_servers().await.unwrap();
        world.servers_with("mm").len() == 1
    };
    wait_until("settled", settled).await.unwrap();
    assert_eq!(world.servers_with("mm")[0].number(), slow.number());
}

#[tokio::test]
async fn slides_go_on_to_the_next_server_too() {
    let world = start_deployment(2).await;
    let dead = preferred_server(&world, "mm").await;
    dead.set_fault(Fault::for_calls(FaultMode::Error500, &["create"]));
    let slides = b"<modules><module name=\"presentation\"/></modules>";
    let target = signed_target("create", "meetingID=mm&name=Meeting");
    let xml = [("Content-Type", "application/xml")];
    let answer = send(&world.product, "POST", &target, &xml, Some(slides)).await;
    assert_success(&answer);
    let other = world.servers_with("mm")[0];
    assert_ne!(other.number(), dead.number());
    assert_eq!(take_requests(other, "create").last().unwrap().body, slides);
}

#[tokio::test]
async fn a_refusal_of_the_server_is_no_failure() {
    let world = start_deployment(2).await;
    let server = preferred_server(&world, "mm").await;
    let message = "Too many".to_owned();
    let refusal = FaultMode::Failed { key: "maxConcurrentMeetings".to_owned(), message };
    server.set_fault(Fault::for_calls(refusal, &["create"]));
    let answer = world.product.call("create", "meetingID=mm&name=Meeting").await.unwrap();
    assert_failed(&answer, "maxConcurrentMeetings");
    assert!(world.servers_with("mm").is_empty());
}

#[tokio::test]
async fn a_known_meeting_on_a_dead_server_gets_a_new_place_in_the_same_request() {
    let world = start_deployment(2).await;
    create_anyhow(&world.product, "mm").await;
    let dead = world.servers_with("mm")[0].clone();
    dead.drop_meetings(None);
    dead.set_fault(FaultMode::Refuse);
    create_anyhow(&world.product, "mm").await;
    let other = world.servers_with("mm")[0];
    assert_ne!(other.number(), dead.number());
    let password = parameter(&take_requests(other, "create")[0].query, "moderatorPW");
    assert_eq!(password.as_deref(), Some("mp"));
}

/// Polls until the server is offline.
async fn take_offline(world: &TestDeployment, server: &BbbServer) {
    server.set_fault(FaultMode::Refuse);
    world.product.poll_servers().await.unwrap();
    world.product.poll_servers().await.unwrap();
}

#[tokio::test]
async fn a_join_into_a_detached_meeting_gets_a_waiting_page() {
    let world = start_deployment(1).await;
    create_anyhow(&world.product, "mm").await;
    take_offline(&world, world.pool.server(1)).await;
    let join = "meetingID=mm&fullName=A&password=ap";
    assert_failed(&world.product.call("join", join).await.unwrap(), "serverUnavailable");
    let browser = [("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")];
    let page = send(&world.product, "GET", &signed_target("join", join), &browser, None).await;
    assert_eq!((page.status, page.header("retry-after")), (503, Some("10")));
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.text().contains("http-equiv=\"refresh\" content=\"10\""), "{}", page.text());
    let xml = format!("{join}&redirect=false");
    let xml = send(&world.product, "GET", &signed_target("join", &xml), &browser, None).await;
    assert_failed(&xml, "serverUnavailable");
    let back = format!("{join}&errorRedirectUrl=https%3A%2F%2Ffront.example%2Fx");
    let back = send(&world.product, "GET", &signed_target("join", &back), &browser, None).await;
    assert_eq!(back.status, 302);
    assert!(back.header("location").unwrap().contains("errors=%5B%7B%22key%22%3A%22serverUn"));
    // And it gets in as soon as the server is back, with the meeting it had.
    world.pool.server(1).clear_fault();
    world.product.poll_servers().await.unwrap();
    let page = send(&world.product, "GET", &signed_target("join", join), &browser, None).await;
    assert_eq!(page.status, 302);
}

#[tokio::test]
async fn a_meeting_that_comes_back_with_its_server_is_the_same_one() {
    let world = start_deployment(2).await;
    let created = create(&world.product, "mm").await.xml_field("createTime");
    let server = world.servers_with("mm")[0].clone();
    take_offline(&world, &server).await;
    let query = "meetingID=mm";
    assert_failed(&world.product.call("getMeetingInfo", query).await.unwrap(), "notFound");
    let running = world.product.call("isMeetingRunning", query).await.unwrap();
    assert_eq!(running.xml_field("running"), "false");
    server.clear_fault();
    world.product.poll_servers().await.unwrap();
    let info = world.product.call("getMeetingInfo", query).await.unwrap();
    assert_eq!(info.xml_field("createTime"), created);
    assert_eq!(create(&world.product, "mm").await.xml_field("messageKey"), "duplicateWarning");
}

#[tokio::test]
async fn the_fuller_one_of_two_duplicate_meetings_stays() {
    for (old_users, new_users) in [(30, 2), (2, 30)] {
        let world = start_deployment_with(2, &[("MEETING_GRACE", "0")]).await;
        create_anyhow(&world.product, "mm").await;
        let old = world.servers_with("mm")[0].clone();
        old.set_users("mm", old_users, 1);
        take_offline(&world, &old).await;
        create_anyhow(&world.product, "mm").await;
        let new = world.servers_with("mm").into_iter().find(|one| one.number() != old.number());
        let new = new.unwrap().clone();
        new.set_users("mm", new_users, 1);
        world.product.poll_servers().await.unwrap();
        old.clear_fault();
        let settled = async || {
            world.product.poll_servers().await.unwrap();
            world.servers_with("mm").len() == 1
        };
        wait_until("settled", settled).await.unwrap();
        let fuller = if old_users > new_users { &old } else { &new };
        assert_eq!(world.servers_with("mm")[0].number(), fuller.number());
        let join = world.product.call("join", "meetingID=mm&fullName=A&password=ap").await.unwrap();
        assert!(join.header("location").unwrap().starts_with(&fuller.url()));
    }
}

#[tokio::test]
async fn what_runs_and_is_not_known_is_adopted_if_it_is_ours() {
    let world = start_deployment(2).await;
    create_anyhow(&world.product, "ours").await;
    let server = world.servers_with("ours")[0].clone();
    let preload =
        bbb_sim::Preload { ids: vec!["foreign".to_owned()], users: 3, ..Default::default() };
    server.preload(preload);
    // Everything is lost but the servers.
    let id = server_id(&world, &server).await;
    let forget = ["servers", "panic", &id, "--keep-state", "--skip-end-calls"];
    let said = world.product.setup().run_command(&forget).await.unwrap();
    assert!(said.status.success());
    let known = async |id: &str| {
        let info = world.product.call("getMeetingInfo", &format!("meetingID={id}")).await;
        info.unwrap().xml_field("returncode") == "SUCCESS"
    };
    assert!(!known("ours").await);
    world.product.poll_servers().await.unwrap();
    assert!(known("ours").await);
    assert!(!known("foreign").await, "it is nobody's");
    let listed =
        world.product.setup().run_command(&["meetings", "list", "--foreign"]).await.unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("\tforeign") && !listed.contains("ours"), "{listed}");
}

async fn server_id(world: &TestDeployment, server: &BbbServer) -> String {
    let servers = world.product.call_management("getServers", None).await.unwrap();
    let mut servers = servers.as_array().unwrap().iter();
    let found = servers.find(|one| one["url"] == server.url()).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_end_on_an_offline_server_is_repeated_when_it_is_back() {
    let world = start_deployment_with(2, &[("MEETING_GRACE", "0")]).await;
    create_anyhow(&world.product, "mm").await;
    let server = world.servers_with("mm")[0].clone();
    take_offline(&world, &server).await;
    let end = world.product.call("end", "meetingID=mm&password=mp").await.unwrap();
    assert_failed(&end, "notFound");
    assert_eq!(server.meetings().len(), 1);
    server.clear_fault();
    let ended = async || {
        world.product.poll_servers().await.unwrap();
        server.meetings().is_empty()
    };
    wait_until("ended", ended).await.unwrap();
    let info = world.product.call("getMeetingInfo", "meetingID=mm").await.unwrap();
    assert_failed(&info, "notFound");
}
