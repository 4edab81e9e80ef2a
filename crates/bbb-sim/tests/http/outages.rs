//! Silent deaths, servers that hang in part or as a whole, and restarts.

use std::io::ErrorKind;

use bbb_sim::Strictness::Real;
use bbb_sim::{BbbPool, Fault, FaultMode, Latency, PoolOptions, Restart};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{MAX_WAIT, get, spawn_get, start_pool, wait_until};

const CREATE: &str = "meetingID=m1&name=mm";

#[tokio::test]
async fn a_silent_server_accepts_and_reads_nothing() {
    let pool = start_pool(2, Real).await;
    let server = pool.server(1);
    assert_eq!(get(server, "create", CREATE).await.message_key(), "");
    let mut open = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let request = b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\n\r\n";
    open.write_all(request).await.unwrap();
    assert_eq!(open.read_u8().await.unwrap(), b'H');
    let logged = server.log_len();
    server.set_fault(FaultMode::Silent);
    open.write_all(request).await.unwrap();
    let end = spawn_get(server, "end", "meetingID=m1");
    let connected = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    // Another server and this one's handle show that time has passed.
    assert_eq!(get(pool.server(2), "getMeetings", "").await.message_key(), "noMeetings");
    assert_eq!((end.is_finished(), server.log_len(), server.meetings().len()), (false, logged, 1));
    drop(connected);
    server.clear_fault();
    assert_eq!(get(server, "getMeetings", "").await.field("meetingID"), "m1");
    end.abort();
}

#[tokio::test]
async fn silence_reaches_requests_that_are_not_yet_answered() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    server.set_fault(FaultMode::Freeze);
    let create = spawn_get(server, "create", CREATE);
    wait_until(|| server.log_len() == 1).await;
    server.set_fault(FaultMode::Silent);
    server.clear_fault();
    // Whether the request saw the silence or not, the server goes on.
    assert_eq!(get(server, "isMeetingRunning", "meetingID=m1").await.field("running"), "false");
    create.abort();
    server.set_fault(Fault::for_calls(FaultMode::Silent, &["create"]));
    let create = spawn_get(server, "create", "meetingID=m2&name=mm");
    let list = get(server, "getMeetings", "").await;
    assert!(!list.body.contains("m2"));
    assert!(!create.is_finished());
    create.abort();
}

#[tokio::test]
async fn a_server_hangs_for_creates_only_or_for_everything() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    server.set_fault(Fault::for_calls(FaultMode::Hang, &["create"]));
    let create = spawn_get(server, "create", CREATE);
    wait_until(|| server.log_len() == 1).await;
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
    assert!(!create.is_finished());
    server.set_fault(FaultMode::Hang);
    let list = spawn_get(server, "getMeetings", "");
    wait_until(|| server.log_len() == 3).await;
    assert!(!list.is_finished());
    server.clear_fault();
    assert_eq!(get(server, "create", CREATE).await.message_key(), "");
    for hanging in [create, list] {
        assert!(!hanging.is_finished());
        hanging.abort();
    }
}

#[tokio::test]
async fn a_restart_loses_or_keeps_the_meetings_and_cuts_connections() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    for (restart, meetings) in [(Restart::KeepsMeetings, 1), (Restart::LosesMeetings, 0)] {
        server.set_create_latency(Latency::None);
        get(server, "create", CREATE).await;
        server.set_call_latency(&["end"], Some(Latency::Fixed(MAX_WAIT)));
        let end = spawn_get(server, "end", "meetingID=m1");
        let logged = server.log_len();
        wait_until(|| server.log_len() > logged).await;
        let port = server.port();
        server.restart_with(restart);
        let error = timeout(MAX_WAIT, end).await.unwrap().unwrap().unwrap_err();
        assert!(
            [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind()),
            "{error}"
        );
        assert_eq!((server.port(), server.meetings().len()), (port, meetings));
        get(server, "getMeetings", "").await;
        assert!(server.take_ended().is_empty());
    }
    // A server that is down stays down.
    server.set_fault(FaultMode::Refuse);
    server.restart_with(Restart::KeepsMeetings);
    assert!(TcpStream::connect(("127.0.0.1", server.port())).await.is_err());
}

#[tokio::test]
async fn a_restart_on_a_shared_port_resets_what_is_in_flight() {
    let options = PoolOptions { servers: 2, shared_port: true, ..PoolOptions::default() };
    let pool = BbbPool::start(options).await.unwrap();
    let server = pool.server(1);
    server.set_fault(FaultMode::Freeze);
    let create = spawn_get(server, "create", CREATE);
    wait_until(|| server.log_len() == 1).await;
    server.restart_with(Restart::KeepsMeetings);
    let error = timeout(MAX_WAIT, create).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    server.clear_fault();
    assert_eq!(get(server, "create", CREATE).await.message_key(), "");
}
