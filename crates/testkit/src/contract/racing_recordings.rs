//! Many tasks at recordings and callbacks: nobody ever sees a mixture of two versions.

use domain::recording::{Callback, PlaybackFormat, Recording, Thumbnail};

use super::racing::together;
use super::recordings::{Archive, bare};
use super::store::NOW;
use super::{Case, RecordingsFactory};

const TASKS: usize = 16;
const ROUNDS: usize = 8;

pub(super) fn cases(factory: RecordingsFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        recordings_are_never_mixed,
        different_recordings_do_not_meet,
        callbacks_are_never_doubled,
    ]
}

/// A recording all of whose parts say which version it is.
fn version(id: &str, n: usize) -> Recording {
    let word = || Some(format!("version {n}"));
    let preview = || Thumbnail { alt: word(), ..Thumbnail::default() };
    let format = |name: usize| PlaybackFormat {
        format: format!("format-{name}"),
        url: word(),
        thumbnails: (0..=n % 3).map(|_| preview()).collect(),
        ..PlaybackFormat::default()
    };
    Recording {
        name: word(),
        metadata: (0..=n % 4).map(|name| (format!("name-{name}"), word())).collect(),
        formats: (0..=n % 3).map(format).collect(),
        ..bare(id)
    }
}

fn assert_whole(found: &Recording) {
    let name = found.name.as_deref().unwrap_or_default();
    let n = name.strip_prefix("version ").and_then(|n| n.parse().ok());
    assert_eq!(*found, version(&found.record_id, n.expect("a version")));
}

async fn recordings_are_never_mixed(factory: RecordingsFactory<'_>) {
    let store = Archive::new(factory).await;
    let tasks = (0..TASKS).map(|n| {
        let store = store.clone();
        async move {
            for round in 0..ROUNDS {
                store.put(&version("r", n * ROUNDS + round)).await;
                assert_whole(&store.get("r").await.expect("a recording"));
                store.after(None, 10).await.iter().for_each(assert_whole);
            }
        }
    });
    together(tasks).await;
    assert_eq!(store.counts().await, [1, 0]);
    assert_whole(&store.get("r").await.expect("a recording"));
}

async fn different_recordings_do_not_meet(factory: RecordingsFactory<'_>) {
    let store = Archive::new(factory).await;
    let id = |n: usize, round: usize| format!("r-{n:02}-{round:02}");
    let tasks = (0..TASKS).map(|n| {
        let store = store.clone();
        async move {
            for round in 0..ROUNDS {
                store.put(&version(&id(n, round), n)).await;
            }
        }
    });
    together(tasks).await;
    let all = (0..TASKS).flat_map(|n| (0..ROUNDS).map(move |round| version(&id(n, round), n)));
    assert_eq!(store.after(None, 1_000).await, all.collect::<Vec<_>>());
}

async fn callbacks_are_never_doubled(factory: RecordingsFactory<'_>) {
    let store = Archive::new(factory).await;
    let callback = |n: usize| Callback {
        meeting_id: "m".to_owned(),
        attributes: vec![("one".to_owned(), n.to_string()), ("two".to_owned(), n.to_string())],
        created_at: NOW,
        updated_at: NOW,
        ..Callback::default()
    };
    for _ in 0..ROUNDS {
        let tasks = (0..TASKS).map(|n| {
            let store = store.clone();
            async move { store.put_callback(&callback(n)).await }
        });
        together(tasks).await;
        assert_eq!(store.counts().await, [0, 1]);
        let found = store.callbacks_after(None, 10).await;
        assert!((0..TASKS).any(|n| found == [callback(n)]), "{found:?}");
        store.put_callback(&callback(TASKS)).await;
        assert_eq!(store.callbacks_after(None, 10).await, [callback(TASKS)]);
    }
}
