//! Killed while recordings are published, hidden and deleted, again and again: rows and files agree when the call is
//! made again, or when a poller has finished what was begun, and nothing is lost.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testkit::product::Product;
use testkit::samples::SampleRecording;
use testkit::stores::StoreKind;
use tokio::time::{Instant, sleep};

use crate::test_storage::{
    FileStorage, TestStorage, assert_hidden, assert_playable, change_recording, get_recording,
};

/// Rounds, unless `SCALELITE_KILL_ROUNDS` says otherwise. nextest ends a test after four minutes: many rounds are
/// run by `cargo test --workspace --test recordings kills`.
const ROUNDS: u64 = 5;
/// A journey is lost after a minute, and looked for twice in a minute.
const MAX_FINISH_TIME: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn killed_moves_in_directories_are_completed() {
    kill_during_moves(FileStorage::Directories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_moves_in_a_bucket_are_completed() {
    kill_during_moves(FileStorage::Bucket).await;
}

async fn kill_during_moves(files: FileStorage) {
    let asked = testkit::clock::environment_variable("SCALELITE_KILL_ROUNDS");
    let asked: Option<u64> = asked.and_then(|text| text.to_str()?.parse().ok());
    let rounds = asked.unwrap_or(ROUNDS);
    let house = TestStorage::new(StoreKind::Embedded, files).await;
    let mut random = StdRng::seed_from_u64(7);
    let kept: Vec<SampleRecording> = (1..=3).map(SampleRecording::new).collect();
    let mut product = house.setup.start().await.unwrap();
    for sample in &kept {
        house.import_sample(&product, sample).await;
    }
    let mut interrupted = 0;
    for n in 0..rounds {
        let victim = SampleRecording::new(1000 + n);
        let keeps = n % 3 == 0;
        let setup =
            house.setup.clone().with_setting("RECORDING_TRASH_DAYS", if keeps { "1" } else { "0" });
        product.kill().await.unwrap();
        product = setup.start().await.unwrap();
        house.import_sample(&product, &victim).await;
        let ids: Vec<&str> = kept.iter().map(|one| one.record_id.as_str()).collect();
        let publish = format!("recordID={}&publish={}", ids.join(","), n % 2 == 1);
        let delete = format!("recordID={}", victim.record_id);
        let calls = [("publishRecordings", &publish), ("deleteRecordings", &delete)];
        let longest = if files == FileStorage::Bucket { 900_000 } else { 60_000 };
        let time = Duration::from_micros(random.random_range(0..longest));
        interrupted += u64::from(!killed_during(&mut product, &calls, time).await);
        product = setup.start().await.unwrap();
        for (call, query) in calls {
            change_recording(&product, call, query).await;
        }
        for (call, query) in calls {
            change_recording(&product, call, query).await;
        }
        house.run_command(&setup, &["recordings", "check"]).await;
        let one = &kept[usize::try_from(n % 3).unwrap()];
        if n % 2 == 1 {
            assert_playable(&product, one).await;
        } else {
            assert_hidden(&product, one).await;
        }
        assert_hidden(&product, &victim).await;
        assert!(get_recording(&product, &victim).await.contains("noRecordings"));
        if keeps {
            house.run_command(&setup, &["recordings", "restore", &victim.record_id]).await;
            assert_playable(&product, &victim).await;
            let erase = ["recordings", "delete", "--yes", "--erase", &victim.record_id];
            house.run_command(&setup, &erase).await;
        }
        assert_eq!(house.list_files(&victim).await, [""; 0], "round {n}");
    }
    println!("{interrupted} of {rounds} rounds were killed before all was answered");
    if asked.is_some() {
        assert_finished_by_a_poller(&house, product, &kept).await;
    }
}

/// Makes the calls side by side and kills the balancer after that time; whether all were answered before.
async fn killed_during(product: &mut Product, calls: &[(&str, &String)], time: Duration) -> bool {
    let port = product.port();
    let made: Vec<_> = calls
        .iter()
        .map(|(call, query)| {
            let request =
                testkit::product::new_request("GET", &testkit::product::signed_target(call, query));
            tokio::spawn(async move { testkit::product::exchange(port, &request).await })
        })
        .collect();
    sleep(time).await;
    product.kill().await.unwrap();
    let mut answered = true;
    for call in made {
        let answer = call.await.unwrap();
        answered &= answer.is_ok_and(|answer| answer.xml_field("returncode") == "SUCCESS");
    }
    answered
}

/// Nobody makes the call again.
async fn assert_finished_by_a_poller(
    house: &TestStorage,
    mut product: Product,
    kept: &[SampleRecording],
) {
    let ids: Vec<&str> = kept.iter().map(|one| one.record_id.as_str()).collect();
    for publish in [false, true, false] {
        let query = format!("recordID={}&publish={publish}", ids.join(","));
        let calls = [("publishRecordings", &query)];
        killed_during(&mut product, &calls, Duration::from_millis(12)).await;
        product = house.setup.start().await.unwrap();
    }
    let until = Instant::now() + MAX_FINISH_TIME;
    while !house.setup.run_command(&["recordings", "check"]).await.unwrap().status.success() {
        assert!(Instant::now() < until, "{}", product.log());
        sleep(Duration::from_secs(1)).await;
    }
    for sample in kept {
        let is_shown = get_recording(&product, sample).await.contains("<state>published</state>");
        if is_shown {
            assert_playable(&product, sample).await;
        } else {
            assert_hidden(&product, sample).await;
        }
    }
}
