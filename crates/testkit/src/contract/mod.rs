//! What every implementation of the ports of state must do, as suites that run over any of them:
//! [`cluster`] one behaviour at a time, [`compare_pool_store`] random sequences side by side with the
//! implementation in memory, [`race_pool_store`] many tasks at once; likewise for tenants, tokens,
//! turns and recordings. [`hot`] and [`hot_racing`] are all of what one store of the hot state must
//! do. A suite panics on what is wrong and names the case.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken contract is told by a panic"
)]

mod blobs;
mod callbacks;
mod catalog;
mod catalog_changes;
mod failover;
mod imports;
mod joins;
mod lifecycle;
mod many_blobs;
mod meeting_names;
mod model;
mod model_catalog;
mod origins;
mod outbox;
mod pending_ends;
mod periodic_jobs;
mod placement;
mod poll_cycles;
mod polls;
mod pool_store;
mod racing;
mod racing_catalog;
mod racing_recordings;
mod racing_servers;
mod racing_state;
mod recordings;
mod restoring;
mod servers;
mod session_history;
mod state_store;
mod tenants;
mod tokens;
mod trash;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use app::ports::{Blobs, PoolStore, RecordingStore, Recordings, StateStore};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use tokio::runtime::{Handle, RuntimeFlavor};

pub use model::{OutcomeCounts, compare_pool_store};
pub use model_catalog::compare_catalog;

/// Makes the stores of a suite: each call a fresh, empty one, independent of the others.
pub type PoolFactory<'a> = &'a dyn Fn() -> BoxFuture<'static, Arc<dyn PoolStore>>;

/// The same for the hot state whole.
pub type StateFactory<'a> = &'a dyn Fn() -> BoxFuture<'static, Arc<dyn StateStore>>;

/// The same for recordings and callbacks.
pub type RecordingsFactory<'a> = &'a dyn Fn() -> BoxFuture<'static, Arc<dyn Recordings>>;

/// The same for all that is known of recordings.
pub type RecordingStoreFactory<'a> = &'a dyn Fn() -> BoxFuture<'static, Arc<dyn RecordingStore>>;

/// The same for files of recordings.
pub type BlobsFactory<'a> = &'a dyn Fn() -> BoxFuture<'static, Arc<dyn Blobs>>;

/// One behaviour and its name.
type ContractCase<'a> = (&'static str, LocalBoxFuture<'a, ()>);

/// No case takes longer than this, not even on a slow disk.
const MAX_CASE_TIME: Duration = Duration::from_secs(120);

/// Names each function of a list and calls it.
macro_rules! cases {
    ($factory:expr; $($case:ident),* $(,)?) => {
        vec![$((
            concat!(module_path!(), "::", stringify!($case)),
            Box::pin($case($factory)) as futures_util::future::LocalBoxFuture<'_, ()>,
        )),*]
    };
}
use cases;

/// Runs every case of the contract.
///
/// # Panics
/// When one fails, after all have run.
pub async fn check_pool_store(factory: PoolFactory<'_>) {
    let groups = [
        servers::cases(factory),
        placement::cases(factory),
        lifecycle::cases(factory),
        meeting_names::cases(factory),
        joins::cases(factory),
        polls::cases(factory),
        restoring::cases(factory),
        failover::cases(factory),
        pending_ends::cases(factory),
        origins::cases(factory),
    ];
    run_cases(groups.into_iter().flatten().collect()).await;
}

/// Runs the cases in which many tasks use one store at the same time.
///
/// # Panics
/// When one fails, after all have run; and on a runtime of one thread, where nothing would race.
pub async fn race_pool_store(factory: PoolFactory<'_>) {
    let groups = [racing::cases(factory), racing_servers::cases(factory)];
    run_racing_cases(groups.into_iter().flatten().collect()).await;
}

/// Everything that a store of the hot state must do one after the other: servers and meetings,
/// cycles of polls, sessions, tenants, tokens and turns.
///
/// # Panics
/// When a case fails, after all of its suite have run.
pub async fn check_state_store(factory: StateFactory<'_>) {
    check_pool_store(&|| as_pool_store(factory)).await;
    check_poll_cycles(factory).await;
    check_session_history(factory).await;
    check_tenants(factory).await;
    check_tokens(factory).await;
    check_periodic_jobs(factory).await;
}

