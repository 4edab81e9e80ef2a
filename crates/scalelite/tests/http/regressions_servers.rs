//! Regressions between the balancer and its servers: panics that stopped halfway, disconnected
//! clients, timeouts that were added up, and meetings that were lost on dead servers.

use std::time::Duration;

use bbb_sim::{BbbServer, Fault, FaultMode, Latency};
use serde_json::{Value, json};
use testkit::deployment::TestDeployment;
use testkit::product::{ClientConnection, Product, SECRET, new_request, signed_target, wait_until};
use tokio::time::{Instant, sleep};

use crate::tools::{
    assert_failed, assert_success, create, digest, start_deployment, start_deployment_with,
};

/// Returns a server as the management API shows it.
async fn managed_server(product: &Product, server: &BbbServer) -> Value {
    let servers = product.call_management("getServers", None).await.unwrap();
    let mut servers = servers.as_array().unwrap().iter();
    servers.find(|managed| managed["url"] == server.url()).unwrap().clone()
}

fn seconds(seconds: f64) -> Latency {
    Latency::Fixed(Duration::from_secs_f64(seconds))
}

/// Sends a panicServer call; returns its connection.
async fn request_panic(
    product: &Product,
    server: &BbbServer,
) -> ClientConnection<tokio::net::TcpStream> {
    let id = managed_server(product, server).await["id"].clone();
    let checksum = digest(bbb_sim::Algorithm::Sha256, "panicServer", "");
    let target = format!("/scalelite/api/panicServer?checksum={checksum}");
    let mut request = new_request("POST", &target);
    request.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    request.body = Some(json!({ "id": id }).to_string().into_bytes());
    let mut connection = ClientConnection::open(product.port()).await.unwrap();
    let bytes = testkit::conformance::http::encode_request(&request);
    connection.send(&bytes).await.unwrap();
    connection
}

/// Starts two servers, one of which has meetings and does not answer `end`; returns that server and
/// its meetings.
async fn deployment_ignoring_end() -> (TestDeployment, BbbServer, Vec<String>) {
    let deployment = start_deployment(2).await;
    for n in 0..6 {
        create(&deployment.product, &format!("before-{n}")).await;
    }
    let server = deployment.servers_with("before-0")[0].clone();
    server.set_fault(Fault::for_calls(FaultMode::Hang, &["end"]));
    let meetings = server.meetings().into_iter().map(|meeting| meeting.id).collect();
    (deployment, server, meetings)
}

async fn wait_for_end_call(server: &BbbServer) {
    let called = async || server.call_counts().contains_key("end");
    wait_until("end called", called).await.unwrap();
}

#[tokio::test]
async fn a_panic_completes_although_its_client_disconnects() {
    let (deployment, server, meetings) = deployment_ignoring_end().await;
    let connection = request_panic(&deployment.product, &server).await;
    wait_for_end_call(&server).await;
    drop(connection);
    let logged = async || deployment.product.log().contains("client gone");
    wait_until("logged", logged).await.unwrap();
    let disabled =
        async || managed_server(&deployment.product, &server).await["state"] == "disabled";
    wait_until("disabled", disabled).await.unwrap();
    for id in meetings {
        let query = format!("meetingID={id}");
        let info = deployment.product.call("getMeetingInfo", &query).await.unwrap();
        assert_failed(&info, "notFound");
    }
}

#[tokio::test]
async fn no_meeting_is_placed_on_a_server_in_panic() {
    let (deployment, server, meetings) = deployment_ignoring_end().await;
    let mut connection = request_panic(&deployment.product, &server).await;
    wait_for_end_call(&server).await;
    for n in 0..20 {
        create(&deployment.product, &format!("during-{n}")).await;
    }
    // Its own meetings are placed on the other server, too.
    for id in &meetings {
        assert_eq!(create(&deployment.product, id).await.xml_field("messageKey"), "");
        assert_eq!(deployment.servers_with(id).len(), 2, "the old meeting and a new one");
    }
    assert_eq!(server.meetings().len(), meetings.len());
    assert_eq!(connection.read_response("POST").await.unwrap().status, 200);
    assert_eq!(managed_server(&deployment.product, &server).await["state"], "disabled");
}

#[tokio::test]
async fn a_create_whose_client_disconnected_is_logged_twice() {
    let deployment = start_deployment(1).await;
    let server = deployment.pool.servers()[0].clone();
    let id = managed_server(&deployment.product, &server).await["id"].clone();
    server.set_latency(seconds(2.0));
    let _ = server.take_log();
    let target = signed_target("create", "meetingID=left-alone&name=Left");
    let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.send(head.as_bytes()).await.unwrap();
    let arrived = async || server.log_len() > 0;
    wait_until("at the server", arrived).await.unwrap();
    drop(connection);
    let find_line = |text: &str| {
        let log = deployment.product.log();
        log.lines().find(|line| line.contains(text)).map(str::to_owned)
    };
    wait_until("disconnect logged", async || find_line("client gone").is_some()).await.unwrap();
    // The line is written at once, long before the server answers.
    assert_eq!(find_line("completed after the client disconnected"), None);
    assert!(find_line("client gone").unwrap().contains("create"));
    wait_until("completion logged", async || {
        find_line("completed after the client disconnected").is_some()
    })
    .await
    .unwrap();
    let last = find_line("completed after the client disconnected").unwrap();
    for part in ["create", "left-alone", id.as_str().unwrap(), "ok"] {
        assert!(last.contains(part), "{last}");
    }
    assert!(!deployment.product.log().contains(SECRET));
}

