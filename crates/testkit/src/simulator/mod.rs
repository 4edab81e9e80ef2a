//! A simulator of the whole balancer above its ports: the real use cases of several replicas on
//! one store in memory, simulated BBB servers, tenants, administrators, and everything that goes
//! wrong between them. Time is tokio's paused clock and all chance comes from one seed, so that
//! every run can be repeated exactly. Checkers look on; a run that breaks a rule prints its seed.
//!
//! Where things are: `scenario` and `workload` say what happens, `weather` what goes wrong,
//! `machine` and `room` are the servers, `vault`, `door` and `line` stand between the use cases
//! and the world, `checkers` holds the rules one by one, `rules` what may change of them, and
//! `mutant` the bugs that checkers must find.

mod checkers;
mod clock;
mod dice;
mod director;
mod door;
mod front_end;
mod ledger;
mod line;
mod log;
mod machine;
mod mutant;
mod op;
mod replica;
mod report;
mod room;
mod rules;
mod scenario;
mod vault;
mod weather;
mod workload;
mod world;

use std::io;

use tokio::runtime::Builder;

pub use mutant::Mutant;
pub use report::{Counts, Report, Violation};
pub use rules::Rules;

/// How a run is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A planted bug.
    pub mutant: Option<Mutant>,
    /// Whether what happens is written down.
    pub trace: bool,
    /// What is expected.
    pub rules: Rules,
}

impl Options {
    /// A run with that bug.
    #[must_use]
    pub fn planted(mutant: Mutant) -> Self {
        Self { mutant: Some(mutant), ..Self::default() }
    }
}

/// Makes the run of a seed.
///
/// # Errors
/// When there can be no runtime.
pub fn run(seed: u64, options: Options) -> io::Result<Report> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(director::direct(seed, options)))
}

/// Makes the run of a seed; if it breaks a rule, the report has its trace.
///
/// # Errors
/// When there can be no runtime.
pub fn examine(seed: u64, options: Options) -> io::Result<Report> {
    let report = run(seed, options)?;
    if report.violations.is_empty() {
        Ok(report)
    } else {
        run(seed, Options { trace: true, ..options })
    }
}