/// Everything that a store of the hot state must do for many at once.
///
/// # Panics
/// Like [`race_pool_store`].
pub async fn race_state_store(factory: StateFactory<'_>) {
    race_pool_store(&|| as_pool_store(factory)).await;
    race_tenants(factory).await;
    race_tokens(factory).await;
    race_periodic_jobs(factory).await;
}

fn as_pool_store(factory: StateFactory<'_>) -> BoxFuture<'static, Arc<dyn PoolStore>> {
    let made = factory();
    Box::pin(async move { made.await as Arc<dyn PoolStore> })
}

/// Polls of late cycles.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn check_poll_cycles(factory: StateFactory<'_>) {
    run_cases(poll_cycles::cases(factory)).await;
}

/// Sessions, and the mark of a store.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn check_session_history(factory: StateFactory<'_>) {
    run_cases(session_history::cases(factory)).await;
}

/// Tenants and their settings.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn check_tenants(factory: StateFactory<'_>) {
    run_cases(tenants::cases(factory)).await;
}

/// Many tasks at tenants and their settings.
///
/// # Panics
/// Like [`race_pool_store`].
pub async fn race_tenants(factory: StateFactory<'_>) {
    run_racing_cases(racing_state::tenant_cases(factory)).await;
}

/// One-time tokens.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn check_tokens(factory: StateFactory<'_>) {
    run_cases(tokens::cases(factory)).await;
}

/// Many tasks at one token.
///
/// # Panics
/// Like [`race_pool_store`].
pub async fn race_tokens(factory: StateFactory<'_>) {
    run_racing_cases(racing_state::token_cases(factory)).await;
}

/// Turns.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn check_periodic_jobs(factory: StateFactory<'_>) {
    run_cases(periodic_jobs::cases(factory)).await;
}

/// Many tasks that want the same turn, and polls of many cycles at once.
///
/// # Panics
/// Like [`race_pool_store`].
pub async fn race_periodic_jobs(factory: StateFactory<'_>) {
    run_racing_cases(racing_state::job_cases(factory)).await;
}

/// Recordings and callbacks.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn check_recordings(factory: RecordingsFactory<'_>) {
    let groups = [recordings::cases(factory), callbacks::cases(factory)];
    run_cases(groups.into_iter().flatten().collect()).await;
}

/// Many tasks at recordings and callbacks.
///
/// # Panics
/// Like [`race_pool_store`].
pub async fn race_recordings(factory: RecordingsFactory<'_>) {
    run_racing_cases(racing_recordings::cases(factory)).await;
}

/// The library, messages and archives.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn check_recording_store(factory: RecordingStoreFactory<'_>) {
    let groups = [
        catalog::cases(factory),
        catalog_changes::cases(factory),
        trash::cases(factory),
        outbox::cases(factory),
        imports::cases(factory),
    ];
    run_cases(groups.into_iter().flatten().collect()).await;
}

/// Many tasks at the library, messages and archives.
///
/// # Panics
/// Like [`race_pool_store`].
pub async fn race_recording_store(factory: RecordingStoreFactory<'_>) {
    let groups = [
        racing_catalog::cases(factory),
        outbox::racing_cases(factory),
        imports::racing_cases(factory),
    ];
    run_racing_cases(groups.into_iter().flatten().collect()).await;
}

/// Files of recordings.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn check_blobs(factory: BlobsFactory<'_>) {
    let groups = [blobs::cases(factory), many_blobs::cases(factory)];
    run_cases(groups.into_iter().flatten().collect()).await;
}

async fn run_racing_cases(cases: Vec<ContractCase<'_>>) {
    let flavor = Handle::current().runtime_flavor();
    assert!(
        flavor != RuntimeFlavor::CurrentThread,
        "the racing suite needs a runtime of several threads"
    );
    run_cases(cases).await;
}

async fn run_cases(cases: Vec<ContractCase<'_>>) {
    let count = cases.len();
    let mut failed = Vec::new();
    for (name, case) in cases {
        let case = tokio::time::timeout(MAX_CASE_TIME, AssertUnwindSafe(case).catch_unwind());
        match case.await {
            Ok(Ok(())) => {}
            Ok(Err(payload)) => failed.push(format!("{name}: {}", panic_message(payload.as_ref()))),
            Err(_) => failed.push(format!("{name}: it hangs")),
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {count} cases of the contract failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    let text = owned.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words")
}