#[tokio::test]
async fn the_connect_timeout_does_not_extend_the_response_timeout() {
    let settings = [("CONNECT_TIMEOUT", "5"), ("RESPONSE_TIMEOUT", "0.4")];
    let deployment = start_deployment_with(1, &settings).await;
    deployment.pool.servers()[0].set_latency(seconds(1.0));
    let started = Instant::now();
    let response = deployment.product.call("create", "meetingID=slow&name=Slow").await.unwrap();
    assert_failed(&response, "internalError");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn the_connect_timeout_does_not_limit_the_response_time() {
    let settings = [("CONNECT_TIMEOUT", "0.3"), ("RESPONSE_TIMEOUT", "3")];
    let deployment = start_deployment_with(1, &settings).await;
    deployment.pool.servers()[0].set_latency(seconds(1.0));
    create(&deployment.product, "slow").await;
    // Also on a reused connection.
    create(&deployment.product, "slower").await;
}

#[tokio::test]
async fn a_meeting_created_on_an_offline_server_does_not_block_its_id() {
    let deployment = start_deployment(2).await;
    for server in deployment.pool.servers() {
        server.set_latency(seconds(3.0));
        let _ = server.take_log();
    }
    let port = deployment.product.port();
    let creating = tokio::spawn(async move {
        let target = signed_target("create", "meetingID=back&name=Back");
        testkit::product::exchange(port, &new_request("GET", &target)).await
    });
    let has_request = |server: &&BbbServer| server.log_len() > 0;
    let arrived = async || deployment.pool.servers().iter().any(|server| has_request(&server));
    wait_until("at a server", arrived).await.unwrap();
    let servers = deployment.pool.servers();
    let (lost, other) = if has_request(&&servers[0]) { (0, 1) } else { (1, 0) };
    let (lost, other) = (servers[lost].clone(), servers[other].clone());
    // The delay of the create was determined when it arrived. The other server fails.
    lost.set_latency(Latency::None);
    other.set_latency(Latency::None);
    other.set_fault(Fault::for_calls(FaultMode::Error500, &["create"]));
    lost.set_fault(Fault::for_calls(FaultMode::Reset, &["getMeetings"]));
    deployment.product.poll_servers().await.unwrap();
    deployment.product.poll_servers().await.unwrap();
    assert_eq!(managed_server(&deployment.product, &lost).await["online"], "offline");
    assert!(!creating.is_finished(), "the create should be in progress");
    assert_success(&creating.await.unwrap().unwrap());
    assert_eq!(lost.meetings().len(), 1);

    lost.set_fault(FaultMode::Refuse);
    other.clear_fault();
    deployment.product.poll_servers().await.unwrap();
    let response = create(&deployment.product, "back").await;
    assert_eq!(response.xml_field("messageKey"), "");
    assert_eq!(other.meetings()[0].id, "back");
}

/// Uploads slides byte by byte until `end` is true; returns the returncode of the response.
async fn upload_slowly(port: u16, mut end: tokio::sync::watch::Receiver<bool>) -> String {
    let target = signed_target("insertDocument", "meetingID=slides");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: application/xml\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let mut connection = ClientConnection::open(port).await.unwrap();
    connection.send(head.as_bytes()).await.unwrap();
    while !*end.borrow() {
        connection.send(b"1\r\n \r\n").await.unwrap();
        let pause = tokio::time::timeout(Duration::from_millis(100), end.changed());
        let _ = pause.await;
    }
    connection.send(b"a\r\n<modules/>\r\n0\r\n\r\n").await.unwrap();
    connection.read_response("POST").await.unwrap().xml_field("returncode")
}

#[tokio::test]
async fn polls_do_not_wait_for_uploads() {
    let settings =
        [("MAX_CONNECTIONS_PER_SERVER", "2"), ("POLL_INTERVAL", "1"), ("RESPONSE_TIMEOUT", "2")];
    let deployment = start_deployment_with(1, &settings).await;
    let server = deployment.pool.servers()[0].clone();
    create(&deployment.product, "slides").await;
    let (sender, end) = tokio::sync::watch::channel(false);
    let port = deployment.product.port();
    let uploads: Vec<_> = (0..2).map(|_| tokio::spawn(upload_slowly(port, end.clone()))).collect();
    let full = async || {
        let info = deployment.product.call("getMeetingInfo", "meetingID=slides").await.unwrap();
        let is_full = info.xml_field("messageKey") == "internalError";
        if !is_full {
            sleep(Duration::from_millis(10)).await;
        }
        is_full
    };
    wait_until("full", full).await.unwrap();
    let polls = || server.call_counts().get("getMeetings").copied().unwrap_or(0);
    let before = polls();
    // More polls than it takes to mark a server as offline.
    wait_until("polled", async || polls() > before + 3).await.unwrap();
    deployment.product.poll_servers().await.unwrap();
    assert_eq!(managed_server(&deployment.product, &server).await["online"], "online");
    assert!(!deployment.product.log().contains("poll failed"));
    assert!(uploads.iter().all(|upload| !upload.is_finished()));
    sender.send(true).unwrap();
    for upload in uploads {
        assert_eq!(upload.await.unwrap(), "SUCCESS");
    }
}
