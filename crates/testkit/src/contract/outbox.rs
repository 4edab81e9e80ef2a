//! The outbox: messages to clients are stored, taken by one sender, postponed and removed.

use std::sync::Arc;

use app::ports::{MessageTopic, OutboxMessage, RecordingStore};
use domain::Timestamp;

use super::fixtures::NOW;
use super::racing::run_together;
use super::state_store::hostile_texts;
use super::{ContractCase, RecordingStoreFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![
        a_message_stays_as_it_is,
        a_message_of_an_id_is_kept_once,
        due_messages_are_taken_in_order,
        a_message_is_postponed_and_abandoned,
        abandoned_messages_are_listed,
        abandoned_messages_are_retried,
        old_messages_are_forgotten,
        hostile_messages_stay_as_they_are,
    ]
}

pub(super) fn racing_cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![each_message_is_taken_once]
}

struct TestOutbox(Arc<dyn RecordingStore>);

impl TestOutbox {
    async fn with(factory: RecordingStoreFactory<'_>, messages: &[OutboxMessage]) -> Self {
        let outbox = Self(factory().await);
        for message in messages {
            outbox.post_message(message).await;
        }
        outbox
    }

    async fn post_message(&self, message: &OutboxMessage) {
        self.0.post_message(message).await.expect("post");
    }

    async fn list_messages(&self) -> Vec<OutboxMessage> {
        self.0.list_messages(1_000).await.expect("messages")
    }

    async fn take_messages(&self, now: Timestamp, until: Timestamp, limit: u32) -> Vec<String> {
        let taken = self.0.take_due_messages(now, until, limit).await.expect("take_due");
        assert!(taken.iter().all(|message| message.due_at == Some(until)), "{taken:?}");
        taken.into_iter().map(|message| message.id).collect()
    }
}

fn timestamp(ms: i64) -> Timestamp {
    NOW.plus_ms(ms)
}

fn message(id: &str, posted_ms: i64) -> OutboxMessage {
    OutboxMessage {
        id: id.to_owned(),
        topic: MessageTopic::RecordingReady,
        tenant: Some("t".to_owned()),
        meeting_id: "m".to_owned(),
        record_id: Some("r".to_owned()),
        url: "https://app/ready?x=1&y=ü".to_owned(),
        body: Some("{}".to_owned()),
        secret_hint: Some("h".to_owned()),
        posted_at: timestamp(posted_ms),
        attempts: 3,
        failure: Some("refused".to_owned()),
        due_at: Some(timestamp(posted_ms)),
    }
}

fn bare_message(id: &str) -> OutboxMessage {
    OutboxMessage {
        topic: MessageTopic::Analytics,
        tenant: None,
        record_id: None,
        body: None,
        secret_hint: None,
        attempts: 0,
        failure: None,
        due_at: None,
        ..message(id, 1)
    }
}

async fn a_message_stays_as_it_is(factory: RecordingStoreFactory<'_>) {
    let outbox =
        TestOutbox::with(factory, &[bare_message("b"), message("a", 0), message("c", 1)]).await;
    assert_eq!(outbox.list_messages().await, [message("a", 0), bare_message("b"), message("c", 1)]);
    assert_eq!(outbox.0.list_messages(1).await.expect("messages"), [message("a", 0)]);
    outbox.0.remove_message("a").await.expect("settle");
    outbox.0.remove_message("x").await.expect("settle");
    assert_eq!(outbox.list_messages().await, [bare_message("b"), message("c", 1)]);
}

async fn a_message_of_an_id_is_kept_once(factory: RecordingStoreFactory<'_>) {
    let outbox =
        TestOutbox::with(factory, &[message("a", 0), message("a", 5), bare_message("a")]).await;
    assert_eq!(outbox.list_messages().await, [message("a", 0)]);
}

async fn due_messages_are_taken_in_order(factory: RecordingStoreFactory<'_>) {
    let posted =
        [message("b", 1), message("a", 2), message("c", 0), message("d", 50), bare_message("e")];
    let outbox = TestOutbox::with(factory, &posted).await;
    assert_eq!(outbox.take_messages(timestamp(-1), timestamp(100), 9).await, [""; 0]);
    assert_eq!(outbox.take_messages(timestamp(10), timestamp(100), 2).await, ["c", "b"]);
    assert_eq!(outbox.take_messages(timestamp(10), timestamp(100), 9).await, ["a"]);
    assert_eq!(outbox.take_messages(timestamp(99), timestamp(200), 9).await, ["d"]);
    assert_eq!(outbox.take_messages(timestamp(100), timestamp(200), 9).await, ["c", "b", "a"]);
}

