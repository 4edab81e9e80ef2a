//! A deterministic simulator of the whole balancer above its ports: the real use cases of several
//! replicas on one store in memory, with simulated BBB servers, tenants, administrators and faults.
//!
//! Time is tokio's paused clock and all random numbers come from one seed, so every run can be
//! repeated exactly. Checkers look at every change of the store, at every result of a use case and
//! at the state in the end; the report of a run that breaks a rule names its seed.
//!
//! `scenario` and `workload` draw what happens, `fault_schedule` what goes wrong, and `scheduler`
//! executes both. `sim_server` and `sim_meeting` are the servers, `server_speed` says how slow they are,
//! `entries` under which names they are listed, and `odd_answers` what their answers may contain;
//! `foreign` are other balancers on them. `store_proxy`, `faulty_store` and
//! `network` stand between the use cases and the store or the servers. `checkers` contains the
//! rules, `rules` their limits, and `mutant` the planted bugs that checkers must find.

mod checkers;
mod entries;
mod expectations;
mod fault_schedule;
mod faulty_store;
mod foreign;
mod front_end;
mod hostile;
mod kept_creates;
mod log;
mod mutant;
mod network;
mod odd_answers;
mod pending_creates;
mod replica;
mod replica_process;
mod report;
mod rules;
mod scenario;
mod scheduler;
mod server_speed;
mod sim_meeting;
mod sim_run;
mod sim_server;
mod store_mutants;
mod store_proxy;
mod twin_entries;
mod use_case;
mod workload;

use std::io;

use tokio::runtime::Builder;

pub use mutant::Mutant;
pub use report::{EventCounts, RunReport, Violation};
pub use rules::Rules;

/// How a run is executed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimulationOptions {
    /// A bug to plant.
    pub mutant: Option<Mutant>,
    /// Whether the report contains a trace.
    pub trace: bool,
    /// What the checkers expect.
    pub rules: Rules,
}

impl SimulationOptions {
    /// Options of a run with this bug.
    #[must_use]
    pub fn with_mutant(mutant: Mutant) -> Self {
        Self { mutant: Some(mutant), ..Self::default() }
    }
}

/// Executes the run of a seed.
///
/// # Errors
/// If the asynchronous runtime cannot be created.
pub fn run(seed: u64, options: SimulationOptions) -> io::Result<RunReport> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(scheduler::execute_run(seed, options)))
}

/// Executes the run of a seed; if it breaks a rule, the report contains its trace.
///
/// # Errors
/// If the asynchronous runtime cannot be created.
pub fn run_traced(seed: u64, options: SimulationOptions) -> io::Result<RunReport> {
    let report = run(seed, options)?;
    if report.violations.is_empty() {
        Ok(report)
    } else {
        run(seed, SimulationOptions { trace: true, ..options })
    }
}
