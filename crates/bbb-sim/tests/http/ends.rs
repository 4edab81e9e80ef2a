//! Ends of meetings and the callbacks that follow.

use std::time::Duration;

use bbb_sim::Strictness::Real;
use bbb_sim::{
    BbbPool, BbbServer, CallbackKind, CallbackOutcome, EndCause, ExpiryRules, PoolOptions, Preload,
    SimClock, UserSchedule,
};

use crate::client::{get, start_pool, wait_until};
use crate::receiver::CallbackReceiver;

const MINUTE_MS: i64 = 60_000;

/// The causes of the ends so far, with the ids of the meetings.
fn take_causes(server: &BbbServer) -> Vec<(String, EndCause)> {
    server.take_ended().into_iter().map(|ended| (ended.id, ended.cause)).collect()
}

async fn start_pool_with_clock() -> (BbbPool, SimClock) {
    let clock = SimClock::virtual_at(1_000_000);
    let options = PoolOptions { clock: clock.clone(), ..PoolOptions::default() };
    (BbbPool::start(options).await.unwrap(), clock)
}

#[tokio::test]
async fn an_end_is_told_to_both_addresses_once() {
    let receiver = CallbackReceiver::start(204).await;
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let (first, second) = (receiver.encoded_url("a%3Fb%3Dc%2520d"), receiver.encoded_url("e%3Ff"));
    let query = format!(
        "meetingID=m+1&name=mm&meta_endCallbackUrl={first}&meetingEndedURL={second}&meta_x=y"
    );
    let created = get(server, "create", &query).await;
    let metadata = get(server, "getMeetingInfo", "meetingID=m+1").await;
    assert!(metadata.field("endcallbackurl").ends_with("/a?b=c%20d"), "{}", metadata.body);
    assert!(!metadata.body.contains("/e?f"), "{}", metadata.body);
    server.set_users("m 1", 3, 1);
    assert!(server.set_recording_marks("m 1", true));
    get(server, "end", "meetingID=m+1").await;
    assert_eq!(get(server, "end", "meetingID=m+1").await.message_key(), "notFound");
    let callbacks = server.callbacks();
    let base = format!("http://127.0.0.1:{}", receiver.port);
    let urls: Vec<_> = callbacks.iter().map(|callback| callback.url.clone()).collect();
    let first = "/a?b=c%20d&recordingmarks=true&meetingID=m+1";
    assert_eq!(urls, [format!("{base}{first}"), format!("{base}/e?f")]);
    let kinds: Vec<_> = callbacks.iter().map(|callback| callback.kind).collect();
    assert_eq!(kinds, [CallbackKind::EndCallbackUrl, CallbackKind::MeetingEndedUrl]);
    assert_eq!((callbacks[0].server, callbacks[0].meeting.as_str()), (1, "m 1"));
    assert_eq!(callbacks[0].internal_id, created.field("internalMeetingID"));
    wait_until(|| {
        let callbacks = server.callbacks();
        callbacks.iter().all(|callback| callback.outcome == CallbackOutcome::Answered(204))
    })
    .await;
    let mut targets = receiver.targets();
    targets.sort();
    assert_eq!(targets, [format!("GET {first}"), "GET /e?f".to_owned()]);
    let ended = server.take_ended();
    assert_eq!((ended.len(), ended[0].users, ended[0].cause), (1, 3, EndCause::EndCall));
    assert_eq!(ended[0].internal_id, created.field("internalMeetingID"));
}

#[tokio::test]
async fn a_moderator_ends_a_meeting_from_inside() {
    let receiver = CallbackReceiver::start(200).await;
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let url = receiver.encoded_url("x");
    get(server, "create", &format!("meetingID=m1&name=mm&meta_endcallbackurl={url}")).await;
    assert!(server.end_meeting("m1"));
    assert!(!server.end_meeting("m1"));
    assert_eq!(take_causes(server), [("m1".to_owned(), EndCause::Moderator)]);
    wait_until(|| receiver.targets() == ["GET /x?recordingmarks=false&meetingID=m1"]).await;
    // What is lost has not ended.
    server.preload(Preload { ids: vec!["m2".to_owned()], ..Preload::default() });
    server.drop_meetings(None);
    server.crash();
    assert_eq!((server.take_ended(), server.callbacks().len()), (Vec::new(), 1));
}

#[tokio::test]
async fn breakout_rooms_and_other_machines_are_not_called() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let meta = vec![("endCallbackUrl".to_owned(), "http://front-end.test/x".to_owned())];
    let breakout = Preload { ids: vec!["b1".to_owned()], breakout: true, ..Preload::default() };
    server.preload(Preload { meta: meta.clone(), ..breakout.clone() });
    server.preload(Preload { ids: vec!["m1".to_owned()], meta, breakout: false, ..breakout });
    for id in ["b1", "m1"] {
        get(server, "end", &format!("meetingID={id}")).await;
    }
    let callbacks = server.callbacks();
    assert_eq!((callbacks.len(), callbacks[0].meeting.as_str()), (1, "m1"));
    assert_eq!((callbacks[0].attempts, callbacks[0].outcome), (0, CallbackOutcome::NotSent));
    assert_eq!(callbacks[0].url, "http://front-end.test/x?recordingmarks=false&meetingID=m1");
}

