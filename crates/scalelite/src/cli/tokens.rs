//! Arguments of `tokens` and `audit`.

use std::time::Duration;

use clap::{Args, Subcommand};
use domain::management::Scopes;

use crate::cmd::balancer::Balancer;
use crate::cmd::{CommandFailure, tokens};

#[derive(Debug, Subcommand)]
pub enum TokensCommand {
    /// List tokens: what they allow, and when they were used last.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a token. It is printed once, and cannot be found out later.
    Create {
        /// Its name, by which the audit tells who has changed something.
        name: String,
        /// What it allows, e.g. servers:read,meetings:write; `read` stands for everything that only sees, `admin` for everything.
        #[arg(long, value_name = "SCOPE,…", value_parser = Scopes::parse)]
        scope: Scopes,
        /// Limit it to the tenant with this id or name.
        #[arg(long)]
        tenant: Option<String>,
        /// How long it is valid, e.g. 90d; without this, until it is revoked.
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        expires: Option<Duration>,
    },
    /// Revoke a token. Nobody can use it any more, a second later at the latest.
    Revoke {
        /// Its name or id.
        name: String,
    },
}

/// Options of `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only changes of this time, e.g. 8h.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub since: Option<Duration>,
    /// Only changes of the server with this id or host name.
    #[arg(long)]
    pub server: Option<String>,
    /// Only changes of the meeting with this id.
    #[arg(long)]
    pub meeting: Option<String>,
    /// Only changes of the tenant with this id.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Only changes of the recording with this id.
    #[arg(long)]
    pub recording: Option<String>,
    /// Only changes by whoever is named so, e.g. automatic, or `token deploy`.
    #[arg(long)]
    pub actor: Option<String>,
    /// Only these changes, e.g. server or server.update.
    #[arg(long)]
    pub action: Option<String>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub limit: u32,
    /// Print JSON, a line for each change.
    #[arg(long)]
    pub json: bool,
}

pub(super) async fn run(balancer: &Balancer, command: TokensCommand) -> Result<(), CommandFailure> {
    match command {
        TokensCommand::List { json } => tokens::list(balancer, json).await,
        TokensCommand::Create { name, scope, tenant, expires } => {
            tokens::create(balancer, name, scope, tenant, expires).await
        }
        TokensCommand::Revoke { name } => tokens::revoke(balancer, &name).await,
    }
}
