//! The command line: what there is to type, and which function does it.

pub mod library;
mod recordings;
mod servers;
mod tenants;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::cmd::{self, CommandFailure};
use crate::config::settings::SETTINGS;
use crate::config::{Config, Sources};
use crate::lifecycle::Roles;
use crate::output;

use self::servers::ServersArgs;
use self::tenants::{TenantSettingsCommand, TenantsCommand};

/// A load balancer for BigBlueButton: makes a pool of servers look like one.
#[derive(Debug, Parser)]
#[command(name = "scalelite", version, arg_required_else_help = true)]
#[command(
    after_help = "Every setting (see `scalelite config`) is an environment variable and a flag: \
    POLL_INTERVAL=30 is --poll-interval 30.\nExit codes: 0 done, 1 failed, 2 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the balancer.
    Serve {
        /// What this process does: api, poller, importer.
        #[arg(long, default_value = "api,poller,importer", value_parser = Roles::parse)]
        roles: Roles,
    },
    /// Run the balancer with a pool of simulated servers, on a temporary store.
    Demo(DemoArgs),
    /// Print the URL and secret to paste into a front-end.
    Secret,
    /// List and change the servers of the pool.
    Servers(ServersArgs),
    /// List, look into and end meetings.
    Meetings {
        #[command(subcommand)]
        command: Option<MeetingsCommand>,
    },
    /// List and change tenants (with MULTITENANCY_ENABLED).
    Tenants {
        #[command(subcommand)]
        command: Option<TenantsCommand>,
    },
    /// List and change what tenants set for their creates and joins.
    TenantSettings {
        #[command(subcommand)]
        command: Option<TenantSettingsCommand>,
    },
    /// Tell why meetings are where they are, and where a new one would go.
    Placement {
        #[command(subcommand)]
        command: PlacementCommand,
    },
    /// List and send again what front-ends have not heard yet.
    Callbacks {
        #[command(subcommand)]
        command: Option<CallbacksCommand>,
    },
    /// Import, list, change and check recordings.
    Recordings {
        #[command(subcommand)]
        command: recordings::RecordingsCommand,
    },
    /// Poll the servers now.
    Poll {
        /// What to ask for.
        #[arg(value_enum, default_value = "all")]
        what: cmd::poll::PollTarget,
    },
    /// Show the state of the pool.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// Again and again, every two seconds, until Ctrl-C.
        #[arg(long)]
        watch: bool,
    },
    /// Check that the store can be used; for health checks of containers.
    Liveness,
    /// Look at configuration, directories, stores and servers, and say what is wrong.
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Copy everything from one store into another. May be cut off and run again.
    MigrateStore(MigrateStoreArgs),
    /// Show every setting, its value, and where it came from. Secrets are hidden.
    Config {
        /// As JSON.
        #[arg(long, conflicts_with = "reference")]
        json: bool,
        /// Print the reference of all settings in Markdown instead.
        #[arg(long)]
        reference: bool,
    },
    /// Print a signed URL of a BBB call.
    Sign {
        /// The call, e.g. getMeetings.
        call: String,
        /// Parameters, e.g. meetingID=room-1.
        #[arg(value_name = "NAME=VALUE")]
        parameters: Vec<String>,
        /// Address of the balancer; by default the one that this configuration listens on.
        #[arg(long)]
        url: Option<String>,
        /// Sign for this server of the pool instead, with its secret.
        #[arg(long, conflicts_with = "url")]
        server: Option<String>,
    },
    /// Run tasks in the original's spelling, e.g. 'servers:add[url,secret]'.
    Rake {
        /// The tasks.
        #[arg(required = true, allow_hyphen_values = true)]
        tasks: Vec<String>,
    },
}

/// What is copied whereto. A store is redis://…, postgresql://…, or the directory of an embedded
/// one.
#[derive(Debug, Args)]
pub struct MigrateStoreArgs {
    /// The store to copy from; it is only read.
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// The store to copy into; what only this one has stays.
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// Copy only this part.
    #[arg(long, value_enum)]
    pub only: Option<cmd::migrate_store::StorePart>,
    /// Only say what would be copied.
    #[arg(long)]
    pub dry_run: bool,
}

/// How a demo looks.
#[derive(Clone, Copy, Debug, Args)]
pub struct DemoArgs {
    /// Simulated servers.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub servers: u16,
    /// How much faster than real life classes come and go.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub speed: u32,
}

