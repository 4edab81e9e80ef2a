//! Hostile input: the balancer survives, still answers other clients at once, and reveals nothing
//! private to clients or in its log.

use std::time::Duration;

use futures_util::StreamExt as _;
use testkit::product::{ClientConnection, DEADLINE, Product, SECRET, signed_target, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::fuzzer::{PRIVATE_TEXT, RequestFuzzer};
use crate::tools::{
    assert_failed, assert_success, create, send, send_chunks, start_deployment,
    start_deployment_with,
};

/// Number of connections with generated requests.
const CONNECTIONS: usize = 3_000;
const CONCURRENCY: usize = 64;
/// Longest time that a valid request may take during the attack.
const MAX_RESPONSE_TIME: Duration = Duration::from_secs(3);
/// Texts that no response may contain: from panics, paths, types and libraries, and secrets.
const FORBIDDEN_TEXTS: [&str; 12] = [
    "panicked",
    ".rs",
    "/src/",
    "/tmp/",
    "::",
    "hyper",
    "sqlite",
    "Some(",
    "Err(",
    "BackendError",
    SECRET,
    "secret1",
];

/// Sends bytes and returns everything that is received until the balancer closes the connection.
async fn send_and_read(port: u16, bytes: Vec<u8>) -> Vec<u8> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut input, mut output) = stream.into_split();
    // The balancer may refuse and close before everything was sent.
    let sending = tokio::spawn(async move {
        let _ = output.write_all(&bytes).await;
        output
    });
    let mut received = Vec::new();
    // If no response comes, the balancer may be waiting for more: end the request.
    let first = timeout(Duration::from_millis(40), input.read_buf(&mut received)).await;
    let mut output = sending.await.unwrap();
    if first.is_err() {
        let _ = output.shutdown().await;
    }
    let rest = async { while input.read_buf(&mut received).await.is_ok_and(|n| n > 0) {} };
    let quiet = timeout(Duration::from_millis(200), rest).await;
    if quiet.is_err() {
        let _ = output.shutdown().await;
        let rest = async { while input.read_buf(&mut received).await.is_ok_and(|n| n > 0) {} };
        timeout(DEADLINE, rest).await.expect("a connection hangs");
    }
    received
}

fn assert_harmless(response: &[u8], request: &[u8]) {
    let text = String::from_utf8_lossy(response);
    let sent = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
    if text.is_empty() {
        return;
    }
    let status = text.strip_prefix("HTTP/1.1 ").or(text.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3)).unwrap_or_default();
    let allowed = ["100", "200", "302", "400", "404", "413", "414", "431"];
    assert!(allowed.contains(&status), "{sent:?} gets {text}");
    if status == "200" && !text.contains("success") && text.contains("\r\n\r\n<") {
        assert!(text.contains("<returncode>"), "{sent:?} gets {text}");
    }
    for internal in FORBIDDEN_TEXTS {
        assert!(!text.contains(internal), "{sent:?} gets {internal}: {text}");
    }
}

fn assert_log_harmless(product: &Product) {
    let log = product.log();
    for private in ["panicked", "meetingID=", "checksum=", SECRET, "secret1", PRIVATE_TEXT] {
        let line = log.lines().find(|line| line.contains(private));
        assert_eq!(line, None, "{private} is in the log");
    }
}

