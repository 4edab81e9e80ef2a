//! The command line: what there is to type, and which function does it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::cmd::{self, Failure};
use crate::config::settings::SETTINGS;
use crate::config::{Config, Sources};
use crate::lifecycle::Roles;
use crate::output;

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
        /// What this process does: api, poller.
        #[arg(long, default_value = "api,poller", value_parser = Roles::parse)]
        roles: Roles,
    },
    /// Run the balancer with a pool of simulated servers, on a temporary store.
    Demo(Demo),
    /// Print the URL and secret to paste into a front-end.
    Secret,
    /// List and change the servers of the pool.
    Servers(Servers),
    /// List, look into and end meetings.
    Meetings {
        #[command(subcommand)]
        what: Option<Meetings>,
    },
    /// Poll the servers now.
    Poll {
        /// What to ask for.
        #[arg(value_enum, default_value = "all")]
        what: cmd::poll::What,
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

/// How a demo looks.
#[derive(Clone, Copy, Debug, Args)]
pub struct Demo {
    /// Simulated servers.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub servers: u16,
    /// How much faster than real life classes come and go.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub speed: u32,
}

#[derive(Debug, Args)]
struct Servers {
    #[command(subcommand)]
    what: Option<ServersCommand>,
    /// As a table.
    #[arg(long)]
    table: bool,
    /// As JSON, without secrets.
    #[arg(long, conflicts_with = "table")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ServersCommand {
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

#[derive(Debug, Subcommand)]
enum Meetings {
    /// List meetings and their servers.
    List {
        /// Only these.
        ids: Vec<String>,
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

/// Parses, runs, and says how it ended.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let sources = Sources::of_process(flags(&matches));
    match run(cli.command, &sources) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(message)) => {
            if !message.is_empty() {
                output::note(message);
            }
            ExitCode::FAILURE
        }
    }
}

/// The commands, with a flag for every setting on each of them.
fn command() -> clap::Command {
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

fn flags(matches: &ArgMatches) -> BTreeMap<String, String> {
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

fn run(command: Command, sources: &Sources) -> Result<(), Failure> {
    if let Command::Config { json, reference } = command {
        return cmd::config::run(sources, json, reference);
    }
    if let Command::Doctor { json } = command {
        return cmd::doctor::run(sources, json);
    }
    let (config, _) = Config::read(sources).map_err(Failure)?;
    match command {
        Command::Serve { roles } => cmd::serve::run(config, sources, roles),
        Command::Demo(demo) => cmd::demo::run(config, sources, demo),
        other => cmd::once(&config, sources, async move |session| task(session, other).await),
    }
}

async fn task(session: &cmd::Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Secret => cmd::secret::run(session),
        Command::Servers(Servers { what: Some(what), .. }) => servers(session, what).await,
        Command::Servers(Servers { table: true, .. }) => cmd::servers::list::table(session).await,
        Command::Servers(Servers { json: true, .. }) => cmd::servers::list::json(session).await,
        Command::Servers(_) => cmd::servers::list::plain(session).await,
        Command::Meetings { what } => match what.unwrap_or(Meetings::List { ids: Vec::new() }) {
            Meetings::List { ids } => cmd::meetings::list(session, &ids).await,
            Meetings::Info { id } => cmd::meetings::info(session, &id).await,
            Meetings::End { ids, yes } => cmd::meetings::end(session, &ids, yes).await,
        },
        Command::Poll { what } => cmd::poll::run(session, what, false).await,
        Command::Status { json: true, .. } => cmd::status::json(session).await,
        Command::Status { watch: true, .. } => cmd::status::watch(session).await,
        Command::Status { .. } => cmd::status::print(session).await,
        Command::Liveness => cmd::poll::liveness(session).await,
        Command::Sign { call, parameters, url, server } => {
            cmd::sign::run(session, &call, &parameters, url, server).await
        }
        Command::Rake { tasks } => cmd::rake::run(session, &tasks).await,
        Command::Serve { .. }
        | Command::Demo(_)
        | Command::Config { .. }
        | Command::Doctor { .. } => Ok(()),
    }
}

async fn servers(session: &cmd::Session, what: ServersCommand) -> Result<(), Failure> {
    use crate::cmd::servers::{change, list, sync};
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
        ServersCommand::Disable { id, yes } => change::disable(session, &id, yes).await,
        ServersCommand::Panic { id, keep_state, skip_end_calls } => {
            change::panic(session, &id, keep_state, skip_end_calls).await
        }
        ServersCommand::LoadMultiplier { id, multiplier } => {
            change::load_multiplier(session, &id, Some(multiplier)).await
        }
        ServersCommand::Tag { id, tag } => change::tag(session, &id, tag).await,
        ServersCommand::AddAll { file } => sync::add_all(session, &file).await,
        ServersCommand::Sync { file, mode, dry_run } => {
            sync::sync(session, Some(&file), &mode, dry_run, true).await
        }
        ServersCommand::Yaml { verbose } => list::yaml(session, verbose).await,
        ServersCommand::Meetings { id } => list::meetings(session, id.as_deref()).await,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