#[tokio::test]
async fn unanswered_callbacks_are_repeated_and_block_nothing() {
    let (busy, silent) = (CallbackReceiver::start(503).await, CallbackReceiver::start(0).await);
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    server.set_callback_retries(&[Duration::from_millis(1); 2]);
    for (id, receiver) in [("m1", &silent), ("m2", &busy)] {
        let url = receiver.encoded_url("x");
        get(server, "create", &format!("meetingID={id}&name=mm&meetingEndedURL={url}")).await;
        get(server, "end", &format!("meetingID={id}")).await;
    }
    wait_until(|| server.callbacks()[1].attempts == 3).await;
    assert_eq!(server.callbacks()[1].outcome, CallbackOutcome::Answered(503));
    wait_until(|| silent.targets().len() == 1).await;
    assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
    assert_eq!(server.callbacks()[0].outcome, CallbackOutcome::Pending);
    wait_until(|| server.callbacks()[0].outcome == CallbackOutcome::NoAnswer).await;
    assert_eq!(busy.targets().len(), 3);
}

#[tokio::test]
async fn meetings_expire_by_the_rules_of_the_server_or_their_own() {
    let (pool, clock) = start_pool_with_clock().await;
    let server = pool.server(1);
    let queries = [
        "meetingID=unused&name=mm",
        "meetingID=patient&name=mm&meetingExpireIfNoUserJoinedInMinutes=7",
        "meetingID=left&name=mm",
        "meetingID=kept&name=mm&meetingExpireWhenLastUserLeftInMinutes=0",
        "meetingID=limited&name=mm&duration=10",
        "meetingID=lecture&name=mm",
        "meetingID=seminar&name=mm",
    ];
    for query in queries {
        get(server, "create", query).await;
    }
    clock.advance_ms(4 * MINUTE_MS);
    for id in ["left", "kept", "limited", "seminar"] {
        server.set_users(id, 2, 1);
    }
    server.set_schedule("lecture", UserSchedule { joins_ms: vec![1], leaves_ms: vec![360_000] });
    server.set_users("left", 0, 0);
    server.set_users("kept", 0, 0);
    // Nothing expires as long as there are no rules.
    clock.advance_ms(2 * MINUTE_MS);
    server.expire_meetings();
    assert_eq!(server.meetings().len(), queries.len());
    server.set_expiry(Some(ExpiryRules::default()));
    let names = |causes: &[(&str, EndCause)]| -> Vec<_> {
        causes.iter().map(|(id, cause)| ((*id).to_owned(), *cause)).collect()
    };
    let first = [("unused", EndCause::NobodyJoined), ("left", EndCause::EverybodyLeft)];
    assert_eq!(take_causes(server), names(&first));
    clock.advance_ms(MINUTE_MS);
    server.expire_meetings();
    let second = [("patient", EndCause::NobodyJoined), ("lecture", EndCause::EverybodyLeft)];
    let mut causes = take_causes(server);
    // The task that watches may have been there between the two.
    causes.sort_by_key(|(id, _)| id != "patient");
    assert_eq!(causes, names(&second));
    clock.advance_ms(3 * MINUTE_MS);
    server.expire_meetings();
    assert_eq!(take_causes(server), names(&[("limited", EndCause::DurationOver)]));
    // Whoever comes back keeps the meeting going.
    server.set_users("seminar", 0, 0);
    get(server, "join", "meetingID=seminar&fullName=A&role=viewer").await;
    clock.advance_ms(30 * MINUTE_MS);
    server.expire_meetings();
    server.set_expiry(None);
    let ids: Vec<_> = server.meetings().into_iter().map(|meeting| meeting.id).collect();
    assert_eq!(ids, ["kept", "seminar"]);
}

#[tokio::test]
async fn expiry_needs_no_request_and_leads_to_callbacks() {
    let receiver = CallbackReceiver::start(200).await;
    let (pool, clock) = start_pool_with_clock().await;
    let server = pool.server(1);
    let url = receiver.encoded_url("x");
    get(server, "create", &format!("meetingID=m1&name=mm&meetingEndedURL={url}")).await;
    server.set_users("m1", 1, 1);
    let at_once = ExpiryRules { everybody_left: Some(Duration::ZERO), ..ExpiryRules::default() };
    server.set_expiry(Some(at_once));
    server.set_users("m1", 0, 0);
    clock.advance_ms(1);
    wait_until(|| receiver.targets() == ["GET /x"]).await;
    assert_eq!(take_causes(server), [("m1".to_owned(), EndCause::EverybodyLeft)]);
}
