//! A balancer that is killed while recordings are published, unpublished and deleted, again and
//! again: records and files agree when the call is repeated, or when a poller has completed the
//! file move, and nothing is lost.

use std::time::Duration;

use testkit::nightly::{is_nightly, rounds};
use testkit::product::{Product, exchange, new_request, signed_target, wait_until_within};
use testkit::samples::SampleRecording;
use testkit::seeded_rng::SeededRng;
use testkit::stores::StoreKind;
use tokio::time::sleep;

use crate::test_storage::{
    FileStorage, TestStorage, assert_hidden, assert_playable, change_recording, get_recording,
};

/// Kills in a usual run.
const ROUNDS: u64 = 3;
/// Kills in a nightly run.
const NIGHTLY_ROUNDS: u64 = 100;
/// How long a poller may take to complete file moves: one that is older than a minute is abandoned,
/// and pollers look for abandoned ones every 30 s.
const COMPLETION_DEADLINE: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn killed_moves_in_directories_are_completed() {
    kill_during_moves(FileStorage::Directories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_moves_in_a_bucket_are_completed() {
    kill_during_moves(FileStorage::Bucket).await;
}

async fn kill_during_moves(files: FileStorage) {
    let rounds = rounds(ROUNDS, NIGHTLY_ROUNDS);
    let storage = TestStorage::new(StoreKind::Embedded, files).await;
    let mut rng = SeededRng::new(7);
    let kept: Vec<SampleRecording> = (1..=3).map(SampleRecording::new).collect();
    let mut product = storage.setup.start().await.unwrap();
    for sample in &kept {
        storage.import_sample(&product, sample).await;
    }
    let max_delay_us = if files == FileStorage::Bucket { 900_000 } else { 60_000 };
    let mut interrupted = 0;
    for n in 0..rounds {
        let deleted = SampleRecording::new(1000 + n);
        let has_trash = n % 3 == 0;
        let trash_days = if has_trash { "1" } else { "0" };
        let setup = storage.setup.clone().with_setting("RECORDING_TRASH_DAYS", trash_days);
        product.kill().await.unwrap();
        product = setup.start().await.unwrap();
        storage.import_sample(&product, &deleted).await;
        let ids: Vec<&str> = kept.iter().map(|sample| sample.record_id.as_str()).collect();
        let publish = format!("recordID={}&publish={}", ids.join(","), n % 2 == 1);
        let delete = format!("recordID={}", deleted.record_id);
        let calls = [("publishRecordings", &publish), ("deleteRecordings", &delete)];
        let delay = Duration::from_micros(rng.draw_u64(0, max_delay_us));
        interrupted += u64::from(!kill_during(&mut product, &calls, delay).await);
        product = setup.start().await.unwrap();
        for (call, query) in calls {
            change_recording(&product, call, query).await;
        }
        for (call, query) in calls {
            change_recording(&product, call, query).await;
        }
        storage.run_command(&setup, &["recordings", "check"]).await;
        let sample = &kept[usize::try_from(n % 3).unwrap()];
        if n % 2 == 1 {
            assert_playable(&product, sample).await;
        } else {
            assert_hidden(&product, sample).await;
        }
        assert_hidden(&product, &deleted).await;
        assert!(get_recording(&product, &deleted).await.contains("noRecordings"));
        if has_trash {
            storage.run_command(&setup, &["recordings", "restore", &deleted.record_id]).await;
            assert_playable(&product, &deleted).await;
            let erase = ["recordings", "delete", "--yes", "--erase", &deleted.record_id];
            storage.run_command(&setup, &erase).await;
        }
        assert_eq!(storage.list_files(&deleted).await, [""; 0], "round {n}");
    }
    println!("{interrupted} of {rounds} kills interrupted a call");
    if is_nightly() {
        assert_completed_by_a_poller(&storage, product, &kept).await;
    }
}

/// Makes the calls at the same time and kills the balancer after this delay. Returns whether all
/// calls had succeeded before.
async fn kill_during(product: &mut Product, calls: &[(&str, &String)], delay: Duration) -> bool {
    let port = product.port();
    let responses: Vec<_> = calls
        .iter()
        .map(|(call, query)| {
            let request = new_request("GET", &signed_target(call, query));
            tokio::spawn(async move { exchange(port, &request).await })
        })
        .collect();
    sleep(delay).await;
    product.kill().await.unwrap();
    let mut all_succeeded = true;
    for response in responses {
        let response = response.await.unwrap();
        all_succeeded &=
            response.is_ok_and(|response| response.xml_field("returncode") == "SUCCESS");
    }
    all_succeeded
}

/// Interrupts calls that no client repeats.
async fn assert_completed_by_a_poller(
    storage: &TestStorage,
    mut product: Product,
    kept: &[SampleRecording],
) {
    let ids: Vec<&str> = kept.iter().map(|sample| sample.record_id.as_str()).collect();
    for publish in [false, true, false] {
        let query = format!("recordID={}&publish={publish}", ids.join(","));
        let calls = [("publishRecordings", &query)];
        kill_during(&mut product, &calls, Duration::from_millis(12)).await;
        product = storage.setup.start().await.unwrap();
    }
    let is_complete = async || {
        let check = storage.setup.run_command(&["recordings", "check"]).await.unwrap();
        check.status.success()
    };
    let completed = wait_until_within(COMPLETION_DEADLINE, "completed", is_complete).await;
    completed.unwrap_or_else(|error| panic!("{error}: {}", product.log()));
    for sample in kept {
        let is_shown = get_recording(&product, sample).await.contains("<state>published</state>");
        if is_shown {
            assert_playable(&product, sample).await;
        } else {
            assert_hidden(&product, sample).await;
        }
    }
}
