//! End callbacks: registered by creates, suspected by what is seen, checked by one process at a
//! time, and told once.

use std::sync::Arc;

use app::ports::{
    EndCallback, EndParameter, MeetingPlace, MessageTopic, OutboxMessage, RecordingStore,
};
use domain::{MeetingKey, Timestamp};

use super::fixtures::{NOW, key, server_id};
use super::racing::run_together;
use super::state_store::hostile_texts;
use super::{ContractCase, RecordingStoreFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![
        an_end_callback_stays_as_it_is,
        a_repeated_create_keeps_what_is_known,
        a_create_withdraws_what_is_not_delivered,
        creates_under_way_are_awaited,
        a_confirmed_end_callback_has_a_place,
        ends_are_suspected_by_meeting,
        due_end_callbacks_are_taken_in_order,
        a_check_is_postponed_unless_something_happened,
        an_end_is_told_once,
        hostile_end_callbacks_stay_as_they_are,
    ]
}

pub(super) fn racing_cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![each_end_is_told_by_one]
}

fn at(ms: i64) -> Timestamp {
    NOW.plus_ms(ms)
}

fn place(server: &str) -> MeetingPlace {
    MeetingPlace { server: server_id(server), internal_id: Some(format!("internal-{server}")) }
}

/// The end callback of a create that has just begun.
fn new_callback(id: &str, meeting: &str) -> EndCallback {
    EndCallback {
        id: id.to_owned(),
        key: key(meeting),
        parameter: EndParameter::EndCallbackUrl,
        url: "https://app/end?x=1&y=ü".to_owned(),
        created_at: at(0),
        create_until: at(30),
        open_creates: 1,
        is_confirmed: false,
        server: None,
        internal_id: None,
        suspected_at: None,
        recording_marks: None,
        check_at: at(31),
    }
}

fn message(callback: &str) -> OutboxMessage {
    OutboxMessage {
        id: new_callback(callback, "m").message_id(),
        topic: MessageTopic::MeetingEnded,
        tenant: None,
        meeting_id: "m".to_owned(),
        record_id: None,
        url: "https://app/end".to_owned(),
        body: None,
        secret_hint: None,
        posted_at: at(0),
        attempts: 0,
        failure: None,
        due_at: Some(at(0)),
    }
}

struct TestCallbacks(Arc<dyn RecordingStore>);

impl TestCallbacks {
    async fn with(factory: RecordingStoreFactory<'_>, callbacks: &[EndCallback]) -> Self {
        let store = Self(factory().await);
        store.0.register_end_callbacks(callbacks).await.expect("register_end_callbacks");
        store
    }

    async fn register(&self, callback: &EndCallback) {
        let callbacks = std::slice::from_ref(callback);
        self.0.register_end_callbacks(callbacks).await.expect("register_end_callbacks");
    }

    async fn list(&self, meeting: &str) -> Vec<EndCallback> {
        self.0.list_end_callbacks(&key(meeting)).await.expect("list_end_callbacks")
    }

    async fn only(&self, meeting: &str) -> EndCallback {
        let mut callbacks = self.list(meeting).await;
        assert_eq!(callbacks.len(), 1, "{callbacks:?}");
        callbacks.remove(0)
    }

    async fn confirm(&self, ids: &[&str], place: &MeetingPlace, ms: i64, check_ms: i64) {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let closed = self.0.close_create(&ids, Some(place), at(ms), at(check_ms)).await;
        closed.expect("close_create");
    }

    async fn suspect(&self, meetings: &[&str], marks: Option<bool>, ms: i64) {
        let keys: Vec<_> = meetings.iter().map(|meeting| key(meeting)).collect();
        self.0.suspect_ends(&keys, marks, at(ms)).await.expect("suspect_ends");
    }

    async fn take(&self, now: i64, until: i64, limit: u32) -> Vec<String> {
        let taken = self.0.take_due_end_callbacks(at(now), at(until), limit).await;
        let taken = taken.expect("take_due_end_callbacks");
        assert!(taken.iter().all(|callback| callback.check_at == at(until)), "{taken:?}");
        taken.into_iter().map(|callback| callback.id).collect()
    }

    async fn message_ids(&self) -> Vec<String> {
        let messages = self.0.list_messages(100).await.expect("list_messages");
        messages.into_iter().map(|message| message.id).collect()
    }
}

async fn an_end_callback_stays_as_it_is(factory: RecordingStoreFactory<'_>) {
    let full = EndCallback {
        key: MeetingKey { tenant: Some("t".to_owned()), id: "m".to_owned() },
        parameter: EndParameter::MeetingEndedUrl,
        url: "http://x".to_owned(),
        is_confirmed: true,
        server: Some(server_id("s")),
        internal_id: Some("i".to_owned()),
        suspected_at: Some(at(3)),
        recording_marks: Some(false),
        ..new_callback("c", "m")
    };
    let first = [new_callback("b", "m"), new_callback("a", "m"), full.clone()];
    let store = TestCallbacks::with(factory, &first).await;
    assert_eq!(store.list("m").await, [new_callback("a", "m"), new_callback("b", "m")]);
    let of_tenant = store.0.list_end_callbacks(&full.key).await.expect("list_end_callbacks");
    assert_eq!(of_tenant, [full]);
    assert_eq!(store.list("x").await, []);
}

