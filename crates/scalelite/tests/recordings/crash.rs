//! Killed in the middle of imports, again and again: nothing is half visible, and everything arrives once.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testkit::product::{Setup, wait_until};
use testkit::samples::{FORMATS, SampleRecording};
use tokio::time::sleep;

use crate::tools::{file_names, format_names, put_in_spool, recording_row, setup, visibility_of};

/// Rounds, unless `SCALELITE_KILL_ROUNDS` says otherwise.
const ROUNDS: u64 = 24;

/// Whatever the row names is there, whole.
async fn assert_nothing_half(setup: &Setup, sample: &SampleRecording) -> bool {
    let Some(recording) = recording_row(setup, sample).await else { return false };
    for format in format_names(&recording) {
        assert_eq!(visibility_of(setup, sample, format), Some("published"), "{format}");
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_imports_are_completed_by_the_next_start() {
    let rounds = testkit::clock::environment_variable("SCALELITE_KILL_ROUNDS");
    let rounds = rounds.and_then(|text| text.to_str()?.parse().ok()).unwrap_or(ROUNDS);
    let setup = setup();
    let mut random = StdRng::seed_from_u64(5);
    let (mut before, mut after) = (0, 0);
    for n in 0..rounds {
        let sample = SampleRecording::new(1000 + n);
        let name = format!("{}.tar", sample.record_id);
        let importer = setup.clone().with_serve_argument("--roles=importer");
        let mut product = importer.spawn().unwrap();
        // Two archives of one name: the second replaces the first, or follows it.
        put_in_spool(&setup, &name, &sample.archive(&FORMATS[..3]));
        wait_until("begun", async || product.log().contains("import started")).await.unwrap();
        sleep(Duration::from_micros(random.random_range(0..60_000))).await;
        product.kill().await.unwrap();
        if assert_nothing_half(&setup, &sample).await {
            after += 1;
        } else {
            before += 1;
        }
        put_in_spool(&setup, &name, &sample.archive(&FORMATS));
        let mut product = importer.spawn().unwrap();
        let is_done = || file_names(&setup.folder().join("spool")).is_empty();
        // Who was killed between its claim and its lock is waited for until the claim runs out.
        if wait_until("imported", async || is_done()).await.is_err() {
            let late = wait_until("imported", async || is_done()).await;
            late.unwrap_or_else(|error| panic!("{error}: {}", product.log()));
        }
        wait_until("tidy", async || file_names(&setup.folder().join("work")).is_empty())
            .await
            .unwrap();
        product.kill().await.unwrap();
        assert!(assert_nothing_half(&setup, &sample).await);
        assert_eq!(
            format_names(&recording_row(&setup, &sample).await.unwrap()).len(),
            FORMATS.len()
        );
    }
    println!("{before} killed before the row was written, {after} after");
    for shelf in ["published", "unpublished"] {
        let left = file_names(&setup.folder().join(shelf).join(".scalelite-staging"));
        assert!(u64::try_from(left.len()).unwrap() <= rounds, "{left:?}");
    }
}
