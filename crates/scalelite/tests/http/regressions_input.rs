//! Regressions of request handling: bodies parsed as requests, forms that took minutes to merge,
//! and long forms that were read before authentication.

use std::time::Duration;

use bbb_sim::Algorithm;
use testkit::product::{
    API_PATH, ClientConnection, DEADLINE, Product, exchange, new_request, signed_target,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::tools::{
    assert_failed, assert_success, create, digest, parameter, send, send_chunks, start_deployment,
    take_requests,
};

const FORM: &str = "application/x-www-form-urlencoded";
/// Requests that are answered before their body is read.
const UNREAD_REQUESTS: [&str; 3] =
    ["/health_check", "/nothing/here", "/bigbluebutton/api/create?meetingID=m&checksum=0"];
const ROUNDS: usize = 10;

/// Returns a body that contains a request with a target that is too long for the HTTP library, and
/// after some padding a complete request.
fn hidden_request() -> Vec<u8> {
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(66_000));
    let padding = "\r\n".repeat(100);
    format!("{long}{padding}GET {API_PATH} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

/// Returns the head of a POST that is so long that the library reads the body in large pieces.
fn large_head(target: &str, headers: &str) -> String {
    let mut head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n");
    for n in 0..60 {
        head.push_str(&format!("X-Filler-{n}: {}\r\n", "f".repeat(2_000)));
    }
    format!("{head}{headers}\r\n")
}

/// Returns the size line of a chunk, and the chunk with the end of the body.
fn in_chunks(body: &[u8]) -> (String, Vec<u8>) {
    (format!("{:x}\r\n", body.len()), [body, b"\r\n0\r\n\r\n"].concat())
}

/// Sends a request and returns everything that is received until the balancer closes the
/// connection.
async fn send_and_read(port: u16, head: &str, body: &[u8]) -> String {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut input, mut output) = stream.into_split();
    let (head, body) = (head.as_bytes().to_vec(), body.to_vec());
    let sending = tokio::spawn(async move {
        // The balancer may refuse and close before everything was sent.
        if output.write_all(&head).await.is_ok() {
            let _ = output.write_all(&body).await;
        }
        output
    });
    let mut received = Vec::new();
    // If a part of the body was not read, the connection ends with a reset.
    let reading = async { while input.read_buf(&mut received).await.is_ok_and(|n| n > 0) {} };
    timeout(DEADLINE, reading).await.expect("the connection stays open");
    drop(sending.await.unwrap());
    String::from_utf8_lossy(&received).into_owned()
}

/// Splits received text into its final responses.
fn final_responses(received: &str) -> Vec<String> {
    let received = received.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    let mut responses: Vec<_> = received.split("HTTP/1.1 ").map(str::to_owned).collect();
    assert_eq!(responses.remove(0), "", "{received}");
    assert!(!received.contains("<version>"), "the hidden request is answered: {received}");
    responses
}

fn closes_connection(response: &str) -> bool {
    let head = response.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    head.contains("\r\nconnection: close")
}

/// Returns head and body of a request with `Expect: 100-continue`, with a length and chunked.
fn expect_continue_requests(target: &str) -> [(String, Vec<u8>); 2] {
    let body = hidden_request();
    let length = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
    let chunked = "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n";
    let (size, chunk) = in_chunks(&body);
    [(large_head(target, &length), body), (large_head(target, chunked) + &size, chunk)]
}

#[tokio::test]
async fn a_body_after_expect_continue_is_never_parsed_as_a_request() {
    let deployment = start_deployment(0).await;
    let port = deployment.product.port();
    for target in &UNREAD_REQUESTS[..2] {
        for (head, body) in expect_continue_requests(target) {
            for _ in 0..ROUNDS {
                let received = send_and_read(port, &head, &body).await;
                let responses = final_responses(&received);
                assert!(
                    responses.len() == 1 && closes_connection(&responses[0]),
                    "{target}: {responses:?}"
                );
            }
        }
    }
}

/// A part of a body is read before the checksum is found to be wrong. Mostly the body is one piece,
/// and then the connection remains usable.
#[tokio::test]
async fn a_partly_read_body_is_never_parsed_as_a_request() {
    let deployment = start_deployment(0).await;
    let own = signed_target("getMeetings", "");
    let own = format!("GET {own} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (head, body) in expect_continue_requests(UNREAD_REQUESTS[2]) {
        let body = [&body, own.as_bytes()].concat();
        for _ in 0..ROUNDS {
            let received = send_and_read(deployment.product.port(), &head, &body).await;
            let responses = final_responses(&received);
            assert!(responses[0].contains("checksumError"), "{responses:?}");
            assert_eq!(
                responses.len(),
                if closes_connection(&responses[0]) { 1 } else { 2 },
                "{responses:?}"
            );
            for next in &responses[1..] {
                assert!(next.contains("noMeetings"), "{responses:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_unread_body_leaves_its_connection_usable() {
    let deployment = start_deployment(0).await;
    let body = hidden_request();
    let (size, chunk) = in_chunks(&body);
    let length = format!("Content-Length: {}\r\n", body.len());
    let chunked = large_head("TARGET", "Transfer-Encoding: chunked\r\n") + &size;
    for (head, body) in [(large_head("TARGET", &length), &body), (chunked, &chunk)] {
        let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
        for target in UNREAD_REQUESTS.into_iter().cycle().take(ROUNDS) {
            let both = async {
                let head = head.replace("TARGET", target);
                connection.send(&[head.as_bytes(), body].concat()).await.unwrap();
                let response = connection.read_response("POST").await.unwrap();
                assert_eq!(response.status, 200, "{target}: {}", response.text());
                assert_eq!(response.header("connection"), None, "{target}");
                assert_eq!(response.xml_field("version"), "", "{target}");
                let next = new_request("GET", &signed_target("getMeetings", ""));
                let response = connection.send_request(&next).await.unwrap();
                assert_eq!(response.xml_field("messageKey"), "noMeetings", "{target}");
            };
            timeout(DEADLINE, both).await.expect(target);
        }
    }
}

/// Requests the version document until stopped; returns the longest response time.
async fn slowest_response(port: u16, stop: &tokio::sync::Notify) -> Duration {
    let mut longest = Duration::ZERO;
    let stopped = stop.notified();
    tokio::pin!(stopped);
    loop {
        let started = Instant::now();
        assert_success(&exchange(port, &new_request("GET", API_PATH)).await.unwrap());
        longest = longest.max(started.elapsed());
        if timeout(Duration::from_millis(20), &mut stopped).await.is_ok() {
            return longest;
        }
    }
}

/// Returns the time of a call whose query and form have as many parameters as the limits allow.
async fn time_crowded_call(product: &Product, call: &str, id: &str) -> Duration {
    let mut query = format!("meetingID={id}&name=Crowd");
    query.extend((0..7_000).map(|n| format!("&q{n}=")));
    assert!(signed_target(call, &query).len() < 64 << 10);
    let form: Vec<_> = (0..300_000).map(|n| format!("f{n}=")).collect();
    let form = form.join("&");
    assert!(form.len() < 4 << 20);
    let started = Instant::now();
    let response = product.post(call, &query, FORM, form.as_bytes()).await.unwrap();
    assert_success(&response);
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_with_many_parameters_is_merged_quickly() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "crowd").await;
    let port = deployment.product.port();
    let stop = std::sync::Arc::new(tokio::sync::Notify::new());
    let other_requests = tokio::spawn({
        let stop = stop.clone();
        async move { slowest_response(port, &stop).await }
    });
    for call in ["isMeetingRunning", "getMeetingInfo"] {
        let took = time_crowded_call(&deployment.product, call, "crowd").await;
        assert!(took < Duration::from_secs(5), "{call} took {took:?}");
    }
    stop.notify_one();
    let longest = other_requests.await.unwrap();
    assert!(longest < Duration::from_secs(3), "another request took {longest:?}");
}

#[tokio::test]
async fn a_long_form_is_read_only_if_its_query_is_signed() {
    let deployment = start_deployment(1).await;
    let welcome = "w".repeat(1 << 20);
    let form = format!("welcome={welcome}");
    let query = "meetingID=long&name=Long";
    let kind = [("Content-Type", FORM)];
    // The checksum is valid, but at the end of the form.
    let checksum = digest(Algorithm::Sha256, "create", query);
    let unsigned = format!("{form}&checksum={checksum}");
    let target = format!("{API_PATH}/create?{query}");
    let response = send(&deployment.product, "POST", &target, &kind, Some(unsigned.as_bytes()));
    assert_failed(&response.await, "requestTooLarge");
    let pieces = unsigned.as_bytes().chunks(10_000);
    let response = send_chunks(&deployment.product, &target, FORM, pieces).await;
    assert_failed(&response.unwrap(), "requestTooLarge");
    assert!(deployment.servers_with("long").is_empty());
    let response = deployment.product.post("create", query, FORM, form.as_bytes()).await;
    let response = response.unwrap();
    assert_success(&response);
    assert_eq!(response.xml_field("messageKey"), "");
    let sent = take_requests(&deployment.pool.servers()[0], "create").remove(0);
    assert_eq!((sent.method.as_str(), sent.query.as_str()), ("POST", ""));
}

#[tokio::test]
async fn all_parameters_of_a_call_may_be_in_a_form() {
    let deployment = start_deployment(1).await;
    let checksum = digest(Algorithm::Sha256, "create", "");
    let form = format!("meetingID=whole&name=Whole&checksum={checksum}");
    let kind = [("Content-Type", FORM)];
    let target = format!("{API_PATH}/create");
    let response = send(&deployment.product, "POST", &target, &kind, Some(form.as_bytes())).await;
    assert_success(&response);
    let sent = take_requests(&deployment.pool.servers()[0], "create").remove(0);
    assert_eq!(parameter(&sent.query, "name").as_deref(), Some("Whole"));
    // It is the checksum with the secret of the server, not that of the balancer.
    assert_ne!(parameter(&sent.query, "checksum"), Some(checksum));
}
