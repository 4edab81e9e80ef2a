//! Arguments of `drains`.

use clap::Subcommand;

use crate::cmd::balancer::Balancer;
use crate::cmd::{CommandFailure, drains};

#[derive(Debug, Subcommand)]
pub enum DrainsCommand {
    /// List planned drains, and those that are under way.
    List {
        /// Also those of the last 30 days that are over.
        #[arg(long)]
        all: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Cancel a drain. A server that it has cordoned or disabled stays so.
    Cancel {
        /// Id of the drain, or id or host name of its server.
        id: String,
    },
}

/// Runs a command; without one, drains are listed.
pub(super) async fn run(
    balancer: &Balancer,
    command: Option<DrainsCommand>,
) -> Result<(), CommandFailure> {
    match command.unwrap_or(DrainsCommand::List { all: false, json: false }) {
        DrainsCommand::List { all, json } => drains::list(balancer, all, json).await,
        DrainsCommand::Cancel { id } => drains::cancel(balancer, &id).await,
    }
}
