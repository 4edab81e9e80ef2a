//! Every way to fail, and coming back from it.

use std::io::ErrorKind;
use std::time::Duration;

use bbb_sim::Strictness::Real;
use bbb_sim::{Fault, FaultMode, Latency, Pool, PoolOptions, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::{Reply, get, pool, send, signed};

const LONG: Duration = Duration::from_secs(20);

/// Waits until the server has noted so many requests.
async fn noted(server: &Server, requests: usize) {
    let waiting = async {
        while server.log_len() < requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, waiting).await.unwrap();
}

#[tokio::test]
async fn answers_that_are_none() {
    let pool = pool(1, Real).await;
    let server = pool.server(1);
    let failed = FaultMode::Failed { key: "k<".to_owned(), message: "m".to_owned() };
    let cases = [
        (FaultMode::Error500, 500, "<html><h1>500 Internal Server Error</h1></html>"),
        (FaultMode::Garbage, 200, "\u{0}\u{1} <<<not xml & neither this"),
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
    assert_eq!(get(server, "create", "meetingID=m1&name=mm").await.key(), "");
}

#[tokio::test]
async fn reset_reads_the_request_and_hangs_up() {
    let pool = pool(1, Real).await;
    let server = pool.server(1);
    server.set_fault(FaultMode::Reset);
    let target = signed(server, "getMeetings", "");
    let error = send(server, "GET", &target, "", b"").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(server.take_log().len(), 1);
    server.clear_fault();
    assert_eq!(get(server, "getMeetings", "").await.key(), "noMeetings");
}

#[tokio::test]
async fn hanging_before_and_after_the_effect() {
    let pool = pool(1, Real).await;
    let server = pool.server(1);
    for (mode, meetings) in [(FaultMode::Hang, 0), (FaultMode::HangAfterEffect, 1)] {
        server.set_fault(mode);
        let target = signed(server, "create", "meetingID=m1&name=mm");
        let hanging = tokio::spawn({
            let (server, target) = (server.clone(), target.clone());
            async move { send(&server, "GET", &target, "", b"").await }
        });
        noted(server, 1).await;
        let effect = async {
            while server.meetings().len() < meetings {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LONG, effect).await.unwrap();
        assert!(!hanging.is_finished());
        hanging.abort();
        assert_eq!((server.take_log().len(), server.meetings().len()), (1, meetings));
    }
}

#[tokio::test]
async fn a_fault_for_some_calls_leaves_the_others() {
    let pool = pool(1, Real).await;
    let server = pool.server(1);
    server.set_fault(Fault::on(FaultMode::Error500, &["create", "index"]));
    assert_eq!(get(server, "create", "meetingID=m1&name=mm").await.status, 500);
    let version = send(server, "GET", "/bigbluebutton/api", "", b"").await.unwrap();
    assert_eq!(version.status, 500);
    assert_eq!(get(server, "getMeetings", "").await.key(), "noMeetings");
    // Part of a port cannot be closed.
    server.set_fault(Fault::on(FaultMode::Refuse, &["create"]));
    let target = signed(server, "create", "meetingID=m1&name=mm");
    let error = send(server, "GET", &target, "", b"").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(get(server, "getMeetings", "").await.key(), "noMeetings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuse_and_come_back_on_the_same_port() {
    let pool = pool(2, Real).await;
    let (server, port) = (pool.server(1), pool.server(1).port());
    for _ in 0..50 {
        let mut kept = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        kept.write_all(b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        kept.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        server.set_fault(FaultMode::Refuse);
        let error = TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // What was open is cut.
        let mut rest = Vec::new();
        let _ = timeout(LONG, kept.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(get(pool.server(2), "getMeetings", "").await.key(), "noMeetings");
        server.clear_fault();
        assert_eq!(server.port(), port);
        assert_eq!(get(server, "getMeetings", "").await.key(), "noMeetings");
    }
    server.set_fault(FaultMode::Refuse);
    server.set_fault(FaultMode::Empty);
    assert_eq!(get(server, "getMeetings", "").await.body, "");
    server.set_fault(FaultMode::Refuse);
    pool.reset(Latency::None);
    assert_eq!(get(server, "getMeetings", "").await.key(), "noMeetings");
}

#[tokio::test]
async fn refuse_on_a_shared_port_is_reset() {
    let options = PoolOptions { servers: 2, shared_port: true, ..PoolOptions::default() };
    let pool = Pool::start(options).await.unwrap();
    pool.server(1).set_fault(FaultMode::Refuse);
    let target = signed(pool.server(1), "getMeetings", "");
    let error = send(pool.server(1), "GET", &target, "", b"").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(get(pool.server(2), "getMeetings", "").await.key(), "noMeetings");
}

#[tokio::test]
async fn faults_may_be_set_from_outside_the_runtime() {
    let pool = pool(1, Real).await;
    let server = pool.server(1).clone();
    let outside = std::thread::spawn(move || {
        server.set_fault(FaultMode::Refuse);
        server.clear_fault();
    });
    outside.join().unwrap();
    assert_eq!(get(pool.server(1), "getMeetings", "").await.key(), "noMeetings");
}

/// Sends a create in the background.
fn creating(server: &Server) -> JoinHandle<std::io::Result<Reply>> {
    let (server, target) = (server.clone(), signed(server, "create", "meetingID=m1&name=mm"));
    tokio::spawn(async move { send(&server, "GET", &target, "", b"").await })
}

/// Waits until the server has the meeting of `creating`.
async fn created(server: &Server) {
    let waiting = async {
        while server.meeting("m1").is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, waiting).await.unwrap();
}

#[tokio::test]
async fn a_frozen_server_does_and_answers_everything_when_it_thaws() {
    let pool = pool(1, Real).await;
    let server = pool.server(1);
    server.set_fault(FaultMode::Freeze);
    let asked = creating(server);
    noted(server, 1).await;
    assert_eq!(server.meeting("m1"), None);
    server.clear_fault();
    assert_eq!(timeout(LONG, asked).await.unwrap().unwrap().unwrap().key(), "");
    assert_eq!(server.meeting("m1").unwrap().name, "mm");
}

#[tokio::test]
async fn what_a_frozen_or_slow_server_was_asked_happens_although_the_client_is_gone() {
    let pool = pool(2, Real).await;
    let (frozen, slow) = (pool.server(1), pool.server(2));
    frozen.set_fault(FaultMode::Freeze);
    slow.set_latency(Latency::Fixed(Duration::from_millis(200)));
    for server in [frozen, slow] {
        let asked = creating(server);
        noted(server, 1).await;
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
    }
    created(slow).await;
    frozen.clear_fault();
    created(frozen).await;
}

#[tokio::test]
async fn a_crash_loses_meetings_and_what_was_under_way() {
    let pool = pool(1, Real).await;
    let server = pool.server(1);
    assert_eq!(get(server, "create", "meetingID=m0&name=mm").await.key(), "");
    server.set_fault(FaultMode::Freeze);
    let asked = creating(server);
    noted(server, 2).await;
    server.crash();
    let _ = timeout(LONG, asked).await.unwrap().unwrap().unwrap_err();
    assert_eq!(server.meetings(), []);
    let error = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    server.clear_fault();
    assert_eq!(get(server, "getMeetings", "").await.key(), "noMeetings");
    assert_eq!(get(server, "create", "meetingID=m1&name=mm").await.key(), "");
}
