//! Every fault, and recovery from it.

use std::io::ErrorKind;
use std::time::Duration;

use bbb_sim::Strictness::Real;
use bbb_sim::{BbbPool, BbbServer, Fault, FaultMode, Latency, PoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::{
    HttpReply, MAX_WAIT, get, send, signed_target, spawn_get, start_pool, wait_until,
};

/// Waits until the server has logged this number of requests.
async fn wait_for_requests(server: &BbbServer, requests: usize) {
    wait_until(|| server.log_len() >= requests).await;
}

#[tokio::test]
async fn faults_produce_invalid_responses() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let failed = FaultMode::Failed { key: "k<".to_owned(), message: "m".to_owned() };
    let cases = [
        (FaultMode::Error500, 500, "<html><h1>500 Internal Server Error</h1></html>"),
        (FaultMode::InvalidXml, 200, "\u{0}\u{1} <<<not xml & neither this"),
        (FaultMode::Html, 200, "<html><body>Welcome to nginx</body></html>"),
        (FaultMode::Empty, 200, ""),
        (FaultMode::NoReturncode, 200, "<response><messageKey>x</messageKey></response>"),
        (
            failed,
            200,
            "<response><returncode>FAILED</returncode><messageKey>k&lt;</messageKey>\
             <message>m</message></response>",
        ),
    ];
    for (mode, status, body) in cases {
        server.set_fault(mode);
        let reply = get(server, "create", "meetingID=m1&name=mm").await;
        assert_eq!((reply.status, reply.body.as_str()), (status, body));
    }
    assert!(server.meetings().is_empty());
    server.clear_fault();
    assert_eq!(get(server, "create", "meetingID=m1&name=mm").await.message_key(), "");
}

#[tokio::test]
async fn reset_reads_the_request_and_closes_the_connection() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    server.set_fault(FaultMode::Reset);
    let target = signed_target(server, "getMeetings", "");
    let error = send(server, "GET", &target, "", b"").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(server.take_log().len(), 1);
    server.clear_fault();
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
}

#[tokio::test]
async fn calls_hang_before_or_after_the_effect() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    for (mode, meetings) in [(FaultMode::Hang, 0), (FaultMode::HangAfterEffect, 1)] {
        server.set_fault(mode);
        let request = spawn_create(server);
        wait_for_requests(server, 1).await;
        wait_until(|| server.meetings().len() >= meetings).await;
        assert!(!request.is_finished());
        request.abort();
        assert_eq!((server.take_log().len(), server.meetings().len()), (1, meetings));
    }
}

#[tokio::test]
async fn a_fault_for_some_calls_does_not_affect_the_others() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    server.set_fault(Fault::for_calls(FaultMode::Error500, &["create", "index"]));
    assert_eq!(get(server, "create", "meetingID=m1&name=mm").await.status, 500);
    let version = send(server, "GET", "/bigbluebutton/api", "", b"").await.unwrap();
    assert_eq!(version.status, 500);
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
    // A listener cannot be closed for some calls only: those connections are reset.
    server.set_fault(Fault::for_calls(FaultMode::Refuse, &["create"]));
    let target = signed_target(server, "create", "meetingID=m1&name=mm");
    let error = send(server, "GET", &target, "", b"").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusing_server_returns_on_the_same_port() {
    let pool = start_pool(2, Real).await;
    let (server, port) = (pool.server(1), pool.server(1).port());
    for _ in 0..50 {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        connection.write_all(b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut status_line = [0; 15];
        connection.read_exact(&mut status_line).await.unwrap();
        assert_eq!(&status_line, b"HTTP/1.1 200 OK");
        server.set_fault(FaultMode::Refuse);
        let error = TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // The open connection is closed.
        let mut rest = Vec::new();
        let _ = timeout(MAX_WAIT, connection.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(get(pool.server(2), "getMeetings", "").await.message_key(), "noMeetings");
        server.clear_fault();
        assert_eq!(server.port(), port);
        assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
    }
    server.set_fault(FaultMode::Refuse);
    server.set_fault(FaultMode::Empty);
    assert_eq!(get(server, "getMeetings", "").await.body, "");
    server.set_fault(FaultMode::Refuse);
    pool.reset(Latency::None);
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
}

#[tokio::test]
async fn refuse_on_a_shared_port_is_reset() {
    let options = PoolOptions { servers: 2, shared_port: true, ..PoolOptions::default() };
    let pool = BbbPool::start(options).await.unwrap();
    pool.server(1).set_fault(FaultMode::Refuse);
    let target = signed_target(pool.server(1), "getMeetings", "");
    let error = send(pool.server(1), "GET", &target, "", b"").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(get(pool.server(2), "getMeetings", "").await.message_key(), "noMeetings");
}

#[tokio::test]
async fn faults_may_be_set_from_outside_the_runtime() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1).clone();
    let other_thread = std::thread::spawn(move || {
        server.set_fault(FaultMode::Refuse);
        server.clear_fault();
    });
    other_thread.join().unwrap();
    assert_eq!(get(pool.server(1), "getMeetings", "").await.message_key(), "noMeetings");
}

/// Sends a create in the background.
fn spawn_create(server: &BbbServer) -> JoinHandle<std::io::Result<HttpReply>> {
    spawn_get(server, "create", "meetingID=m1&name=mm")
}

/// Waits until the server has the meeting of `spawn_create`.
async fn wait_for_meeting(server: &BbbServer) {
    wait_until(|| server.meeting("m1").is_some()).await;
}

#[tokio::test]
async fn a_frozen_server_handles_and_answers_requests_when_the_fault_is_cleared() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    server.set_fault(FaultMode::Freeze);
    let create = spawn_create(server);
    wait_for_requests(server, 1).await;
    assert_eq!(server.meeting("m1"), None);
    server.clear_fault();
    assert_eq!(timeout(MAX_WAIT, create).await.unwrap().unwrap().unwrap().message_key(), "");
    assert_eq!(server.meeting("m1").unwrap().name, "mm");
}

#[tokio::test]
async fn frozen_and_slow_servers_process_requests_of_disconnected_clients() {
    let pool = start_pool(2, Real).await;
    let (frozen, slow) = (pool.server(1), pool.server(2));
    frozen.set_fault(FaultMode::Freeze);
    slow.set_latency(Latency::Fixed(Duration::from_millis(200)));
    for server in [frozen, slow] {
        let create = spawn_create(server);
        wait_for_requests(server, 1).await;
        create.abort();
        assert!(create.await.unwrap_err().is_cancelled());
    }
    wait_for_meeting(slow).await;
    frozen.clear_fault();
    wait_for_meeting(frozen).await;
}

#[tokio::test]
async fn a_crash_loses_meetings_and_pending_requests() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    assert_eq!(get(server, "create", "meetingID=m0&name=mm").await.message_key(), "");
    server.set_fault(FaultMode::Freeze);
    let create = spawn_create(server);
    wait_for_requests(server, 2).await;
    server.crash();
    let _ = timeout(MAX_WAIT, create).await.unwrap().unwrap().unwrap_err();
    assert_eq!(server.meetings(), []);
    let error = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    server.clear_fault();
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
    assert_eq!(get(server, "create", "meetingID=m1&name=mm").await.message_key(), "");
}
