//! Tests of what counts as the end of a meeting, on the stores in memory and a clock set by hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use domain::poll::PendingEnd;
use domain::{Claim, Meeting, MeetingKey, MeetingOrigin, ServerId};

use super::*;
use crate::memory::{ManualClock, MemoryPoolStore, MemoryRecordings};
use crate::policy::Policy;
use crate::ports::{
    BackendCall, BackendResponse, BbbClient, CallError, Clock as _, EndCallbacks as _, Outbox as _,
};
use crate::test_app::{app_with, replace_record, test_app_with_changes, test_meeting, test_policy};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const TTL_MS: i64 = 86_400_000;
const NOT_FOUND: &str =
    "<response><returncode>FAILED</returncode><messageKey>notFound</messageKey></response>";

/// Servers that all answer the same; `None`: nothing.
struct FixedAnswer(Mutex<Option<String>>);

#[async_trait]
impl BbbClient for FixedAnswer {
    async fn send_call(&self, _: BackendCall) -> Result<BackendResponse, CallError> {
        let answer = self.0.lock().unwrap().clone();
        let body = Bytes::from(answer.ok_or(CallError::Timeout(1))?);
        Ok(BackendResponse { status: 200, body, date: None, location: None })
    }
}

fn policy() -> Policy {
    let url_host = Some("lb.test".to_owned());
    Policy { url_host, tells_ends: true, meeting_ttl_ms: TTL_MS, ..test_policy() }
}

struct Fixture {
    app: App,
    clock: Arc<ManualClock>,
    records: Arc<MemoryRecordings>,
    answer: Arc<FixedAnswer>,
}

fn key() -> MeetingKey {
    MeetingKey { tenant: None, id: "m".to_owned() }
}

fn place() -> MeetingPlace {
    MeetingPlace { server: ServerId("s".to_owned()), internal_id: Some("i".to_owned()) }
}

fn identity() -> Option<MeetingIdentity> {
    MeetingIdentity::from_parts(Some("i".to_owned()), NOW)
}

/// What a create registers that is sent now.
fn end_callback(parameter: EndParameter, now: Timestamp) -> EndCallback {
    EndCallback {
        id: "c".to_owned(),
        key: key(),
        parameter,
        url: "https://front-end.test/".to_owned(),
        created_at: now,
        create_until: now.plus_ms(30_000),
        open_creates: 1,
        is_confirmed: false,
        server: None,
        internal_id: None,
        suspected_at: None,
        recording_marks: None,
        check_at: now,
    }
}

impl Fixture {
    /// A deployment with one end callback, which a create has registered and confirmed.
    async fn new(parameter: EndParameter) -> Self {
        let clock = Arc::new(ManualClock::starting_at(NOW));
        let (store, records) =
            (Arc::new(MemoryPoolStore::default()), Arc::new(MemoryRecordings::default()));
        let answer = Arc::new(FixedAnswer(Mutex::new(None)));
        let app = app_with(store, answer.clone(), clock.clone(), policy());
        let app = App { recording_store: Some(records.clone()), ..app };
        let fixture = Self { app, clock, records, answer };
        fixture.register(parameter).await;
        fixture.confirm().await;
        fixture
    }

    async fn register(&self, parameter: EndParameter) {
        let callback = end_callback(parameter, self.clock.now());
        self.records.register_end_callbacks(&[callback]).await.unwrap();
    }

    async fn confirm(&self) {
        let (now, ids) = (self.clock.now(), ["c".to_owned()]);
        self.records.close_create(&ids, Some(&place()), now, now).await.unwrap();
    }

    async fn suspect(&self) {
        self.records.suspect_ends(&[key()], None, self.clock.now()).await.unwrap();
    }

    async fn add_server(&self, id: &str, online: bool) {
        let url = format!("https://{id}.test/bigbluebutton/api");
        let mut server = Server::new(ServerId(id.to_owned()), url, "secret".to_owned());
        server.health.online = online;
        assert!(self.app.pool.add_server(server).await.unwrap());
    }

    async fn record_meeting(&self, claim: Option<Claim>) {
        let (server, origin) = (place().server, MeetingOrigin::proven(identity()));
        let meeting = Meeting { key: key(), server, origin, claim, ..Meeting::default() };
        assert!(self.app.pool.restore_meeting(&meeting).await.unwrap());
    }

    fn set_answer(&self, answer: &str) {
        *self.answer.0.lock().unwrap() = Some(answer.to_owned());
    }

    fn answer_with_meeting(&self, internal_id: &str) {
        self.set_answer(&format!(
            "<response><returncode>SUCCESS</returncode><internalMeetingID>{internal_id}\
             </internalMeetingID><createTime>{}</createTime></response>",
            NOW.0
        ));
    }

