//! What every implementation of [`app::ports::Cluster`] must do, as suites that run over any of
//! them: [`cluster`] one behaviour at a time, [`cluster_model`] random sequences side by side with
//! the implementation in memory, [`cluster_racing`] many tasks at once. A suite panics on what is
//! wrong and names the case.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken contract is told by a panic"
)]

mod joins;
mod lifecycle;
mod model;
mod moving;
mod names;
mod places;
mod polls;
mod racing;
mod racing_servers;
mod servers;
mod store;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use app::ports::Cluster;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use tokio::runtime::{Handle, RuntimeFlavor};

pub use model::{Covered, cluster_model};

/// Makes the stores of a suite: each call a fresh, empty one, independent of the others.
pub type Factory<'a> = &'a dyn Fn() -> BoxFuture<'static, Arc<dyn Cluster>>;

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
    ];
    run(groups.into_iter().flatten().collect()).await;
}

/// Runs the cases in which many tasks use one store at the same time.
///
/// # Panics
/// When one fails, after all have run; and on a runtime of one thread, where nothing would race.
pub async fn cluster_racing(factory: Factory<'_>) {
    let flavor = Handle::current().runtime_flavor();
    assert!(
        flavor != RuntimeFlavor::CurrentThread,
        "the racing suite needs a runtime of several threads"
    );
    let cases = racing::cases(factory).into_iter().chain(racing_servers::cases(factory));
    run(cases.collect()).await;
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
