//! A balancer that is killed during imports, again and again: no recording is partly visible, and
//! every archive is imported completely.

use std::time::Duration;

use testkit::nightly::rounds;
use testkit::product::{Setup, wait_until, wait_until_within};
use testkit::samples::{FORMATS, SampleRecording};
use testkit::seeded_rng::SeededRng;
use tokio::time::sleep;

use crate::tools::{
    CLAIM_DEADLINE, archive_of, file_names, format_names, put_in_spool, recording_row, setup,
    visibility_of,
};

/// Kills in a usual run.
const ROUNDS: u64 = 6;
/// Kills in a nightly run.
const NIGHTLY_ROUNDS: u64 = 200;
/// The longest time between the begin of an import and the kill, in µs. An import takes less.
const MAX_KILL_DELAY_US: u64 = 60_000;

/// Whether a recording is stored. If it is, all files of its formats are published.
async fn is_stored_completely(setup: &Setup, sample: &SampleRecording) -> bool {
    let Some(recording) = recording_row(setup, sample).await else { return false };
    for format in format_names(&recording) {
        assert_eq!(visibility_of(setup, sample, format), Some("published"), "{format}");
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_imports_are_completed_by_the_next_start() {
    let rounds = rounds(ROUNDS, NIGHTLY_ROUNDS);
    let setup = setup();
    let mut rng = SeededRng::new(5);
    let (mut before, mut after) = (0, 0);
    for n in 0..rounds {
        // Every second archive has two recordings.
        let mut samples = vec![SampleRecording::new(1000 + n)];
        let mut name = format!("{}.tar", samples[0].record_id);
        if n % 2 == 1 {
            samples.push(SampleRecording::new(5000 + n));
            name = format!("lecture {n}.tar");
        }
        let importer = setup.clone().with_serve_argument("--roles=importer");
        let mut product = importer.spawn().unwrap();
        // Two archives of the same name: the second one replaces the first one, or is imported
        // after it.
        put_in_spool(&setup, &name, &archive_of(&samples, &FORMATS[..3]));
        let has_begun = async || product.log().contains("import started");
        wait_until("an import starts", has_begun).await.unwrap();
        sleep(Duration::from_micros(rng.draw_u64(0, MAX_KILL_DELAY_US))).await;
        product.kill().await.unwrap();
        for sample in &samples {
            if is_stored_completely(&setup, sample).await {
                after += 1;
            } else {
                before += 1;
            }
        }
        put_in_spool(&setup, &name, &archive_of(&samples, &FORMATS));
        let mut product = importer.spawn().unwrap();
        // The claim of a process that was killed before it locked the archive has to expire.
        let is_imported = async || file_names(&setup.folder().join("spool")).is_empty();
        let imported = wait_until_within(CLAIM_DEADLINE, "imported", is_imported).await;
        imported.unwrap_or_else(|error| panic!("{error}: {}", product.log()));
        let is_clean = async || file_names(&setup.folder().join("work")).is_empty();
        wait_until("the work directory is empty", is_clean).await.unwrap();
        product.kill().await.unwrap();
        for sample in &samples {
            assert!(is_stored_completely(&setup, sample).await);
            let row = recording_row(&setup, sample).await.unwrap();
            assert_eq!(format_names(&row).len(), FORMATS.len());
        }
    }
    println!("{before} kills before the recording was stored, {after} after");
    for dir in ["published", "unpublished"] {
        let left = file_names(&setup.folder().join(dir).join(".scalelite-staging"));
        assert!(u64::try_from(left.len()).unwrap() <= rounds, "{left:?}");
    }
}
