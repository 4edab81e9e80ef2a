//! Commands of the product that end: their input and their output. No command may panic or run for
//! ever.

use crate::product::{DEADLINE, Setup};
use anyhow::{Context, ensure};
use std::process::{Output, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// The word in the error output of a Rust program that has panicked, which no input may cause.
const PANIC_WORD: &str = "panicked";

/// The output of a command that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error output.
    pub stderr: String,
    /// Its exit code.
    pub exit_code: i32,
}

impl Setup {
    /// Runs another command of the product with the same environment.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time.
    pub async fn run_command(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self.command().args(arguments).output();
        Ok(timeout(DEADLINE, output).await.context("does not end")??)
    }

    /// Makes an empty embedded store, as the first start of `serve` does: commands that only read make none.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn create_store(&self) -> anyhow::Result<()> {
        let file = self.folder().join("no-servers.yml");
        std::fs::write(&file, "servers: {}\n")?;
        let output = self.run_command(&["servers", "sync", &file.display().to_string()]).await?;
        std::fs::remove_file(&file)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// Runs a command of the product.
pub async fn run(setup: &Setup, arguments: &[&str]) -> anyhow::Result<CommandOutput> {
    wait_for_output(piped_command(setup, arguments), None).await
}

/// Runs a command of the product with this standard input.
pub async fn run_with_input(
    setup: &Setup,
    arguments: &[&str],
    input: &str,
) -> anyhow::Result<CommandOutput> {
    wait_for_output(piped_command(setup, arguments), Some(input)).await
}

/// A command of the product whose output is captured.
pub fn piped_command(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = setup.command();
    command.args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end. Output that is not captured is missing in the result.
pub async fn wait_for_output(
    mut command: Command,
    input: Option<&str>,
) -> anyhow::Result<CommandOutput> {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let command_line = format!("{:?}", command.as_std());
    let mut child = command.spawn().with_context(|| command_line.clone())?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // A command that does not read its input closes the pipe.
        let _ = pipe.write_all(input.as_bytes()).await;
    }
    let output = timeout(DEADLINE, child.wait_with_output()).await;
    let output = output.with_context(|| format!("{command_line} does not end"))??;
    let output = CommandOutput {
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
        exit_code: output.status.code().context("killed by a signal")?,
    };
    ensure!(!output.stderr.contains(PANIC_WORD), "{command_line}: {}", output.stderr);
    Ok(output)
}

/// The writing end of a pipe whose reading end is closed.
pub fn closed_pipe() -> std::io::Result<Stdio> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    Ok(writer.into())
}
