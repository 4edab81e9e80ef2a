//! The commands about meetings.

use clap::Subcommand;

use crate::cmd::balancer::Balancer;
use crate::cmd::{self, CommandFailure};

#[derive(Debug, Subcommand)]
pub enum MeetingsCommand {
    /// List meetings and their servers.
    List {
        /// Only these meetings.
        ids: Vec<String>,
        /// Instead list meetings that run on the servers but were not created by this deployment.
        #[arg(long, conflicts_with = "ids")]
        foreign: bool,
    },
    /// Show what the meeting's server reports.
    Info {
        /// ID of the meeting.
        id: String,
    },
    /// End meetings and remove them from the pool. Asks first.
    End {
        /// Only these meetings; without them, all.
        ids: Vec<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Runs a command; without one, lists the meetings.
pub async fn run(
    balancer: &Balancer,
    command: Option<MeetingsCommand>,
) -> Result<(), CommandFailure> {
    match command.unwrap_or(MeetingsCommand::List { ids: Vec::new(), foreign: false }) {
        MeetingsCommand::List { foreign: true, .. } => cmd::meetings::list_foreign(balancer).await,
        MeetingsCommand::List { ids, .. } => cmd::meetings::list(balancer, &ids).await,
        MeetingsCommand::Info { id } => cmd::meetings::show_info(balancer, &id).await,
        MeetingsCommand::End { ids, yes } => cmd::meetings::end(balancer, &ids, yes).await,
    }
}
