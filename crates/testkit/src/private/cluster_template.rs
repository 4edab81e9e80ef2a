//! Initialised PostgreSQL clusters for private servers. `initdb` runs once for each target
//! directory and version; each server gets a copy, which takes a tenth of the time.

use super::{create_folder, find_program};
use anyhow::{Context, bail, ensure};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The version of the template. It increases with every change of how clusters are initialised.
const TEMPLATE_VERSION: u32 = 1;
/// The directory in which Debian installs the programs of each version.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// The programs of one PostgreSQL version, and the user that runs them.
#[derive(Clone, Debug)]
pub(super) struct PostgresPrograms {
    folder: PathBuf,
    /// User and group of the server, if the tests run as root. PostgreSQL refuses to run as root.
    run_as: Option<(u32, u32)>,
}

impl PostgresPrograms {
    /// Finds the newest installed version.
    pub(super) fn find() -> anyhow::Result<Self> {
        let debian = std::fs::read_dir(DEBIAN_ROOT).into_iter().flatten().flatten();
        let version = |entry: &std::fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
        let mut debian: Vec<_> = debian
            .filter_map(|entry| Some((version(&entry)?, entry.path().join("bin"))))
            .filter(|(_, folder)| folder.join("postgres").is_file())
            .collect();
        debian.sort();
        let folder = debian.pop().map(|(_, folder)| folder).or_else(find_outside_debian);
        let folder = folder.context("PostgreSQL is missing: bin/test installs it")?;
        let current_user = numeric_output(&["id", "-u"])?;
        let run_as = if current_user == 0 { Some(unprivileged_user()?) } else { None };
        Ok(Self { folder, run_as })
    }

    /// The command line of a program, run by an unprivileged user if the tests run as root.
    pub(super) fn command(&self, name: &str) -> Vec<OsString> {
        let mut words = self.run_unprivileged();
        words.push(self.program_path(name).into());
        words
    }

    /// The words that run a program by an unprivileged user; none unless the tests run as root.
    pub(super) fn run_unprivileged(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some((user, group)) = self.run_as {
            let [user, group] = [format!("--reuid={user}"), format!("--regid={group}")];
            words.extend(["setpriv", &user, &group, "--clear-groups"].map(Into::into));
        }
        words
    }

    /// The path of a program that may run as any user.
    pub(super) fn program_path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the server's user the owner of a folder.
    pub(super) fn set_owner(&self, folder: &Path) -> anyhow::Result<()> {
        if let Some((user, group)) = self.run_as {
            chown(folder, Some(user), Some(group))?;
        }
        Ok(())
    }

    fn version(&self) -> anyhow::Result<String> {
        let output =
            run_program(&[self.program_path("postgres").as_os_str(), OsStr::new("--version")])?;
        let version = output.split_whitespace().find(|word| word.starts_with(char::is_numeric));
        Ok(version.context("postgres --version without a version")?.to_owned())
    }

    /// Creates a new cluster at `data`, a path that does not exist yet in the server's folder.
    pub(super) fn create_cluster(&self, data: &Path) -> anyhow::Result<()> {
        let Some(templates) = template_dir() else {
            return self.run_initdb(data);
        };
        std::fs::create_dir_all(&templates)?;
        // Files of a cluster can be read by the user who owns them only.
        let user =
            self.run_as.map_or_else(|| numeric_output(&["id", "-u"]), |(user, _)| Ok(user))?;
        let name = format!("{}-layout-{TEMPLATE_VERSION}-user-{user}", self.version()?);
        let template = templates.join(&name);
        if !template.exists() {
            let lock = std::fs::File::create(templates.join("lock"))?;
            lock.lock()?;
            if !template.exists() {
                self.make_template(&template)?;
            }
        }
        copy_dir(&template, data)
    }

    /// Creates the template, completely or not at all.
    fn make_template(&self, template: &Path) -> anyhow::Result<()> {
        // The server's user may not have access to the directory of the templates.
        let build_dir = create_folder("initdb-")?;
        let unfinished = template.with_extension("unfinished");
        let result = (|| {
            self.set_owner(&build_dir)?;
            self.run_initdb(&build_dir.join("data"))?;
            if unfinished.exists() {
                std::fs::remove_dir_all(&unfinished)?;
            }
            copy_dir(&build_dir.join("data"), &unfinished)?;
            Ok(std::fs::rename(&unfinished, template)?)
        })();
        std::fs::remove_dir_all(&build_dir)?;
        result
    }

    /// Runs `initdb`. Text sorts by language, not by bytes, as in most deployments: queries that
    /// rely on the order of bytes must say so.
    fn run_initdb(&self, data: &Path) -> anyhow::Result<()> {
        let mut words = self.command("initdb");
        words.extend(
            ["--no-sync", "--no-instructions", "-U", "postgres", "-A", "trust"].map(Into::into),
        );
        words.extend(["-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1"].map(Into::into));
        let version = self.version()?;
        if version.split('.').next().and_then(|major| major.parse().ok()) >= Some(15) {
            words.extend(["--locale-provider=icu", "--icu-locale=en"].map(Into::into));
        }
        words.push("-D".into());
        words.push(data.into());
        run_program(&words).map(drop)
    }
}

/// The folder of the programs on systems other than Debian.
fn find_outside_debian() -> Option<PathBuf> {
    let output = run_program(&["pg_config", "--bindir"]).ok();
    let folder = output.map(|output| PathBuf::from(output.trim()));
    let folder = folder.filter(|folder| folder.join("postgres").is_file());
    folder.or_else(|| find_program("postgres").and_then(|file| file.parent().map(Path::to_owned)))
}

/// User and group of an unprivileged user.
fn unprivileged_user() -> anyhow::Result<(u32, u32)> {
    for name in ["postgres", "nobody"] {
        if let (Ok(user), Ok(group)) =
            (numeric_output(&["id", "-u", name]), numeric_output(&["id", "-g", name]))
        {
            return Ok((user, group));
        }
    }
    bail!("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

/// The directory of the templates, in the target directory that this program was built in.
fn template_dir() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file())?;
    Some(target.join("private-postgres"))
}

fn copy_dir(from: &Path, to: &Path) -> anyhow::Result<()> {
    let words = [OsStr::new("cp"), OsStr::new("-a"), from.as_os_str(), to.as_os_str()];
    run_program(&words).map(drop)
}

fn numeric_output(words: &[&str]) -> anyhow::Result<u32> {
    Ok(run_program(words)?.trim().parse()?)
}

/// Runs a program that must succeed; returns its output.
fn run_program(words: &[impl AsRef<OsStr>]) -> anyhow::Result<String> {
    let (program, arguments) = words.split_first().context("no program")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).current_dir("/").env("LC_ALL", "C");
    let command_line = format!("{command:?}");
    let output = command.output().with_context(|| command_line.clone())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command_line}: {}: {}", output.status, errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
