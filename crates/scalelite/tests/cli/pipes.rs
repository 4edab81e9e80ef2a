//! Closed pipes: commands end without a panic when their reader closes the pipe, as `head` does.

use crate::environment::CliEnvironment;
use testkit::process::{closed_pipe, piped_command, wait_for_output};

#[tokio::test]
async fn a_closed_output_is_not_a_failure() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    cli.add_enabled_server().await?;
    for line in [
        "servers",
        "servers --table",
        "servers --json",
        "servers yaml",
        "servers meetings",
        "status",
        "status --json",
        "status --watch",
        "meetings",
        "poll",
        "liveness",
        "config",
        "config --json",
        "config --reference",
        "secret",
        "sign getMeetings",
        "rake servers",
        "--help",
        "--version",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut command = piped_command(&cli.setup, &arguments);
        command.stdout(closed_pipe()?);
        let output = wait_for_output(command, None).await?;
        assert_eq!(output.exit_code, 0, "{line}: {}", output.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_closed_error_output_does_not_change_the_exit_code() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(0).await?;
    for (line, code) in [
        ("servers", 0),
        ("servers enable none", 1),
        ("servers add", 2),
        ("poll --log-level debug", 2),
        ("poll --rails-log-level debug", 0),
        ("config --port x", 1),
        ("meetings end --yes", 0),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut command = piped_command(&cli.setup, &arguments);
        command.stderr(closed_pipe()?);
        assert_eq!(wait_for_output(command, None).await?.exit_code, code, "{line}");
    }
    Ok(())
}
