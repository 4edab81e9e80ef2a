//! Arguments of `servers`.

use std::path::PathBuf;
use std::time::Duration;

use app::ports::ServerChange;
use clap::{Args, Subcommand};
use domain::drain::AfterDrain;

use super::secret_argument::{read_optional, read_secret};
use crate::cmd::CommandFailure;
use crate::cmd::balancer::Balancer;
use crate::cmd::drains::{self, DrainTimes};
use crate::cmd::servers::change::NewServerArgs;
use crate::cmd::servers::drain::{self, DrainOptions, ThenOption};
use crate::cmd::servers::{change, list, sync};

#[derive(Debug, Args)]
pub struct ServersArgs {
    #[command(subcommand)]
    pub command: Option<ServersCommand>,
    /// Print a table.
    #[arg(long)]
    pub table: bool,
    /// Print JSON, without secrets.
    #[arg(long, conflicts_with = "table")]
    pub json: bool,
}

/// Load multiplier and tag of a server.
#[derive(Debug, Args)]
pub struct ServerTraits {
    /// Factor by which the load of the server is multiplied.
    #[arg(conflicts_with = "named_multiplier")]
    multiplier: Option<String>,
    /// Tag of the server; empty for none.
    #[arg(conflicts_with = "named_tag")]
    tag: Option<String>,
    /// The load multiplier, as an option.
    #[arg(long = "multiplier", value_name = "MULTIPLIER")]
    named_multiplier: Option<String>,
    /// The tag, as an option.
    #[arg(long = "tag", value_name = "TAG")]
    named_tag: Option<String>,
}

impl ServerTraits {
    fn into_parts(self) -> (Option<String>, Option<String>) {
        (self.named_multiplier.or(self.multiplier), self.named_tag.or(self.tag))
    }
}

