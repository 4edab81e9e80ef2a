//! What every private PostgreSQL begins with: an initialised cluster, made once for each target
//! folder and version, and copied for each server, which takes a tenth of the time.

use super::{create_folder, find_program};
use anyhow::{Context, bail, ensure};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Counts up with every change of what is initialised here.
const TEMPLATE_VERSION: u32 = 1;
/// Where Debian keeps the programs of each version.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// The programs of one version, and who runs them.
#[derive(Clone, Debug)]
pub(super) struct PostgresPrograms {
    folder: PathBuf,
    /// User and group to run as, if we are root: PostgreSQL refuses to be.
    run_as: Option<(u32, u32)>,
}

impl PostgresPrograms {
    /// The newest that is installed.
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
        let me = numeric_output(&["id", "-u"])?;
        let run_as = if me == 0 { Some(unprivileged_user()?) } else { None };
        Ok(Self { folder, run_as })
    }

    /// A program, with what goes before it so that it does not run as root.
    pub(super) fn command(&self, name: &str) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some((user, group)) = self.run_as {
            let [user, group] = [format!("--reuid={user}"), format!("--regid={group}")];
            words.extend(["setpriv", &user, &group, "--clear-groups"].map(Into::into));
        }
        words.push(self.program_path(name).into());
        words
    }

    /// A program that may run as whoever we are.
    pub(super) fn program_path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Gives a folder to whom the server runs as.
    pub(super) fn set_owner(&self, folder: &Path) -> anyhow::Result<()> {
        if let Some((user, group)) = self.run_as {
            chown(folder, Some(user), Some(group))?;
        }
        Ok(())
    }

    fn version(&self) -> anyhow::Result<String> {
        let said =
            run_program(&[self.program_path("postgres").as_os_str(), OsStr::new("--version")])?;
        let version = said.split_whitespace().find(|word| word.starts_with(char::is_numeric));
        Ok(version.context("postgres --version without a version")?.to_owned())
    }

    /// Puts a fresh cluster at `data`, a path that does not exist yet in a folder of the server's.
    pub(super) fn create_cluster(&self, data: &Path) -> anyhow::Result<()> {
        let Some(shelf) = template_dir() else {
            return self.run_initdb(data);
        };
        std::fs::create_dir_all(&shelf)?;
        // Copies of another user cannot be read.
        let user =
            self.run_as.map_or_else(|| numeric_output(&["id", "-u"]), |(user, _)| Ok(user))?;
        let name = format!("{}-layout-{TEMPLATE_VERSION}-user-{user}", self.version()?);
        let template = shelf.join(&name);
        if !template.exists() {
            let lock = std::fs::File::create(shelf.join("lock"))?;
            lock.lock()?;
            if !template.exists() {
                self.make_template(&template)?;
            }
        }
        copy_dir(&template, data)
    }

    /// Makes the template, whole or not at all.
    fn make_template(&self, template: &Path) -> anyhow::Result<()> {
        // Not beside it: whom the server runs as need not be allowed to go there.
        let workshop = create_folder("initdb-")?;
        let half = template.with_extension("half");
        let made = (|| {
            self.set_owner(&workshop)?;
            self.run_initdb(&workshop.join("data"))?;
            if half.exists() {
                std::fs::remove_dir_all(&half)?;
            }
            copy_dir(&workshop.join("data"), &half)?;
            Ok(std::fs::rename(&half, template)?)
        })();
        std::fs::remove_dir_all(&workshop)?;
        made
    }

    /// Text sorts by language here, not by bytes, as in most deployments: queries that rely on the
    /// order of bytes have to say so.
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

/// A folder of programs outside of Debian's.
fn find_outside_debian() -> Option<PathBuf> {
    let asked = run_program(&["pg_config", "--bindir"]).ok().map(|said| PathBuf::from(said.trim()));
    let asked = asked.filter(|folder| folder.join("postgres").is_file());
    asked.or_else(|| find_program("postgres").and_then(|file| file.parent().map(Path::to_owned)))
}

/// Somebody who is not root.
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

/// Where templates are kept: in the target folder that our program was built in.
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

/// Runs a program that ends soon and must succeed.
fn run_program(words: &[impl AsRef<OsStr>]) -> anyhow::Result<String> {
    let (program, arguments) = words.split_first().context("no program")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).current_dir("/").env("LC_ALL", "C");
    let what = format!("{command:?}");
    let output = command.output().with_context(|| what.clone())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{what}: {}: {}", output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
