//! Requests that once did harm: bodies taken for requests, forms that cost minutes, and forms that
//! anybody could have us read.

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
/// Requests that are answered without their body.
const UNREAD_REQUESTS: [&str; 3] =
    ["/health_check", "/nothing/here", "/bigbluebutton/api/create?meetingID=m&checksum=0"];
const ROUNDS: usize = 10;

/// A body that begins with a request whose target is too long for the HTTP library and ends with
/// one that is complete, as far as the end of the body may be moved by the first.
fn hidden_request() -> Vec<u8> {
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(66_000));
    let padding = "\r\n".repeat(100);
    format!("{long}{padding}GET {API_PATH} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

/// The head of a POST, so long that the library reads the body in large pieces.
fn large_head(target: &str, headers: &str) -> String {
    let mut head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n");
    for n in 0..60 {
        head.push_str(&format!("X-Filler-{n}: {}\r\n", "f".repeat(5_000)));
    }
    format!("{head}{headers}\r\n")
}

/// The body in one chunk, the size of which comes apart from it.
fn in_chunks(body: &[u8]) -> (String, Vec<u8>) {
    (format!("{:x}\r\n", body.len()), [body, b"\r\n0\r\n\r\n"].concat())
}

/// All that comes back until the other side closes, which it has to do on its own.
async fn send_and_read(port: u16, head: &str, body: &[u8]) -> String {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut input, mut output) = stream.into_split();
    let (head, body) = (head.as_bytes().to_vec(), body.to_vec());
    let sending = tokio::spawn(async move {
        // Whoever is refused may find the door closed before having said everything.
        if output.write_all(&head).await.is_ok() {
            let _ = output.write_all(&body).await;
        }
        output
    });
    let mut seen = Vec::new();
    // What was not read of a body makes the end a reset.
    let reading = async { while input.read_buf(&mut seen).await.is_ok_and(|n| n > 0) {} };
    timeout(DEADLINE, reading).await.expect("the connection stays open");
    drop(sending.await.unwrap());
    String::from_utf8_lossy(&seen).into_owned()
}

/// The final answers in what came back.
fn final_responses(seen: &str) -> Vec<String> {
    let seen = seen.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    let mut answers: Vec<_> = seen.split("HTTP/1.1 ").map(str::to_owned).collect();
    assert_eq!(answers.remove(0), "", "{seen}");
    assert!(!seen.contains("<version>"), "the hidden request is answered: {seen}");
    answers
}

fn closes_connection(answer: &str) -> bool {
    let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    head.contains("\r\nconnection: close")
}

/// The two ways in which a body is announced by who asks first: what comes before it, and it.
fn expect_continue_requests(target: &str) -> [(String, Vec<u8>); 2] {
    let body = hidden_request();
    let length = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
    let chunked = "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n";
    let (size, chunk) = in_chunks(&body);
    [(large_head(target, &length), body), (large_head(target, chunked) + &size, chunk)]
}

#[tokio::test]
async fn a_body_that_is_asked_for_first_is_never_taken_for_a_request() {
    let world = start_deployment(0).await;
    let port = world.product.port();
    for target in &UNREAD_REQUESTS[..2] {
        for (head, body) in expect_continue_requests(target) {
            for _ in 0..ROUNDS {
                let seen = send_and_read(port, &head, &body).await;
                let answers = final_responses(&seen);
                assert!(
                    answers.len() == 1 && closes_connection(&answers[0]),
                    "{target}: {answers:?}"
                );
            }
        }
    }
}

