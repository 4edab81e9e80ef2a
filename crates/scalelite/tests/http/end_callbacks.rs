//! End callbacks: front-ends hear of the end of a meeting once, and only when it is over.

use bbb_sim::{BbbServer, Fault, FaultMode};
use serde_json::Value;
use testkit::deployment::TestDeployment;
use testkit::end_receiver::{
    BALANCER_HOST, EndReceiver, TELLS_ENDS, carry_report, carry_reports, split_report,
};
use testkit::product::wait_until;

use crate::tenants::{MULTITENANCY, add_tenant, call_as_tenant};
use crate::tools::{
    assert_success, list_outbox, parameter, send, start_deployment_with, take_requests,
};

async fn start(servers: usize, settings: &[(&str, &str)]) -> (TestDeployment, EndReceiver) {
    let settings = [&TELLS_ENDS[..], settings].concat();
    let deployment = start_deployment_with(servers, &settings).await;
    (deployment, EndReceiver::start().await.unwrap())
}

/// Creates a meeting with further parameters, and returns the server that has it.
async fn create<'a>(deployment: &'a TestDeployment, id: &str, parameters: &str) -> &'a BbbServer {
    let query = format!("meetingID={id}&name=room&{parameters}");
    assert_success(&deployment.product.call("create", &query).await.unwrap());
    let servers = deployment.servers_with(&id.replace('+', " "));
    assert_eq!(servers.len(), 1, "{id}");
    servers[0]
}

async fn wait_for_calls(receiver: &EndReceiver, expected: &[&str]) {
    let what = format!("told: {expected:?}");
    wait_until(&what, async || receiver.calls().len() >= expected.len()).await.unwrap();
    assert_eq!(receiver.calls(), expected);
}

/// Waits until the balancer has asked a server about a meeting since its log was taken last.
async fn wait_for_question(server: &BbbServer) {
    let is_asked = async || !take_requests(server, "getMeetingInfo").is_empty();
    wait_until("asked", is_asked).await.unwrap();
}

/// Removes a meeting as a crash does, without any report, and lets two polls miss it.
async fn lose_meeting(deployment: &TestDeployment, server: &BbbServer, id: &str) {
    server.drop_meetings(Some(&[id]));
    for _ in 0..2 {
        deployment.product.poll_servers().await.unwrap();
    }
}

#[tokio::test]
async fn an_end_is_told_once_with_the_parameters_of_bbb() {
    let (deployment, receiver) = start(1, &[]).await;
    let both = [
        receiver.parameter("meta_endCallbackUrl", "end?x=%2F1"),
        receiver.parameter("meetingEndedURL", "ended?y=2"),
    ]
    .join("&");
    let server = create(&deployment, "m+1", &both).await.clone();
    let sent = take_requests(&server, "create");
    for name in ["meta_endCallbackUrl", "meetingEndedURL"] {
        let own = parameter(&sent[0].query, name).unwrap();
        assert!(own.starts_with("https://balancer.test/bigbluebutton/api/end_callback?"), "{own}");
    }
    assert!(!sent[0].query.contains("127.0.0.1"), "{}", sent[0].query);
    assert!(server.set_recording_marks("m 1", true));
    assert!(server.end_meeting("m 1"));
    // Servers repeat what they think was not answered.
    for _ in 0..3 {
        assert_eq!(carry_reports(&server, &deployment.product).await.unwrap(), 2);
    }
    let told = ["GET /end?x=%2F1&recordingmarks=true&meetingID=m+1", "GET /ended?y=2"];
    wait_for_calls(&receiver, &told).await;
    carry_reports(&server, &deployment.product).await.unwrap();
    lose_meeting(&deployment, &server, "m 1").await;
    wait_until("outbox empty", async || list_outbox(&deployment).await.is_empty()).await.unwrap();
    // Whatever was to follow the first end has been there before the second.
    let again = receiver.parameter("meta_endcallbackurl", "again");
    create(&deployment, "m2", &again).await;
    assert!(server.end_meeting("m2"));
    carry_reports(&server, &deployment.product).await.unwrap();
    let again = "GET /again?recordingmarks=false&meetingID=m2";
    wait_for_calls(&receiver, &[again, told[0], told[1]]).await;
    assert!(!deployment.product.log().contains("end_callback?"), "{}", deployment.product.log());
}

