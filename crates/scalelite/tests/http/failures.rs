//! Failing servers: what the client sees, and that a failed create leaves no state behind.

use std::time::Duration;

use bbb_sim::{Fault, FaultMode, Latency};
use testkit::deployment::TestDeployment;
use testkit::product::{ClientConnection, signed_target, wait_until};

use crate::tools::{
    assert_failed, assert_success, create, parameter, start_deployment, start_deployment_with,
    take_requests,
};

const SHORT_TIMEOUTS: [(&str, &str); 2] = [("CONNECT_TIMEOUT", "0.5"), ("RESPONSE_TIMEOUT", "0.5")];

/// Every way in which a server can fail to answer a create, and the key that the client gets.
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

fn break_creates(deployment: &TestDeployment, fault: &FaultMode) {
    for server in deployment.pool.servers() {
        server.set_fault(Fault::for_calls(fault.clone(), &["create"]));
    }
}

fn clear_faults(deployment: &TestDeployment) {
    for server in deployment.pool.servers() {
        server.clear_fault();
    }
}

#[tokio::test]
async fn a_failed_create_leaves_nothing_behind() {
    let deployment = start_deployment_with(3, &SHORT_TIMEOUTS).await;
    create(&deployment.product, "other").await;
    take_requests(deployment.servers_with("other")[0], "create");
    let loads = deployment.product.list_loads().await.unwrap();
    for (n, (fault, key)) in faults().into_iter().enumerate() {
        break_creates(&deployment, &fault);
        let query = format!("meetingID=failed-{n}&name=Failed");
        let response = deployment.product.call("create", &query).await.unwrap();
        assert_failed(&response, key);
        assert_eq!(deployment.product.list_loads().await.unwrap(), loads, "{fault:?}");
        let info = format!("meetingID=failed-{n}");
        let info = deployment.product.call("getMeetingInfo", &info).await.unwrap();
        assert_failed(&info, "notFound");
        let bridge = |deployment: &TestDeployment| {
            let all = deployment.pool.servers().iter().flat_map(|s| take_requests(s, "create"));
            let sent: Vec<_> = all.map(|r| parameter(&r.query, "voiceBridge")).collect();
            assert!((1..=3).contains(&sent.len()), "more than one create to a server");
            assert!(sent.iter().all(|number| *number == sent[0]), "{sent:?}");
            sent[0].clone().unwrap()
        };
        let first = bridge(&deployment);
        clear_faults(&deployment);
        let response = deployment.product.call("create", &query).await.unwrap();
        assert_success(&response);
        assert_eq!(response.xml_field("messageKey"), "");
        // The create is complete: it has a password, and the voice bridge that was released.
        assert_eq!(response.xml_field("moderatorPW").len(), 8);
        assert_eq!(bridge(&deployment), first);
        let end = format!("meetingID=failed-{n}");
        assert_success(&deployment.product.call("end", &end).await.unwrap());
        deployment.product.poll_servers().await.unwrap();
    }
}

#[tokio::test]
async fn errors_in_the_older_format_are_converted() {
    let settings = [("USE_EXTERNAL_VOICE_BRIDGE", "true")];
    let deployment = start_deployment_with(1, &settings).await;
    // The voice bridge of a meeting that the balancer does not know.
    let preload =
        bbb_sim::Preload { ids: vec!["foreign".to_owned()], ..bbb_sim::Preload::default() };
    let server = &deployment.pool.servers()[0];
    server.preload(preload);
    let number = server.meetings()[0].voice_bridge.clone();
    let query = format!("meetingID=clash&name=Clash&voiceBridge={number}");
    let response = deployment.product.call("create", &query).await.unwrap();
    assert_failed(&response, "nonUniqueVoiceBridge");
    let text = "The selected voice bridge is already in use.";
    assert_eq!(response.xml_field("message"), text);
    assert!(!response.text().contains("<errors>"));
}

#[tokio::test]
async fn a_known_meeting_survives_its_servers_failures() {
    let deployment = start_deployment_with(2, &SHORT_TIMEOUTS).await;
    let created = create(&deployment.product, "kept").await;
    let server = deployment.servers_with("kept")[0].clone();
    for (fault, key) in faults() {
        let calls = ["create", "getMeetingInfo", "isMeetingRunning", "end"];
        // The server answers polls, so its meetings are kept.
        server.set_fault(Fault::for_calls(fault.clone(), &calls));
        for call in calls {
            let query = "meetingID=kept&name=Kept";
            let response = deployment.product.call(call, query).await.unwrap();
            assert_failed(&response, key);
            assert!(!response.text().contains("html"), "{}", response.text());
        }
        server.clear_fault();
        let info = deployment.product.call("getMeetingInfo", "meetingID=kept");
        let info = info.await.unwrap();
        assert_eq!(info.xml_field("createTime"), created.xml_field("createTime"));
    }
}

#[tokio::test]
async fn a_create_without_servers_is_refused() {
    let deployment = start_deployment(0).await;
    let response = deployment.product.call("create", "meetingID=m1&name=M1");
    let response = response.await.unwrap();
    assert_failed(&response, "internalError");
    let text = "Could not find any available servers.";
    assert_eq!(response.xml_field("message"), text);
    let query = "meetingID=m1&name=M1&meta_server-tag=gold!";
    let response = deployment.product.call("create", query).await.unwrap();
    assert_failed(&response, "serverTagUnavailable");
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_its_create() {
    let deployment = start_deployment(1).await;
    let server = deployment.pool.servers()[0].clone();
    server.set_latency(Latency::Fixed(Duration::from_millis(300)));
    let _ = server.take_log();
    let target = signed_target("create", "meetingID=left&name=Left");
    let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
    connection.send(head.as_bytes()).await.unwrap();
    let arrived = async || server.log_len() > 0;
    wait_until("at the server", arrived).await.unwrap();
    drop(connection);
    let is_known = async || {
        let info = deployment.product.call("getMeetingInfo", "meetingID=left");
        info.await.unwrap().xml_field("returncode") == "SUCCESS"
    };
    wait_until("created", is_known).await.unwrap();
    // The meeting is confirmed; its claim does not have to expire first.
    let response = create(&deployment.product, "left").await;
    assert_eq!(response.xml_field("messageKey"), "duplicateWarning");
}

#[tokio::test]
async fn an_interrupted_upload_leaves_nothing_behind() {
    let deployment = start_deployment(1).await;
    let loads = deployment.product.list_loads().await.unwrap();
    let target = signed_target("create", "meetingID=torn&name=Torn");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: 99999\r\n\r\n<"
    );
    let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
    connection.send(head.as_bytes()).await.unwrap();
    let placed = async || deployment.product.list_loads().await.unwrap() != loads;
    wait_until("placed", placed).await.unwrap();
    drop(connection);
    let released = async || deployment.product.list_loads().await.unwrap() == loads;
    wait_until("released", released).await.unwrap();
    assert!(deployment.servers_with("torn").is_empty());
    let response = create(&deployment.product, "torn").await;
    assert_eq!(response.xml_field("messageKey"), "");
}
