//! The part of the command line that is about servers.

use std::path::PathBuf;
use std::time::Duration;

use app::ports::ServerChange;
use clap::{Args, Subcommand};

use crate::cmd::servers::drain::{self, AfterDrain, DrainOptions};
use crate::cmd::servers::{change, list, sync};
use crate::cmd::{CommandContext, CommandFailure};

#[derive(Debug, Args)]
pub struct ServersArgs {
    #[command(subcommand)]
    pub command: Option<ServersCommand>,
    /// As a table.
    #[arg(long)]
    pub table: bool,
    /// As JSON, without secrets.
    #[arg(long, conflicts_with = "table")]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ServersCommand {
    /// Add a server; it is disabled until you enable it.
    Add {
        /// API endpoint, e.g. https://bbb1.example.com/bigbluebutton/api
        url: String,
        /// Its secret (`bbb-conf --secret` prints it).
        secret: String,
        /// How much heavier a user weighs here than on a normal server.
        multiplier: Option<String>,
        /// Its tag.
        tag: Option<String>,
    },
    /// Change secret, multiplier and tag of a server.
    Update {
        /// Its id.
        id: String,
        /// New secret.
        secret: Option<String>,
        /// New multiplier.
        multiplier: Option<String>,
        /// New tag; empty for none.
        tag: Option<String>,
    },
    /// Remove a server; its meetings are forgotten.
    Remove {
        /// Its id.
        id: String,
    },
    /// Let a server get new meetings; it is polled at once.
    Enable {
        /// Its id.
        id: String,
    },
    /// Let a server get no new meetings; those it has go on.
    Cordon {
        /// Its id.
        id: String,
    },
    /// Take a server out of service: no new meetings, and it is disabled when it has none left.
    Drain {
        /// Its id.
        id: String,
        /// Wait until it has no meetings, and show what is left.
        #[arg(long)]
        wait: bool,
        /// End what is left after this time, e.g. 2h or 90min.
        #[arg(long, value_parser = humantime::parse_duration, requires = "wait")]
        deadline: Option<Duration>,
        /// How long before the deadline people are told in the chat (from BBB 3.0 on).
        #[arg(long, value_parser = humantime::parse_duration, default_value = "60s")]
        warn: Duration,
        /// What becomes of it then.
        #[arg(long, value_enum, requires = "wait")]
        then: Option<AfterDrain>,
    },
    /// Set how much a server may take; what is not given stays.
    Limits {
        /// Its id.
        id: String,
        /// Meetings at most; none for no limit.
        #[arg(long, value_name = "NUMBER|none", value_parser = parse_limit)]
        max_meetings: Option<Limit>,
        /// Users at most, those that are expected included; none for no limit.
        #[arg(long, value_name = "NUMBER|none", value_parser = parse_limit)]
        max_users: Option<Limit>,
        /// 0 is used first; higher tiers are backups (see TIER_LOAD_MAX).
        #[arg(long)]
        tier: Option<u32>,
    },
    /// Stop using a server. Asks first if it has load, and then clears its meetings.
    Disable {
        /// Its id.
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// End and forget all meetings of a server and disable it.
    Panic {
        /// Its id.
        id: String,
        /// Leave its state as it is.
        #[arg(long)]
        keep_state: bool,
        /// Only forget the meetings.
        #[arg(long)]
        skip_end_calls: bool,
    },
    /// Set the multiplier of a server.
    LoadMultiplier {
        /// Its id.
        id: String,
        /// The multiplier.
        multiplier: String,
    },
    /// Set or take away the tag of a server.
    Tag {
        /// Its id.
        id: String,
        /// The tag; none takes it away.
        tag: Option<String>,
    },
    /// Add all servers of a YAML file.
    AddAll {
        /// The file: `servers:` with a list of `url`, `secret`, `load_multiplier`, `tag`.
        file: PathBuf,
    },
    /// Make the pool match a YAML file.
    Sync {
        /// The file, as `servers yaml` prints it.
        file: PathBuf,
        /// What becomes of servers that are not in it: keep, cordon or force.
        #[arg(default_value = "cordon")]
        mode: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the pool as YAML, secrets included.
    Yaml {
        /// With what is known of their state.
        #[arg(long)]
        verbose: bool,
    },
    /// List the meetings that servers report.
    Meetings {
        /// Only of this server.
        id: Option<String>,
    },
}

/// A limit as typed.
#[derive(Clone, Copy, Debug)]
pub struct Limit(Option<u32>);

fn parse_limit(text: &str) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit(None)),
        number => match number.parse() {
            Ok(number) => Ok(Limit(Some(number))),
            Err(_) => Err("neither a whole number nor none".to_owned()),
        },
    }
}

/// Runs one of them.
pub async fn run(session: &CommandContext, what: ServersCommand) -> Result<(), CommandFailure> {
    let text = |text: &Option<String>| text.as_deref().map(str::to_owned);
    match what {
        ServersCommand::Add { url, secret, multiplier, tag } => {
            change::add(session, Some(url), Some(secret), text(&multiplier), text(&tag)).await
        }
        ServersCommand::Update { id, secret, multiplier, tag } => {
            change::update(session, &id, secret, multiplier, tag).await
        }
        ServersCommand::Remove { id } => change::remove(session, &id).await,
        ServersCommand::Enable { id } => change::enable(session, &id).await,
        ServersCommand::Cordon { id } => change::cordon(session, &id).await,
        ServersCommand::Drain { id, wait, deadline, warn, then } => {
            drain::run(
                session,
                &id,
                DrainOptions { wait, deadline, warn_before: warn, after_drain: then },
            )
            .await
        }
        ServersCommand::Limits { id, max_meetings, max_users, tier } => {
            let of = |limit: Option<Limit>| limit.map(|Limit(limit)| limit);
            let limits = ServerChange {
                max_meetings: of(max_meetings),
                max_users: of(max_users),
                tier,
                ..ServerChange::default()
            };
            change::set_limits(session, &id, limits).await
        }
        ServersCommand::Disable { id, yes } => change::disable(session, &id, yes).await,
        ServersCommand::Panic { id, keep_state, skip_end_calls } => {
            change::panic(session, &id, keep_state, skip_end_calls).await
        }
        ServersCommand::LoadMultiplier { id, multiplier } => {
            change::set_load_multiplier(session, &id, Some(multiplier)).await
        }
        ServersCommand::Tag { id, tag } => change::set_tag(session, &id, tag).await,
        ServersCommand::AddAll { file } => sync::add_all(session, &file).await,
        ServersCommand::Sync { file, mode, dry_run } => {
            sync::sync(session, Some(&file), &mode, dry_run, true).await
        }
        ServersCommand::Yaml { verbose } => list::print_yaml(session, verbose).await,
        ServersCommand::Meetings { id } => list::print_meetings(session, id.as_deref()).await,
    }
}