#[derive(Debug, Subcommand)]
pub enum ServersCommand {
    /// Add a server, if it answers. It is disabled until `servers enable`.
    Add {
        /// API endpoint, e.g. https://bbb1.example.com/bigbluebutton/api
        #[arg(required_unless_present = "named_url", conflicts_with = "named_url")]
        url: Option<String>,
        /// Secret of the server (`bbb-conf --secret` prints it): `-` reads it from the standard input, file:PATH from a file.
        #[arg(required_unless_present = "named_secret", conflicts_with = "named_secret")]
        secret: Option<String>,
        #[command(flatten)]
        traits: ServerTraits,
        /// The URL, as an option.
        #[arg(long = "url", value_name = "URL")]
        named_url: Option<String>,
        /// The secret, as an option.
        #[arg(long = "secret", value_name = "SECRET")]
        named_secret: Option<String>,
        /// Add the server although it does not answer or refuses the secret.
        #[arg(long)]
        force: bool,
    },
    /// Change secret, load multiplier and tag of a server.
    Update {
        /// Id of the server.
        id: String,
        /// New secret; `-` reads it from the standard input, file:PATH from a file.
        #[arg(conflicts_with = "named_secret")]
        secret: Option<String>,
        #[command(flatten)]
        traits: ServerTraits,
        /// The secret, as an option.
        #[arg(long = "secret", value_name = "SECRET")]
        named_secret: Option<String>,
        /// URL of the API for joins, if browsers reach the server under another one than the balancer, as behind BBB's cluster
        /// proxy; empty for none.
        #[arg(long, value_name = "URL")]
        join_url: Option<String>,
    },
    /// Remove a server and its meetings from the pool. Asks first if users are in them.
    Remove {
        /// Id of the server.
        id: String,
        /// Do not ask, although users are in its meetings.
        #[arg(long)]
        yes: bool,
    },
    /// Allow new meetings on a server; it is polled immediately. Exit code 1 if it does not answer.
    Enable {
        /// Id of the server.
        id: String,
    },
    /// Place no new meetings on a server; running meetings continue.
    Cordon {
        /// Id of the server.
        id: String,
    },
    /// Take a server out of service: no new meetings, and it is disabled when its last meeting ends. With a time, a deadline or --then the
    /// running balancer does it by itself, also after restarts; with --wait this command does it.
    Drain {
        /// Id of the server.
        id: String,
        /// Begin at this time by the clock of this machine, such as 22:00, "2026-12-01 22:00" or 2026-12-01T22:00:00Z.
        #[arg(long, value_name = "TIME", conflicts_with = "wait")]
        at: Option<String>,
        /// Wait until it has no meetings, and show the remaining ones.
        #[arg(long)]
        wait: bool,
        /// End the remaining meetings after this time, e.g. 2h or 90min.
        #[arg(long, value_parser = humantime::parse_duration)]
        deadline: Option<Duration>,
        /// How long before the deadline users are warned in the chat (BBB 3.0 or later).
        #[arg(long, value_parser = humantime::parse_duration, default_value = "60s")]
        warn: Duration,
        /// What to do with the server after it is drained.
        #[arg(long, value_enum)]
        then: Option<ThenOption>,
    },
    /// Set the limits of a server; omitted limits are unchanged.
    Limits {
        /// Id of the server.
        id: String,
        /// Maximum number of meetings; none for no limit.
        #[arg(long, value_name = "NUMBER|none", value_parser = parse_limit)]
        max_meetings: Option<Limit>,
        /// Maximum number of users who are there at the same time; none for no limit.
        #[arg(long, value_name = "NUMBER|none", value_parser = parse_limit)]
        max_users: Option<Limit>,
        /// Tier; 0 is used first, servers of higher tiers are backups (see TIER_LOAD_MAX).
        #[arg(long)]
        tier: Option<u32>,
    },
    /// Disable a server. If it has load, asks first, and then clears its meetings.
    Disable {
        /// Id of the server.
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// End all meetings of a server, remove them from the pool, and disable the server. Asks first if users are in them.
    Panic {
        /// Id of the server.
        id: String,
        /// Do not disable the server.
        #[arg(long)]
        keep_state: bool,
        /// Only remove the meetings from the pool, without ending them.
        #[arg(long)]
        skip_end_calls: bool,
        /// Do not ask, although users are in the meetings.
        #[arg(long)]
        yes: bool,
    },
    /// Set the load multiplier of a server.
    LoadMultiplier {
        /// Id of the server.
        id: String,
        /// The load multiplier.
        multiplier: String,
    },
    /// Set or remove the tag of a server.
    Tag {
        /// Id of the server.
        id: String,
        /// The tag; without it, the tag is removed.
        tag: Option<String>,
    },
    /// Add all servers of a YAML file.
    AddAll {
        /// The file: `servers:` with a list of `url`, `secret`, `load_multiplier`, `tag`.
        file: PathBuf,
    },
    /// Make the pool match a YAML file.
    Sync {
        /// The file, as `servers yaml` prints it; - is the standard input.
        file: PathBuf,
        /// What to do with servers that are not in the file: keep, cordon or force.
        #[arg(default_value = "cordon")]
        mode: String,
        /// Only print the changes.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the pool as YAML, secrets included.
    Yaml {
        /// Include the state of the servers.
        #[arg(long)]
        verbose: bool,
    },
    /// List the meetings that servers report.
    Meetings {
        /// Only meetings of this server.
        id: Option<String>,
    },
}

impl ServersCommand {
    /// Whether the command adds servers, and so may make a store.
    pub(super) fn adds_servers(&self) -> bool {
        matches!(self, Self::Add { .. } | Self::AddAll { .. } | Self::Sync { .. })
    }
}

/// A limit as given on the command line: a number, or `none`.
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

/// Drains a server now, or plans it.
async fn start_drain(
    balancer: &Balancer,
    id: &str,
    at: Option<String>,
    options: DrainOptions,
) -> Result<(), CommandFailure> {
    let DrainOptions { wait, deadline, warn_before, after_drain } = options;
    let refuse = |reason: &str| Err(CommandFailure(format!("ERROR: {reason}")));
    let is_planned = !wait && (at.is_some() || deadline.is_some() || after_drain.is_some());
    let after = match after_drain {
        Some(ThenOption::EnableWhenHealthy) if wait => {
            return refuse("--then enable-when-healthy is done by the balancer, without --wait");
        }
        Some(ThenOption::Remove) if is_planned => return refuse("--then remove needs --wait"),
        Some(ThenOption::EnableWhenHealthy) => AfterDrain::EnableWhenHealthy,
        _ => AfterDrain::Disable,
    };
    if is_planned {
        return drains::plan(balancer, id, DrainTimes { at, deadline, warn_before }, after).await;
    }
    drain::run(balancer, id, options).await
}

/// Runs a subcommand of `servers`.
pub async fn run(balancer: &Balancer, command: ServersCommand) -> Result<(), CommandFailure> {
    match command {
        ServersCommand::Add { url, secret, traits, named_url, named_secret, force } => {
            let (load_multiplier, tag) = traits.into_parts();
            let url = named_url.or(url).unwrap_or_default();
            let secret = read_secret(named_secret.or(secret).unwrap_or_default())?;
            let new = NewServerArgs { url, secret, load_multiplier, tag, force };
            change::add_checked(balancer, new).await
        }
        ServersCommand::Update { id, secret, traits, named_secret, join_url } => {
            let secret = read_optional(named_secret.or(secret))?;
            let (multiplier, tag) = traits.into_parts();
            if let Some(url) = &join_url {
                change::set_join_url(balancer, &id, url).await?;
            }
            let has_more = secret.is_some() || multiplier.is_some() || tag.is_some();
            if join_url.is_none() || has_more {
                change::update_checked(balancer, &id, secret, multiplier, tag).await?;
            }
            Ok(())
        }
        ServersCommand::Remove { id, yes } => change::remove_checked(balancer, &id, yes).await,
        ServersCommand::Enable { id } => change::enable_checked(balancer, &id).await,
        ServersCommand::Cordon { id } => change::cordon(balancer, &id).await,
        ServersCommand::Drain { id, at, wait, deadline, warn, then } => {
            let options = DrainOptions { wait, deadline, warn_before: warn, after_drain: then };
            start_drain(balancer, &id, at, options).await
        }
        ServersCommand::Limits { id, max_meetings, max_users, tier } => {
            let limits = ServerChange {
                max_meetings: max_meetings.map(|Limit(limit)| limit),
                max_users: max_users.map(|Limit(limit)| limit),
                tier,
                ..ServerChange::default()
            };
            change::set_limits(balancer, &id, limits).await
        }
        ServersCommand::Disable { id, yes } => change::disable(balancer, &id, yes).await,
        ServersCommand::Panic { id, keep_state, skip_end_calls, yes } => {
            change::panic_checked(balancer, &id, (keep_state, skip_end_calls), yes).await
        }
        ServersCommand::LoadMultiplier { id, multiplier } => {
            change::set_load_multiplier(balancer, &id, Some(multiplier)).await
        }
        ServersCommand::Tag { id, tag } => change::set_tag(balancer, &id, tag).await,
        ServersCommand::AddAll { file } => {
            sync::add_all(balancer.here("servers add-all")?, &file).await
        }
        ServersCommand::Sync { file, mode, dry_run } => {
            sync::sync(balancer.here("servers sync")?, Some(&file), &mode, dry_run, true).await
        }
        ServersCommand::Yaml { verbose } => list::print_yaml(balancer, verbose).await,
        ServersCommand::Meetings { id } => list::print_meetings(balancer, id.as_deref()).await,
    }
}
