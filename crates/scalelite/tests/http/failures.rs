//! Servers that fail: what the client sees, and that a failed create leaves nothing behind.

use std::time::Duration;

use bbb_sim::{Fault, FaultMode, Latency};
use testkit::deployment::TestDeployment;
use testkit::product::{ClientConnection, signed_target, wait_until};

use crate::tools::{
    assert_failed, assert_success, create, parameter, start_deployment, start_deployment_with,
    take_requests,
};

const SHORT_TIMEOUTS: [(&str, &str); 2] = [("CONNECT_TIMEOUT", "0.5"), ("RESPONSE_TIMEOUT", "0.5")];

/// Every way in which a server can fail to answer a create.
fn faults() -> Vec<(FaultMode, &'static str)> {
    let clash = FaultMode::Failed {
        key: "nonUniqueVoiceBridge".to_owned(),
        message: "taken <&>".to_owned(),
    };
    vec![
        (FaultMode::Reset, "internalError"),
        (FaultMode::Hang, "internalError"),
        (FaultMode::Error500, "internalError"),
        (FaultMode::Html, "internalError"),
        (FaultMode::InvalidXml, "internalError"),
        (FaultMode::Empty, "internalError"),
        (FaultMode::NoReturncode, "internalError"),
        (clash, "nonUniqueVoiceBridge"),
    ]
}

fn break_creates(world: &TestDeployment, fault: &FaultMode) {
    for server in world.pool.servers() {
        server.set_fault(Fault::for_calls(fault.clone(), &["create"]));
    }
}

fn clear_faults(world: &TestDeployment) {
    for server in world.pool.servers() {
        server.clear_fault();
    }
}

#[tokio::test]
async fn a_failed_create_leaves_nothing_behind() {
    let world = start_deployment_with(3, &SHORT_TIMEOUTS).await;
    create(&world.product, "other").await;
    take_requests(world.servers_with("other")[0], "create");
    let loads = world.product.list_loads().await.unwrap();
    for (n, (fault, key)) in faults().into_iter().enumerate() {
        break_creates(&world, &fault);
        let query = format!("meetingID=failed-{n}&name=Failed");
        let answer = world.product.call("create", &query).await.unwrap();
        assert_failed(&answer, key);
        assert_eq!(world.product.list_loads().await.unwrap(), loads, "{fault:?}");
        let info = format!("meetingID=failed-{n}");
        let info = world.product.call("getMeetingInfo", &info).await.unwrap();
        assert_failed(&info, "notFound");
        let bridge = |world: &TestDeployment| {
            let all = world.pool.servers().iter().flat_map(|s| take_requests(s, "create"));
            let sent: Vec<_> = all.map(|r| parameter(&r.query, "voiceBridge")).collect();
            assert!((1..=3).contains(&sent.len()), "at most once to each server");
            assert!(sent.iter().all(|number| *number == sent[0]), "{sent:?}");
            sent[0].clone().unwrap()
        };
        let first = bridge(&world);
        clear_faults(&world);
        let answer = world.product.call("create", &query).await.unwrap();
        assert_success(&answer);
        assert_eq!(answer.xml_field("messageKey"), "");
        // A complete create: with a password, and with the number that was free again.
        assert_eq!(answer.xml_field("moderatorPW").len(), 8);
        assert_eq!(bridge(&world), first);
        let end = format!("meetingID=failed-{n}");
        assert_success(&world.product.call("end", &end).await.unwrap());
        world.product.poll_servers().await.unwrap();
    }
}

#[tokio::test]
async fn the_older_shape_of_errors_becomes_the_common_one() {
    let settings = [("USE_EXTERNAL_VOICE_BRIDGE", "true")];
    let world = start_deployment_with(1, &settings).await;
    // A number that the server has given to a meeting that the balancer does not know.
    let preload =
        bbb_sim::Preload { ids: vec!["foreign".to_owned()], ..bbb_sim::Preload::default() };
    let server = &world.pool.servers()[0];
    server.preload(preload);
    let number = server.meetings()[0].voice_bridge.clone();
    let query = format!("meetingID=clash&name=Clash&voiceBridge={number}");
    let answer = world.product.call("create", &query).await.unwrap();
    assert_failed(&answer, "nonUniqueVoiceBridge");
    let text = "The selected voice bridge is already in use.";
    assert_eq!(answer.xml_field("message"), text);
    assert!(!answer.text().contains("<errors>"));
}

#[tokio::test]
async fn a_known_meeting_survives_its_servers_failures() {
    let world = start_deployment_with(2, &SHORT_TIMEOUTS).await;
    let created = create(&world.product, "kept").await;
    let server = world.servers_with("kept")[0].clone();
    for (fault, key) in faults() {
        let calls = ["create", "getMeetingInfo", "isMeetingRunning", "end"];
        // It answers polls, so it is not gone.
        server.set_fault(Fault::for_calls(fault.clone(), &calls));
        for call in calls {
            let query = "meetingID=kept&name=Kept";
            let answer = world.product.call(call, query).await.unwrap();
            assert_failed(&answer, key);
            assert!(!answer.text().contains("html"), "{}", answer.text());
        }
        server.clear_fault();
        let info = world.product.call("getMeetingInfo", "meetingID=kept");
        let info = info.await.unwrap();
        assert_eq!(info.xml_field("createTime"), created.xml_field("createTime"));
    }
}

#[tokio::test]
async fn without_servers_a_create_says_so() {
    let world = start_deployment(0).await;
    let answer = world.product.call("create", "meetingID=m1&name=M1");
    let answer = answer.await.unwrap();
    assert_failed(&answer, "internalError");
    let text = "Could not find any available servers.";
    assert_eq!(answer.xml_field("message"), text);
    let query = "meetingID=m1&name=M1&meta_server-tag=gold!";
    let answer = world.product.call("create", query).await.unwrap();
    assert_failed(&answer, "serverTagUnavailable");
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_its_create() {
    let world = start_deployment(1).await;
    let server = world.pool.servers()[0].clone();
    server.set_latency(Latency::Fixed(Duration::from_millis(300)));
    let _ = server.take_log();
    let target = signed_target("create", "meetingID=left&name=Left");
    let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
    connection.send(head.as_bytes()).await.unwrap();
    let arrived = async || server.log_len() > 0;
    wait_until("at the server", arrived).await.unwrap();
    drop(connection);
    let known = async || {
        let info = world.product.call("getMeetingInfo", "meetingID=left");
        info.await.unwrap().xml_field("returncode") == "SUCCESS"
    };
    wait_until("created", known).await.unwrap();
    // Settled, and not waiting for a claim to run out.
    let answer = create(&world.product, "left").await;
    assert_eq!(answer.xml_field("messageKey"), "duplicateWarning");
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing_behind() {
    let world = start_deployment(1).await;
    let loads = world.product.list_loads().await.unwrap();
    let target = signed_target("create", "meetingID=torn&name=Torn");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: 99999\r\n\r\n<"
    );
    let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
    connection.send(head.as_bytes()).await.unwrap();
    let placed = async || world.product.list_loads().await.unwrap() != loads;
    wait_until("placed", placed).await.unwrap();
    drop(connection);
    let released = async || world.product.list_loads().await.unwrap() == loads;
    wait_until("released", released).await.unwrap();
    assert!(world.servers_with("torn").is_empty());
    let answer = create(&world.product, "torn").await;
    assert_eq!(answer.xml_field("messageKey"), "");
}