#[tokio::test]
async fn a_repeated_create_is_told_once_and_a_new_meeting_again() {
    let (deployment, receiver) = start(1, &[]).await;
    let address = receiver.parameter("meetingEndedURL", "ended");
    let server = create(&deployment, "mm", &address).await.clone();
    create(&deployment, "mm", &address).await;
    assert!(server.end_meeting("mm"));
    carry_reports(&server, &deployment.product).await.unwrap();
    wait_for_calls(&receiver, &["GET /ended"]).await;
    create(&deployment, "mm", &address).await;
    // The first end is reported once more while the second meeting runs.
    carry_reports(&server, &deployment.product).await.unwrap();
    assert_success(&deployment.product.call("end", "meetingID=mm").await.unwrap());
    wait_for_calls(&receiver, &["GET /ended", "GET /ended"]).await;
}

#[tokio::test]
async fn an_end_that_polls_find_is_told() {
    let (deployment, receiver) = start(2, &[("MEETING_GRACE", "0")]).await;
    let address = receiver.parameter("meetingEndedURL", "ended");
    let server = create(&deployment, "mm", &address).await.clone();
    lose_meeting(&deployment, &server, "mm").await;
    wait_for_calls(&receiver, &["GET /ended"]).await;
    assert_eq!(server.callbacks(), []);
}

/// The first server makes the meeting and answers nothing, so the meeting is made on another one.
#[tokio::test]
async fn a_copy_that_lost_tells_nobody() {
    let settings = [("MEETING_GRACE", "0"), ("CONNECT_TIMEOUT", "1"), ("RESPONSE_TIMEOUT", "1")];
    let (deployment, receiver) = start(2, &settings).await;
    let address = receiver.parameter("meta_endCallbackUrl", "end");
    let slow = create(&deployment, "mm", "").await.clone();
    assert_success(&deployment.product.call("end", "meetingID=mm").await.unwrap());
    deployment.product.poll_servers().await.unwrap();
    slow.set_fault(FaultMode::HangAfterEffect);
    let query = format!("meetingID=mm&name=room&{address}");
    assert_success(&deployment.product.call("create", &query).await.unwrap());
    slow.clear_fault();
    let servers = deployment.servers_with("mm");
    assert_eq!(servers.len(), 2, "a copy on each");
    let kept = servers.into_iter().find(|server| server.number() != slow.number()).unwrap();
    assert!(kept.set_users("mm", 3, 1));
    for _ in 0..3 {
        deployment.product.poll_servers().await.unwrap();
    }
    assert_eq!(deployment.servers_with("mm").len(), 1, "one copy is left");
    let _ = kept.take_log();
    assert_eq!(carry_reports(&slow, &deployment.product).await.unwrap(), 1);
    wait_for_question(kept).await;
    assert!(kept.end_meeting("mm"));
    carry_reports(kept, &deployment.product).await.unwrap();
    carry_reports(&slow, &deployment.product).await.unwrap();
    wait_for_calls(&receiver, &["GET /end?recordingmarks=false&meetingID=mm"]).await;
}

#[tokio::test]
async fn nothing_is_told_while_the_server_is_offline() {
    let settings = [("MEETING_GRACE", "0"), ("SERVER_UNHEALTHY_THRESHOLD", "1")];
    let (deployment, receiver) = start(1, &settings).await;
    let address = receiver.parameter("meetingEndedURL", "ended");
    let server = create(&deployment, "mm", &address).await.clone();
    let sent = take_requests(&server, "create");
    let report = parameter(&sent[0].query, "meetingEndedURL").unwrap();
    let (host, target) = split_report(&report).unwrap();
    server.set_fault(FaultMode::Refuse);
    deployment.product.poll_servers().await.unwrap();
    // A report that is not true, at the worst moment.
    carry_report(&deployment.product, host, target).await.unwrap();
    server.clear_fault();
    for _ in 0..2 {
        deployment.product.poll_servers().await.unwrap();
    }
    carry_report(&deployment.product, host, target).await.unwrap();
    wait_for_question(&server).await;
    assert_eq!(receiver.calls(), [""; 0]);
    assert!(server.end_meeting("mm"));
    carry_reports(&server, &deployment.product).await.unwrap();
    wait_for_calls(&receiver, &["GET /ended"]).await;
}

