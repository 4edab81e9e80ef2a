//! Changes of recordings and callbacks by many tasks at the same time: no mixture of two versions
//! is ever read.

use app::ports::Recordings;
use domain::recording::{Callback, PlaybackFormat, Recording, Thumbnail};

use super::fixtures::NOW;
use super::racing::run_together;
use super::recordings::{TestRecordings, bare_recording};
use super::{ContractCase, RecordingsFactory};

const TASK_COUNT: usize = 16;
const ROUNDS: usize = 8;

pub(super) fn cases() -> Vec<ContractCase<dyn Recordings>> {
    super::cases![
        recordings_are_never_mixed,
        different_recordings_do_not_mix,
        callbacks_are_never_doubled,
    ]
}

/// A recording with the number of its version in all parts.
fn recording_version(id: &str, n: usize) -> Recording {
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
        ..bare_recording(id)
    }
}

fn assert_whole(found: &Recording) {
    let name = found.name.as_deref().unwrap_or_default();
    let n = name.strip_prefix("version ").and_then(|n| n.parse().ok());
    assert_eq!(*found, recording_version(&found.record_id, n.expect("a version")));
}

async fn recordings_are_never_mixed(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let tasks = (0..TASK_COUNT).map(|n| {
        let store = store.clone();
        async move {
            for round in 0..ROUNDS {
                store.put(&recording_version("r", n * ROUNDS + round)).await;
                assert_whole(&store.get("r").await.expect("a recording"));
                store.list_after(None, 10).await.iter().for_each(assert_whole);
            }
        }
    });
    run_together(tasks).await;
    assert_eq!(store.count_rows().await, [1, 0]);
    assert_whole(&store.get("r").await.expect("a recording"));
}

async fn different_recordings_do_not_mix(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let id = |n: usize, round: usize| format!("r-{n:02}-{round:02}");
    let tasks = (0..TASK_COUNT).map(|n| {
        let store = store.clone();
        async move {
            for round in 0..ROUNDS {
                store.put(&recording_version(&id(n, round), n)).await;
            }
        }
    });
    run_together(tasks).await;
    let all = (0..TASK_COUNT)
        .flat_map(|n| (0..ROUNDS).map(move |round| recording_version(&id(n, round), n)));
    assert_eq!(store.list_after(None, 1_000).await, all.collect::<Vec<_>>());
}

async fn callbacks_are_never_doubled(factory: RecordingsFactory<'_>) {
    let store = TestRecordings::new(factory).await;
    let callback = |n: usize| Callback {
        meeting_id: "m".to_owned(),
        attributes: vec![("one".to_owned(), n.to_string()), ("two".to_owned(), n.to_string())],
        created_at: NOW,
        updated_at: NOW,
        ..Callback::default()
    };
    for _ in 0..ROUNDS {
        let tasks = (0..TASK_COUNT).map(|n| {
            let store = store.clone();
            async move { store.put_callback(&callback(n)).await }
        });
        run_together(tasks).await;
        assert_eq!(store.count_rows().await, [0, 1]);
        let found = store.list_callbacks_after(None, 10).await;
        assert!((0..TASK_COUNT).any(|n| found == [callback(n)]), "{found:?}");
        store.put_callback(&callback(TASK_COUNT)).await;
        assert_eq!(store.list_callbacks_after(None, 10).await, [callback(TASK_COUNT)]);
    }
}
