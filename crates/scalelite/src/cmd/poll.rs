//! `poll` polls all servers, `liveness` checks the store.

use crate::output::print_line;

use super::balancer::Balancer;
use super::{CommandContext, CommandFailure};

/// What a poll reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PollTarget {
    /// Everything.
    All,
    /// Health, load and statistics.
    Servers,
    /// Meetings. One response has all of health, load and meetings, so this is the same as `servers`.
    Meetings,
    /// Versions.
    Versions,
}

/// Polls all servers now. Prints a summary unless `quiet` is set; the original prints none.
pub async fn run(
    balancer: &Balancer,
    target: PollTarget,
    quiet: bool,
) -> Result<(), CommandFailure> {
    let summary = balancer.poll_servers(target).await?;
    if let Some(summary) = summary.filter(|_| !quiet) {
        let (answered, failed, forgotten) = (summary.answered, summary.failed, summary.forgotten);
        print_line(format!(
            "Answered: {answered}, failed: {failed}, meetings forgotten: {forgotten}"
        ));
    }
    Ok(())
}

/// Prints `success` if the store can be read and written.
pub async fn check_liveness(context: &CommandContext) -> Result<(), CommandFailure> {
    context.app.pool.check_store().await?;
    print_line("success");
    Ok(())
}
