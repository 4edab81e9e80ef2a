//! What once went wrong between the balancer and its servers: panics that stopped halfway, clients
//! that left, deadlines that were added up, meetings that were lost on dead servers.

use std::time::Duration;

use bbb_sim::{BbbServer, Fault, FaultMode, Latency};
use serde_json::{Value, json};
use testkit::deployment::TestDeployment;
use testkit::product::{ClientConnection, Product, SECRET, new_request, signed_target, wait_until};
use tokio::time::{Instant, sleep};

use crate::tools::{
    assert_failed, assert_success, create, digest, start_deployment, start_deployment_with,
};

/// The server as the management API shows it.
async fn managed_server(product: &Product, server: &BbbServer) -> Value {
    let servers = product.call_management("getServers", None).await.unwrap();
    let mut servers = servers.as_array().unwrap().iter();
    servers.find(|one| one["url"] == server.url()).unwrap().clone()
}

fn seconds(seconds: f64) -> Latency {
    Latency::Fixed(Duration::from_secs_f64(seconds))
}

/// A connection on which a panic has been asked for.
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

/// Two servers, one of which has meetings and does not answer `end`; and those meetings.
async fn deployment_ignoring_end() -> (TestDeployment, BbbServer, Vec<String>) {
    let world = start_deployment(2).await;
    for n in 0..6 {
        create(&world.product, &format!("before-{n}")).await;
    }
    let server = world.servers_with("before-0")[0].clone();
    server.set_fault(Fault::for_calls(FaultMode::Hang, &["end"]));
    let meetings = server.meetings().into_iter().map(|meeting| meeting.id).collect();
    (world, server, meetings)
}

async fn wait_for_end_call(server: &BbbServer) {
    let asked = async || server.call_counts().contains_key("end");
    wait_until("asked to end a meeting", asked).await.unwrap();
}

#[tokio::test]
async fn a_panic_is_carried_through_although_its_client_leaves() {
    let (world, server, meetings) = deployment_ignoring_end().await;
    let connection = request_panic(&world.product, &server).await;
    wait_for_end_call(&server).await;
    drop(connection);
    let left = async || world.product.log().contains("client gone");
    wait_until("noticed", left).await.unwrap();
    let disabled = async || managed_server(&world.product, &server).await["state"] == "disabled";
    wait_until("disabled", disabled).await.unwrap();
    for id in meetings {
        let query = format!("meetingID={id}");
        let info = world.product.call("getMeetingInfo", &query).await.unwrap();
        assert_failed(&info, "notFound");
    }
}

#[tokio::test]
async fn no_meeting_is_placed_on_a_server_in_panic() {
    let (world, server, meetings) = deployment_ignoring_end().await;
    let mut connection = request_panic(&world.product, &server).await;
    wait_for_end_call(&server).await;
    for n in 0..20 {
        create(&world.product, &format!("during-{n}")).await;
    }
    // Those that were on it go elsewhere too.
    for id in &meetings {
        assert_eq!(create(&world.product, id).await.xml_field("messageKey"), "");
        assert_eq!(world.servers_with(id).len(), 2, "the old one and a new one");
    }
    assert_eq!(server.meetings().len(), meetings.len());
    assert_eq!(connection.read_response("POST").await.unwrap().status, 200);
    assert_eq!(managed_server(&world.product, &server).await["state"], "disabled");
}

#[tokio::test]
async fn a_create_whose_client_left_is_in_the_log_twice() {
    let world = start_deployment(1).await;
    let server = world.pool.servers()[0].clone();
    let id = managed_server(&world.product, &server).await["id"].clone();
    server.set_latency(seconds(2.0));
    let _ = server.take_log();
    let target = signed_target("create", "meetingID=left-alone&name=Left");
    let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.send(head.as_bytes()).await.unwrap();
    let arrived = async || server.log_len() > 0;
    wait_until("at the server", arrived).await.unwrap();
    drop(connection);
    let line = |what: &str| {
        let log = world.product.log();
        log.lines().find(|line| line.contains(what)).map(str::to_owned)
    };
    wait_until("noticed", async || line("client gone").is_some()).await.unwrap();
    // At once, which is long before the server has answered.
    assert_eq!(line("completed after the client disconnected"), None);
    assert!(line("client gone").unwrap().contains("create"));
    wait_until("ended", async || line("completed after the client disconnected").is_some())
        .await
        .unwrap();
    let last = line("completed after the client disconnected").unwrap();
    for named in ["create", "left-alone", id.as_str().unwrap(), "ok"] {
        assert!(last.contains(named), "{last}");
    }
    assert!(!world.product.log().contains(SECRET));
}