/// Sends valid requests until stopped; returns the longest response time.
async fn slowest_response(port: u16, stop: &tokio::sync::Notify) -> Duration {
    let mut longest = Duration::ZERO;
    let stopped = stop.notified();
    tokio::pin!(stopped);
    loop {
        let request = testkit::product::new_request("GET", &signed_target("getMeetings", ""));
        let started = Instant::now();
        let response = testkit::product::exchange(port, &request).await;
        assert_success(&response.unwrap());
        longest = longest.max(started.elapsed());
        let pause = timeout(Duration::from_millis(20), &mut stopped);
        if pause.await.is_ok() {
            return longest;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_hostile_connections_do_no_harm() {
    let deployment =
        start_deployment_with(1, &[("LOG_LEVEL", "debug"), ("MAX_BODY_BYTES", "50000")]).await;
    create(&deployment.product, "h-0").await;
    let port = deployment.product.port();
    let mut fuzzer = RequestFuzzer::new(0x0b5e55ed);
    let attacks = (0..CONNECTIONS).map(|_| fuzzer.next_request()).collect::<Vec<_>>();
    let attacks = futures_util::stream::iter(attacks).map(|bytes| async move {
        let response = send_and_read(port, bytes.clone()).await;
        assert_harmless(&response, &bytes);
        usize::from(response.starts_with(b"HTTP/1.1 200"))
    });
    let stop = std::sync::Arc::new(tokio::sync::Notify::new());
    let valid_requests = tokio::spawn({
        let stop = stop.clone();
        async move { slowest_response(port, &stop).await }
    });
    let answered = attacks.buffer_unordered(CONCURRENCY).fold(0, async |sum, n| sum + n);
    // Many requests must get past the parser, or the test would prove little.
    assert!(answered.await > CONNECTIONS / 4);
    stop.notify_one();
    let longest = valid_requests.await.unwrap();
    assert!(longest < MAX_RESPONSE_TIME, "a valid request took {longest:?}");
    assert_success(&deployment.product.call("getMeetings", "").await.unwrap());
    assert_log_harmless(&deployment.product);
}

#[tokio::test]
async fn a_slow_body_is_cut_off_and_its_meeting_can_be_created() {
    let deployment = start_deployment_with(1, &[("REQUEST_TIMEOUT", "1")]).await;
    let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
    let target = signed_target("create", "meetingID=slow&name=Slow");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: application/xml\r\n\
         Content-Length: 1000\r\n\r\n<modules>"
    );
    connection.send(head.as_bytes()).await.unwrap();
    let started = Instant::now();
    let response = connection.read_response("POST").await.unwrap();
    assert_failed(&response, "internalError");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(deployment.servers_with("slow").is_empty());
    let again = async || {
        let query = "meetingID=slow&name=Slow";
        let response = deployment.product.call("create", query).await.unwrap();
        response.xml_field("returncode") == "SUCCESS"
    };
    wait_until("created", again).await.unwrap();
}

#[tokio::test]
async fn incomplete_requests_do_not_delay_others() {
    let deployment = start_deployment(1).await;
    let target = signed_target("create", "meetingID=half&name=Half");
    let mut open = Vec::new();
    for n in 0..300 {
        let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: 99\r\n"
        );
        let part = &head.as_bytes()[..1 + n % head.len()];
        connection.send(part).await.unwrap();
        open.push(connection);
    }
    let started = Instant::now();
    create(&deployment.product, "whole").await;
    assert!(started.elapsed() < MAX_RESPONSE_TIME);
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let deployment = start_deployment_with(0, &[("IDLE_TIMEOUT", "0.5")]).await;
    let mut connections = Vec::new();
    for part in ["", "G", "GET / HTTP/1.1\r\nHost: a\r\nX:"] {
        let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
        connection.send(part.as_bytes()).await.unwrap();
        connections.push(connection);
    }
    for connection in &mut connections {
        let closed = timeout(Duration::from_secs(10), connection.read_to_end()).await;
        let _ = closed.expect("still open").unwrap();
    }
}

/// Many HTTP libraries send a whole body before they read, and fail if they cannot.
#[tokio::test]
async fn a_client_that_sends_its_whole_body_first_gets_the_refusal() {
    let deployment = start_deployment_with(1, &[("MAX_BODY_BYTES", "9000000")]).await;
    let nameless = signed_target("create", "name=Fat");
    let target = signed_target("create", "meetingID=fat&name=Fat");
    let unsigned = "/bigbluebutton/api/create?meetingID=fat&name=Fat&checksum=0".to_owned();
    for (target, kind, chunks, key) in [
        (&target, "text/xml", 5_000, "requestTooLarge"),
        (&nameless, "text/xml", 2_000, "missingParamMeetingID"),
        (&target, "application/json", 2_000, "unsupportedContentType"),
        (&unsigned, "text/xml", 2_000, "checksumError"),
        (&"/nothing".to_owned(), "text/xml", 2_000, "unsupportedRequest"),
    ] {
        let body = vec![b'x'; 4096];
        let pieces = std::iter::repeat_n(body.as_slice(), chunks);
        let response = send_chunks(&deployment.product, target, kind, pieces).await;
        assert_failed(&response.unwrap(), key);
        let body = vec![b'x'; chunks * 4096];
        let kind = [("Content-Type", kind)];
        let response = send(&deployment.product, "POST", target, &kind, Some(&body)).await;
        assert_failed(&response, key);
    }
}

#[tokio::test]
async fn an_id_cannot_forge_log_lines() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "a%0Aforged+line%1B%5B31m%0D").await;
    let logged = async || deployment.product.log().contains("forged");
    wait_until("logged", logged).await.unwrap();
    let log = deployment.product.log();
    assert!(!log.lines().any(|line| line.starts_with("forged")));
    assert!(!log.contains('\u{1b}') && !log.contains("\r"));
}
