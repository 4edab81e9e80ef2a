//! The commands about placement.

use clap::Subcommand;

use crate::cmd::balancer::Balancer;
use crate::cmd::{self, CommandFailure};

#[derive(Debug, Subcommand)]
pub enum PlacementCommand {
    /// Show where a meeting was placed and why, and where it would be placed now.
    Explain {
        /// ID of the meeting.
        meeting: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show where a new meeting would be placed now. Exit code 1 if no server accepts it.
    DryRun {
        /// Number of users that the front-end expects.
        #[arg(long)]
        size: Option<u32>,
        /// Tag that the meeting requests, as in meta_server-tag.
        #[arg(long)]
        tag: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a command.
pub async fn run(balancer: &Balancer, command: PlacementCommand) -> Result<(), CommandFailure> {
    match command {
        PlacementCommand::Explain { meeting, json } => {
            cmd::placement::explain_meeting(balancer, &meeting, json).await
        }
        PlacementCommand::DryRun { size, tag, json } => {
            cmd::placement::explain_new_meeting(balancer, size, tag, json).await
        }
    }
}