/// The server is dead, the meeting is made anew elsewhere, and the dead server comes back.
#[tokio::test]
async fn a_replaced_meeting_is_over_when_its_replacement_ends() {
    let settings = [("MEETING_GRACE", "0"), ("SERVER_UNHEALTHY_THRESHOLD", "1")];
    let (deployment, receiver) = start(2, &settings).await;
    let address = receiver.parameter("meetingEndedURL", "ended");
    let first = create(&deployment, "mm", &address).await.clone();
    first.set_fault(FaultMode::Refuse);
    deployment.product.poll_servers().await.unwrap();
    let query = format!("meetingID=mm&name=room&{address}");
    assert_success(&deployment.product.call("create", &query).await.unwrap());
    let servers = deployment.servers_with("mm");
    let second = servers.into_iter().find(|server| server.number() != first.number()).unwrap();
    assert!(second.set_users("mm", 3, 1));
    first.clear_fault();
    for _ in 0..3 {
        deployment.product.poll_servers().await.unwrap();
    }
    assert_eq!(deployment.servers_with("mm").len(), 1, "the emptier copy was ended");
    let _ = second.take_log();
    assert_eq!(carry_reports(&first, &deployment.product).await.unwrap(), 1);
    wait_for_question(second).await;
    assert_eq!(receiver.calls(), [""; 0]);
    assert!(second.end_meeting("mm"));
    carry_reports(second, &deployment.product).await.unwrap();
    wait_for_calls(&receiver, &["GET /ended"]).await;
}

#[tokio::test]
async fn addresses_are_passed_through_by_default_and_without_a_host_name() {
    let (host, allow) = (("URL_HOST", BALANCER_HOST), ("CALLBACK_ALLOW", "127.0.0.0/8"));
    for settings in [[host, allow], [("END_CALLBACKS", "balancer"), allow]] {
        let deployment = start_deployment_with(1, &settings).await;
        let query =
            "meta_endCallbackUrl=https%3A%2F%2Fa.test%2F%3Fx&meetingEndedURL=https%3A%2F%2Fb.test";
        let server = create(&deployment, "mm", query).await;
        let sent = take_requests(server, "create");
        let sent = |name: &str| parameter(&sent[0].query, name);
        assert_eq!(sent("meta_endCallbackUrl").as_deref(), Some("https://a.test/?x"));
        assert_eq!(sent("meetingEndedURL").as_deref(), Some("https://b.test"));
        assert!(server.end_meeting("mm"));
        let urls: Vec<String> = server.callbacks().into_iter().map(|sent| sent.url).collect();
        assert_eq!(urls[1], "https://b.test");
    }
}

#[tokio::test]
async fn forged_reports_and_hostile_addresses_are_harmless() {
    let (deployment, receiver) = start(1, &[("CALLBACK_ALLOW", "127.0.0.2")]).await;
    let address = receiver.parameter("meetingEndedURL", "ended");
    let server = create(&deployment, "mm", &address).await.clone();
    let sent = take_requests(&server, "create");
    let report = parameter(&sent[0].query, "meetingEndedURL").unwrap();
    let (_, target) = split_report(&report).unwrap();
    let (path, token) = target.split_once("?token=").unwrap();
    let forged = format!("{path}?token={token}x");
    let unsigned = format!("{path}?token=eyJhbGciOiJub25lIn0.eyJlbmRlZCI6Im1tIn0.");
    for target in [path, &forged, &unsigned, &format!("{path}?token=%00%ff&token={token}x")] {
        for method in ["GET", "POST", "DELETE"] {
            let response = send(&deployment.product, method, target, &[], None).await;
            assert_eq!((response.status, response.text().as_str()), (200, ""), "{method} {target}");
        }
    }
    // True reports of a running meeting, and addresses that must not be called.
    carry_report(&deployment.product, BALANCER_HOST, target).await.unwrap();
    for (number, url) in
        ["not+a+url", "ftp%3A%2F%2Fa.test", "http%3A%2F%2F169.254.169.254%2F", "%0D%0A"]
            .iter()
            .enumerate()
    {
        create(&deployment, &format!("m{number}"), &format!("meetingEndedURL={url}")).await;
    }
    for id in ["mm", "m0", "m1", "m2"] {
        assert!(server.end_meeting(id));
    }
    carry_reports(&server, &deployment.product).await.unwrap();
    let refused = async || {
        let outbox = list_outbox(&deployment).await;
        let failures = outbox.iter().filter_map(|message| message["failure"].as_str());
        failures.filter(|failure| failure.starts_with("not allowed: ")).count() == 4
    };
    wait_until("refused", refused).await.unwrap();
    assert_eq!(receiver.calls(), [""; 0]);
}