/// Of a body that a call may have, some is read before its checksum is found to be wrong. Mostly it
/// comes as one piece, and then the connection is as good as before.
#[tokio::test]
async fn a_body_that_was_begun_is_never_taken_for_a_request() {
    let world = start_deployment(0).await;
    let own = signed_target("getMeetings", "");
    let own = format!("GET {own} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (head, body) in expect_continue_requests(UNREAD_REQUESTS[2]) {
        let body = [&body, own.as_bytes()].concat();
        for _ in 0..ROUNDS {
            let seen = send_and_read(world.product.port(), &head, &body).await;
            let answers = final_responses(&seen);
            assert!(answers[0].contains("checksumError"), "{answers:?}");
            assert_eq!(
                answers.len(),
                if closes_connection(&answers[0]) { 1 } else { 2 },
                "{answers:?}"
            );
            for next in &answers[1..] {
                assert!(next.contains("noMeetings"), "{answers:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_leaves_its_connection_usable() {
    let world = start_deployment(0).await;
    let body = hidden_request();
    let (size, chunk) = in_chunks(&body);
    let length = format!("Content-Length: {}\r\n", body.len());
    let chunked = large_head("TARGET", "Transfer-Encoding: chunked\r\n") + &size;
    for (head, body) in [(large_head("TARGET", &length), &body), (chunked, &chunk)] {
        let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
        for target in UNREAD_REQUESTS.into_iter().cycle().take(ROUNDS) {
            let both = async {
                let head = head.replace("TARGET", target);
                connection.send(&[head.as_bytes(), body].concat()).await.unwrap();
                let answer = connection.read_response("POST").await.unwrap();
                assert_eq!(answer.status, 200, "{target}: {}", answer.text());
                assert_eq!(answer.header("connection"), None, "{target}");
                assert_eq!(answer.xml_field("version"), "", "{target}");
                let next = new_request("GET", &signed_target("getMeetings", ""));
                let answer = connection.send_request(&next).await.unwrap();
                assert_eq!(answer.xml_field("messageKey"), "noMeetings", "{target}");
            };
            timeout(DEADLINE, both).await.expect(target);
        }
    }
}

/// Asks for the version until told to stop; returns the longest time that one answer took.
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

/// How long a call takes whose query and form have as many parameters as may be.
async fn time_crowded_call(product: &Product, call: &str, id: &str) -> Duration {
    let mut query = format!("meetingID={id}&name=Crowd");
    query.extend((0..7_000).map(|n| format!("&q{n}=")));
    assert!(signed_target(call, &query).len() < 64 << 10);
    let form: Vec<_> = (0..300_000).map(|n| format!("f{n}=")).collect();
    let form = form.join("&");
    assert!(form.len() < 4 << 20);
    let started = Instant::now();
    let answer = product.post(call, &query, FORM, form.as_bytes()).await.unwrap();
    assert_success(&answer);
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_without_number_are_merged_at_once() {
    let world = start_deployment(1).await;
    create(&world.product, "crowd").await;
    let port = world.product.port();
    let stop = std::sync::Arc::new(tokio::sync::Notify::new());
    let asking = tokio::spawn({
        let stop = stop.clone();
        async move { slowest_response(port, &stop).await }
    });
    for call in ["isMeetingRunning", "getMeetingInfo"] {
        let took = time_crowded_call(&world.product, call, "crowd").await;
        assert!(took < Duration::from_secs(5), "{call} took {took:?}");
    }
    stop.notify_one();
    let longest = asking.await.unwrap();
    assert!(longest < Duration::from_secs(3), "another request took {longest:?}");
}

#[tokio::test]
async fn a_long_form_is_read_only_if_its_query_is_signed() {
    let world = start_deployment(1).await;
    let welcome = "w".repeat(1 << 20);
    let form = format!("welcome={welcome}");
    let query = "meetingID=long&name=Long";
    let kind = [("Content-Type", FORM)];
    // Its checksum is right, but stands where it is known only when all was read.
    let checksum = digest(Algorithm::Sha256, "create", query);
    let unsigned = format!("{form}&checksum={checksum}");
    let target = format!("{API_PATH}/create?{query}");
    let answer = send(&world.product, "POST", &target, &kind, Some(unsigned.as_bytes()));
    assert_failed(&answer.await, "requestTooLarge");
    let pieces = unsigned.as_bytes().chunks(10_000);
    let answer = send_chunks(&world.product, &target, FORM, pieces).await;
    assert_failed(&answer.unwrap(), "requestTooLarge");
    assert!(world.servers_with("long").is_empty());
    let answer = world.product.post("create", query, FORM, form.as_bytes()).await;
    let answer = answer.unwrap();
    assert_success(&answer);
    assert_eq!(answer.xml_field("messageKey"), "");
    let sent = take_requests(&world.pool.servers()[0], "create").remove(0);
    assert_eq!((sent.method.as_str(), sent.query.as_str()), ("POST", ""));
}

#[tokio::test]
async fn a_call_may_come_whole_in_a_form() {
    let world = start_deployment(1).await;
    let checksum = digest(Algorithm::Sha256, "create", "");
    let form = format!("meetingID=whole&name=Whole&checksum={checksum}");
    let kind = [("Content-Type", FORM)];
    let target = format!("{API_PATH}/create");
    let answer = send(&world.product, "POST", &target, &kind, Some(form.as_bytes())).await;
    assert_success(&answer);
    let sent = take_requests(&world.pool.servers()[0], "create").remove(0);
    assert_eq!(parameter(&sent.query, "name").as_deref(), Some("Whole"));
    // The one of the server's secret, and not ours.
    assert_ne!(parameter(&sent.query, "checksum"), Some(checksum));
}
