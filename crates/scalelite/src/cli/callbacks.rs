//! Arguments of `callbacks`.

use clap::Subcommand;

use crate::cmd::balancer::Balancer;
use crate::cmd::{CommandFailure, callbacks};

#[derive(Debug, Subcommand)]
pub enum CallbacksCommand {
    /// List callbacks that are queued, and those that were given up.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Retry callbacks.
    Retry {
        /// Only this callback; without it, all that were given up.
        id: Option<String>,
    },
}

/// Runs a command; without one, callbacks are listed.
pub(super) async fn run(
    balancer: &Balancer,
    command: Option<CallbacksCommand>,
) -> Result<(), CommandFailure> {
    match command.unwrap_or(CallbacksCommand::List { json: false }) {
        CallbacksCommand::List { json } => callbacks::list(balancer, json).await,
        CallbacksCommand::Retry { id } => callbacks::retry(balancer, id.as_deref()).await,
    }
}
