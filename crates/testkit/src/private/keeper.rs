//! A server process and its folder, kept by a shell of a few lines that stands between them and us.
//! We hold the writing end of its pipe; when that closes, because the server is dropped or because
//! our process was killed, the shell ends the server and removes the folder.

use super::{DEADLINE, LOOK_EVERY, story};
use crate::clock::inherited;
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
pub(super) struct Keeper {
    folder: PathBuf,
    shell: Mutex<Shell>,
}

#[derive(Debug)]
struct Shell {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// The server, if it was started and not waited for.
    server: Option<u32>,
}

impl Keeper {
    /// Takes the folder over; nothing is started yet.
    pub(super) fn new(folder: PathBuf, command: &[OsString]) -> anyhow::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", include_str!("keeper.sh"), "keeper"]).arg(&folder).args(command);
        shell.env_clear().env("LC_ALL", "C").envs(inherited("PATH").map(|path| ("PATH", path)));
        // What ends a test and its group, as interrupts do, is not to end this.
        shell.process_group(0).current_dir("/");
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = shell.spawn().context("sh")?;
        let orders = process.stdin.take();
        let answers = process.stdout.take().context("sh without an output")?;
        let answers = BufReader::new(answers);
        let shell = Shell { process, orders, answers, server: None };
        Ok(Self { folder, shell: Mutex::new(shell) })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the server has said, of all its lives.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn shell(&self) -> MutexGuard<'_, Shell> {
        self.shell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the server; returns its process id.
    pub(super) fn start(&self) -> anyhow::Result<u32> {
        let mut shell = self.shell();
        ensure!(shell.server.is_none(), "it runs already");
        shell.order("start")?;
        let id = shell.answer()?.parse()?;
        shell.server = Some(id);
        Ok(id)
    }

    /// Whether there is no server that runs.
    pub(super) fn is_over(&self) -> bool {
        self.shell().server.is_none_or(is_over)
    }

    /// Stops the server and its children in the middle of whatever they do.
    pub(super) async fn pause(&self) -> anyhow::Result<()> {
        let stopping = self.signal("STOP", true)?;
        let stands = |id: &u32| matches!(state_of(*id), None | Some('T' | 'Z' | 'X'));
        self.until(|| stopping.iter().all(stands)).await.context("does not pause")
    }

    /// Lets the server and its children go on.
    pub(super) fn go_on(&self) -> anyhow::Result<()> {
        self.signal("CONT", true).map(drop)
    }

    /// Sends the server a signal, and its children too if that is for them; returns whom it reached.
    fn signal(&self, name: &str, children: bool) -> anyhow::Result<Vec<u32>> {
        let mut shell = self.shell();
        let Some(server) = shell.server else {
            return Ok(Vec::new());
        };
        let mut all = vec![server];
        all.extend(if children { children_of(server) } else { Vec::new() });
        let ids: Vec<_> = all.iter().map(ToString::to_string).collect();
        shell.order(&format!("{name} {}", ids.join(" ")))?;
        shell.answer()?;
        Ok(all)
    }

    /// Ends the server by a signal and waits until it is gone; nothing happens if it is.
    pub(super) async fn end(&self, signal: &str, children: bool) -> anyhow::Result<()> {
        let ending = self.signal(signal, children)?;
        let gone = self.until(|| ending.iter().all(|id| is_over(*id))).await;
        gone.with_context(|| format!("does not end by {signal}; {}", story(&self.log())))?;
        self.bury()
    }

    async fn until(&self, mut is_so: impl FnMut() -> bool) -> anyhow::Result<()> {
        let waiting = async {
            while !is_so() {
                sleep(LOOK_EVERY).await;
            }
        };
        Ok(timeout(DEADLINE, waiting).await?)
    }

    /// Lets go of a server that has ended.
    pub(super) fn bury(&self) -> anyhow::Result<()> {
        let mut shell = self.shell();
        if shell.server.take().is_some() {
            shell.order("wait")?;
            shell.answer()?;
        }
        Ok(())
    }
}

impl Shell {
    fn order(&mut self, order: &str) -> anyhow::Result<()> {
        let orders = self.orders.as_mut().context("the keeper has ended")?;
        writeln!(orders, "{order}").context("the keeper has ended")
    }

    /// The shell's next line, which comes at once.
    fn answer(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the keeper has ended");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.orders.take());
        // If that fails there is nothing more to be done.
        let _ = self.process.wait();
    }
}

/// The letter that stands for the state of a process, if there is one.
fn state_of(id: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
}

/// Whether a process is gone or at least dead.
fn is_over(id: u32) -> bool {
    matches!(state_of(id), None | Some('Z' | 'X'))
}

fn children_of(id: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    list.unwrap_or_default().split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