/// The administrator's rules decide what servers get.
#[tokio::test]
async fn addresses_that_the_administrator_fixes_are_left_alone() {
    let settings = [
        ("OVERRIDE_CREATE_PARAMS", "meetingEndedURL=https://fixed.test"),
        ("CREATE_EXCLUDE_PARAMS", "meta_endcallbackurl"),
    ];
    let (deployment, receiver) = start(1, &settings).await;
    let both = [
        receiver.parameter("meta_endCallbackUrl", "end"),
        receiver.parameter("meetingEndedURL", "ended"),
    ]
    .join("&");
    let server = create(&deployment, "mm", &both).await;
    let sent = take_requests(server, "create");
    assert_eq!(parameter(&sent[0].query, "meta_endCallbackUrl"), None);
    let fixed = parameter(&sent[0].query, "meetingEndedURL");
    assert_eq!(fixed.as_deref(), Some("https://fixed.test"));
}

#[tokio::test]
async fn tenants_are_told_of_their_own_meetings() {
    let (deployment, receiver) = start(2, &[MULTITENANCY]).await;
    let mut servers = Vec::new();
    for (name, secret) in [("acme", "s1"), ("beta", "s2")] {
        add_tenant(&deployment, name, secret).await;
        let address = receiver.parameter("meta_endCallbackUrl", name);
        let query = format!("meetingID=mm&name=room&{address}");
        let host = format!("{name}.balancer.test");
        assert_success(&call_as_tenant(&deployment, &host, secret, "create", &query).await);
        let has_it = |server: &&BbbServer| {
            server.meeting("mm").is_some_and(|meeting| {
                meeting.meta.iter().any(|(name, value)| {
                    name == "endcallbackurl" && value.starts_with(&format!("https://{host}/"))
                })
            })
        };
        servers.push(deployment.pool.servers().iter().find(has_it).unwrap().clone());
    }
    assert!(servers[0].end_meeting("mm"));
    carry_reports(&servers[0], &deployment.product).await.unwrap();
    let acme = "GET /acme?recordingmarks=false&meetingID=mm";
    wait_for_calls(&receiver, &[acme]).await;
    assert!(servers[1].end_meeting("mm"));
    carry_reports(&servers[1], &deployment.product).await.unwrap();
    wait_for_calls(&receiver, &[acme, "GET /beta?recordingmarks=false&meetingID=mm"]).await;
}

/// A front-end that was away must not hear of the end of a meeting that it has created again.
#[tokio::test]
async fn a_late_message_is_withdrawn_when_the_meeting_begins_again() {
    let (deployment, receiver) = start(1, &[]).await;
    let address = receiver.parameter("meetingEndedURL", "ended");
    let port = receiver.port();
    drop(receiver);
    let server = create(&deployment, "mm", &address).await.clone();
    assert!(server.end_meeting("mm"));
    carry_reports(&server, &deployment.product).await.unwrap();
    let has_failed =
        async || list_outbox(&deployment).await.iter().any(|message| message["attempts"] == 1);
    wait_until("failed", has_failed).await.unwrap();
    create(&deployment, "mm", &address).await;
    assert_eq!(list_outbox(&deployment).await, [Value::Null; 0]);
    let receiver = EndReceiver::start_on(port).await.unwrap();
    assert!(server.end_meeting("mm"));
    carry_reports(&server, &deployment.product).await.unwrap();
    wait_for_calls(&receiver, &["GET /ended"]).await;
}

#[tokio::test]
async fn a_failed_create_has_nothing_to_tell() {
    let (deployment, receiver) = start(1, &[]).await;
    let server = deployment.pool.server(1);
    server.set_fault(Fault::for_calls(FaultMode::Error500, &["create"]));
    let address = receiver.parameter("meetingEndedURL", "ended");
    let query = format!("meetingID=mm&name=room&{address}");
    let failed = deployment.product.call("create", &query).await.unwrap();
    assert_eq!(failed.xml_field("returncode"), "FAILED");
    server.clear_fault();
    create(&deployment, "mm", &address).await;
    assert_success(&deployment.product.call("end", "meetingID=mm").await.unwrap());
    wait_for_calls(&receiver, &["GET /ended"]).await;
}
