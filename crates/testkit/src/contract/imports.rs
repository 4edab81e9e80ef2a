//! Imports of archives: each archive belongs to one importer at a time.

use std::sync::Arc;

use app::ports::{ArchiveRecord, ImportStage, RecordingStore};
use domain::Timestamp;

use super::fixtures::NOW;
use super::racing::run_together;
use super::state_store::hostile_texts;
use super::{ContractCase, RecordingStoreFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![
        an_archive_is_received_once,
        an_archive_is_claimed_and_done,
        a_claim_runs_out,
        a_claim_is_renewed,
        an_archive_is_tried_again_later,
        quarantine_ends_by_hand_or_by_another_file,
        an_imported_archive_may_come_again,
        imported_archives_are_forgotten,
        the_last_changed_come_first,
        hostile_names_stay_as_they_are,
    ]
}

pub(super) fn racing_cases() -> Vec<ContractCase<dyn RecordingStore>> {
    super::cases![one_of_many_claims_an_archive, many_archives_are_shared_out]
}

#[derive(Clone)]
struct TestImports(Arc<dyn RecordingStore>);

impl TestImports {
    async fn with(factory: RecordingStoreFactory<'_>, names: &[&str]) -> Self {
        let imports = Self(factory().await);
        for name in names {
            imports.receive(name, 10, 0).await;
        }
        imports
    }

    async fn receive(&self, name: &str, size: u64, ms: i64) {
        self.0.receive_archive(name, size, timestamp(ms)).await.expect("receive_archive");
    }

    async fn claim(&self, name: &str, token: &str, ms: i64, until: i64) -> Option<ArchiveRecord> {
        self.0
            .claim_archive(name, token, timestamp(ms), timestamp(until))
            .await
            .expect("claim_archive")
    }

    async fn renew(&self, name: &str, token: &str, until: i64) -> bool {
        self.0.renew_archive_claim(name, token, timestamp(until)).await.expect("renew_archive")
    }

    async fn settle_archive(
        &self,
        name: &str,
        token: &str,
        stage: ImportStage,
        ms: i64,
        not_before: i64,
    ) -> bool {
        let settled = self.0.record_import_result(
            name,
            token,
            stage,
            Some("because"),
            timestamp(ms),
            timestamp(not_before),
        );
        settled.await.expect("settle_archive")
    }

    async fn list_archives(&self) -> Vec<ArchiveRecord> {
        self.0.list_archives(1_000).await.expect("archives")
    }

    async fn only_archive(&self) -> ArchiveRecord {
        self.list_archives().await.pop().expect("an archive")
    }
}

fn timestamp(ms: i64) -> Timestamp {
    NOW.plus_ms(ms)
}

fn archive(
    name: &str,
    size: u64,
    stage: ImportStage,
    attempts: u32,
    changed_ms: i64,
) -> ArchiveRecord {
    ArchiveRecord {
        name: name.to_owned(),
        size,
        received_at: timestamp(0),
        stage,
        attempts,
        reason: None,
        changed_at: timestamp(changed_ms),
    }
}

async fn an_archive_is_received_once(factory: RecordingStoreFactory<'_>) {
    let imports = TestImports::with(factory, &["a"]).await;
    imports.receive("a", 20, 5).await;
    assert_eq!(imports.list_archives().await, [archive("a", 20, ImportStage::Received, 0, 0)]);
    assert_eq!(imports.claim("b", "t", 0, 9).await, None);
    assert!(!imports.renew("a", "t", 9).await);
    assert!(!imports.settle_archive("a", "t", ImportStage::Done, 1, 0).await);
    assert!(!imports.0.retry_archive("a", NOW).await.expect("retry_archive"));
}

