//! Messages to front-ends: kept, taken by one, put off, and gone when they were heard.

use std::sync::Arc;

use app::ports::{Message, Records, Topic};
use domain::Timestamp;

use super::hot::hostile;
use super::racing::together;
use super::store::NOW;
use super::{Case, RecordsFactory};

pub(super) fn cases(factory: RecordsFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        a_message_stays_as_it_is,
        one_of_an_id_is_kept_once,
        due_messages_are_taken_in_order,
        a_message_is_put_off_and_given_up,
        given_up_ones_are_tried_again,
        old_messages_are_forgotten,
        hostile_messages_stay_as_they_are,
    ]
}

pub(super) fn racing(factory: RecordsFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory; each_message_is_taken_once]
}

struct Post(Arc<dyn Records>);

impl Post {
    async fn with(factory: RecordsFactory<'_>, messages: &[Message]) -> Self {
        let outbox = Self(factory().await);
        for message in messages {
            outbox.post(message).await;
        }
        outbox
    }

    async fn post(&self, message: &Message) {
        self.0.post(message).await.expect("post");
    }

    async fn all(&self) -> Vec<Message> {
        self.0.messages(1_000).await.expect("messages")
    }

    async fn take(&self, now: Timestamp, until: Timestamp, limit: u32) -> Vec<String> {
        let taken = self.0.take_due(now, until, limit).await.expect("take_due");
        assert!(taken.iter().all(|one| one.due_at == Some(until)), "{taken:?}");
        taken.into_iter().map(|one| one.id).collect()
    }
}

fn at(ms: i64) -> Timestamp {
    NOW.plus_ms(ms)
}

fn message(id: &str, posted_ms: i64) -> Message {
    Message {
        id: id.to_owned(),
        topic: Topic::RecordingReady,
        tenant: Some("t".to_owned()),
        meeting_id: "m".to_owned(),
        record_id: Some("r".to_owned()),
        url: "https://app/ready?x=1&y=ü".to_owned(),
        body: Some("{}".to_owned()),
        secret_hint: Some("h".to_owned()),
        posted_at: at(posted_ms),
        attempts: 3,
        failure: Some("refused".to_owned()),
        due_at: Some(at(posted_ms)),
    }
}

fn bare(id: &str) -> Message {
    Message {
        topic: Topic::Analytics,
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

async fn a_message_stays_as_it_is(factory: RecordsFactory<'_>) {
    let outbox = Post::with(factory, &[bare("b"), message("a", 0), message("c", 1)]).await;
    assert_eq!(outbox.all().await, [message("a", 0), bare("b"), message("c", 1)]);
    assert_eq!(outbox.0.messages(1).await.expect("messages"), [message("a", 0)]);
    outbox.0.settle("a").await.expect("settle");
    outbox.0.settle("x").await.expect("settle");
    assert_eq!(outbox.all().await, [bare("b"), message("c", 1)]);
}

async fn one_of_an_id_is_kept_once(factory: RecordsFactory<'_>) {
    let outbox = Post::with(factory, &[message("a", 0), message("a", 5), bare("a")]).await;
    assert_eq!(outbox.all().await, [message("a", 0)]);
}

async fn due_messages_are_taken_in_order(factory: RecordsFactory<'_>) {
    let posted = [message("b", 1), message("a", 2), message("c", 0), message("d", 50), bare("e")];
    let outbox = Post::with(factory, &posted).await;
    assert_eq!(outbox.take(at(-1), at(100), 9).await, [""; 0]);
    assert_eq!(outbox.take(at(10), at(100), 2).await, ["c", "b"]);
    assert_eq!(outbox.take(at(10), at(100), 9).await, ["a"]);
    assert_eq!(outbox.take(at(99), at(200), 9).await, ["d"]);
    assert_eq!(outbox.take(at(100), at(200), 9).await, ["c", "b", "a"]);
}

async fn a_message_is_put_off_and_given_up(factory: RecordsFactory<'_>) {
    let outbox = Post::with(factory, &[message("a", 0)]).await;
    outbox.0.postpone("a", "again", Some(at(9))).await.expect("postpone");
    outbox.0.postpone("x", "again", Some(at(9))).await.expect("postpone");
    assert_eq!(outbox.take(at(8), at(20), 9).await, [""; 0]);
    let one = &outbox.all().await[0];
    assert_eq!((one.attempts, one.failure.as_deref()), (4, Some("again")));
    assert_eq!(outbox.take(at(9), at(20), 9).await, ["a"]);
    outbox.0.postpone("a", "for good", None).await.expect("postpone");
    assert_eq!(outbox.take(at(1_000_000), at(2_000_000), 9).await, [""; 0]);
    let one = &outbox.all().await[0];
    assert_eq!((one.attempts, one.due_at), (5, None));
}

async fn given_up_ones_are_tried_again(factory: RecordsFactory<'_>) {
    let outbox = Post::with(factory, &[bare("a"), bare("b"), message("c", 50), bare("d")]).await;
    let retry = async |id: Option<&str>, ms| outbox.0.retry(id, at(ms)).await.expect("retry");
    assert_eq!((retry(Some("x"), 9).await, retry(Some("a"), 9).await), (0, 1));
    assert_eq!(outbox.take(at(9), at(90), 9).await, ["a"]);
    assert_eq!((retry(None, 10).await, retry(None, 10).await), (2, 0));
    assert_eq!(outbox.take(at(10), at(90), 9).await, ["b", "d"]);
    assert_eq!(retry(Some("c"), 11).await, 1);
    assert_eq!(outbox.take(at(11), at(90), 9).await, ["c"]);
}

async fn old_messages_are_forgotten(factory: RecordsFactory<'_>) {
    let outbox = Post::with(factory, &[bare("a"), message("b", 2), message("c", 3)]).await;
    let forget = async |ms| outbox.0.forget_messages(at(ms)).await.expect("forget_messages");
    assert_eq!((forget(1).await, forget(3).await, forget(3).await), (0, 2, 0));
    assert_eq!(outbox.all().await, [message("c", 3)]);
}

async fn hostile_messages_stay_as_they_are(factory: RecordsFactory<'_>) {
    let texts: Vec<String> = hostile().into_iter().filter(|text| text.len() < 1_000).collect();
    let of = |text: &String| Message {
        id: text.clone(),
        meeting_id: text.clone(),
        url: text.clone(),
        body: Some(text.clone()),
        ..message("a", 0)
    };
    let all: Vec<Message> = texts.iter().map(of).collect();
    let outbox = Post::with(factory, &all).await;
    let mut sorted = all.clone();
    sorted.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(outbox.all().await, sorted);
    for text in &texts {
        outbox.0.settle(text).await.expect("settle");
    }
    assert_eq!(outbox.all().await, []);
}

async fn each_message_is_taken_once(factory: RecordsFactory<'_>) {
    let all: Vec<Message> = (0..100).map(|n| message(&format!("{n:03}"), n)).collect();
    let outbox = Post::with(factory, &all).await;
    let tasks = (0..8).map(|_| {
        let store = outbox.0.clone();
        async move {
            let mut taken = Vec::new();
            loop {
                let some = store.take_due(at(1_000), at(2_000), 7).await.expect("take_due");
                if some.is_empty() {
                    return taken;
                }
                taken.extend(some.into_iter().map(|one| one.id));
            }
        }
    });
    let mut taken: Vec<String> = together(tasks).await.into_iter().flatten().collect();
    taken.sort();
    assert_eq!(taken, all.into_iter().map(|one| one.id).collect::<Vec<_>>());
}