async fn a_repeated_create_keeps_what_is_known(factory: RecordingStoreFactory<'_>) {
    let store = TestCallbacks::with(factory, &[new_callback("a", "m")]).await;
    store.confirm(&["a"], &place("s"), 5, 90).await;
    store.suspect(&["m"], Some(true), 6).await;
    let known = store.only("m").await;
    let later = EndCallback { created_at: at(7), create_until: at(40), ..new_callback("a", "m") };
    store.register(&later).await;
    let expected = EndCallback {
        created_at: at(7),
        create_until: at(40),
        open_creates: 1,
        check_at: at(31),
        ..known
    };
    assert_eq!(store.only("m").await, expected);
    // The clock of another replica is late.
    store.register(&new_callback("a", "m")).await;
    assert_eq!(store.only("m").await.created_at, at(8));
}

async fn a_create_withdraws_what_is_not_delivered(factory: RecordingStoreFactory<'_>) {
    let store = TestCallbacks::with(factory, &[]).await;
    for callback in ["a", "b"] {
        store.0.post_message(&message(callback)).await.expect("post_message");
    }
    assert_eq!(store.message_ids().await, ["ended:a", "ended:b"]);
    store.register(&new_callback("a", "m")).await;
    assert_eq!(store.message_ids().await, ["ended:b"]);
    // If the create fails, the end of the earlier meeting is told after all.
    let withdrawn = store.only("m").await;
    let expected =
        EndCallback { is_confirmed: true, suspected_at: Some(at(0)), ..new_callback("a", "m") };
    assert_eq!(withdrawn, expected);
}

async fn creates_under_way_are_awaited(factory: RecordingStoreFactory<'_>) {
    let store = TestCallbacks::with(factory, &[new_callback("a", "m")]).await;
    let second = EndCallback { created_at: at(7), create_until: at(40), ..new_callback("a", "m") };
    store.register(&second).await;
    assert_eq!(store.only("m").await.open_creates, 2);
    store.confirm(&["a"], &place("s"), 8, 90).await;
    let one_is_open = store.only("m").await;
    assert_eq!((one_is_open.open_creates, one_is_open.create_until), (1, at(40)));
    assert_eq!((one_is_open.check_at, one_is_open.is_confirmed), (at(31), true));
    // The other one has failed.
    let closed = store.0.close_create(&["a".to_owned()], None, at(9), at(90)).await;
    closed.expect("close_create");
    let settled = store.only("m").await;
    assert_eq!((settled.open_creates, settled.create_until.0, settled.check_at), (0, 0, at(90)));
    assert_eq!((settled.is_confirmed, settled.server), (true, Some(server_id("s"))));
    // One that was never answered is not under way for ever.
    store.register(&EndCallback { created_at: at(50), create_until: at(80), ..second }).await;
    let third = EndCallback { created_at: at(81), create_until: at(111), ..new_callback("a", "m") };
    store.register(&third).await;
    assert_eq!(store.only("m").await.open_creates, 1);
}

async fn a_confirmed_end_callback_has_a_place(factory: RecordingStoreFactory<'_>) {
    let all = [new_callback("a", "m"), new_callback("b", "n")];
    let store = TestCallbacks::with(factory, &all).await;
    store.suspect(&["n"], None, 4).await;
    store.confirm(&["a", "b", "x"], &place("s"), 5, 90).await;
    let confirmed = EndCallback {
        is_confirmed: true,
        create_until: Timestamp::default(),
        open_creates: 0,
        server: Some(server_id("s")),
        internal_id: Some("internal-s".to_owned()),
        check_at: at(90),
        ..new_callback("a", "m")
    };
    assert_eq!(store.only("m").await, confirmed);
    let suspected = store.only("n").await;
    assert_eq!((suspected.suspected_at, suspected.check_at), (Some(at(4)), at(5)));
    let unknown = MeetingPlace { internal_id: None, ..place("r") };
    store.confirm(&["a"], &unknown, 6, 91).await;
    assert_eq!(store.only("m").await.internal_id, None);
}

async fn ends_are_suspected_by_meeting(factory: RecordingStoreFactory<'_>) {
    let tenants = MeetingKey { tenant: Some("t".to_owned()), id: "m".to_owned() };
    let of_tenant = EndCallback { key: tenants.clone(), ..new_callback("d", "m") };
    let all = [
        new_callback("a", "m"),
        new_callback("b", "m"),
        new_callback("c", "n"),
        new_callback("e", "o"),
        of_tenant.clone(),
    ];
    let store = TestCallbacks::with(factory, &all).await;
    store.suspect(&["m", "x", "n"], Some(true), 3).await;
    store.suspect(&["m"], None, 4).await;
    store.suspect(&["n"], Some(false), 4).await;
    store.suspect(&[], Some(false), 9).await;
    let suspected = |id: &str, meeting: &str, marks: bool| EndCallback {
        suspected_at: Some(at(4)),
        recording_marks: Some(marks),
        check_at: at(4),
        ..new_callback(id, meeting)
    };
    assert_eq!(store.list("m").await, [suspected("a", "m", true), suspected("b", "m", true)]);
    assert_eq!(store.list("n").await, [suspected("c", "n", false)]);
    assert_eq!(store.list("o").await, [new_callback("e", "o")]);
    assert_eq!(store.0.list_end_callbacks(&tenants).await.expect("list"), [of_tenant]);
}

