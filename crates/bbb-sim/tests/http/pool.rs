//! Pools: the log, the clock, latencies, shared ports, many servers, and dropping a pool.

use std::time::Duration;

use bbb_sim::Strictness::Real;
use bbb_sim::{BbbPool, FaultMode, Latency, PoolOptions, Preload, SimClock, UserSchedule};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::{get, send, signed_target, start_pool};

fn preload_of(id: &str) -> Preload {
    Preload { ids: vec![id.to_owned()], users: 3, ..Preload::default() }
}

#[tokio::test]
async fn the_log_keeps_requests_as_they_were_sent() {
    let mut pool = start_pool(2, Real).await;
    let server = pool.server(2).clone();
    let target = format!("/x{}", signed_target(&server, "end", "meetingID=a%20b"));
    send(&server, "POST", &target, "X-One: Two\r\nContent-Type: a/b\r\n", b"ab").await.unwrap();
    send(&server, "GET", "/bigbluebutton/api/", "", b"").await.unwrap();
    let log = server.take_log();
    let first = &log[0];
    assert_eq!((first.server, first.call.as_str(), first.method.as_str()), (2, "end", "POST"));
    assert_eq!(first.path, "/x/bigbluebutton/api/end");
    assert!(first.query.starts_with("meetingID=a%20b&checksum="));
    assert_eq!((first.header("x-one"), first.body.as_slice()), (Some("Two"), b"ab".as_slice()));
    assert_eq!((log.len(), log[1].call.as_str(), server.log_len()), (2, "", 0));
    server.set_logging(false);
    get(&server, "end", "meetingID=mm").await;
    assert_eq!(server.log_len(), 0);
    let counts: Vec<_> = server.call_counts().into_iter().collect();
    assert_eq!(counts, [("end".to_owned(), 2), ("index".to_owned(), 1)]);
    let third = pool.add_server().await.unwrap();
    assert_eq!((third.number(), third.secret()), (3, "secret3".to_owned()));
    assert_eq!(get(pool.server(3), "getMeetings", "").await.message_key(), "noMeetings");
}

#[tokio::test]
async fn scheduled_users_and_the_list_follow_the_clock() {
    let clock = SimClock::virtual_at(1_000_000);
    let options = PoolOptions { clock: clock.clone(), ..PoolOptions::default() };
    let pool = BbbPool::start(options).await.unwrap();
    let server = pool.server(1);
    get(server, "create", "meetingID=m1&name=mm").await;
    let schedule = UserSchedule { joins_ms: vec![1_000, 2_000, 2_000], leaves_ms: vec![5_000; 3] };
    assert!(server.set_schedule("m1", schedule.clone()));
    assert!(!server.set_schedule("m2", schedule));
    for (advance, users, moderators) in [(999, "0", "0"), (1, "1", "1"), (1_000, "3", "1")] {
        clock.advance_ms(advance);
        let list = get(server, "getMeetings", "").await;
        assert_eq!(list.field("participantCount"), users);
        assert_eq!(list.field("moderatorCount"), moderators);
        assert_eq!(get(server, "getMeetings", "").await.body, list.body);
    }
    get(server, "join", "meetingID=m1&fullName=A&role=moderator").await;
    let list = get(server, "getMeetings", "").await;
    assert_eq!((list.field("participantCount"), list.field("moderatorCount")), ("4", "2"));
    clock.advance_ms(3_000);
    let list = get(server, "getMeetings", "").await;
    assert_eq!((list.field("participantCount"), list.field("hasUserJoined")), ("1", "true"));
    assert!(server.set_users("m1", 7, 2));
    assert_eq!((server.meetings()[0].users, server.meetings()[0].moderators), (7, 2));
}

#[tokio::test]
async fn meetings_are_preloaded_dropped_and_lost_at_restart_and_reset() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    for id in ["m1", "m2", "m3"] {
        server.preload(preload_of(id));
    }
    let meta = vec![("Tag".to_owned(), "x".to_owned())];
    server.preload(Preload { users: 1, moderators: 5, meta, breakout: true, ..preload_of("m2") });
    let info = get(server, "getMeetingInfo", "meetingID=m2").await;
    assert_eq!((info.field("tag"), info.field("isBreakout")), ("x", "true"));
    assert_eq!((info.field("moderatorCount"), info.field("meetingName")), ("1", "Meeting m2"));
    let ids = || server.meetings().into_iter().map(|meeting| meeting.id).collect::<Vec<_>>();
    assert_eq!(ids(), ["m1", "m2", "m3"]);
    server.drop_meetings(Some(&["m1", "m9"]));
    assert_eq!(ids(), ["m2", "m3"]);
    server.restart();
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
    server.preload(preload_of("m4"));
    server.set_secret("x");
    server.set_version("x");
    server.set_fault(FaultMode::Empty);
    pool.reset(Latency::None);
    assert_eq!((server.secret(), server.log_len(), ids().len()), ("secret1".to_owned(), 0, 0));
    let version = send(server, "GET", "/bigbluebutton/api", "", b"").await.unwrap();
    assert_eq!(version.field("bbbVersion"), "2.7.12");
}

#[tokio::test]
async fn latency_delays_response_and_effect() {
    let latency = Latency::Fixed(Duration::from_millis(60));
    let pool = BbbPool::start(PoolOptions { latency, ..PoolOptions::default() }).await.unwrap();
    let server = pool.server(1);
    let (start, target) = (Instant::now(), signed_target(server, "create", "meetingID=m1&name=mm"));
    let reply = send(server, "GET", &target, "", b"").await.unwrap();
    assert_eq!(reply.message_key(), "");
    assert!(start.elapsed() >= Duration::from_millis(60));
    // With this latency the test would time out.
    server.set_latency(Latency::Fixed(Duration::from_secs(3_600)));
    server.set_latency(Latency::None);
    assert_eq!(get(server, "end", "meetingID=m1").await.message_key(), "sentEndMeetingRequest");
}

#[tokio::test]
async fn servers_on_a_shared_port_are_distinguished_by_prefix() {
    let options = PoolOptions { servers: 2, shared_port: true, ..PoolOptions::default() };
    let mut pool = BbbPool::start(options).await.unwrap();
    pool.add_server().await.unwrap();
    for number in 1..=3 {
        let server = pool.server(number);
        assert!(server.url().ends_with(&format!(":{}/s{number}/bigbluebutton/api", server.port())));
        let query = format!("meetingID=m{number}&name=mm");
        assert_eq!(get(server, "create", &query).await.message_key(), "");
        assert_eq!(server.meetings()[0].id, format!("m{number}"));
        assert_eq!(server.port(), pool.server(1).port());
    }
    let server = pool.server(1);
    for path in ["/s9/bigbluebutton/api", "/s0/bigbluebutton/api", "/bigbluebutton/api"] {
        assert_eq!(send(server, "GET", path, "", b"").await.unwrap().status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_servers_answer_at_once() {
    let pool = start_pool(300, Real).await;
    let mut tasks = Vec::new();
    for server in pool.servers() {
        server.preload(preload_of(&format!("m{}", server.number())));
        let server = server.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..3 {
                let list = get(&server, "getMeetings", "").await;
                assert_eq!(list.field("meetingID"), format!("m{}", server.number()));
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(pool.servers().iter().all(|server| server.call_counts()["getMeetings"] == 3));
}

#[tokio::test]
async fn a_dropped_pool_no_longer_accepts_connections() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1).clone();
    drop(pool);
    assert!(TcpStream::connect(("127.0.0.1", server.port())).await.is_err());
    server.clear_fault();
    assert!(TcpStream::connect(("127.0.0.1", server.port())).await.is_err());
}