async fn an_archive_is_claimed_and_done(factory: RecordingStoreFactory<'_>) {
    let imports = TestImports::with(factory, &["a"]).await;
    let importing = archive("a", 10, ImportStage::Importing, 1, 1);
    assert_eq!(imports.claim("a", "t", 1, 9).await, Some(importing.clone()));
    assert_eq!(imports.claim("a", "u", 2, 9).await, None);
    assert_eq!(imports.claim("a", "t", 2, 9).await, None, "not even by the same one");
    imports.receive("a", 30, 3).await;
    assert_eq!(imports.list_archives().await, [ArchiveRecord { size: 30, ..importing }]);
    assert!(!imports.settle_archive("a", "u", ImportStage::Done, 4, 0).await);
    assert!(imports.settle_archive("a", "t", ImportStage::Done, 4, 0).await);
    let done = ArchiveRecord {
        reason: Some("because".to_owned()),
        ..archive("a", 30, ImportStage::Done, 1, 4)
    };
    assert_eq!(imports.list_archives().await, [done]);
    assert!(!imports.settle_archive("a", "t", ImportStage::Received, 5, 0).await);
    assert_eq!(imports.claim("a", "v", 99, 100).await, None);
}

async fn a_claim_runs_out(factory: RecordingStoreFactory<'_>) {
    let imports = TestImports::with(factory, &["a"]).await;
    assert!(imports.claim("a", "t", 1, 9).await.is_some());
    assert_eq!(imports.claim("a", "u", 8, 20).await, None);
    assert_eq!(imports.claim("a", "u", 9, 20).await.map(|archive| archive.attempts), Some(2));
    assert!(!imports.renew("a", "t", 30).await);
    assert!(!imports.settle_archive("a", "t", ImportStage::Done, 10, 0).await);
    assert!(imports.settle_archive("a", "u", ImportStage::Done, 10, 0).await);
}

async fn a_claim_is_renewed(factory: RecordingStoreFactory<'_>) {
    let imports = TestImports::with(factory, &["a"]).await;
    assert!(imports.claim("a", "t", 1, 9).await.is_some());
    assert!(imports.renew("a", "t", 20).await);
    assert_eq!(imports.claim("a", "u", 19, 30).await, None);
    assert!(imports.renew("a", "t", 25).await, "late, but nobody else has it");
    assert!(imports.claim("a", "u", 25, 30).await.is_some());
    assert!(!imports.renew("a", "t", 99).await);
}

async fn an_archive_is_tried_again_later(factory: RecordingStoreFactory<'_>) {
    let imports = TestImports::with(factory, &["a"]).await;
    assert!(imports.claim("a", "t", 1, 9).await.is_some());
    assert!(imports.settle_archive("a", "t", ImportStage::Received, 2, 50).await);
    imports.receive("a", 10, 3).await;
    assert_eq!(imports.claim("a", "u", 49, 99).await, None);
    assert_eq!(imports.only_archive().await.reason.as_deref(), Some("because"));
    assert_eq!(imports.claim("a", "u", 50, 99).await.map(|archive| archive.attempts), Some(2));
}

async fn quarantine_ends_by_hand_or_by_another_file(factory: RecordingStoreFactory<'_>) {
    let imports = TestImports::with(factory, &["a"]).await;
    assert!(imports.claim("a", "t", 1, 9).await.is_some());
    assert!(imports.settle_archive("a", "t", ImportStage::Quarantined, 2, 0).await);
    imports.receive("a", 10, 3).await;
    assert_eq!(imports.only_archive().await.stage, ImportStage::Quarantined);
    assert_eq!(imports.claim("a", "t", 99, 100).await, None);
    assert!(imports.0.retry_archive("a", timestamp(4)).await.expect("retry_archive"));
    assert!(!imports.0.retry_archive("a", timestamp(5)).await.expect("retry_archive"));
    assert_eq!(imports.only_archive().await, archive("a", 10, ImportStage::Received, 0, 4));
    assert!(imports.claim("a", "u", 5, 9).await.is_some());
    assert!(imports.settle_archive("a", "u", ImportStage::Quarantined, 6, 0).await);
    imports.receive("a", 11, 7).await;
    let new = ArchiveRecord {
        received_at: timestamp(7),
        ..archive("a", 11, ImportStage::Received, 0, 7)
    };
    assert_eq!(imports.only_archive().await, new);
}

