//! Hostile input: the balancer lives on, goes on answering everybody else at once, and tells
//! neither its clients nor its log what they must not know.

use std::time::Duration;

use futures_util::StreamExt as _;
use testkit::product::{ClientConnection, DEADLINE, Product, SECRET, signed_target, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::mutants::{PRIVATE_TEXT, RequestFuzzer};
use crate::tools::{
    assert_failed, assert_success, create, send, send_chunks, start_deployment,
    start_deployment_with,
};

/// Connections of the generator.
const CONNECTIONS: usize = 3_000;
const CONCURRENCY: usize = 64;
/// The most that a good request may take while the others attack.
const MAX_RESPONSE_TIME: Duration = Duration::from_secs(3);
/// What no answer may hold: texts of panics, paths, types and libraries, and secrets.
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

/// Sends the bytes and returns all that comes back; the other side has to end it.
async fn send_and_read(port: u16, bytes: Vec<u8>) -> Vec<u8> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut input, mut output) = stream.into_split();
    // Whoever is refused may find the door closed before having said everything.
    let sending = tokio::spawn(async move {
        let _ = output.write_all(&bytes).await;
        output
    });
    let mut seen = Vec::new();
    // Who waits for more learns soon that there is no more.
    let first = timeout(Duration::from_millis(40), input.read_buf(&mut seen)).await;
    let mut output = sending.await.unwrap();
    if first.is_err() {
        let _ = output.shutdown().await;
    }
    let rest = async { while input.read_buf(&mut seen).await.is_ok_and(|n| n > 0) {} };
    let quiet = timeout(Duration::from_millis(200), rest).await;
    if quiet.is_err() {
        let _ = output.shutdown().await;
        let rest = async { while input.read_buf(&mut seen).await.is_ok_and(|n| n > 0) {} };
        timeout(DEADLINE, rest).await.expect("a connection hangs");
    }
    seen
}

fn assert_harmless(answer: &[u8], request: &[u8]) {
    let text = String::from_utf8_lossy(answer);
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

/// Asks good questions until stopped; returns the longest time that one took.
async fn slowest_response(port: u16, stop: &tokio::sync::Notify) -> Duration {
    let mut longest = Duration::ZERO;
    let stopped = stop.notified();
    tokio::pin!(stopped);
    loop {
        let request = testkit::product::new_request("GET", &signed_target("getMeetings", ""));
        let started = Instant::now();
        let answer = testkit::product::exchange(port, &request).await;
        assert_success(&answer.unwrap());
        longest = longest.max(started.elapsed());
        let pause = timeout(Duration::from_millis(20), &mut stopped);
        if pause.await.is_ok() {
            return longest;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_hostile_connections_do_no_harm() {
    let world =
        start_deployment_with(1, &[("LOG_LEVEL", "debug"), ("MAX_BODY_BYTES", "50000")]).await;
    create(&world.product, "h-0").await;
    let port = world.product.port();
    let mut mutants = RequestFuzzer::new(0x0b5e55ed);
    let attacks = (0..CONNECTIONS).map(|_| mutants.next_request()).collect::<Vec<_>>();
    let attacks = futures_util::stream::iter(attacks).map(|bytes| async move {
        let answer = send_and_read(port, bytes.clone()).await;
        assert_harmless(&answer, &bytes);
        usize::from(answer.starts_with(b"HTTP/1.1 200"))
    });
    let stop = std::sync::Arc::new(tokio::sync::Notify::new());
    let asking = tokio::spawn({
        let stop = stop.clone();
        async move { slowest_response(port, &stop).await }
    });
    let answered = attacks.buffer_unordered(CONCURRENCY).fold(0, async |sum, n| sum + n);
    // Many get past the parser, or the generator would prove little.
    assert!(answered.await > CONNECTIONS / 4);
    stop.notify_one();
    let longest = asking.await.unwrap();
    assert!(longest < MAX_RESPONSE_TIME, "a good request took {longest:?}");
    assert_success(&world.product.call("getMeetings", "").await.unwrap());
    assert_log_harmless(&world.product);
}

#[tokio::test]
async fn a_slow_body_is_cut_off_and_its_meeting_is_free_again() {
    let world = start_deployment_with(1, &[("REQUEST_TIMEOUT", "1")]).await;
    let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
    let target = signed_target("create", "meetingID=slow&name=Slow");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: application/xml\r\n\
         Content-Length: 1000\r\n\r\n<modules>"
    );
    connection.send(head.as_bytes()).await.unwrap();
    let started = Instant::now();
    let answer = connection.read_response("POST").await.unwrap();
    assert_failed(&answer, "internalError");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(world.servers_with("slow").is_empty());
    let again = async || {
        let query = "meetingID=slow&name=Slow";
        let answer = world.product.call("create", query).await.unwrap();
        answer.xml_field("returncode") == "SUCCESS"
    };
    wait_until("created after all", again).await.unwrap();
}

#[tokio::test]
async fn half_requests_hold_up_nobody() {
    let world = start_deployment(1).await;
    let target = signed_target("create", "meetingID=half&name=Half");
    let mut open = Vec::new();
    for n in 0..300 {
        let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: 99\r\n"
        );
        let part = &head.as_bytes()[..1 + n % head.len()];
        connection.send(part).await.unwrap();
        open.push(connection);
    }
    let started = Instant::now();
    create(&world.product, "whole").await;
    assert!(started.elapsed() < MAX_RESPONSE_TIME);
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let world = start_deployment_with(0, &[("IDLE_TIMEOUT", "0.5")]).await;
    let mut connections = Vec::new();
    for part in ["", "G", "GET / HTTP/1.1\r\nHost: a\r\nX:"] {
        let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
        connection.send(part.as_bytes()).await.unwrap();
        connections.push(connection);
    }
    for connection in &mut connections {
        let closed = timeout(Duration::from_secs(10), connection.read_to_end()).await;
        let _ = closed.expect("still open").unwrap();
    }
}

/// Many HTTP libraries send all of a body before they read, and fail if they cannot.
#[tokio::test]
async fn a_client_that_sends_everything_first_still_gets_its_refusal() {
    let world = start_deployment_with(1, &[("MAX_BODY_BYTES", "9000000")]).await;
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
        let answer = send_chunks(&world.product, target, kind, pieces).await;
        assert_failed(&answer.unwrap(), key);
        let body = vec![b'x'; chunks * 4096];
        let kind = [("Content-Type", kind)];
        let answer = send(&world.product, "POST", target, &kind, Some(&body)).await;
        assert_failed(&answer, key);
    }
}

#[tokio::test]
async fn an_id_cannot_write_lines_into_the_log() {
    let world = start_deployment(1).await;
    create(&world.product, "a%0Aforged+line%1B%5B31m%0D").await;
    let logged = async || world.product.log().contains("forged");
    wait_until("logged", logged).await.unwrap();
    let log = world.product.log();
    assert!(!log.lines().any(|line| line.starts_with("forged")));
    assert!(!log.contains('\u{1b}') && !log.contains("\r"));
}
