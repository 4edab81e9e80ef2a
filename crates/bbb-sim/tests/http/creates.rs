//! Slow creates, and latencies of single calls.

use std::time::Duration;

use bbb_sim::Strictness::{Real, Recorded};
use bbb_sim::{Fault, FaultMode, Latency, MeetingMoment};
use tokio::time::{Instant, timeout};

use crate::client::{MAX_WAIT, get, spawn_get, start_pool, wait_until};

const CREATE: &str = "meetingID=m1&name=mm";
/// So long that a test would time out.
const FOR_EVER: Latency = Latency::Fixed(Duration::from_secs(3_600));
const SHORT: Duration = Duration::from_millis(60);

#[tokio::test]
async fn the_meeting_of_a_slow_create_exists_from_the_beginning() {
    for strictness in [Real, Recorded] {
        let pool = start_pool(1, strictness).await;
        let server = pool.server(1);
        server.set_create_latency(FOR_EVER);
        let create = spawn_get(server, "create", CREATE);
        wait_until(|| server.meeting("m1").is_some()).await;
        // All other calls are answered at once, and so is the same create.
        assert_eq!(get(server, "getMeetings", "").await.field("meetingID"), "m1");
        let repeated = get(server, "create", CREATE).await;
        assert_eq!(repeated.message_key(), "duplicateWarning");
        assert_eq!(get(server, "create", "name=mm").await.message_key(), "missingParamMeetingID");
        assert!(!create.is_finished());
        create.abort();
        server.set_create_latency(Latency::None);
        assert_eq!(get(server, "create", "meetingID=m2&name=mm").await.message_key(), "");
    }
}

#[tokio::test]
async fn a_slow_create_is_answered_after_its_time_whenever_the_meeting_begins() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    server.set_latency(Latency::Fixed(SHORT));
    server.set_create_latency(Latency::Fixed(SHORT));
    let moments = [
        MeetingMoment::Beginning,
        MeetingMoment::After(SHORT / 2),
        MeetingMoment::After(SHORT * 1_000),
        MeetingMoment::End,
    ];
    for (index, moment) in moments.into_iter().enumerate() {
        server.set_meeting_moment(moment);
        let start = Instant::now();
        let reply = get(server, "create", &format!("meetingID=m{index}1&name=mm")).await;
        assert_eq!((reply.field("returncode"), reply.message_key()), ("SUCCESS", ""));
        assert!(start.elapsed() >= SHORT * 2, "{moment:?}");
    }
    assert_eq!(server.meetings().len(), moments.len());
}

#[tokio::test]
async fn the_meeting_may_exist_from_a_later_moment_on() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    server.set_create_latency(FOR_EVER);
    server.set_meeting_moment(MeetingMoment::End);
    let create = spawn_get(server, "create", CREATE);
    wait_until(|| server.log_len() == 1).await;
    assert_eq!(get(server, "getMeetingInfo", "meetingID=m1").await.message_key(), "notFound");
    create.abort();
    server.set_meeting_moment(MeetingMoment::After(SHORT));
    let create = spawn_get(server, "create", CREATE);
    wait_until(|| server.meeting("m1").is_some()).await;
    assert!(!create.is_finished());
    // A repeated create does not wait for anything.
    server.set_meeting_moment(MeetingMoment::End);
    assert_eq!(get(server, "create", CREATE).await.message_key(), "duplicateWarning");
    create.abort();
}

#[tokio::test]
async fn a_crash_or_fault_prevents_the_answer_to_a_slow_create() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    server.set_create_latency(Latency::Fixed(Duration::from_millis(300)));
    let create = spawn_get(server, "create", CREATE);
    wait_until(|| server.meeting("m1").is_some()).await;
    server.set_fault(Fault::for_calls(FaultMode::Error500, &["create"]));
    assert_eq!(timeout(MAX_WAIT, create).await.unwrap().unwrap().unwrap().status, 500);
    assert!(server.meeting("m1").is_some());
    server.clear_fault();
    server.restart();
    server.set_fault(FaultMode::Freeze);
    let create = spawn_get(server, "create", CREATE);
    wait_until(|| server.log_len() == 2).await;
    server.clear_fault();
    wait_until(|| server.meeting("m1").is_some()).await;
    server.crash();
    let _ = timeout(MAX_WAIT, create).await.unwrap().unwrap().unwrap_err();
    assert_eq!(server.meetings(), []);
}

#[tokio::test]
async fn calls_may_have_latencies_of_their_own() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    server.set_call_latency(&["getMeetings", "index"], Some(FOR_EVER));
    assert_eq!(get(server, "getMeetingInfo", "meetingID=m1").await.message_key(), "notFound");
    let list = spawn_get(server, "getMeetings", "");
    wait_until(|| server.log_len() == 2).await;
    assert!(!list.is_finished());
    list.abort();
    server.set_latency(FOR_EVER);
    server.set_call_latency(&["getMeetings"], Some(Latency::None));
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
    server.set_latency(Latency::None);
    server.set_call_latency(&["getMeetings", "index"], None);
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
    // What is slow in everything answers all the same.
    server.set_latency(Latency::Fixed(SHORT));
    let start = Instant::now();
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
    assert!(start.elapsed() >= SHORT);
    pool.reset(Latency::None);
}
