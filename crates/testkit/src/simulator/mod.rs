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
mod expectations;
mod fault_schedule;
mod faulty_store;
mod front_end;
mod log;
mod mutant;
mod network;
mod replica;
mod replica_process;
mod report;
mod rules;
mod scenario;
mod scheduler;
mod sim_meeting;
mod sim_run;
mod sim_server;
mod store_proxy;
mod use_case;
mod workload;

use std::io;

use tokio::runtime::Builder;

pub use mutant::Mutant;
pub use report::{EventCounts, RunReport, Violation};
pub use rules::Rules;

/// How a run is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimulationOptions {
    /// A planted bug.
    pub mutant: Option<Mutant>,
    /// Whether what happens is written down.
    pub trace: bool,
    /// What is expected.
    pub rules: Rules,
}

impl SimulationOptions {
    /// A run with that bug.
    #[must_use]
    pub fn with_mutant(mutant: Mutant) -> Self {
        Self { mutant: Some(mutant), ..Self::default() }
    }
}

/// Makes the run of a seed.
///
/// # Errors
/// When there can be no runtime.
pub fn run(seed: u64, options: SimulationOptions) -> io::Result<RunReport> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(scheduler::execute_run(seed, options)))
}

/// Makes the run of a seed; if it breaks a rule, the report has its trace.
///
/// # Errors
/// When there can be no runtime.
pub fn run_traced(seed: u64, options: SimulationOptions) -> io::Result<RunReport> {
    let report = run(seed, options)?;
    if report.violations.is_empty() {
        Ok(report)
    } else {
        run(seed, SimulationOptions { trace: true, ..options })
    }
}
