//! Many and hostile connections: bodies of clients that prove nothing take no memory, long heads are refused, and whoever opens many
//! connections locks out nobody else.

use std::net::SocketAddr;
use std::time::Duration;

use bbb_sim::Latency;
use testkit::product::{
    ClientConnection, ClientResponse, DEADLINE, Product, new_request, signed_target,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::tools::{
    assert_failed, assert_success, create, send, start_deployment, start_deployment_with,
};

const JSON: &str = "application/json";
/// Longest head that is accepted, in bytes.
const MAX_HEAD_BYTES: usize = 128 * 1024;

/// Connects from another address of this machine.
async fn connect_from(source: &str, port: u16) -> ClientConnection<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    ClientConnection::from_stream(stream)
}

async fn get_from(source: &str, port: u16, target: &str) -> ClientResponse {
    let mut connection = connect_from(source, port).await;
    let request = new_request("GET", target);
    let exchange = connection.send_request(&request);
    timeout(DEADLINE, exchange).await.expect("no response").unwrap()
}

fn memory(product: &Product) -> u64 {
    product.memory_kib("VmHWM").unwrap()
}

/// Sends the head of a POST with this body's length, and as much of the body as is taken; returns the response.
async fn post_from_stranger(port: u16, target: &str, headers: &str, body: &[u8]) -> ClientResponse {
    let mut connection = ClientConnection::open(port).await.unwrap();
    let length = body.len();
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{headers}\r\n");
    connection.send(head.as_bytes()).await.unwrap();
    let _ = connection.send(body).await;
    timeout(DEADLINE, connection.read_response("POST")).await.expect("no response").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_strangers_take_no_memory() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "m1").await;
    let port = deployment.product.port();
    let before = memory(&deployment.product);
    let body = vec![b'{'; 4 << 20];
    for (target, headers) in [
        ("/bigbluebutton/api/analytics_callback", ""),
        ("/bigbluebutton/api/analytics_callback", "Authorization: Bearer a.b.c\r\n"),
        ("/scalelite/api/addServer?checksum=0", "Content-Type: application/json\r\n"),
        ("/scalelite/api/addServer", "Content-Type: application/json\r\n"),
        ("/bigbluebutton/api/create?meetingID=x", "Content-Type: text/xml\r\n"),
        ("/bigbluebutton/api/create?meetingID=x&checksum=0", "Content-Type: text/xml\r\n"),
        ("/bigbluebutton/api/create", "Content-Type: application/x-www-form-urlencoded\r\n"),
        ("/scalelite/recordings/upload/x-1", "Authorization: Bearer a.b.c\r\n"),
    ] {
        let posts = (0..20).map(|_| post_from_stranger(port, target, headers, &body));
        for response in futures_util::future::join_all(posts).await {
            assert!(!response.text().contains("SUCCESS"), "{target}: {}", response.text());
        }
    }
    let grown = memory(&deployment.product) - before;
    assert!(grown < 24 * 1024, "{grown} KiB more");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_share_a_small_memory_for_forms() {
    let settings = [("MAX_UNPROVEN_BYTES", "4194304")];
    let deployment = start_deployment_with(1, &settings).await;
    let form = format!("meetingID=x&name=X&welcome={}", "w".repeat(200_000));
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
        let head = format!(
            "POST /bigbluebutton/api/create HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {}\r\n\r\n",
            form.len() + 1
        );
        connection.send(head.as_bytes()).await.unwrap();
        connection.send(form.as_bytes()).await.unwrap();
        waiting.push(connection);
    }
    let mut refused = 0;
    for connection in &mut waiting {
        let response = timeout(Duration::from_millis(500), connection.read_response("POST")).await;
        if let Ok(Ok(response)) = response {
            assert_failed(&response, "internalError");
            refused += 1;
        }
    }
    // One address has a quarter of 4 MiB, and each byte costs four.
    assert!(refused >= 6, "{refused} refused");
    // Whoever signs the query does not need that memory.
    create(&deployment.product, "m1").await;
}

#[tokio::test]
async fn a_body_of_tiny_objects_is_not_parsed() {
    let deployment = start_deployment(0).await;
    let checksum =
        bbb_sim::Algorithm::Sha256.hex_digest(&format!("addServer{}", testkit::product::SECRET));
    let target = format!("/scalelite/api/addServer?checksum={checksum}");
    let kind = [("Content-Type", JSON)];
    let before = memory(&deployment.product);
    let objects = format!("{{\"a\":[{}1]}}", "{},".repeat(340_000));
    let response =
        send(&deployment.product, "POST", &target, &kind, Some(objects.as_bytes())).await;
    assert_failed(&response, "internalError");
    let nested = "[".repeat(1_000_000);
    let response = send(&deployment.product, "POST", &target, &kind, Some(nested.as_bytes())).await;
    assert_eq!(response.status, 400, "{}", response.text());
    let grown = memory(&deployment.product) - before;
    assert!(grown < 24 * 1024, "{grown} KiB more");
}

