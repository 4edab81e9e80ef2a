//! A server process and its folder, kept by a shell of a few lines that stands between them and us.
//! We hold the writing end of its pipe; when that closes, because the server is dropped or because
//! our process was killed, the shell ends the server and removes the folder.

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

/// A server and its folder. Dropping it ends both before it returns.
#[derive(Debug)]
pub(super) struct Supervisor {
    folder: PathBuf,
    shell: Mutex<Shell>,
}

#[derive(Debug)]
struct Shell {
    process: Child,
    commands: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The server, if it was started and not waited for.
    server_pid: Option<u32>,
}

impl Supervisor {
    /// Takes the folder over; nothing is started yet.
    pub(super) fn new(folder: PathBuf, command: &[OsString]) -> anyhow::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", include_str!("keeper.sh"), "keeper"]).arg(&folder).args(command);
        shell
            .env_clear()
            .env("LC_ALL", "C")
            .envs(environment_variable("PATH").map(|path| ("PATH", path)));
        // What ends a test and its group, as interrupts do, is not to end this.
        shell.process_group(0).current_dir("/");
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = shell.spawn().context("sh")?;
        let orders = process.stdin.take();
        let answers = process.stdout.take().context("sh without an output")?;
        let answers = BufReader::new(answers);
        let shell = Shell { process, commands: orders, output: answers, server_pid: None };
        Ok(Self { folder, shell: Mutex::new(shell) })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the server has said, of all its lives.
    pub(super) fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn shell(&self) -> MutexGuard<'_, Shell> {
        self.shell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the server; returns its process id.
    pub(super) fn start(&self) -> anyhow::Result<u32> {
        let mut shell = self.shell();
        ensure!(shell.server_pid.is_none(), "it runs already");
        shell.send_command("start")?;
        let id = shell.read_line()?.parse()?;
        shell.server_pid = Some(id);
        Ok(id)
    }

    /// Whether there is no server that runs.
    pub(super) fn is_stopped(&self) -> bool {
        self.shell().server_pid.is_none_or(has_exited)
    }

    /// Stops the server and its children in the middle of whatever they do.
    pub(super) async fn pause(&self) -> anyhow::Result<()> {
        let stopping = self.send_signal("STOP", true)?;
        let stands = |id: &u32| matches!(process_state(*id), None | Some('T' | 'Z' | 'X'));
        self.wait_until(|| stopping.iter().all(stands)).await.context("does not pause")
    }

    /// Lets the server and its children go on.
    pub(super) fn resume(&self) -> anyhow::Result<()> {
        self.send_signal("CONT", true).map(drop)
    }

    /// Sends the server a signal, and its children too if that is for them; returns whom it reached.
    fn send_signal(&self, name: &str, children: bool) -> anyhow::Result<Vec<u32>> {
        let mut shell = self.shell();
        let Some(server) = shell.server_pid else {
            return Ok(Vec::new());
        };
        let mut all = vec![server];
        all.extend(if children { child_pids(server) } else { Vec::new() });
        let ids: Vec<_> = all.iter().map(ToString::to_string).collect();
        shell.send_command(&format!("{name} {}", ids.join(" ")))?;
        shell.read_line()?;
        Ok(all)
    }

    /// Ends the server by a signal and waits until it is gone; nothing happens if it is.
    pub(super) async fn stop(&self, signal: &str, children: bool) -> anyhow::Result<()> {
        let ending = self.send_signal(signal, children)?;
        let gone = self.wait_until(|| ending.iter().all(|id| has_exited(*id))).await;
        gone.with_context(|| format!("does not end by {signal}; {}", log_tail(&self.log_path())))?;
        self.reap()
    }

    async fn wait_until(&self, mut is_so: impl FnMut() -> bool) -> anyhow::Result<()> {
        let waiting = async {
            while !is_so() {
                sleep(CHECK_INTERVAL).await;
            }
        };
        Ok(timeout(DEADLINE, waiting).await?)
    }

    /// Lets go of a server that has ended.
    pub(super) fn reap(&self) -> anyhow::Result<()> {
        let mut shell = self.shell();
        if shell.server_pid.take().is_some() {
            shell.send_command("wait")?;
            shell.read_line()?;
        }
        Ok(())
    }
}

impl Shell {
    fn send_command(&mut self, order: &str) -> anyhow::Result<()> {
        let orders = self.commands.as_mut().context("the keeper has ended")?;
        writeln!(orders, "{order}").context("the keeper has ended")
    }

    /// The shell's next line, which comes at once.
    fn read_line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the keeper has ended");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.commands.take());
        // If that fails there is nothing more to be done.
        let _ = self.process.wait();
    }
}

/// The letter that stands for the state of a process, if there is one.
fn process_state(id: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
}

/// Whether a process is gone or at least dead.
fn has_exited(id: u32) -> bool {
    matches!(process_state(id), None | Some('Z' | 'X'))
}

fn child_pids(id: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    list.unwrap_or_default().split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
