//! Runs of periodic jobs, which are stored as [`domain::periodic_job::start_next_run`] decides.

use app::ports::{JobClaim, StateStore};
use domain::periodic_job::{JobRun, start_next_run};

use super::fixtures::NOW;
use super::state_store::{TestStateStore, hostile_texts};
use super::{ContractCase, StateFactory};

const INTERVAL_MS: i64 = 60_000;

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        one_run_in_an_interval,
        the_interval_is_that_of_the_caller,
        jobs_have_their_own_runs,
        a_wrong_clock_does_not_block_later_runs,
        runs_are_decided_by_the_domain,
    ]
}

async fn one_run_in_an_interval(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for number in 1..=4_i64 {
        let started_at = NOW.plus_ms(number * INTERVAL_MS);
        let claim = store.claim_run("poll", started_at, INTERVAL_MS).await;
        assert_eq!(claim, JobClaim::Claimed(number.unsigned_abs()));
        for ms in [0, 1, INTERVAL_MS - 1] {
            let claim = store.claim_run("poll", started_at.plus_ms(ms), INTERVAL_MS).await;
            assert_eq!(
                claim,
                JobClaim::NotBefore(started_at.plus_ms(INTERVAL_MS)),
                "{ms} ms later"
            );
        }
    }
    let long_after = NOW.plus_ms(90 * 86_400_000);
    assert_eq!(
        store.claim_run("poll", long_after, INTERVAL_MS).await,
        JobClaim::Claimed(5),
        "it counts on"
    );
}

async fn the_interval_is_that_of_the_caller(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    assert_eq!(store.claim_run("poll", NOW, 0).await, JobClaim::Claimed(1));
    assert_eq!(store.claim_run("poll", NOW, 0).await, JobClaim::Claimed(2), "always due");
    let later = NOW.plus_ms(500);
    assert_eq!(
        store.claim_run("poll", later, 1_000).await,
        JobClaim::NotBefore(NOW.plus_ms(1_000))
    );
    assert_eq!(store.claim_run("poll", later, 500).await, JobClaim::Claimed(3));
    assert_eq!(store.claim_run("poll", later, 500).await, JobClaim::NotBefore(later.plus_ms(500)));
    assert_eq!(store.claim_run("poll", later, 1).await, JobClaim::NotBefore(later.plus_ms(1)));
}

async fn jobs_have_their_own_runs(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let jobs = hostile_texts();
    for job in &jobs {
        assert_eq!(store.claim_run(job, NOW, INTERVAL_MS).await, JobClaim::Claimed(1), "{job:?}");
    }
    for job in &jobs {
        let claim = store.claim_run(job, NOW, INTERVAL_MS).await;
        assert_eq!(claim, JobClaim::NotBefore(NOW.plus_ms(INTERVAL_MS)), "{job:?}");
    }
}

async fn a_wrong_clock_does_not_block_later_runs(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let ahead = NOW.plus_ms(3_600_000);
    assert_eq!(store.claim_run("poll", ahead, INTERVAL_MS).await, JobClaim::Claimed(1));
    assert_eq!(store.claim_run("poll", NOW, INTERVAL_MS).await, JobClaim::Claimed(2));
    let due = JobClaim::NotBefore(NOW.plus_ms(INTERVAL_MS));
    assert_eq!(store.claim_run("poll", NOW, INTERVAL_MS).await, due);
    let slow = NOW.plus_ms(-INTERVAL_MS);
    assert_eq!(
        store.claim_run("poll", slow, INTERVAL_MS).await,
        due,
        "one that is a little late waits"
    );
}

/// Claims at many times, each compared with the rule.
async fn runs_are_decided_by_the_domain(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let (mut last, mut now): (Option<JobRun>, _) = (None, NOW);
    assert_eq!(store.find_last_run("poll").await, None);
    let steps = [
        0,
        1,
        999,
        1_000,
        1_001,
        -1,
        -999,
        -1_000,
        -1_001,
        -5_000,
        0,
        2_500,
        86_400_000,
        -90_000_000,
    ];
    for step in steps.into_iter().cycle().take(200) {
        now = now.plus_ms(step);
        let claim = store.claim_run("poll", now, 1_000).await;
        match start_next_run(last, now, 1_000) {
            Ok(cycle) => {
                assert_eq!(claim, JobClaim::Claimed(cycle.number));
                last = Some(cycle);
            }
            Err(due) => assert_eq!(claim, JobClaim::NotBefore(due)),
        }
        assert_eq!(store.find_last_run("poll").await, last);
    }
}