async fn a_message_is_postponed_and_abandoned(factory: RecordingStoreFactory<'_>) {
    let outbox = TestOutbox::with(factory, &[message("a", 0)]).await;
    outbox.0.postpone_message("a", "again", Some(timestamp(9))).await.expect("postpone");
    outbox.0.postpone_message("x", "again", Some(timestamp(9))).await.expect("postpone");
    assert_eq!(outbox.take_messages(timestamp(8), timestamp(20), 9).await, [""; 0]);
    let message = &outbox.list_messages().await[0];
    assert_eq!((message.attempts, message.failure.as_deref()), (4, Some("again")));
    assert_eq!(outbox.take_messages(timestamp(9), timestamp(20), 9).await, ["a"]);
    outbox.0.postpone_message("a", "for good", None).await.expect("postpone");
    assert_eq!(outbox.take_messages(timestamp(1_000_000), timestamp(2_000_000), 9).await, [""; 0]);
    let message = &outbox.list_messages().await[0];
    assert_eq!((message.attempts, message.due_at), (5, None));
}

async fn abandoned_messages_are_listed(factory: RecordingStoreFactory<'_>) {
    let with_body = OutboxMessage { body: Some("long".to_owned()), ..bare_message("b") };
    let last = OutboxMessage { due_at: None, ..message("c", 9) };
    let posted = [message("a", 0), with_body, bare_message("d"), last.clone()];
    let outbox = TestOutbox::with(factory, &posted).await;
    let given_up = async |limit| outbox.0.list_given_up(limit).await.expect("list_given_up");
    let expected = [OutboxMessage { body: None, ..last }, bare_message("d"), bare_message("b")];
    assert_eq!(given_up(9).await, expected);
    assert_eq!(given_up(2).await, expected[..2]);
}

async fn abandoned_messages_are_retried(factory: RecordingStoreFactory<'_>) {
    let outbox = TestOutbox::with(
        factory,
        &[bare_message("a"), bare_message("b"), message("c", 50), bare_message("d")],
    )
    .await;
    let retry = async |id: Option<&str>, ms| {
        outbox.0.retry_messages(id, timestamp(ms)).await.expect("retry")
    };
    assert_eq!((retry(Some("x"), 9).await, retry(Some("a"), 9).await), (0, 1));
    assert_eq!(outbox.take_messages(timestamp(9), timestamp(90), 9).await, ["a"]);
    assert_eq!((retry(None, 10).await, retry(None, 10).await), (2, 0));
    assert_eq!(outbox.take_messages(timestamp(10), timestamp(90), 9).await, ["b", "d"]);
    assert_eq!(retry(Some("c"), 11).await, 1);
    assert_eq!(outbox.take_messages(timestamp(11), timestamp(90), 9).await, ["c"]);
}

async fn old_messages_are_forgotten(factory: RecordingStoreFactory<'_>) {
    let outbox =
        TestOutbox::with(factory, &[bare_message("a"), message("b", 2), message("c", 3)]).await;
    let forget = async |ms| outbox.0.forget_messages(timestamp(ms)).await.expect("forget_messages");
    assert_eq!((forget(1).await, forget(3).await, forget(3).await), (0, 2, 0));
    assert_eq!(outbox.list_messages().await, [message("c", 3)]);
}

async fn hostile_messages_stay_as_they_are(factory: RecordingStoreFactory<'_>) {
    let texts: Vec<String> =
        hostile_texts().into_iter().filter(|text| text.len() < 1_000).collect();
    let of = |text: &String| OutboxMessage {
        id: text.clone(),
        meeting_id: text.clone(),
        url: text.clone(),
        body: Some(text.clone()),
        ..message("a", 0)
    };
    let all: Vec<OutboxMessage> = texts.iter().map(of).collect();
    let outbox = TestOutbox::with(factory, &all).await;
    let mut sorted = all.clone();
    sorted.sort_by(|first, second| first.id.cmp(&second.id));
    assert_eq!(outbox.list_messages().await, sorted);
    for text in &texts {
        outbox.0.remove_message(text).await.expect("settle");
    }
    assert_eq!(outbox.list_messages().await, []);
}

async fn each_message_is_taken_once(factory: RecordingStoreFactory<'_>) {
    let all: Vec<OutboxMessage> = (0..100).map(|n| message(&format!("{n:03}"), n)).collect();
    let outbox = TestOutbox::with(factory, &all).await;
    let tasks = (0..8).map(|_| {
        let store = outbox.0.clone();
        async move {
            let mut taken = Vec::new();
            loop {
                let some = store
                    .take_due_messages(timestamp(1_000), timestamp(2_000), 7)
                    .await
                    .expect("take_due");
                if some.is_empty() {
                    return taken;
                }
                taken.extend(some.into_iter().map(|message| message.id));
            }
        }
    });
    let mut taken: Vec<String> = run_together(tasks).await.into_iter().flatten().collect();
    taken.sort();
    assert_eq!(taken, all.into_iter().map(|message| message.id).collect::<Vec<_>>());
}
