//! The command `rake`: the original's tasks.

use crate::cmd::balancer::Balancer;
use crate::cmd::{self, CommandFailure};
use crate::config::{Config, Sources};
use crate::lifecycle::Roles;

/// Runs rake tasks. The task that imports recordings goes on until a signal stops it.
pub(super) fn run_rake(
    config: Config,
    sources: &Sources,
    tasks: &[String],
) -> Result<(), CommandFailure> {
    if let Some(result) = cmd::rake::run_without_store(tasks) {
        return result;
    }
    let (tasks, is_watching) = cmd::rake::split_at_watch(tasks);
    let creation = cmd::rake::creation_for(tasks);
    let run_tasks = async |balancer: &Balancer| cmd::rake::run(balancer, tasks).await;
    if !is_watching {
        return cmd::run_once(&config, sources, creation, run_tasks);
    }
    if !tasks.is_empty() {
        cmd::rake::run_without_store(tasks)
            .unwrap_or_else(|| cmd::run_without_log(&config, sources, creation, run_tasks))?;
    }
    let roles = Roles { api: false, poller: false, importer: true };
    cmd::serve::run(config, sources, roles, false)
}
