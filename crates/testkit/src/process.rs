//! Commands of the product that end: what they are told and what they say. None of them may panic
//! or go on for ever.

use crate::product::{DEADLINE, Setup};
use anyhow::{Context, ensure};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// Rust's word for a fault of the program, which no input may bring about.
const PANIC_WORD: &str = "panicked";

/// What a command that ended has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error output.
    pub stderr: String,
    /// Its exit code.
    pub exit_code: i32,
}

/// Runs a command of the product.
pub async fn run(setup: &Setup, arguments: &[&str]) -> anyhow::Result<CommandOutput> {
    wait_for_output(piped_command(setup, arguments), None).await
}

/// Runs a command of the product that is told this on its standard input.
pub async fn run_with_input(
    setup: &Setup,
    arguments: &[&str],
    input: &str,
) -> anyhow::Result<CommandOutput> {
    wait_for_output(piped_command(setup, arguments), Some(input)).await
}

/// A command of the product whose output comes to us.
pub fn piped_command(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = setup.command();
    command.args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end; what goes elsewhere than to us is missing in the result.
pub async fn wait_for_output(
    mut command: Command,
    input: Option<&str>,
) -> anyhow::Result<CommandOutput> {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let what = format!("{:?}", command.as_std());
    let mut child = command.spawn().with_context(|| what.clone())?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // A command that does not ask closes the pipe unread.
        let _ = pipe.write_all(input.as_bytes()).await;
    }
    let output = timeout(DEADLINE, child.wait_with_output()).await;
    let output = output.with_context(|| format!("{what} does not end"))??;
    let said = CommandOutput {
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
        exit_code: output.status.code().context("killed by a signal")?,
    };
    ensure!(!said.stderr.contains(PANIC_WORD), "{what}: {}", said.stderr);
    Ok(said)
}

/// The end of a pipe that nobody reads from any more.
pub fn closed_pipe() -> std::io::Result<Stdio> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    Ok(writer.into())
}
