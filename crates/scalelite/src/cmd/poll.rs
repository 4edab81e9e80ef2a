//! `poll` and `liveness`.

use app::poll;

use crate::output::print_line;

use super::{CommandContext, CommandFailure};

/// What a poll asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PollTarget {
    /// Everything.
    All,
    /// Health, load and statistics.
    Servers,
    /// Meetings. They come with the servers' answer, so this is the same.
    Meetings,
    /// Versions.
    Versions,
}

/// Polls all servers now; says what came of it unless it shall be quiet, as the original is.
pub async fn run(
    session: &CommandContext,
    what: PollTarget,
    quiet: bool,
) -> Result<(), CommandFailure> {
    if what == PollTarget::Versions {
        return Ok(poll::refresh_versions(&session.app).await?);
    }
    let found = poll::poll_all_servers(&session.app, what == PollTarget::All, None).await?;
    if !quiet {
        let (answered, failed, forgotten) = (found.answered, found.failed, found.forgotten);
        print_line(format!(
            "Answered: {answered}, failed: {failed}, meetings forgotten: {forgotten}"
        ));
    }
    Ok(())
}

/// Says `success` if the store can be read and written.
pub async fn check_liveness(session: &CommandContext) -> Result<(), CommandFailure> {
    session.app.pool.check_store().await?;
    print_line("success");
    Ok(())
}
