//! Test binaries that run the contract: each case on each store is a test of its own.
//!
//! Such a binary has `harness = false` and calls [`ContractTests::run`] in `main`. It takes the
//! arguments of Rust's test harness, so that `cargo test` and nextest run single cases by name.

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Builder, Runtime};

use super::case::{ContractCase, OwnedStoreFactory};
use crate::nightly::is_nightly;

/// The longest that a case may take, even on a slow disk. A case that takes longer hangs.
const MAX_CASE_TIME: Duration = Duration::from_secs(120);
/// The longest that a case may take in a nightly run.
const MAX_NIGHTLY_CASE_TIME: Duration = Duration::from_secs(3_600);
/// Threads of the runtime of a case that makes calls at the same time.
const RACING_THREADS: usize = 4;
/// Threads of the runtime of the other cases. Some stores need a second one for their connections.
const THREADS: usize = 2;

/// The tests of a test binary.
#[derive(Default)]
pub struct ContractTests {
    trials: Vec<Trial>,
}

impl ContractTests {
    /// Adds a test for each case, named `contract::STORE::MODULE::CASE`. Each test calls `start`
    /// for a factory of its own.
    pub fn add<S, Start>(&mut self, store: &str, cases: Vec<ContractCase<S>>, start: Start)
    where
        S: ?Sized + 'static,
        Start: AsyncFn() -> OwnedStoreFactory<S> + Clone + Send + 'static,
    {
        for case in cases {
            let start = start.clone();
            let threads = if case.is_racing() { RACING_THREADS } else { THREADS };
            let name = format!("contract::{store}::{}", case.name());
            self.add_test(name, threads, async move || case.check(&*start().await).await);
        }
    }

    /// Adds any other test of a store, named `contract::STORE::NAME`.
    pub fn add_other(
        &mut self,
        store: &str,
        name: &str,
        test: impl AsyncFnOnce() + Send + 'static,
    ) {
        self.add_test(format!("contract::{store}::{name}"), THREADS, test);
    }

    fn add_test(
        &mut self,
        name: String,
        threads: usize,
        test: impl AsyncFnOnce() + Send + 'static,
    ) {
        let max_time = if is_nightly() { MAX_NIGHTLY_CASE_TIME } else { MAX_CASE_TIME };
        let run = move || {
            let finished = new_runtime(threads)?
                .block_on(async { tokio::time::timeout(max_time, test()).await });
            finished.map_err(|_| Failed::from(format!("takes longer than {max_time:?}")))
        };
        self.trials.push(Trial::test(name, run));
    }

    /// Runs the tests that the arguments of the process select, or lists them.
    #[must_use]
    pub fn run(self) -> ExitCode {
        libtest_mimic::run(&Arguments::from_args(), self.trials).exit_code()
    }
}

fn new_runtime(threads: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}