async fn an_imported_archive_may_come_again(factory: RecordingStoreFactory<'_>) {
    let imports = TestImports::with(factory, &["a"]).await;
    assert!(imports.claim("a", "t", 1, 9).await.is_some());
    assert!(imports.settle_archive("a", "t", ImportStage::Done, 2, 99).await);
    imports.receive("a", 10, 3).await;
    let new = ArchiveRecord {
        received_at: timestamp(3),
        ..archive("a", 10, ImportStage::Received, 0, 3)
    };
    assert_eq!(imports.only_archive().await, new);
    assert!(imports.claim("a", "u", 3, 9).await.is_some());
}

async fn imported_archives_are_forgotten(factory: RecordingStoreFactory<'_>) {
    let imports = TestImports::with(factory, &["a", "b", "c", "d"]).await;
    for (name, stage, ms) in [
        ("a", ImportStage::Done, 2),
        ("b", ImportStage::Done, 3),
        ("c", ImportStage::Quarantined, 2),
    ] {
        assert!(imports.claim(name, "t", 1, 9).await.is_some());
        assert!(imports.settle_archive(name, "t", stage, ms, 0).await);
    }
    let forget =
        async |ms| imports.0.forget_archives(timestamp(ms)).await.expect("forget_archives");
    assert_eq!((forget(2).await, forget(3).await, forget(3).await), (0, 1, 0));
    let names: Vec<_> =
        imports.list_archives().await.into_iter().map(|archive| archive.name).collect();
    assert_eq!(names, ["b", "c", "d"]);
}

async fn the_last_changed_come_first(factory: RecordingStoreFactory<'_>) {
    let imports = TestImports::with(factory, &["b", "a", "C"]).await;
    imports.receive("d", 1, -5).await;
    assert!(imports.claim("b", "t", 7, 9).await.is_some());
    let names: Vec<_> =
        imports.list_archives().await.into_iter().map(|archive| archive.name).collect();
    assert_eq!(names, ["b", "C", "a", "d"]);
    assert_eq!(imports.0.list_archives(1).await.expect("archives")[0].name, "b");
}

async fn hostile_names_stay_as_they_are(factory: RecordingStoreFactory<'_>) {
    let names: Vec<String> =
        hostile_texts().into_iter().filter(|name| name.len() < 1_000).collect();
    let imports =
        TestImports::with(factory, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(imports.list_archives().await.len(), names.len());
    for name in &names {
        assert_eq!(
            imports.claim(name, name, 1, 9).await.map(|archive| archive.name).as_ref(),
            Some(name)
        );
        assert!(imports.settle_archive(name, name, ImportStage::Done, 2, 0).await, "{name:?}");
    }
}

async fn one_of_many_claims_an_archive(factory: RecordingStoreFactory<'_>) {
    let imports = TestImports::with(factory, &["a"]).await;
    for round in 0..6_i64 {
        let from = round * 10;
        let tasks = (0..12).map(|n| {
            let imports = imports.clone();
            async move { imports.claim("a", &format!("{round}-{n}"), from, from + 10).await }
        });
        let claimed = run_together(tasks).await.into_iter().flatten().count();
        assert_eq!(claimed, 1, "round {round}");
    }
    assert_eq!(imports.only_archive().await.attempts, 6);
}

async fn many_archives_are_shared_out(factory: RecordingStoreFactory<'_>) {
    let names: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    let imports =
        TestImports::with(factory, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let tasks = (0..6).map(|n| {
        let (imports, names) = (imports.clone(), names.clone());
        async move {
            let (token, mut mine) = (format!("importer-{n}"), 0);
            for name in &names {
                if imports.claim(name, &token, 1, 9).await.is_some() {
                    assert!(imports.settle_archive(name, &token, ImportStage::Done, 2, 0).await);
                    mine += 1;
                }
            }
            mine
        }
    });
    assert_eq!(run_together(tasks).await.into_iter().sum::<u32>(), 20);
    assert!(imports.list_archives().await.iter().all(|archive| archive.attempts == 1));
}
