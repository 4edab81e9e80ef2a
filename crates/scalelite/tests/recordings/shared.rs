//! Two replicas share the archives of one spool, and one of them is killed.

use testkit::product::{Product, until};
use testkit::samples::{FORMATS, Sample};
use testkit::stores::Kind;

use crate::house::{Files, House, assert_shown, listed};
use crate::tools::{names, send};

/// How many archives.
const ARCHIVES: u64 = 12;

/// How many imports of an archive a log tells of.
fn imported(product: &Product, name: &str) -> usize {
    let log = product.log();
    log.lines().filter(|line| line.contains("imported") && line.contains(name)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_archive_is_imported_once_although_a_replica_is_killed() {
    let house = House::new(Kind::RedisAndPostgres, Files::Directories).await;
    let first = house.setup.replica(1).start().await.unwrap();
    let mut second = house.setup.replica(2).start().await.unwrap();
    let samples: Vec<Sample> = (1..=ARCHIVES).map(Sample::new).collect();
    let name = |sample: &Sample| format!("{}.tar", sample.record_id);
    let all = |product: &Product| -> usize {
        samples.iter().map(|sample| imported(product, &name(sample))).sum()
    };
    for sample in &samples {
        send(&house.setup, &name(sample), &sample.archive(&FORMATS));
    }
    until("both are at it", async || all(&first) > 0 && all(&second) > 0).await.unwrap();
    second.kill().await.unwrap();
    let spool = house.setup.folder().join("spool");
    let is_done = async || names(&spool).is_empty();
    // What the other one had claimed and not begun waits until the claim runs out.
    if until("imported", async || is_done().await).await.is_err() {
        until("imported", async || is_done().await).await.unwrap();
    }
    for sample in &samples {
        let text = listed(&first, sample).await;
        assert_eq!(text.matches("<recording>").count(), 1, "{text}");
        assert_shown(&first, sample).await;
    }
    let twice: Vec<String> = samples
        .iter()
        .map(&name)
        .filter(|name| imported(&first, name) + imported(&second, name) != 1)
        .collect();
    // The one at which the other was killed may have been told of not at all, or by both.
    assert!(twice.len() <= 1, "{twice:?}");
    house.command(&house.setup, &["recordings", "check"]).await;
}