#[tokio::test]
async fn a_head_is_refused_when_it_passes_its_limit() {
    let deployment = start_deployment(1).await;
    let port = deployment.product.port();
    let filler = format!("X-Filler: {}\r\n", "f".repeat(2_000));
    let head = format!("GET /health_check HTTP/1.1\r\nHost: a\r\n{}", filler.repeat(80));
    assert!(head.len() > MAX_HEAD_BYTES);
    for end in ["", "\r\n"] {
        let mut connection = ClientConnection::open(port).await.unwrap();
        connection.send(format!("{head}{end}").as_bytes()).await.unwrap();
        let response = timeout(DEADLINE, connection.read_response("GET")).await;
        assert_eq!(response.expect("no response").unwrap().status, 431);
    }
    let head = format!("GET /health_check HTTP/1.1\r\nHost: a\r\n{}\r\n", filler.repeat(60));
    let mut connection = ClientConnection::open(port).await.unwrap();
    connection.send(head.as_bytes()).await.unwrap();
    assert_eq!(connection.read_response("GET").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_of_few_addresses_lock_out_nobody() {
    let deployment = start_deployment_with(1, &[("MAX_CONNECTIONS", "64")]).await;
    create(&deployment.product, "m1").await;
    let port = deployment.product.port();
    let join = signed_target("join", "meetingID=m1&fullName=A&role=VIEWER");
    let mut kept = connect_from("127.0.0.3", port).await;
    assert_eq!(kept.send_request(&new_request("GET", &join)).await.unwrap().status, 302);
    let mut open = Vec::new();
    for n in 0..300 {
        let mut connection = connect_from(&format!("127.0.1.{}", n % 4 + 1), port).await;
        // Idle ones, unfinished heads, and bodies that never come.
        let part = match n % 3 {
            0 => "",
            1 => "GET /bigbluebutton/api HTTP/1.1\r\nHost: a\r\nX:",
            _ => {
                "POST /bigbluebutton/api/create HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\
                  Content-Type: application/x-www-form-urlencoded\r\n\r\n"
            }
        };
        // The oldest of them are closed meanwhile.
        let _ = connection.send(part.as_bytes()).await;
        open.push(connection);
    }
    for _ in 0..5 {
        assert_eq!(get_from("127.0.0.2", port, &join).await.status, 302);
        assert_eq!(get_from("127.0.0.2", port, "/health_check").await.status, 200);
    }
    // The idle connection of an address with a single one is still open.
    assert_eq!(kept.send_request(&new_request("GET", &join)).await.unwrap().status, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_checked_while_all_requests_wait() {
    let settings = [("MAX_CONNECTIONS", "2"), ("MAX_CONNECTIONS_PER_ADDRESS", "10")];
    let deployment = start_deployment_with(1, &settings).await;
    deployment.pool.server(1).set_create_latency(Latency::Fixed(Duration::from_secs(4)));
    let port = deployment.product.port();
    let target = |id: &str| signed_target("create", &format!("meetingID={id}&name=Slow"));
    let mut creates = Vec::new();
    for id in ["slow-a", "slow-b"] {
        let mut connection = ClientConnection::open(port).await.unwrap();
        let request = new_request("GET", &target(id));
        connection.send(&testkit::conformance::http::encode_request(&request)).await.unwrap();
        creates.push(connection);
    }
    let is_sent =
        async || deployment.pool.server(1).take_log().iter().any(|call| call.call == "create");
    testkit::product::wait_until("a create is sent", is_sent).await.unwrap();
    assert_eq!(get_from("127.0.0.2", port, "/health_check").await.status, 200);
    // A third call waits for its turn, and is answered then.
    let third = timeout(DEADLINE, deployment.product.call("getMeetings", "")).await;
    assert_success(&third.expect("no response").unwrap());
    for connection in &mut creates {
        assert_success(&connection.read_response("GET").await.unwrap());
    }
}

#[tokio::test]
async fn only_one_way_of_reading_a_head_is_accepted() {
    let deployment = start_deployment_with(0, &[("URL_HOST", "balancer.test")]).await;
    let port = deployment.product.port();
    let get = async |head: &str| {
        let mut connection = ClientConnection::open(port).await.unwrap();
        connection.send(head.as_bytes()).await.unwrap();
        timeout(DEADLINE, connection.read_response("GET")).await.expect("no response").unwrap()
    };
    let path = "/bigbluebutton/api";
    for (line, headers, status) in [
        (format!("GET {path}"), "Host: balancer.test", 200),
        (format!("GET {path}"), "Host: balancer.test\r\nHost: evil.test", 400),
        (format!("GET {path}"), "Host: evil.test", 403),
        (format!("GET http://balancer.test{path}"), "Host: evil.test", 200),
        (format!("GET http://evil.test{path}"), "Host: balancer.test", 403),
        (format!("GET http://balancer.test@evil.test{path}"), "Host: balancer.test", 400),
        ("CONNECT balancer.test:443".to_owned(), "Host: balancer.test", 400),
        (
            format!("POST {path}"),
            "Host: balancer.test\r\nTransfer-Encoding: identity, chunked",
            400,
        ),
    ] {
        let response = get(&format!("{line} HTTP/1.1\r\n{headers}\r\n\r\n")).await;
        assert_eq!(response.status, status, "{line} {headers}");
    }
    // Links are made of the host that counts.
    let target = signed_target("getRecordings", "");
    let head = format!("GET http://balancer.test{target} HTTP/1.1\r\nHost: evil.test\r\n\r\n");
    assert!(!get(&head).await.text().contains("evil.test"));
}

#[tokio::test]
async fn what_cannot_become_a_request_is_not_awaited() {
    let deployment = start_deployment(0).await;
    // A body that is longer than announced, and a connection without any request.
    let post = "POST /bigbluebutton/api HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
    for head in [post, ""] {
        let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
        connection.send(format!("{head}{}", "A".repeat(66_000)).as_bytes()).await.unwrap();
        if !head.is_empty() {
            assert_success(&connection.read_response("POST").await.unwrap());
        }
        let closed = timeout(DEADLINE, connection.read_to_end()).await;
        let _ = closed.expect("the rest is awaited");
    }
}
