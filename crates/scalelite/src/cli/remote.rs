//! `--api`: commands for another balancer, by its management API.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches};

use super::stores::MigrateCommand;
use super::{Command, run_command};
use crate::cmd::balancer::{Balancer, RemoteBalancer, RemoteOptions, only_here};
use crate::cmd::{self, CommandFailure, build_runtime};
use crate::config::Sources;

/// The variable that has the token, if no file is named.
const TOKEN_VARIABLE: &str = "SCALELITE_API_TOKEN";
/// Longest file with a token, in bytes.
const MAX_TOKEN_BYTES: u64 = 4 << 10;
/// Heading of these options in the help.
const HEADING: &str = "Another balancer";

/// The options.
pub(super) fn arguments() -> [Arg; 4] {
    let option = |name: &'static str| {
        Arg::new(name).long(name).global(true).help_heading(HEADING).num_args(1)
    };
    [
        option("api").value_name("URL").help(
            "Work on the balancer at this address, by its management API, e.g. https://lb.example.com",
        ),
        option("token-file").value_name("FILE").help(
            "File with the token for --api; without it, the environment variable SCALELITE_API_TOKEN",
        ),
        option("api-ca").value_name("FILE").help(
            "File with certificates (PEM) of an authority of your own, for --api",
        ),
        option("insecure-http")
            .num_args(0)
            .action(ArgAction::SetTrue)
            .help("Allow --api without TLS: everybody on the way can read the token"),
    ]
}

/// What `--api` and its companions say.
pub(super) struct Remote(RemoteOptions);

impl Remote {
    /// Prepares requests.
    pub(super) fn connect(&self) -> Result<RemoteBalancer, CommandFailure> {
        RemoteBalancer::new(&self.0)
    }
}

/// Reads the options; `None` without `--api`.
pub(super) fn read_options(matches: &ArgMatches) -> Result<Option<Remote>, CommandFailure> {
    // clap repeats global arguments at every level; the deepest level has all that were given.
    let mut deepest = matches;
    while let Some((_, subcommand)) = deepest.subcommand() {
        deepest = subcommand;
    }
    let value = |name: &str| deepest.try_get_one::<String>(name).ok().flatten().cloned();
    let Some(url) = value("api") else { return Ok(None) };
    let options = RemoteOptions {
        url,
        token: read_token(value("token-file").map(PathBuf::from).as_deref())?,
        authorities_file: value("api-ca").map(PathBuf::from),
        allows_http: deepest.get_flag("insecure-http"),
    };
    Ok(Some(Remote(options)))
}

/// Reads the token: everybody on a machine can read arguments, so it is never one.
fn read_token(file: Option<&Path>) -> Result<String, CommandFailure> {
    let Some(path) = file else {
        return crate::config::sources::read_variable(TOKEN_VARIABLE).ok_or_else(|| {
            let text = "name a file with a token by --token-file, or set SCALELITE_API_TOKEN";
            CommandFailure(format!("ERROR: {text}; `scalelite tokens create` makes one"))
        });
    };
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_TOKEN_BYTES).read_to_string(&mut text));
    read.map_err(|error| CommandFailure(format!("ERROR: {}: {error}", path.display())))?;
    Ok(text.trim().to_owned())
}

/// Runs a command on another balancer.
pub(super) fn run(
    command: Command,
    remote: &Remote,
    sources: Result<Sources, CommandFailure>,
) -> Result<(), CommandFailure> {
    if let Some(name) = name_of_local(&command) {
        return Err(only_here(name));
    }
    let remote = remote.connect()?;
    build_runtime(false)?.block_on(async {
        match command {
            Command::Config { json, .. } => cmd::config::run_there(&remote, json).await,
            Command::Doctor { json } => cmd::doctor::run_there(&remote, json).await,
            Command::Readiness { exclude } => cmd::readiness::run_there(&remote, &exclude).await,
            Command::Apply(args) => cmd::apply::run_there(remote, &sources?, &args).await,
            command => run_command(&Balancer::There(Box::new(remote)), command).await,
        }
    })
}

/// The name of a command that only works on the machine of the balancer.
fn name_of_local(command: &Command) -> Option<&'static str> {
    Some(match command {
        Command::Serve { .. } => "serve",
        Command::Demo(_) => "demo",
        Command::Secret => "secret",
        Command::Sign { .. } => "sign",
        Command::Liveness => "liveness",
        Command::Rake { .. } => "rake",
        Command::Backup { .. } => "backup",
        Command::Restore(_) => "restore",
        Command::MigrateStore(_) => "migrate-store",
        Command::Migrate { command: MigrateCommand::Check(_) } => "migrate check",
        Command::Notify { .. } => "notify",
        Command::Config { check: true, .. } => "config --check",
        Command::Export { .. } => "export",
        _ => return None,
    })
}