    /// Lets time pass, checks, and returns the addresses that are told.
    async fn told_after(&self, ms: i64) -> Vec<String> {
        self.clock.advance_ms(ms);
        // Whatever is planned for later is checked now.
        for callback in self.records.list_end_callbacks(&key()).await.unwrap() {
            let suspected_at = callback.suspected_at;
            let postponed =
                self.records.postpone_end_check(&callback, None, suspected_at, self.clock.now());
            postponed.await.unwrap();
        }
        settle_due_ends(&self.app).await.unwrap();
        let messages = self.records.list_messages(10).await.unwrap();
        messages.into_iter().map(|message| message.url).collect()
    }

    async fn count(&self) -> usize {
        self.records.list_end_callbacks(&key()).await.unwrap().len()
    }

    async fn suspected_at(&self) -> Option<Timestamp> {
        self.records.list_end_callbacks(&key()).await.unwrap()[0].suspected_at
    }
}

const NOTHING: [&str; 0] = [];
const ENDED: [&str; 1] = ["https://front-end.test/"];

#[tokio::test]
async fn the_report_of_the_server_is_awaited_for_recording_marks() {
    let silent = Fixture::new(EndParameter::EndCallbackUrl).await;
    silent.add_server("s", true).await;
    silent.set_answer(NOT_FOUND);
    assert_eq!(silent.told_after(0).await, NOTHING);
    assert_eq!(silent.told_after(REPORT_WAIT_MS - 1).await, NOTHING);
    let without_marks = ["https://front-end.test/?recordingmarks=false&meetingID=m"];
    assert_eq!(silent.told_after(1).await, without_marks);
    let reported = Fixture::new(EndParameter::EndCallbackUrl).await;
    reported.add_server("s", true).await;
    reported.set_answer(NOT_FOUND);
    reported.records.suspect_ends(&[key()], Some(true), NOW).await.unwrap();
    let with_marks = ["https://front-end.test/?recordingmarks=true&meetingID=m"];
    assert_eq!(reported.told_after(0).await, with_marks);
    assert_eq!(reported.count().await, 0);
}

#[tokio::test]
async fn a_recorded_meeting_is_over_when_its_server_says_so_after_a_report() {
    let test = Fixture::new(EndParameter::MeetingEndedUrl).await;
    test.add_server("s", true).await;
    test.record_meeting(None).await;
    test.set_answer(NOT_FOUND);
    assert_eq!(test.told_after(QUIET_MS).await, NOTHING, "nobody has said that it is over");
    test.suspect().await;
    test.answer_with_meeting("i");
    assert_eq!(test.told_after(MAX_SUSPICION_MS).await, NOTHING);
    assert!(test.suspected_at().await.is_some());
    assert_eq!(test.told_after(1).await, NOTHING);
    assert_eq!(test.suspected_at().await, None, "it was about a copy that lost");
    test.suspect().await;
    for refusal in ["validationError", "checksumError", ""] {
        test.set_answer(&NOT_FOUND.replace("notFound", refusal));
        assert_eq!(test.told_after(TTL_MS).await, NOTHING, "{refusal}");
    }
    test.set_answer(NOT_FOUND);
    assert_eq!(test.told_after(0).await, ENDED);
}

#[tokio::test]
async fn nothing_is_told_while_a_server_is_offline_or_a_create_is_under_way() {
    let offline = Fixture::new(EndParameter::MeetingEndedUrl).await;
    offline.add_server("s", false).await;
    offline.record_meeting(None).await;
    offline.set_answer(NOT_FOUND);
    offline.suspect().await;
    assert_eq!(offline.told_after(TTL_MS).await, NOTHING);
    let claimed = Fixture::new(EndParameter::MeetingEndedUrl).await;
    claimed.add_server("s", true).await;
    claimed.record_meeting(Some(Claim { token: "t".to_owned(), until: NOW })).await;
    claimed.set_answer(NOT_FOUND);
    claimed.suspect().await;
    assert_eq!(claimed.told_after(TTL_MS).await, NOTHING);
    let repeated = Fixture::new(EndParameter::MeetingEndedUrl).await;
    repeated.add_server("s", true).await;
    repeated.set_answer(NOT_FOUND);
    repeated.register(EndParameter::MeetingEndedUrl).await;
    assert_eq!(repeated.told_after(30_000).await, NOTHING);
    assert_eq!(repeated.told_after(1).await, ENDED, "that create is lost");
}

#[tokio::test]
async fn an_unrecorded_meeting_is_over_when_the_last_server_does_not_have_it() {
    let test = Fixture::new(EndParameter::MeetingEndedUrl).await;
    test.add_server("s", true).await;
    test.answer_with_meeting("i");
    assert_eq!(test.told_after(TTL_MS).await, NOTHING, "it runs, forgotten");
    test.answer_with_meeting("another");
    assert_eq!(test.told_after(0).await, ENDED);
}

