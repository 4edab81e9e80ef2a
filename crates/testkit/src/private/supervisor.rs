//! A server process and its folder, supervised by a shell script of a few lines that runs between
//! the test process and the server.
//!
//! The test process holds the writing end of the script's input. When that end closes, because the
//! server is dropped or because the test process was killed, the script kills the server and
//! removes the folder.

use super::{CHECK_INTERVAL, DEADLINE, log_tail};
use crate::clock::environment_variable;
use anyhow::{Context, ensure};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::{sleep, timeout};

const SUPERVISOR_SCRIPT: &str = include_str!("supervisor.sh");
const SHARED_SUPERVISOR_SCRIPT: &str = include_str!("shared_supervisor.sh");

/// How long a supervised server and its folder exist.
#[derive(Clone, Debug)]
pub(super) enum Lifetime {
    /// Until the [`Supervisor`] is dropped.
    Supervisor,
    /// Until the process with this id has ended. Then the directory `record` is removed as well.
    Process { id: u32, record: PathBuf },
}

/// A server and its folder. Unless another process supervises the server, dropping this ends the
/// server and removes the folder before it returns.
#[derive(Debug)]
pub(super) struct Supervisor {
    folder: PathBuf,
    /// The script; none if another process started the server.
    shell: Option<Mutex<Shell>>,
}

#[derive(Debug)]
struct Shell {
    process: Child,
    commands: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The server's process id between its start and [`Supervisor::reap`].
    server_pid: Option<u32>,
    lifetime: Lifetime,
}

impl Supervisor {
    /// Takes ownership of the folder. Does not start the server yet.
    pub(super) fn new(
        folder: PathBuf,
        command: &[OsString],
        lifetime: &Lifetime,
    ) -> anyhow::Result<Self> {
        let mut shell = Command::new("sh");
        match lifetime {
            Lifetime::Supervisor => {
                shell.args(["-c", SUPERVISOR_SCRIPT, "supervisor"]);
            }
            Lifetime::Process { id, record } => {
                shell.args(["-c", SHARED_SUPERVISOR_SCRIPT, "shared_supervisor"]);
                shell.arg(id.to_string()).arg(record).arg(SUPERVISOR_SCRIPT);
            }
        }
        shell.arg(&folder).args(command);
        shell
            .env_clear()
            .env("LC_ALL", "C")
            .envs(environment_variable("PATH").map(|path| ("PATH", path)));
        // A signal to the process group of the test, such as an interrupt, must not end the script.
        shell.process_group(0).current_dir("/");
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = shell.spawn().context("sh")?;
        let commands = process.stdin.take();
        let output = BufReader::new(process.stdout.take().context("sh without an output")?);
        let lifetime = lifetime.clone();
        let shell = Shell { process, commands, output, server_pid: None, lifetime };
        Ok(Self { folder, shell: Some(Mutex::new(shell)) })
    }

    /// Refers to a server that another process has started in this folder.
    pub(super) fn of_another_process(folder: PathBuf) -> Self {
        Self { folder, shell: None }
    }

    /// Whether another process has started the server.
    pub(super) fn is_of_another_process(&self) -> bool {
        self.shell.is_none()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file with everything that the server has printed since its first start.
    pub(super) fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn lock_shell(&self) -> anyhow::Result<MutexGuard<'_, Shell>> {
        let shell = self.shell.as_ref().context("a shared server is not controlled by one test")?;
        Ok(shell.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts the server; returns its process id.
    pub(super) fn start(&self) -> anyhow::Result<u32> {
        let mut shell = self.lock_shell()?;
        ensure!(shell.server_pid.is_none(), "the server runs already");
        shell.send_command("start")?;
        let id = shell.read_line()?.parse()?;
        shell.server_pid = Some(id);
        Ok(id)
    }

    /// Whether no server runs that this process has started.
    pub(super) fn is_stopped(&self) -> bool {
        self.lock_shell().map_or(true, |shell| shell.server_pid.is_none_or(has_exited))
    }

    /// Suspends the server and its children, whatever they are doing.
    pub(super) async fn pause(&self) -> anyhow::Result<()> {
        let paused = self.send_signal("STOP", true)?;
        let is_paused = |id: &u32| matches!(process_state(*id), None | Some('T' | 'Z' | 'X'));
        self.wait_until(|| paused.iter().all(is_paused)).await.context("does not pause")
    }

    /// Lets the server and its children continue.
    pub(super) fn resume(&self) -> anyhow::Result<()> {
        self.send_signal("CONT", true).map(drop)
    }

    /// Sends a signal to the server, and to its children if `children` is true; returns the ids of
    /// these processes.
    fn send_signal(&self, name: &str, children: bool) -> anyhow::Result<Vec<u32>> {
        let mut shell = self.lock_shell()?;
        let Some(server) = shell.server_pid else {
            return Ok(Vec::new());
        };
        let mut processes = vec![server];
        processes.extend(if children { child_pids(server) } else { Vec::new() });
        let ids: Vec<_> = processes.iter().map(ToString::to_string).collect();
        shell.send_command(&format!("{name} {}", ids.join(" ")))?;
        shell.read_line()?;
        Ok(processes)
    }

    /// Ends the server by a signal and waits until it has ended. Does nothing if no server runs.
    pub(super) async fn stop(&self, signal: &str, children: bool) -> anyhow::Result<()> {
        let ending = self.send_signal(signal, children)?;
        let ended = self.wait_until(|| ending.iter().all(|id| has_exited(*id))).await;
        ended
            .with_context(|| format!("does not end by {signal}; {}", log_tail(&self.log_path())))?;
        self.reap()
    }

    async fn wait_until(&self, mut condition: impl FnMut() -> bool) -> anyhow::Result<()> {
        let waiting = async {
            while !condition() {
                sleep(CHECK_INTERVAL).await;
            }
        };
        Ok(timeout(DEADLINE, waiting).await?)
    }

    /// Waits for the exit status of a server that has ended, so that it can be started again.
    pub(super) fn reap(&self) -> anyhow::Result<()> {
        let mut shell = self.lock_shell()?;
        if shell.server_pid.take().is_some() {
            shell.send_command("wait")?;
            shell.read_line()?;
        }
        Ok(())
    }
}

impl Shell {
    fn send_command(&mut self, command: &str) -> anyhow::Result<()> {
        let commands = self.commands.as_mut().context("the supervisor script has ended")?;
        writeln!(commands, "{command}").context("the supervisor script has ended")
    }

    /// The script's reply to a command, which it prints at once.
    fn read_line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the supervisor script has ended");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.commands.take());
        if matches!(self.lifetime, Lifetime::Supervisor) {
            // Nothing can be done if waiting fails.
            let _ = self.process.wait();
        }
    }
}

/// The letter for the state of a process in `/proc`, if the process exists.
fn process_state(id: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
}

/// Whether a process does not exist or has ended without having been waited for.
fn has_exited(id: u32) -> bool {
    matches!(process_state(id), None | Some('Z' | 'X'))
}

fn child_pids(id: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    list.unwrap_or_default().split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
