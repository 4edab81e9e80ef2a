//! The command line: commands and their arguments, and the function that runs each of them.

mod callbacks;
mod creation;
mod demo;
mod drains;
mod meetings;
mod notify;
mod placement;
mod rake_tasks;
pub mod recordings;
mod remote;
mod secret_argument;
mod servers;
mod setting_flags;
mod status;
mod stores;
mod tenants;
mod tokens;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{FromArgMatches as _, Parser, Subcommand};

use crate::cmd::balancer::Balancer;
use crate::cmd::check::MonitorState;
use crate::cmd::{self, CommandFailure};
use crate::config::{Config, Sources};
use crate::lifecycle::Roles;
use crate::output;

use self::callbacks::CallbacksCommand;
pub use self::demo::DemoArgs;
use self::drains::DrainsCommand;
use self::meetings::MeetingsCommand;
use self::notify::NotifyCommand;
use self::placement::PlacementCommand;
use self::servers::ServersArgs;
use self::status::StatusArgs;
use self::stores::MigrateCommand;
pub use self::stores::{MigrateStoreArgs, RestoreArgs};
use self::tenants::{TenantSettingsCommand, TenantsCommand};
pub use self::tokens::AuditArgs;
use self::tokens::TokensCommand;

/// A load balancer for BigBlueButton: a pool of servers that front-ends use like one server.
#[derive(Debug, Parser)]
#[command(name = "scalelite", version, arg_required_else_help = true)]
#[command(
    after_help = "Every setting (see `scalelite config`) is a line of the environment file, an environment variable and a \
    flag: POLL_INTERVAL=30 is --poll-interval 30.\nExit codes: 0 success, 1 failure, 2 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the balancer.
    Serve {
        /// Work that this process does: api, poller, importer.
        #[arg(long, default_value = "api,poller,importer", value_parser = Roles::parse)]
        roles: Roles,
        /// Start with an empty embedded store although it had servers before.
        #[arg(long)]
        accept_empty: bool,
    },
    /// Run the balancer with a pool of simulated servers, on a temporary store.
    Demo(DemoArgs),
    /// Print the URL and secret for the configuration of a front-end.
    Secret,
    /// List and change the servers of the pool.
    Servers(ServersArgs),
    /// List and cancel drains that the balancer carries out by itself (`servers drain` with a time, a deadline or --then).
    Drains {
        #[command(subcommand)]
        command: Option<DrainsCommand>,
    },
    /// List, show and end meetings.
    Meetings {
        #[command(subcommand)]
        command: Option<MeetingsCommand>,
    },
    /// List and change tenants (with MULTITENANCY_ENABLED).
    Tenants {
        #[command(subcommand)]
        command: Option<TenantsCommand>,
    },
    /// List and change parameters that tenants set for create and join.
    TenantSettings {
        #[command(subcommand)]
        command: Option<TenantSettingsCommand>,
    },
    /// List, make and revoke tokens of the management API.
    Tokens {
        #[command(subcommand)]
        command: Option<TokensCommand>,
    },
    /// Show who has changed what.
    Audit(AuditArgs),
    /// Try the channels by which administrators are notified of problems.
    Notify {
        #[command(subcommand)]
        command: NotifyCommand,
    },
    /// Bring servers and tenants to the state that a file describes.
    Apply(cmd::apply::ApplyArgs),
    /// Write servers and tenants as a file for `apply`.
    Export {
        /// Leave secrets out; a file without them changes none.
        #[arg(long)]
        without_secrets: bool,
    },
    /// Explain why meetings were placed on their servers, and where a new one would be placed.
    Placement {
        #[command(subcommand)]
        command: PlacementCommand,
    },
    /// List and retry callbacks that have not been delivered.
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
        /// What to poll.
        #[arg(value_enum, default_value = "all")]
        target: cmd::poll::PollTarget,
    },
    /// Show the state of the pool.
    Status(StatusArgs),
    /// Check that the store can be used, without the running balancer.
    Liveness,
    /// Ask the running balancer whether it has what it needs; for health checks of containers. Exit code 1 if not.
    Readiness {
        /// Parts that do not count, e.g. spool; the output names all parts.
        #[arg(long, value_name = "PART")]
        exclude: Vec<String>,
    },
    /// Check the pool for a monitoring system such as Nagios or Icinga: one line with performance data.
    #[command(
        after_help = "Exit codes: 0 OK, 1 WARNING, 2 CRITICAL (also if no server is left, the servers are not polled, or \
        the store fails), 3 UNKNOWN (the check could not be made)."
    )]
    Check(cmd::check::CheckArgs),
    /// Check configuration, directories, stores and servers, and report problems.
    Doctor {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Come from the original Scalelite.
    Migrate {
        #[command(subcommand)]
        command: MigrateCommand,
    },
    /// Copy everything from one store into another. Can be interrupted and run again.
    MigrateStore(MigrateStoreArgs),
    /// Write a backup of the stores and of generated secrets to a file, also while the balancer runs.
    Backup {
        /// The file; a backup that it holds is replaced once the new one is whole.
        file: PathBuf,
    },
    /// Put a backup in place of the stores. The balancer must be stopped.
    Restore(RestoreArgs),
    /// Show every setting with its value and origin. Secrets are hidden.
    Config {
        /// Print JSON.
        #[arg(long, conflicts_with = "reference")]
        json: bool,
        /// Print the reference of all settings in Markdown instead.
        #[arg(long)]
        reference: bool,
        /// Print the reference of all metrics in Markdown instead.
        #[arg(long, conflicts_with_all = ["json", "reference", "check"])]
        metrics_reference: bool,
        /// Only check the settings, and print what is odd; exit code 1 if the server could not start with them.
        #[arg(long, conflicts_with_all = ["json", "reference"])]
        check: bool,
    },
    /// Print a signed URL of a BBB call.
    Sign {
        /// The call, e.g. getMeetings.
        call: String,
        /// Parameters, e.g. meetingID=room-1.
        #[arg(value_name = "NAME=VALUE")]
        parameters: Vec<String>,
        /// Address of the balancer; by default the address that this configuration listens on.
        #[arg(long)]
        url: Option<String>,
        /// Sign a call to this server of the pool instead, with its secret.
        #[arg(long, conflicts_with = "url")]
        server: Option<String>,
    },
    /// Write man pages and completions of shells, for packages; or print the documentation of the management API.
    #[command(hide = true)]
    Generate {
        /// The directory; or `openapi`, or `apply-schema`: prints the documentation of the management API, or the JSON schema of the files of
        /// `apply`.
        dir: PathBuf,
    },
    /// Run the original's rake tasks, e.g. 'servers:add[url,secret]'; without tasks: list them.
    Rake {
        /// The tasks, and options of rake such as -T and -n.
        #[arg(allow_hyphen_values = true)]
        tasks: Vec<String>,
    },
}

