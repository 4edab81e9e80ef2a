//! Archives on their way in: each is one importer's at a time.

use std::sync::Arc;

use app::ports::{Archive, Records, Stage};
use domain::Timestamp;

use super::hot::hostile;
use super::racing::together;
use super::store::NOW;
use super::{Case, RecordsFactory};

pub(super) fn cases(factory: RecordsFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        an_archive_is_received_once,
        an_archive_is_claimed_and_done,
        a_claim_runs_out,
        a_claim_is_renewed,
        an_archive_is_tried_again_later,
        quarantine_ends_by_hand_or_by_another_file,
        what_is_done_comes_again,
        done_ones_are_forgotten,
        the_last_changed_come_first,
        hostile_names_stay_as_they_are,
    ]
}

pub(super) fn racing(factory: RecordsFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory; one_of_many_claims_an_archive, many_archives_are_shared_out]
}

#[derive(Clone)]
struct Spool(Arc<dyn Records>);

impl Spool {
    async fn with(factory: RecordsFactory<'_>, names: &[&str]) -> Self {
        let spool = Self(factory().await);
        for name in names {
            spool.receive(name, 10, 0).await;
        }
        spool
    }

    async fn receive(&self, name: &str, size: u64, ms: i64) {
        self.0.receive_archive(name, size, at(ms)).await.expect("receive_archive");
    }

    async fn claim(&self, name: &str, token: &str, ms: i64, until: i64) -> Option<Archive> {
        self.0.claim_archive(name, token, at(ms), at(until)).await.expect("claim_archive")
    }

    async fn renew(&self, name: &str, token: &str, until: i64) -> bool {
        self.0.renew_archive(name, token, at(until)).await.expect("renew_archive")
    }

    async fn settle(
        &self,
        name: &str,
        token: &str,
        stage: Stage,
        ms: i64,
        not_before: i64,
    ) -> bool {
        let settled =
            self.0.settle_archive(name, token, stage, Some("because"), at(ms), at(not_before));
        settled.await.expect("settle_archive")
    }

    async fn all(&self) -> Vec<Archive> {
        self.0.archives(1_000).await.expect("archives")
    }

    async fn one(&self) -> Archive {
        self.all().await.pop().expect("an archive")
    }
}

fn at(ms: i64) -> Timestamp {
    NOW.plus_ms(ms)
}

fn archive(name: &str, size: u64, stage: Stage, attempts: u32, changed_ms: i64) -> Archive {
    Archive {
        name: name.to_owned(),
        size,
        received_at: at(0),
        stage,
        attempts,
        reason: None,
        changed_at: at(changed_ms),
    }
}

async fn an_archive_is_received_once(factory: RecordsFactory<'_>) {
    let spool = Spool::with(factory, &["a"]).await;
    spool.receive("a", 20, 5).await;
    assert_eq!(spool.all().await, [archive("a", 20, Stage::Received, 0, 0)]);
    assert_eq!(spool.claim("b", "t", 0, 9).await, None);
    assert!(!spool.renew("a", "t", 9).await);
    assert!(!spool.settle("a", "t", Stage::Done, 1, 0).await);
    assert!(!spool.0.retry_archive("a", NOW).await.expect("retry_archive"));
}

async fn an_archive_is_claimed_and_done(factory: RecordsFactory<'_>) {
    let spool = Spool::with(factory, &["a"]).await;
    let importing = archive("a", 10, Stage::Importing, 1, 1);
    assert_eq!(spool.claim("a", "t", 1, 9).await, Some(importing.clone()));
    assert_eq!(spool.claim("a", "u", 2, 9).await, None);
    assert_eq!(spool.claim("a", "t", 2, 9).await, None, "not even by the same one");
    spool.receive("a", 30, 3).await;
    assert_eq!(spool.all().await, [Archive { size: 30, ..importing }]);
    assert!(!spool.settle("a", "u", Stage::Done, 4, 0).await);
    assert!(spool.settle("a", "t", Stage::Done, 4, 0).await);
    let done =
        Archive { reason: Some("because".to_owned()), ..archive("a", 30, Stage::Done, 1, 4) };
    assert_eq!(spool.all().await, [done]);
    assert!(!spool.settle("a", "t", Stage::Received, 5, 0).await);
    assert_eq!(spool.claim("a", "v", 99, 100).await, None);
}

async fn a_claim_runs_out(factory: RecordsFactory<'_>) {
    let spool = Spool::with(factory, &["a"]).await;
    assert!(spool.claim("a", "t", 1, 9).await.is_some());
    assert_eq!(spool.claim("a", "u", 8, 20).await, None);
    assert_eq!(spool.claim("a", "u", 9, 20).await.map(|one| one.attempts), Some(2));
    assert!(!spool.renew("a", "t", 30).await);
    assert!(!spool.settle("a", "t", Stage::Done, 10, 0).await);
    assert!(spool.settle("a", "u", Stage::Done, 10, 0).await);
}

async fn a_claim_is_renewed(factory: RecordsFactory<'_>) {
    let spool = Spool::with(factory, &["a"]).await;
    assert!(spool.claim("a", "t", 1, 9).await.is_some());
    assert!(spool.renew("a", "t", 20).await);
    assert_eq!(spool.claim("a", "u", 19, 30).await, None);
    assert!(spool.renew("a", "t", 25).await, "late, but nobody else has it");
    assert!(spool.claim("a", "u", 25, 30).await.is_some());
    assert!(!spool.renew("a", "t", 99).await);
}

