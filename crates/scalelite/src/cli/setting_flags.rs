//! Flags that every command has: one for each setting, and the environment file.

use std::collections::BTreeMap;

use clap::{Arg, ArgMatches, CommandFactory as _};

use super::Cli;
use crate::cmd::CommandFailure;
use crate::config::Sources;
use crate::config::env_file::FileChoice;
use crate::config::settings::SETTINGS;

/// The flag that names the environment file.
const ENV_FILE: &str = "env-file";

/// The commands, each with a flag for every setting.
pub(super) fn build_command() -> clap::Command {
    let env_file = Arg::new(ENV_FILE)
        .long(ENV_FILE)
        .value_name("FILE")
        .help("File with settings (default: /etc/scalelite/scalelite.env, then /etc/default/scalelite; /dev/null: none)")
        .global(true);
    let mut command = Cli::command().arg(env_file).args(super::remote::arguments());
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
        command =
            command.mut_subcommand(name, |subcommand| subcommand.after_long_help(settings.clone()));
    }
    command
}

/// Reads the flags, the environment and the environment file. The demo, which has a store of its own, reads no file unless one
/// is named.
pub(super) fn read_sources(matches: &ArgMatches) -> Result<Sources, CommandFailure> {
    // clap repeats global arguments at every level; the deepest level has all that were given.
    let mut deepest = matches;
    while let Some((_, subcommand)) = deepest.subcommand() {
        deepest = subcommand;
    }
    let value = |name: &str| deepest.try_get_one::<String>(name).ok().flatten().cloned();
    let flags: BTreeMap<String, String> = SETTINGS
        .iter()
        .filter_map(|setting| Some((setting.name.to_owned(), value(setting.name)?)))
        .collect();
    let default = match matches.subcommand_name() {
        Some("demo") => FileChoice::Search(Vec::new()),
        _ => FileChoice::default(),
    };
    Sources::from_process(flags, value(ENV_FILE).as_deref(), default)
        .map_err(|error| CommandFailure(format!("ERROR: {error}")))
}