async fn due_end_callbacks_are_taken_in_order(factory: RecordingStoreFactory<'_>) {
    let due = |id: &str, ms| EndCallback { check_at: at(ms), ..new_callback(id, id) };
    let all = [due("b", 1), due("a", 2), due("c", 0), due("d", 50)];
    let store = TestCallbacks::with(factory, &all).await;
    assert_eq!(store.take(-1, 100, 9).await, [""; 0]);
    assert_eq!(store.take(10, 100, 2).await, ["c", "b"]);
    assert_eq!(store.take(10, 101, 9).await, ["a"]);
    assert_eq!(store.take(10, 101, 9).await, [""; 0]);
    assert_eq!(store.take(100, 200, 9).await, ["d", "b", "c"]);
}

async fn a_check_is_postponed_unless_something_happened(factory: RecordingStoreFactory<'_>) {
    let store = TestCallbacks::with(factory, &[new_callback("a", "m")]).await;
    let postpone = async |checked: &EndCallback, place: Option<&MeetingPlace>, since, ms| {
        let suspected_at = Option::<i64>::map(since, at);
        store.0.postpone_end_check(checked, place, suspected_at, at(ms)).await.expect("postpone");
        store.only("m").await
    };
    let fresh = store.only("m").await;
    let unclear = postpone(&fresh, None, Some(40), 50).await;
    assert_eq!(
        unclear,
        EndCallback { suspected_at: Some(at(40)), check_at: at(50), ..fresh.clone() }
    );
    assert_eq!(postpone(&fresh, Some(&place("s")), None, 60).await, unclear, "suspected since");
    let found = postpone(&unclear, Some(&place("s")), None, 70).await;
    let expected = EndCallback {
        is_confirmed: true,
        server: Some(server_id("s")),
        internal_id: Some("internal-s".to_owned()),
        check_at: at(70),
        ..fresh.clone()
    };
    assert_eq!(found, expected);
    store.register(&new_callback("a", "m")).await;
    let registered = store.only("m").await;
    assert_eq!(postpone(&found, None, Some(1), 80).await, registered, "registered since");
    let gone = EndCallback { id: "x".to_owned(), ..fresh };
    assert_eq!(postpone(&gone, None, Some(1), 80).await, registered);
}

async fn an_end_is_told_once(factory: RecordingStoreFactory<'_>) {
    let store =
        TestCallbacks::with(factory, &[new_callback("a", "m"), new_callback("b", "m")]).await;
    let [a, b] = store.list("m").await.try_into().expect("two");
    let finish = async |checked: &EndCallback, message: Option<&OutboxMessage>| {
        store.0.finish_end_callback(checked, message).await.expect("finish_end_callback")
    };
    let told = message("a");
    store.register(&a).await;
    assert!(!finish(&a, Some(&told)).await, "registered again");
    assert_eq!(store.message_ids().await, [""; 0]);
    let a = store.list("m").await.remove(0);
    assert!(finish(&a, Some(&told)).await);
    assert!(!finish(&a, Some(&told)).await, "gone");
    assert_eq!(store.message_ids().await, ["ended:a"]);
    assert_eq!(store.only("m").await, b);
    assert!(finish(&b, None).await);
    assert_eq!((store.list("m").await, store.message_ids().await.len()), (vec![], 1));
}

async fn hostile_end_callbacks_stay_as_they_are(factory: RecordingStoreFactory<'_>) {
    let texts: Vec<String> =
        hostile_texts().into_iter().filter(|text| text.len() < 1_000).collect();
    let store = TestCallbacks::with(factory, &[]).await;
    for text in &texts {
        let callback = EndCallback { url: text.clone(), ..new_callback(text, text) };
        store.register(&callback).await;
        assert_eq!(store.list(text).await, [callback], "{text:?}");
    }
}

async fn each_end_is_told_by_one(factory: RecordingStoreFactory<'_>) {
    let all: Vec<EndCallback> =
        (0..40).map(|number| new_callback(&format!("{number:02}"), "m")).collect();
    let store = TestCallbacks::with(factory, &all).await;
    let tasks = (0..8).map(|_| {
        let (store, all) = (store.0.clone(), all.clone());
        async move {
            let mut told = 0;
            for callback in &all {
                let message = message(&callback.id);
                let finished = store.finish_end_callback(callback, Some(&message)).await;
                told += usize::from(finished.expect("finish_end_callback"));
            }
            told
        }
    });
    assert_eq!(run_together(tasks).await.into_iter().sum::<usize>(), all.len());
    assert_eq!(store.message_ids().await.len(), all.len());
}
