//! `migrate check`: looks at an original deployment and tells what this program takes over, what it does not, and what to
//! do about that. Changes nothing.

mod access;
mod compose;
mod deployment;
mod directories;
mod rows;
mod samples;
mod settings;
mod stores;
mod units;

use std::path::{Path, PathBuf};

use clap::Args;

use self::access::Identity;
use self::deployment::Deployment;
use self::directories::DirectoryCheck;
use self::rows::Row;
use super::{CommandFailure, build_runtime};
use crate::config::{Config, Sources, read_store_settings};
use crate::telemetry;
use crate::wiring::data_dir::expected_data_dir;

/// Longest compose file or unit that is read, in bytes.
const MAX_FILE_BYTES: usize = 1 << 20;

/// What is checked.
#[derive(Debug, Args)]
pub struct MigrateCheckArgs {
    /// The environment file of the original, e.g. /etc/default/scalelite or .env.
    file: PathBuf,
    /// Its docker-compose.yml.
    #[arg(long, value_name = "FILE")]
    compose: Vec<PathBuf>,
    /// A systemd unit that starts one of its containers; may be given several times.
    #[arg(long, value_name = "FILE")]
    unit: Vec<PathBuf>,
    /// The user that will run the balancer; by default `scalelite` for root, if there is such a user, otherwise the current one.
    #[arg(long)]
    user: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The list of file systems of this machine.
    #[arg(long, value_name = "FILE", default_value = "/etc/fstab", hide = true)]
    fstab: PathBuf,
}

/// Makes all checks and prints the table. Fails if anything would be lost.
pub fn run(process: &Sources, arguments: &MigrateCheckArgs) -> Result<(), CommandFailure> {
    let user = Identity::find(arguments.user.as_deref())
        .map_err(|error| CommandFailure(format!("ERROR: --user: {error}")))?;
    let rows = collect_rows(process, arguments, &user)?;
    match arguments.json {
        true => rows::print_json(&rows),
        false => rows::print_table(&rows),
    }
    if rows.iter().any(Row::is_loss) { Err(CommandFailure(String::new())) } else { Ok(()) }
}

fn collect_rows(
    process: &Sources,
    arguments: &MigrateCheckArgs,
    user: &Identity,
) -> Result<Vec<Row>, CommandFailure> {
    let failed = |error: String| CommandFailure(format!("ERROR: {error}"));
    let theirs = Sources::of_file(&arguments.file).map_err(failed)?;
    let deployment = read_deployment(&theirs, arguments).map_err(failed)?;
    let read = Config::read(&theirs);
    let effective = read.as_ref().map_or(&[][..], |(_, effective)| effective.as_slice());
    let mut rows = settings::check_file(&theirs, effective);
    rows.extend(settings::check_elsewhere(&theirs, &deployment));
    rows.extend(settings::check_env_files(&arguments.file, &deployment));
    rows.push(check_user(user, &deployment));
    let config = match read {
        Ok((config, _)) => config,
        Err(error) => {
            rows.push(Row::act(
                arguments.file.display().to_string(),
                "",
                format!("{error}; then check again"),
            ));
            return Ok(rows);
        }
    };
    let rust_log = process.variable("RUST_LOG").unwrap_or("off");
    let _log = telemetry::start(config.log_level, config.log_format, Some(rust_log));
    // This program may have run here already, with settings of its own.
    let own_config =
        Config::read(process).map(|(own, _)| own).ok().filter(|own| own.data_dir.is_some());
    let data_dir = expected_data_dir(own_config.as_ref().unwrap_or(&config));
    let check = DirectoryCheck {
        data_dir: &data_dir,
        theirs: &theirs,
        config: &config,
        deployment: &deployment,
        user,
        fstab: &arguments.fstab,
    };
    rows.extend(check.rows());
    match read_store_settings(&config, &theirs) {
        Ok(stores) => {
            let stores = stores.into_read_only();
            let checked = stores::check(&theirs, &config, &stores, &deployment.services);
            let (store_rows, sample) = build_runtime(true)?.block_on(checked);
            rows.extend(store_rows);
            rows.extend(sample.iter().flat_map(|sample| samples::check(&config, sample, user)));
        }
        Err(error) => rows.push(Row::act("stores", "", error)),
    }
    Ok(rows)
}

/// Who owns the files, and who will use them.
fn check_user(user: &Identity, deployment: &Deployment) -> Row {
    let theirs = match deployment.users.is_empty() {
        true => "user 1000, group 2000 (of the containers)".to_owned(),
        false => {
            let users: Vec<&str> = deployment.users.iter().map(String::as_str).collect();
            format!("user {} (of the containers)", users.join(", "))
        }
    };
    Row::ok(theirs, format!("user {}: see the directories", user.name))
}

fn read_deployment(theirs: &Sources, arguments: &MigrateCheckArgs) -> Result<Deployment, String> {
    let mut deployment = Deployment::default();
    let variable = |name: &str| theirs.raw_variable(name).map(str::to_owned);
    for path in &arguments.compose {
        compose::read(path, &read_text(path)?, &variable, &mut deployment)?;
    }
    for path in &arguments.unit {
        units::read(path, &read_text(path)?, &variable, &mut deployment);
    }
    Ok(deployment)
}

fn read_text(path: &Path) -> Result<String, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match text.len() <= MAX_FILE_BYTES {
        true => Ok(text),
        false => Err(format!("{}: the file is too large", path.display())),
    }
}