#[tokio::test]
async fn the_time_to_connect_is_not_time_to_answer() {
    let settings = [("CONNECT_TIMEOUT", "5"), ("RESPONSE_TIMEOUT", "0.4")];
    let world = start_deployment_with(1, &settings).await;
    world.pool.servers()[0].set_latency(seconds(1.0));
    let started = Instant::now();
    let answer = world.product.call("create", "meetingID=slow&name=Slow").await.unwrap();
    assert_failed(&answer, "internalError");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn the_time_to_answer_is_not_bounded_by_that_to_connect() {
    let settings = [("CONNECT_TIMEOUT", "0.3"), ("RESPONSE_TIMEOUT", "3")];
    let world = start_deployment_with(1, &settings).await;
    world.pool.servers()[0].set_latency(seconds(1.0));
    create(&world.product, "slow").await;
    // Also on a connection that was kept.
    create(&world.product, "slower").await;
}

#[tokio::test]
async fn a_meeting_that_came_back_to_a_lost_server_does_not_block_its_id() {
    let world = start_deployment(2).await;
    for server in world.pool.servers() {
        server.set_latency(seconds(3.0));
        let _ = server.take_log();
    }
    let port = world.product.port();
    let creating = tokio::spawn(async move {
        let target = signed_target("create", "meetingID=back&name=Back");
        testkit::product::exchange(port, &new_request("GET", &target)).await
    });
    let got = |server: &&BbbServer| server.log_len() > 0;
    let arrived = async || world.pool.servers().iter().any(|server| got(&server));
    wait_until("at a server", arrived).await.unwrap();
    let servers = world.pool.servers();
    let (lost, other) = if got(&&servers[0]) { (0, 1) } else { (1, 0) };
    let (lost, other) = (servers[lost].clone(), servers[other].clone());
    // The delay of the create was drawn when it arrived. The other one cannot help.
    lost.set_latency(Latency::None);
    other.set_latency(Latency::None);
    other.set_fault(Fault::for_calls(FaultMode::Error500, &["create"]));
    lost.set_fault(Fault::for_calls(FaultMode::Reset, &["getMeetings"]));
    world.product.poll_servers().await.unwrap();
    world.product.poll_servers().await.unwrap();
    assert_eq!(managed_server(&world.product, &lost).await["online"], "offline");
    assert!(!creating.is_finished(), "it should be under way");
    assert_success(&creating.await.unwrap().unwrap());
    assert_eq!(lost.meetings().len(), 1);

    lost.set_fault(FaultMode::Refuse);
    other.clear_fault();
    world.product.poll_servers().await.unwrap();
    let answer = create(&world.product, "back").await;
    assert_eq!(answer.xml_field("messageKey"), "");
    assert_eq!(other.meetings()[0].id, "back");
}

/// An upload of which a byte goes out now and then, until told to end; then its answer.
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
    let world = start_deployment_with(1, &settings).await;
    let server = world.pool.servers()[0].clone();
    create(&world.product, "slides").await;
    let (sender, end) = tokio::sync::watch::channel(false);
    let port = world.product.port();
    let uploads: Vec<_> = (0..2).map(|_| tokio::spawn(upload_slowly(port, end.clone()))).collect();
    let full = async || {
        let info = world.product.call("getMeetingInfo", "meetingID=slides").await.unwrap();
        let is_full = info.xml_field("messageKey") == "internalError";
        if !is_full {
            sleep(Duration::from_millis(10)).await;
        }
        is_full
    };
    wait_until("full", full).await.unwrap();
    let polls = || server.call_counts().get("getMeetings").copied().unwrap_or(0);
    let before = polls();
    // More than it takes to lose a server.
    wait_until("polled", async || polls() > before + 3).await.unwrap();
    world.product.poll_servers().await.unwrap();
    assert_eq!(managed_server(&world.product, &server).await["online"], "online");
    assert!(!world.product.log().contains("poll failed"));
    assert!(uploads.iter().all(|upload| !upload.is_finished()));
    sender.send(true).unwrap();
    for upload in uploads {
        assert_eq!(upload.await.unwrap(), "SUCCESS");
    }
}