#[tokio::test]
async fn a_lost_server_delays_the_message() {
    let silent = Fixture::new(EndParameter::MeetingEndedUrl).await;
    silent.add_server("s", false).await;
    assert_eq!(silent.told_after(0).await, NOTHING);
    assert_eq!(silent.told_after(TTL_MS - 1).await, NOTHING);
    assert_eq!(silent.told_after(1).await, ENDED);
    let removed = Fixture::new(EndParameter::MeetingEndedUrl).await;
    removed.set_answer(NOT_FOUND);
    assert_eq!(removed.told_after(0).await, NOTHING);
    assert_eq!(removed.told_after(TTL_MS).await, NOTHING, "the store has lost all servers");
    removed.add_server("other", true).await;
    removed.suspect().await;
    assert_eq!(removed.told_after(REMOVED_SERVER_WAIT_MS - 1).await, NOTHING);
    assert_eq!(removed.told_after(1).await, ENDED);
}

#[tokio::test]
async fn a_failed_create_has_nothing_to_tell() {
    let test = Fixture::new(EndParameter::MeetingEndedUrl).await;
    let confirmed = test.records.list_end_callbacks(&key()).await.unwrap().remove(0);
    assert!(test.records.finish_end_callback(&confirmed, None).await.unwrap());
    test.register(EndParameter::MeetingEndedUrl).await;
    assert_eq!(test.told_after(30_000).await, NOTHING);
    assert_eq!((test.told_after(1).await.len(), test.count().await), (0, 0));
}

/// The process died before it could confirm the create.
#[tokio::test]
async fn a_recorded_meeting_confirms_its_end_callback() {
    let test = Fixture::new(EndParameter::MeetingEndedUrl).await;
    let confirmed = test.records.list_end_callbacks(&key()).await.unwrap().remove(0);
    assert!(test.records.finish_end_callback(&confirmed, None).await.unwrap());
    test.register(EndParameter::MeetingEndedUrl).await;
    test.add_server("s", true).await;
    test.record_meeting(None).await;
    assert_eq!(test.told_after(30_001).await, NOTHING);
    let found = test.records.list_end_callbacks(&key()).await.unwrap().remove(0);
    assert_eq!((found.is_confirmed, found.server), (true, Some(place().server)));
    assert_eq!(found.internal_id, place().internal_id);
}

#[tokio::test]
async fn copies_that_polls_decide_about_are_awaited() {
    let test = Fixture::new(EndParameter::MeetingEndedUrl).await;
    test.add_server("other", true).await;
    let create_sent_at = NOW.plus_ms(-1);
    let end = PendingEnd {
        server: ServerId("other".to_owned()),
        key: key(),
        internal_id: Some("copy".to_owned()),
        moderator_pw: None,
        since: NOW,
        create_sent_at,
    };
    let forgotten =
        test.app.pool.forget_meeting(&key(), &end.server, None, Some(&end)).await.unwrap();
    assert!(!forgotten);
    test.suspect().await;
    test.answer_with_meeting("copy");
    assert_eq!(test.told_after(REMOVED_SERVER_WAIT_MS).await, NOTHING, "the copy runs");
    *test.answer.0.lock().unwrap() = None;
    assert_eq!(test.told_after(0).await, NOTHING, "the copy may run");
    test.answer_with_meeting("foreign");
    assert_eq!(test.told_after(0).await, ENDED);
}

#[tokio::test]
async fn what_was_there_before_a_create_is_no_copy() {
    for (sent_ms, told) in [(5_001, &ENDED[..]), (5_000, &NOTHING[..])] {
        let test = Fixture::new(EndParameter::MeetingEndedUrl).await;
        test.add_server("s", true).await;
        let asked = Meeting { key: key(), server: place().server, ..Meeting::default() };
        let sent_at = NOW.plus_ms(sent_ms);
        let end = PendingEnd::of_unnamed(&asked, sent_at, sent_at.plus_ms(10_000));
        let pool = &test.app.pool;
        assert!(!pool.forget_meeting(&end.key, &end.server, None, Some(&end)).await.unwrap());
        test.suspect().await;
        test.answer_with_meeting("foreign");
        assert_eq!(test.told_after(0).await, told, "{sent_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_changes_while_servers_are_asked_delays_the_message() {
    for (moves, told) in [(true, 0), (false, 1)] {
        let asks = AtomicUsize::new(0);
        let (app, _) = test_app_with_changes(&["s", "other"], move |app, _| {
            // At the second look.
            if moves && asks.fetch_add(1, Ordering::SeqCst) == 1 {
                let moved = Meeting { key: key(), ..test_meeting(None, "m", "other") };
                replace_record(app, "s", &moved);
            }
            Some((NOT_FOUND.to_owned(), 10))
        })
        .await;
        let records = Arc::new(MemoryRecordings::default());
        let app = App { recording_store: Some(records.clone()), ..app };
        let now = app.clock.now();
        let callback = EndCallback {
            is_confirmed: true,
            suspected_at: Some(now),
            create_until: now.plus_ms(-1),
            ..end_callback(EndParameter::MeetingEndedUrl, now)
        };
        records.register_end_callbacks(&[callback]).await.unwrap();
        assert!(app.pool.restore_meeting(&test_meeting(None, "m", "s")).await.unwrap());
        settle_due_ends(&app).await.unwrap();
        assert_eq!(records.list_messages(10).await.unwrap().len(), told, "{moves}");
    }
}
