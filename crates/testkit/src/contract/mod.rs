//! What every implementation of the ports of state must do, as suites that run over any of them:
//! [`cluster`] one behaviour at a time, [`cluster_model`] random sequences side by side with the
//! implementation in memory, [`cluster_racing`] many tasks at once; likewise for tenants, tokens,
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
mod cycles;
mod failover;
mod history;
mod hot;
mod imports;
mod joins;
mod library;
mod lifecycle;
mod many_blobs;
mod model;
mod model_library;
mod moving;
mod names;
mod outbox;
mod places;
mod polls;
mod racing;
mod racing_hot;
mod racing_library;
mod racing_recordings;
mod racing_servers;
mod recordings;
mod servers;
mod shelving;
mod store;
mod tenants;
mod tokens;
mod trash;
mod turns;
mod unwanted;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use app::ports::{Blobs, Cluster, Hot, Recordings, Records};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use tokio::runtime::{Handle, RuntimeFlavor};

pub use model::{Covered, cluster_model};
pub use model_library::library_model;

/// Makes the stores of a suite: each call a fresh, empty one, independent of the others.
pub type Factory<'a> = &'a dyn Fn() -> BoxFuture<'static, Arc<dyn Cluster>>;

/// The same for the hot state whole.
pub type HotFactory<'a> = &'a dyn Fn() -> BoxFuture<'static, Arc<dyn Hot>>;

/// The same for recordings and callbacks.
pub type RecordingsFactory<'a> = &'a dyn Fn() -> BoxFuture<'static, Arc<dyn Recordings>>;

/// The same for all that is known of recordings.
pub type RecordsFactory<'a> = &'a dyn Fn() -> BoxFuture<'static, Arc<dyn Records>>;

/// The same for files of recordings.
pub type BlobsFactory<'a> = &'a dyn Fn() -> BoxFuture<'static, Arc<dyn Blobs>>;

/// One behaviour and its name.
type Case<'a> = (&'static str, LocalBoxFuture<'a, ()>);

/// No case takes longer than this, not even on a slow disk.
const CASE_MAX: Duration = Duration::from_secs(120);

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
pub async fn cluster(factory: Factory<'_>) {
    let groups = [
        servers::cases(factory),
        places::cases(factory),
        lifecycle::cases(factory),
        names::cases(factory),
        joins::cases(factory),
        polls::cases(factory),
        moving::cases(factory),
        failover::cases(factory),
        unwanted::cases(factory),
    ];
    run(groups.into_iter().flatten().collect()).await;
}

/// Runs the cases in which many tasks use one store at the same time.
///
/// # Panics
/// When one fails, after all have run; and on a runtime of one thread, where nothing would race.
pub async fn cluster_racing(factory: Factory<'_>) {
    let groups = [racing::cases(factory), racing_servers::cases(factory)];
    race(groups.into_iter().flatten().collect()).await;
}

/// Everything that a store of the hot state must do one after the other: servers and meetings,
/// cycles of polls, sessions, tenants, tokens and turns.
///
/// # Panics
/// When a case fails, after all of its suite have run.
pub async fn hot(factory: HotFactory<'_>) {
    cluster(&|| as_cluster(factory)).await;
    cycles(factory).await;
    history(factory).await;
    tenants(factory).await;
    tokens(factory).await;
    turns(factory).await;
}

/// Everything that a store of the hot state must do for many at once.
///
/// # Panics
/// Like [`cluster_racing`].
pub async fn hot_racing(factory: HotFactory<'_>) {
    cluster_racing(&|| as_cluster(factory)).await;
    tenants_racing(factory).await;
    tokens_racing(factory).await;
    turns_racing(factory).await;
}

fn as_cluster(factory: HotFactory<'_>) -> BoxFuture<'static, Arc<dyn Cluster>> {
    let made = factory();
    Box::pin(async move { made.await as Arc<dyn Cluster> })
}

/// Polls of late cycles.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn cycles(factory: HotFactory<'_>) {
    run(cycles::cases(factory)).await;
}

/// Sessions, and the mark of a store.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn history(factory: HotFactory<'_>) {
    run(history::cases(factory)).await;
}

/// Tenants and their settings.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn tenants(factory: HotFactory<'_>) {
    run(tenants::cases(factory)).await;
}

/// Many tasks at tenants and their settings.
///
/// # Panics
/// Like [`cluster_racing`].
pub async fn tenants_racing(factory: HotFactory<'_>) {
    race(racing_hot::of_tenants(factory)).await;
}

/// One-time tokens.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn tokens(factory: HotFactory<'_>) {
    run(tokens::cases(factory)).await;
}

/// Many tasks at one token.
///
/// # Panics
/// Like [`cluster_racing`].
pub async fn tokens_racing(factory: HotFactory<'_>) {
    race(racing_hot::of_tokens(factory)).await;
}

/// Turns.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn turns(factory: HotFactory<'_>) {
    run(turns::cases(factory)).await;
}

/// Many tasks that want the same turn, and polls of many cycles at once.
///
/// # Panics
/// Like [`cluster_racing`].
pub async fn turns_racing(factory: HotFactory<'_>) {
    race(racing_hot::of_turns(factory)).await;
}

/// Recordings and callbacks.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn recordings(factory: RecordingsFactory<'_>) {
    let groups = [recordings::cases(factory), callbacks::cases(factory)];
    run(groups.into_iter().flatten().collect()).await;
}

/// Many tasks at recordings and callbacks.
///
/// # Panics
/// Like [`cluster_racing`].
pub async fn recordings_racing(factory: RecordingsFactory<'_>) {
    race(racing_recordings::cases(factory)).await;
}

/// The library, messages and archives.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn records(factory: RecordsFactory<'_>) {
    let groups = [
        library::cases(factory),
        shelving::cases(factory),
        trash::cases(factory),
        outbox::cases(factory),
        imports::cases(factory),
    ];
    run(groups.into_iter().flatten().collect()).await;
}

/// Many tasks at the library, messages and archives.
///
/// # Panics
/// Like [`cluster_racing`].
pub async fn records_racing(factory: RecordsFactory<'_>) {
    let groups =
        [racing_library::cases(factory), outbox::racing(factory), imports::racing(factory)];
    race(groups.into_iter().flatten().collect()).await;
}

/// Files of recordings.
///
/// # Panics
/// When a case fails, after all have run.
pub async fn blobs(factory: BlobsFactory<'_>) {
    let groups = [blobs::cases(factory), many_blobs::cases(factory)];
    run(groups.into_iter().flatten().collect()).await;
}

async fn race(cases: Vec<Case<'_>>) {
    let flavor = Handle::current().runtime_flavor();
    assert!(
        flavor != RuntimeFlavor::CurrentThread,
        "the racing suite needs a runtime of several threads"
    );
    run(cases).await;
}

async fn run(cases: Vec<Case<'_>>) {
    let count = cases.len();
    let mut failed = Vec::new();
    for (name, case) in cases {
        let case = tokio::time::timeout(CASE_MAX, AssertUnwindSafe(case).catch_unwind());
        match case.await {
            Ok(Ok(())) => {}
            Ok(Err(payload)) => failed.push(format!("{name}: {}", message(payload.as_ref()))),
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

fn message(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    let text = owned.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words")
}
