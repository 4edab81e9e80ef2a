//! Tests of mistakes that are refused: servers that cannot work are not added, and people are not put out of their meetings unasked.

use crate::environment::{CliEnvironment, create_meeting};
use bbb_sim::FaultMode;
use testkit::process::{self, CommandOutput, wait_for_output};
use tokio::process::Command;

#[tokio::test]
async fn a_server_that_cannot_work_is_not_added() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(1).await?;
    let url = cli.server(1).url();
    let host = url.trim_end_matches("/bigbluebutton/api").to_owned();
    let hint = ": BigBlueButton answers at <url-1>. The server was not added; --force adds it nevertheless\n";
    for address in [host.clone(), format!("{host}/bigbluebutton"), format!("{host}/bigbluebutton/")]
    {
        let error = cli.run_failing(&format!("servers add {address} secret1")).await?;
        assert!(error.starts_with("ERROR: no BigBlueButton answers there: HTTP 404"), "{error}");
        assert!(error.ends_with(hint), "{error}");
    }
    let error = cli.run_failing("servers add <url-1> wrong").await?;
    let reason = "ERROR: the server does not accept the secret: refused: checksumError: \
                  `bbb-conf --secret` on the server prints the right one. ";
    assert!(error.starts_with(reason), "{error}");
    let error =
        cli.run_failing(&format!("servers add {} secret1", url.replace("http:", "https:"))).await?;
    assert!(error.starts_with("ERROR: unreachable: "), "{error}");
    let error = cli.run_failing("servers add <url-1> secret1 blue").await?;
    assert_eq!(
        error,
        "ERROR: `blue` is no number: the load multiplier precedes the tag, which can also be given as --tag blue\n"
    );
    let error = cli.run_failing("servers add <url-1> secret1 0").await?;
    assert!(error.starts_with("ERROR: Load multiplier must be a number greater than 0"), "{error}");
    assert_eq!(cli.run("servers").await?.stderr, "No servers are configured\n");

    // The original's task adds it, as the original does.
    let added = cli.run(&format!("rake servers:add[{host},wrong,blue]")).await?;
    assert!(added.exit_code == 0 && added.stdout.contains("\nOK\nid: "), "{added:?}");
    cli.server(1).set_fault(FaultMode::Refuse);
    let added = cli.run("servers add <url-1> secret1 --force").await?;
    assert!(added.exit_code == 0 && added.stdout.starts_with("OK\nid: "), "{added:?}");
    assert!(added.stderr.starts_with("WARNING: unreachable: "), "{added:?}");
    Ok(())
}

#[tokio::test]
async fn arguments_may_be_named() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(2).await?;
    let named = "servers add --tag blue --secret secret1 --multiplier 2 --url <url-1>";
    let first = cli.run_ok(named).await?;
    let id = first.lines().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default();
    cli.run_ok("servers add <url-2> secret2 --tag red").await?;
    let listed = cli.run_ok("servers").await?;
    assert!(listed.contains("load multiplier: 2.0\n\tbbb version: \n\ttag: blue\n"), "{listed}");
    assert!(listed.contains("load multiplier: 1.0\n\tbbb version: \n\ttag: red\n"), "{listed}");
    cli.run_ok(&format!("servers update {id} --tag green --multiplier 3")).await?;
    let listed = cli.run_ok("servers").await?;
    assert!(
        listed.contains("secret: secret1\n\tdisabled\n\tload: unavailable\n\tload multiplier: 3.0")
    );
    assert!(listed.contains("\ttag: green\n"), "{listed}");
    let error = cli.run_failing(&format!("servers update {id} secret1 green")).await?;
    assert!(error.starts_with("ERROR: `green` is no number: "), "{error}");
    Ok(())
}

/// Runs a command on a terminal, with this text typed.
async fn run_on_terminal(
    cli: &CliEnvironment,
    command: &str,
    typed: &str,
) -> anyhow::Result<CommandOutput> {
    let line = format!("{} {command}", env!("CARGO_BIN_EXE_scalelite"));
    let in_setup = cli.setup.command();
    let environment = in_setup.as_std().get_envs();
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(cli.setup.folder()).kill_on_drop(true);
    script.env_clear().envs(environment.filter_map(|(name, value)| Some((name, value?))));
    script.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    wait_for_output(script, Some(typed)).await
}

#[tokio::test]
async fn people_are_not_put_out_of_meetings_unasked() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    cli.add_enabled_server().await?;
    let product = cli.setup.start().await?;
    create_meeting(&product, "Alpha", "").await?;
    assert!(cli.server(1).set_users("Alpha", 7, 1));
    for (command, consequence) in [
        ("servers panic <id-1>", "these meetings are ended, and their users put out"),
        (
            "servers panic <id-1> --skip-end-calls",
            "the balancer forgets these meetings, and users cannot join them any more",
        ),
        (
            "servers remove <id-1>",
            "the balancer forgets these meetings, and users cannot join them any more",
        ),
    ] {
        // Without a terminal nobody can be asked, whatever comes in by a pipe.
        let output = cli.run_with_input(command, "yes\n").await?;
        let error = format!(
            "ERROR: 7 users are in 1 meetings of 127.0.0.1. Nothing was done; with --yes {consequence}\n"
        );
        let result = (output.stdout.as_str(), output.stderr, output.exit_code);
        assert_eq!(result, ("", error, 1));
    }
    let listed = process::run(&cli.setup, &["servers", "--json"]).await?.stdout;
    let servers: serde_json::Value = serde_json::from_str(&listed)?;
    assert_eq!(servers[0]["state"], "enabled");
    let panic = format!("servers panic {}", servers[0]["id"].as_str().unwrap_or_default());
    let output = run_on_terminal(&cli, &panic, "no\n").await?;
    assert!(
        output.stdout.contains("WARNING: 7 users are in 1 meetings of 127.0.0.1: "),
        "{output:?}"
    );
    assert!(output.stdout.contains("Nothing was done."), "{output:?}");
    assert_eq!((output.exit_code, cli.server(1).meetings().len()), (0, 1));
    let output = run_on_terminal(&cli, &panic, "yes\n").await?;
    assert!(output.exit_code == 0 && output.stdout.contains("OK"), "{output:?}");
    assert!(cli.server(1).meetings().is_empty());

    // With --yes, and by the original's task, nobody is asked; a server that does not answer is asked about in vain.
    cli.run_ok("servers enable <id-1>").await?;
    create_meeting(&product, "Beta", "").await?;
    cli.server(1).set_users("Beta", 3, 1);
    cli.run_ok("rake servers:panic[<id-1>,true]").await?;
    create_meeting(&product, "Gamma", "").await?;
    cli.server(1).set_users("Gamma", 5, 1);
    cli.run_ok("poll").await?;
    cli.server(1).set_fault(FaultMode::Refuse);
    let error = cli.run_failing("servers remove <id-1>").await?;
    let start =
        "ERROR: 127.0.0.1 does not answer; 5 users were in 1 meetings when it answered last. ";
    assert!(error.starts_with(start), "{error}");
    let output = cli.run("servers remove <id-1> --yes").await?;
    assert_eq!((output.stdout.as_str(), output.exit_code), ("Removing server <id-1>...\nOK\n", 0));
    Ok(())
}
