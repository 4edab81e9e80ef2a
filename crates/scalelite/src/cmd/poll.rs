//! `poll` and `liveness`.

use app::poll;

use crate::output::say;

use super::{Failure, Session};

/// What a poll asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
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
pub async fn run(session: &Session, what: What, quiet: bool) -> Result<(), Failure> {
    if what == What::Versions {
        return Ok(poll::versions(&session.app).await?);
    }
    let found = poll::all(&session.app, what == What::All, None).await?;
    if !quiet {
        let (answered, failed, forgotten) = (found.answered, found.failed, found.forgotten);
        say(format!("Answered: {answered}, failed: {failed}, meetings forgotten: {forgotten}"));
    }
    Ok(())
}

/// Says `success` if the store can be read and written.
pub async fn liveness(session: &Session) -> Result<(), Failure> {
    session.app.cluster.check().await?;
    say("success");
    Ok(())
}