/// Parses the command line and runs the command. Returns its exit code.
pub fn main() -> ExitCode {
    let arguments = cmd::rake::replace_called_name(std::env::args_os().collect());
    let is_check = is_check(&arguments);
    let matches = match setting_flags::build_command().try_get_matches_from(arguments) {
        // To monitoring systems the usual exit code of wrong usage would mean CRITICAL.
        Err(error) if is_check && error.use_stderr() => {
            let _ = error.print();
            return ExitCode::from(MonitorState::Unknown.exit_code());
        }
        matches => matches.unwrap_or_else(|error| error.exit()),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let result = match cli.command {
        Command::Check(args) => {
            return match remote::read_options(&matches) {
                Ok(None) => cmd::check::run(setting_flags::read_sources(&matches), args),
                Ok(Some(options)) => cmd::check::run_there(options.connect(), args),
                Err(failure) => cmd::check::run_there(Err(failure), args),
            };
        }
        Command::Generate { dir } if dir.as_os_str() == "openapi" => {
            output::print_text(crate::http::render_document());
            Ok(())
        }
        Command::Generate { dir } => cmd::generate::run(&setting_flags::build_command(), &dir),
        Command::Config { reference: true, .. } => {
            cmd::config::print_reference();
            Ok(())
        }
        Command::Config { metrics_reference: true, .. } => {
            cmd::config::print_metrics_reference();
            Ok(())
        }
        command => match remote::read_options(&matches) {
            Ok(Some(options)) => {
                remote::run(command, &options, setting_flags::read_sources(&matches))
            }
            Ok(None) => {
                setting_flags::read_sources(&matches).and_then(|sources| run(command, &sources))
            }
            Err(failure) => Err(failure),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandFailure(message)) => {
            if !message.is_empty() {
                output::print_note(message);
            }
            ExitCode::FAILURE
        }
    }
}

/// Whether the arguments call `check`.
fn is_check(arguments: &[OsString]) -> bool {
    let is_command = |argument: &&OsString| !argument.as_encoded_bytes().starts_with(b"-");
    arguments.iter().skip(1).find(is_command).is_some_and(|command| command == "check")
}

fn run(command: Command, sources: &Sources) -> Result<(), CommandFailure> {
    if let Command::Config { json, check, .. } = command {
        return if check { cmd::config::check(sources) } else { cmd::config::run(sources, json) };
    }
    if let Command::Doctor { json } = command {
        return cmd::doctor::run(sources, json);
    }
    if let Command::Readiness { exclude } = command {
        return cmd::readiness::run(sources, &exclude);
    }
    if let Command::Migrate { command: MigrateCommand::Check(arguments) } = &command {
        return cmd::migrate_check::run(sources, arguments);
    }
    let (config, _) = Config::read(sources).map_err(CommandFailure)?;
    match command {
        Command::Secret if cmd::secret::is_configured(&config) => {
            cmd::secret::print_configured(&config, sources)
        }
        Command::Serve { roles, accept_empty } => {
            cmd::serve::run(config, sources, roles, accept_empty)
        }
        Command::Notify { command: NotifyCommand::Test } => cmd::notify::run_test(&config, sources),
        Command::Demo(demo) => cmd::demo::run(config, sources, demo),
        Command::Rake { tasks } => rake_tasks::run_rake(config, sources, &tasks),
        Command::Apply(args) => cmd::apply::run(&config, sources, &args),
        Command::Backup { file } => cmd::backup::run_backup(&config, sources, &file),
        Command::Restore(restore) => cmd::backup::run_restore(&config, sources, &restore),
        Command::MigrateStore(mut arguments) => {
            arguments.from = secret_argument::read_secret(arguments.from)?;
            arguments.to = secret_argument::read_secret(arguments.to)?;
            cmd::migrate_store::run(&config, sources, &arguments)
        }
        command => {
            let creation = creation::creation_for(&command);
            cmd::run_once(&config, sources, creation, async move |balancer| {
                run_command(balancer, command).await
            })
        }
    }
}

async fn run_command(balancer: &Balancer, command: Command) -> Result<(), CommandFailure> {
    match command {
        Command::Secret => cmd::secret::run(balancer.here("secret")?),
        Command::Servers(ServersArgs { command: Some(command), .. }) => {
            servers::run(balancer, command).await
        }
        Command::Servers(ServersArgs { table: true, .. }) => {
            cmd::servers::list::print_table(balancer).await
        }
        Command::Servers(ServersArgs { json: true, .. }) => {
            cmd::servers::list::print_json(balancer).await
        }
        Command::Servers(_) => cmd::servers::list::print_plain(balancer).await,
        Command::Drains { command } => drains::run(balancer, command).await,
        Command::Meetings { command } => meetings::run(balancer, command).await,
        Command::Tenants { command } => {
            tenants::run_tenants(balancer, command.unwrap_or(TenantsCommand::List)).await
        }
        Command::TenantSettings { command } => {
            tenants::run_settings(balancer, command.unwrap_or(TenantSettingsCommand::List)).await
        }
        Command::Tokens { command } => {
            tokens::run(balancer, command.unwrap_or(TokensCommand::List { json: false })).await
        }
        Command::Audit(arguments) => cmd::audit::run(balancer, arguments).await,
        Command::Export { without_secrets } => {
            cmd::apply::run_export(balancer.here("export")?, without_secrets).await
        }
        Command::Placement { command } => placement::run(balancer, command).await,
        Command::Callbacks { command } => callbacks::run(balancer, command).await,
        Command::Recordings { command } => recordings::run(balancer, command).await,
        Command::Poll { target } => cmd::poll::run(balancer, target, false).await,
        Command::Status(arguments) => status::run(balancer, arguments).await,
        Command::Liveness => cmd::poll::check_liveness(balancer.here("liveness")?).await,
        Command::Sign { call, parameters, url, server } => {
            cmd::sign::run(balancer.here("sign")?, &call, &parameters, url, server).await
        }
        Command::Serve { .. }
        | Command::Apply(_)
        | Command::Rake { .. }
        | Command::Demo(_)
        | Command::Notify { .. }
        | Command::MigrateStore(_)
        | Command::Migrate { .. }
        | Command::Backup { .. }
        | Command::Restore(_)
        | Command::Config { .. }
        | Command::Readiness { .. }
        | Command::Generate { .. }
        | Command::Check(_)
        | Command::Doctor { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::setting_flags::build_command().debug_assert();
    }
}