async fn an_archive_is_tried_again_later(factory: RecordsFactory<'_>) {
    let spool = Spool::with(factory, &["a"]).await;
    assert!(spool.claim("a", "t", 1, 9).await.is_some());
    assert!(spool.settle("a", "t", Stage::Received, 2, 50).await);
    spool.receive("a", 10, 3).await;
    assert_eq!(spool.claim("a", "u", 49, 99).await, None);
    assert_eq!(spool.one().await.reason.as_deref(), Some("because"));
    assert_eq!(spool.claim("a", "u", 50, 99).await.map(|one| one.attempts), Some(2));
}

async fn quarantine_ends_by_hand_or_by_another_file(factory: RecordsFactory<'_>) {
    let spool = Spool::with(factory, &["a"]).await;
    assert!(spool.claim("a", "t", 1, 9).await.is_some());
    assert!(spool.settle("a", "t", Stage::Quarantined, 2, 0).await);
    spool.receive("a", 10, 3).await;
    assert_eq!(spool.one().await.stage, Stage::Quarantined);
    assert_eq!(spool.claim("a", "t", 99, 100).await, None);
    assert!(spool.0.retry_archive("a", at(4)).await.expect("retry_archive"));
    assert!(!spool.0.retry_archive("a", at(5)).await.expect("retry_archive"));
    assert_eq!(spool.one().await, archive("a", 10, Stage::Received, 0, 4));
    assert!(spool.claim("a", "u", 5, 9).await.is_some());
    assert!(spool.settle("a", "u", Stage::Quarantined, 6, 0).await);
    spool.receive("a", 11, 7).await;
    let new = Archive { received_at: at(7), ..archive("a", 11, Stage::Received, 0, 7) };
    assert_eq!(spool.one().await, new);
}

async fn what_is_done_comes_again(factory: RecordsFactory<'_>) {
    let spool = Spool::with(factory, &["a"]).await;
    assert!(spool.claim("a", "t", 1, 9).await.is_some());
    assert!(spool.settle("a", "t", Stage::Done, 2, 99).await);
    spool.receive("a", 10, 3).await;
    let new = Archive { received_at: at(3), ..archive("a", 10, Stage::Received, 0, 3) };
    assert_eq!(spool.one().await, new);
    assert!(spool.claim("a", "u", 3, 9).await.is_some());
}

async fn done_ones_are_forgotten(factory: RecordsFactory<'_>) {
    let spool = Spool::with(factory, &["a", "b", "c", "d"]).await;
    for (name, stage, ms) in
        [("a", Stage::Done, 2), ("b", Stage::Done, 3), ("c", Stage::Quarantined, 2)]
    {
        assert!(spool.claim(name, "t", 1, 9).await.is_some());
        assert!(spool.settle(name, "t", stage, ms, 0).await);
    }
    let forget = async |ms| spool.0.forget_archives(at(ms)).await.expect("forget_archives");
    assert_eq!((forget(2).await, forget(3).await, forget(3).await), (0, 1, 0));
    let names: Vec<_> = spool.all().await.into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["b", "c", "d"]);
}

async fn the_last_changed_come_first(factory: RecordsFactory<'_>) {
    let spool = Spool::with(factory, &["b", "a", "C"]).await;
    spool.receive("d", 1, -5).await;
    assert!(spool.claim("b", "t", 7, 9).await.is_some());
    let names: Vec<_> = spool.all().await.into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["b", "C", "a", "d"]);
    assert_eq!(spool.0.archives(1).await.expect("archives")[0].name, "b");
}

async fn hostile_names_stay_as_they_are(factory: RecordsFactory<'_>) {
    let names: Vec<String> = hostile().into_iter().filter(|name| name.len() < 1_000).collect();
    let spool = Spool::with(factory, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(spool.all().await.len(), names.len());
    for name in &names {
        assert_eq!(spool.claim(name, name, 1, 9).await.map(|one| one.name).as_ref(), Some(name));
        assert!(spool.settle(name, name, Stage::Done, 2, 0).await, "{name:?}");
    }
}

async fn one_of_many_claims_an_archive(factory: RecordsFactory<'_>) {
    let spool = Spool::with(factory, &["a"]).await;
    for round in 0..6_i64 {
        let from = round * 10;
        let tasks = (0..12).map(|n| {
            let spool = spool.clone();
            async move { spool.claim("a", &format!("{round}-{n}"), from, from + 10).await }
        });
        let won = together(tasks).await.into_iter().flatten().count();
        assert_eq!(won, 1, "round {round}");
    }
    assert_eq!(spool.one().await.attempts, 6);
}

async fn many_archives_are_shared_out(factory: RecordsFactory<'_>) {
    let names: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    let spool = Spool::with(factory, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let tasks = (0..6).map(|n| {
        let (spool, names) = (spool.clone(), names.clone());
        async move {
            let (token, mut mine) = (format!("importer-{n}"), 0);
            for name in &names {
                if spool.claim(name, &token, 1, 9).await.is_some() {
                    assert!(spool.settle(name, &token, Stage::Done, 2, 0).await);
                    mine += 1;
                }
            }
            mine
        }
    });
    assert_eq!(together(tasks).await.into_iter().sum::<u32>(), 20);
    assert!(spool.all().await.iter().all(|one| one.attempts == 1));
}