#[derive(Debug, Subcommand)]
enum CallbacksCommand {
    /// List messages that wait, and those that were given up.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send messages again.
    Retry {
        /// Only this one; none means all that were given up.
        id: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum MeetingsCommand {
    /// List meetings and their servers.
    List {
        /// Only these.
        ids: Vec<String>,
        /// Instead those that run on the servers and that no balancer of this pool has made.
        #[arg(long, conflicts_with = "ids")]
        foreign: bool,
    },
    /// Show what the meeting's server says.
    Info {
        /// The meeting's ID.
        id: String,
    },
    /// End meetings and forget them. Asks first.
    End {
        /// Only these; none means all.
        ids: Vec<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
enum PlacementCommand {
    /// Where a meeting is and why, and where it would be placed now.
    Explain {
        /// The meeting's ID.
        meeting: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Where a meeting that nobody knows would be placed now. Exit code 1 if nowhere.
    DryRun {
        /// Users that its front-end announces.
        #[arg(long)]
        size: Option<u32>,
        /// Tag that it asks for, as in meta_server-tag.
        #[arg(long)]
        tag: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Parses, runs, and says how it ended.
pub fn main() -> ExitCode {
    let matches = build_command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let sources = Sources::from_process(read_flags(&matches));
    match run(cli.command, &sources) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandFailure(message)) => {
            if !message.is_empty() {
                output::print_note(message);
            }
            ExitCode::FAILURE
        }
    }
}

/// The commands, with a flag for every setting on each of them.
fn build_command() -> clap::Command {
    let mut command = Cli::command();
    for setting in SETTINGS {
        let arg = Arg::new(setting.name)
            .long(setting.flag())
            .value_name("VALUE")
            .help(setting.doc.trim())
            .hide(true)
            .global(true);
        let arg = if setting.switch {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true")
        } else {
            arg.num_args(1)
        };
        command = command.arg(arg);
    }
    let list: String = SETTINGS
        .iter()
        .map(|setting| format!("  --{:<36}{}\n", setting.flag(), setting.doc.trim()))
        .collect();
    let settings = format!("Settings (each also as environment variable):\n{list}");
    for name in ["serve", "demo", "config"] {
        command = command.mut_subcommand(name, |sub| sub.after_long_help(settings.clone()));
    }
    command
}

fn read_flags(matches: &ArgMatches) -> BTreeMap<String, String> {
    // Global arguments show up at every level; the deepest one is where they were typed.
    let mut deepest = matches;
    while let Some((_, deeper)) = deepest.subcommand() {
        deepest = deeper;
    }
    let given = |name: &str| deepest.try_get_one::<String>(name).ok().flatten().cloned();
    SETTINGS
        .iter()
        .filter_map(|setting| Some((setting.name.to_owned(), given(setting.name)?)))
        .collect()
}

fn run(command: Command, sources: &Sources) -> Result<(), CommandFailure> {
    if let Command::Config { json, reference } = command {
        return cmd::config::run(sources, json, reference);
    }
    if let Command::Doctor { json } = command {
        return cmd::doctor::run(sources, json);
    }
    let (config, _) = Config::read(sources).map_err(CommandFailure)?;
    match command {
        Command::Serve { roles } => cmd::serve::run(config, sources, roles),
        Command::Demo(demo) => cmd::demo::run(config, sources, demo),
        Command::MigrateStore(asked) => cmd::migrate_store::run(&config, sources, &asked),
        other => {
            cmd::run_once(&config, sources, async move |session| run_command(session, other).await)
        }
    }
}

async fn run_command(
    session: &cmd::CommandContext,
    command: Command,
) -> Result<(), CommandFailure> {
    match command {
        Command::Secret => cmd::secret::run(session),
        Command::Servers(ServersArgs { command: Some(what), .. }) => {
            servers::run(session, what).await
        }
        Command::Servers(ServersArgs { table: true, .. }) => {
            cmd::servers::list::print_table(session).await
        }
        Command::Servers(ServersArgs { json: true, .. }) => {
            cmd::servers::list::print_json(session).await
        }
        Command::Servers(_) => cmd::servers::list::print_plain(session).await,
        Command::Meetings { command: what } => {
            match what.unwrap_or(MeetingsCommand::List { ids: Vec::new(), foreign: false }) {
                MeetingsCommand::List { foreign: true, .. } => {
                    cmd::meetings::list_foreign(session).await
                }
                MeetingsCommand::List { ids, .. } => cmd::meetings::list(session, &ids).await,
                MeetingsCommand::Info { id } => cmd::meetings::show_info(session, &id).await,
                MeetingsCommand::End { ids, yes } => cmd::meetings::end(session, &ids, yes).await,
            }
        }
        Command::Tenants { command: what } => {
            tenants::run_tenants(session, what.unwrap_or(TenantsCommand::List)).await
        }
        Command::TenantSettings { command: what } => {
            tenants::run_settings(session, what.unwrap_or(TenantSettingsCommand::List)).await
        }
        Command::Placement { command: what } => match what {
            PlacementCommand::Explain { meeting, json } => {
                cmd::placement::explain_meeting(session, &meeting, json).await
            }
            PlacementCommand::DryRun { size, tag, json } => {
                cmd::placement::explain_new_meeting(session, size, tag, json).await
            }
        },
        Command::Callbacks { command: what } => match what
            .unwrap_or(CallbacksCommand::List { json: false })
        {
            CallbacksCommand::List { json } => cmd::callbacks::list(session, json).await,
            CallbacksCommand::Retry { id } => cmd::callbacks::retry(session, id.as_deref()).await,
        },
        Command::Recordings { command: what } => recordings::run(session, what).await,
        Command::Poll { what } => cmd::poll::run(session, what, false).await,
        Command::Status { json: true, .. } => cmd::status::print_json(session).await,
        Command::Status { watch: true, .. } => cmd::status::watch(session).await,
        Command::Status { .. } => cmd::status::print_long_table(session).await,
        Command::Liveness => cmd::poll::check_liveness(session).await,
        Command::Sign { call, parameters, url, server } => {
            cmd::sign::run(session, &call, &parameters, url, server).await
        }
        Command::Rake { tasks } => cmd::rake::run(session, &tasks).await,
        Command::Serve { .. }
        | Command::Demo(_)
        | Command::MigrateStore(_)
        | Command::Config { .. }
        | Command::Doctor { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::build_command().debug_assert();
    }
}
