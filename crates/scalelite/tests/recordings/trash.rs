//! Deleted recordings that can be brought back for a while, and those that go by themselves.

use testkit::product::until;
use testkit::samples::Sample;
use testkit::stores::Kind;

use crate::house::{Files, House, assert_hidden, assert_shown, change, listed};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_can_be_brought_back_from_directories() {
    brought_back(Kind::Embedded, Files::Directories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_can_be_brought_back_from_a_bucket() {
    brought_back(Kind::Postgres, Files::Bucket).await;
}

async fn brought_back(kind: Kind, files: Files) {
    let house = House::new(kind, files).await;
    let keeping = house.setup.clone().with("RECORDING_TRASH_DAYS", "1");
    let mut product = keeping.start().await.unwrap();
    let (one, other) = (Sample::new(1), Sample::new(2));
    let id = format!("recordID={}", one.record_id);
    for sample in [&one, &other] {
        house.import(&product, sample).await;
    }
    change(&product, "updateRecordings", &format!("{id}&meta_course=algebra")).await;
    let before = listed(&product, &one).await;
    for _ in 0..2 {
        change(&product, "deleteRecordings", &id).await;
        assert_hidden(&product, &one).await;
        assert!(listed(&product, &one).await.contains("noRecordings"));
        let kept = house.traces(&one).await;
        assert!(!kept.is_empty() && kept.iter().all(|path| path.contains("deleted/")), "{kept:?}");
    }
    let trash = house.command(&keeping, &["recordings", "trash"]).await;
    assert!(trash.starts_with(&one.record_id) && trash.lines().count() == 1, "{trash}");
    house.command(&keeping, &["recordings", "check"]).await;
    house.command(&keeping, &["recordings", "restore", &one.record_id]).await;
    assert_eq!(listed(&product, &one).await, before);
    assert_shown(&product, &one).await;
    let again = keeping.cli(&["recordings", "restore", &one.record_id]).await.unwrap();
    assert!(!again.status.success());

    // One goes at once, the other when the trash is emptied.
    house.command(&keeping, &["recordings", "delete", "--yes", &one.record_id]).await;
    house.command(&keeping, &["recordings", "delete", "--yes", "--erase", &one.record_id]).await;
    assert_eq!(house.traces(&one).await, [""; 0]);
    house.command(&keeping, &["recordings", "delete", "--yes", &other.record_id]).await;
    assert!(!house.traces(&other).await.is_empty());
    product.kill().await.unwrap();
    let _product = house.setup.start().await.unwrap();
    until("emptied", async || house.traces(&other).await.is_empty()).await.unwrap();
    house.command(&house.setup, &["recordings", "check"]).await;
}

/// Those of the samples whose meetings were long ago.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_goes_by_itself() {
    let house = House::new(Kind::Embedded, Files::Directories).await;
    let (draft, lesson) = (Sample::new(1), Sample::new(2));
    let mut product = house.setup.start().await.unwrap();
    for sample in [&draft, &lesson] {
        house.import(&product, sample).await;
    }
    let id = &draft.record_id;
    change(&product, "updateRecordings", &format!("recordID={id}&meta_Category=draft-1")).await;
    product.kill().await.unwrap();
    let retaining = house.setup.clone().with("RECORDING_RETENTION_DAYS", "1");
    let retaining = retaining.with("RECORDING_RETENTION_METADATA", "category=draft%");
    let product = retaining.start().await.unwrap();
    let gone = async || listed(&product, &draft).await.contains("noRecordings");
    until("gone", gone).await.unwrap_or_else(|error| panic!("{error}: {}", product.log()));
    until("removed", async || house.traces(&draft).await.is_empty()).await.unwrap();
    assert!(product.log().contains("too old: deleted"), "{}", product.log());
    assert_shown(&product, &lesson).await;
}
