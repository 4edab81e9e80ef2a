//! Tests of `servers`: adding, changing, listing and disabling servers.

use crate::environment::{CliEnvironment, collapse_whitespace, create_meeting};
use bbb_sim::{FaultMode, Preload};
use serde_json::Value;

#[tokio::test]
async fn added_servers_are_disabled_and_listed() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(2).await?;
    let output = cli.run("servers").await?;
    assert_eq!((output.stdout.as_str(), output.exit_code), ("", 0));
    assert_eq!(output.stderr, "No servers are configured\n");
    assert_eq!(cli.add_server(&["2.5", "blue"]).await?, "OK\nid: <id-1>\n");
    assert_eq!(cli.add_server(&[]).await?, "OK\nid: <id-2>\n");
    let output = cli.run_ok("servers").await?;
    let first = "\
id: <id-1>
\turl: <url-1>
\tsecret: secret1
\tdisabled
\tload: unavailable
\tload multiplier: 2.5
\tbbb version: 
\ttag: blue
\toffline
";
    assert!(output.contains(first), "{output}");
    assert!(output.contains("load multiplier: 1.0"), "{output}");
    Ok(())
}

#[tokio::test]
async fn invalid_servers_are_refused() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(0).await?;
    let bad_url = "Error: Server URL must start with http:// or https://\n";
    assert_eq!(cli.run_failing("servers add ftp://x secret").await?, bad_url);
    assert_eq!(cli.run_failing("servers add http:///x secret").await?, bad_url);
    let missing = "Error: Please input at least a URL and a secret!\n";
    assert_eq!(cli.run_failing("servers add http://x ''").await?, missing);
    let negative = "ERROR: Load multiplier must be a number greater than 0 and at most 1000000\n";
    assert_eq!(cli.run_failing("servers add http://x s -- -1").await?, negative);
    assert_eq!(cli.run("servers").await?.stdout, "");
    Ok(())
}

#[tokio::test]
async fn servers_are_changed() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    cli.add_server(&["2", "blue"]).await?;
    let updating = "Updating server <id-1>...\nOK\n";
    assert_eq!(cli.run_ok("servers update <id-1> other").await?, updating);
    let output = cli.run_ok("servers").await?;
    assert!(
        output.contains("secret: other\n")
            && output.contains("multiplier: 2.0\n\tbbb version: \n\ttag: blue\n")
    );
    assert_eq!(cli.run_ok("servers update <id-1> secret1 3 red").await?, updating);
    let output = cli.run_ok("servers").await?;
    assert!(
        output.contains("secret: secret1\n")
            && output.contains("multiplier: 3.0\n\tbbb version: \n\ttag: red\n")
    );
    assert_eq!(cli.run_ok("servers update <id-1> '' '' ''").await?, updating);
    let output = cli.run_ok("servers").await?;
    assert!(
        output.contains("secret: secret1\n")
            && output.contains("multiplier: 3.0\n\tbbb version: \n\ttag: \n")
    );
    assert_eq!(cli.run_ok("servers load-multiplier <id-1> 1.5").await?, "OK\n");
    assert_eq!(cli.run_ok("servers tag <id-1> green").await?, "OK\n");
    let output = cli.run_ok("servers").await?;
    assert!(output.contains("multiplier: 1.5\n\tbbb version: \n\ttag: green\n"), "{output}");
    assert_eq!(cli.run_ok("servers tag <id-1>").await?, "OK\n");
    assert!(cli.run_ok("servers").await?.contains("\ttag: \n"));
    assert_eq!(cli.run_ok("servers remove <id-1>").await?, "Removing server <id-1>...\nOK\n");
    assert_eq!(cli.run("servers").await?.stdout, "");
    Ok(())
}

/// Arguments can be read by everybody on the machine.
#[tokio::test]
async fn secrets_are_read_from_the_standard_input_and_files() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(0).await?;
    let url = "https://bbb9.test/bigbluebutton/api";
    let add = format!("servers add {url} - 2 --force");
    let added = cli.run_with_input(&add, "from-stdin\n").await?;
    assert_eq!(added.exit_code, 0, "{added:?}");
    let id = added.stdout.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    assert!(cli.run_ok("servers").await?.contains("secret: from-stdin\n"));
    cli.write_file("secret", "from-file\r\n")?;
    cli.run_ok(&format!("servers update {id} file:secret")).await?;
    assert!(cli.run_ok("servers").await?.contains("secret: from-file\n"));
    let missing = cli.run_failing(&format!("servers update {id} file:none")).await?;
    assert!(missing.starts_with("ERROR: secret not read from none: "), "{missing}");
    let empty = cli.run_failing(&format!("servers update {id} -")).await?;
    assert_eq!(empty, "ERROR: the secret is empty\n");
    Ok(())
}

#[tokio::test]
async fn an_unknown_id_is_one_line_and_exit_code_1() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(0).await?;
    for command in [
        "servers update none secret",
        "servers remove none",
        "servers enable none",
        "servers cordon none",
        "servers disable none",
        "servers disable none --yes",
        "servers panic none",
        "servers load-multiplier none 2",
        "servers tag none blue",
        "servers meetings none",
        "sign getMeetings --server none",
    ] {
        let output = cli.run_failing(command).await?;
        assert_eq!(output, "ERROR: No server found with id: none\n", "{command}");
    }
    Ok(())
}

#[tokio::test]
async fn enabling_a_server_polls_it_immediately() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(2).await?;
    cli.add_server(&["2"]).await?;
    cli.add_server(&[]).await?;
    let busy = Preload { ids: vec!["room".to_owned()], users: 12, ..Preload::default() };
    cli.server(1).preload(busy);
    assert_eq!(cli.run_ok("servers enable <id-1>").await?, "Enabling server <id-1>...\nOK\n");
    let output = cli.run_ok("servers").await?;
    assert!(output.contains("\tenabled\n\tload: 24.0\n\tload multiplier: 2.0\n\tbbb version: 2.7.12\n\ttag: \n\tonline\n"), "{output}");
    assert_eq!(cli.run_ok("servers cordon <id-1>").await?, "Cordoning server <id-1>...\nOK\n");
    assert!(cli.run_ok("servers").await?.contains("\tcordoned\n\tload: 24.0\n"));
    cli.server(2).set_fault(FaultMode::Refuse);
    let output = cli.run("servers enable <id-2>").await?;
    assert_eq!((output.stdout.as_str(), output.exit_code), ("Enabling server <id-2>...\n", 1));
    let start = "ERROR: the server is enabled but cannot be used yet: unreachable: ";
    assert!(output.stderr.starts_with(start), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1);
    assert!(cli.run_ok("servers").await?.contains("\tenabled\n\tload: unavailable\n"));
    // The original's task succeeds.
    let output = cli.run("rake servers:enable[<id-2>]").await?;
    assert_eq!(output.exit_code, 0, "{output:?}");
    assert!(output.stderr.starts_with("WARNING: the server is not online yet: "), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn disabling_a_busy_server_asks_first() -> anyhow::Result<()> {
    const CONFIRMATION: &str = "\
Disabling server <id-1>...
WARNING: You are trying to disable a server with active load. You should use the cordon option if
          you do not want to clear all the meetings
If you still wish to continue please enter `yes`
";
    let mut cli = CliEnvironment::new(2).await?;
    cli.add_enabled_server().await?;
    let product = cli.setup.start().await?;
    create_meeting(&product, "Alpha", "").await?;
    for input in ["no\n", "\n", "", "yes!\n"] {
        let output = cli.run_with_input("servers disable <id-1>", input).await?;
        assert_eq!(output.stdout, format!("{CONFIRMATION}Nothing was done.\n"));
        assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0));
    }
    assert!(cli.run_ok("servers").await?.contains("\tenabled\n\tload: 15.0\n"));
    let output = cli.run_with_input("servers disable <id-1>", "yes\n").await?;
    assert_eq!(output.stdout, format!("{CONFIRMATION}Clearing Meeting id=Alpha\nOK\n"));
    assert!(cli.server(1).meetings().is_empty());
    assert!(cli.run_ok("servers").await?.contains("\tdisabled\n\tload: unavailable\n"));

    cli.run_ok("servers enable <id-1>").await?;
    create_meeting(&product, "Beta", "").await?;
    let output = cli.run_ok("servers disable <id-1> --yes").await?;
    assert_eq!(output, "Disabling server <id-1>...\nClearing Meeting id=Beta\nOK\n");
    cli.add_enabled_server().await?;
    assert_eq!(cli.run_ok("servers disable <id-2>").await?, "Disabling server <id-2>...\nOK\n");
    Ok(())
}

#[tokio::test]
async fn panic_clears_a_server() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    cli.add_enabled_server().await?;
    let product = cli.setup.start().await?;
    let panicking = "Panicking server <id-1>...\nOK\n";
    create_meeting(&product, "Alpha", "").await?;
    assert_eq!(cli.run_ok("servers panic <id-1> --keep-state").await?, panicking);
    assert!(cli.server(1).meetings().is_empty());
    assert!(cli.run_ok("servers").await?.contains("\tenabled\n"));
    assert_eq!(cli.run("meetings").await?.stdout, "");
    create_meeting(&product, "Beta", "").await?;
    assert_eq!(cli.run_ok("servers panic <id-1> --skip-end-calls").await?, panicking);
    assert_eq!(cli.server(1).meetings().len(), 1);
    assert_eq!(cli.run("meetings").await?.stdout, "");
    assert!(cli.run_ok("servers").await?.contains("\tdisabled\n"));
    Ok(())
}

#[tokio::test]
async fn removing_a_server_warns_about_its_meetings() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    cli.add_enabled_server().await?;
    let product = cli.setup.start().await?;
    create_meeting(&product, "Alpha", "").await?;
    let output = cli.run("servers remove <id-1>").await?;
    assert_eq!(output.stdout, "Removing server <id-1>...\nOK\n");
    assert_eq!(
        (output.stderr.as_str(), output.exit_code),
        ("WARNING: 1 meetings of the server were removed from the pool\n", 0)
    );
    assert_eq!(cli.run("meetings").await?.stdout, "");
    Ok(())
}

#[tokio::test]
async fn table_and_json_have_no_secret() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(2).await?;
    cli.add_server(&["2", "blue"]).await?;
    cli.run_ok("servers enable <id-1>").await?;
    cli.add_server(&[]).await?;
    cli.server(2).set_secret("changed");
    cli.run_ok("poll").await?;
    let output = cli.run_ok("servers --table").await?;
    assert!(!output.contains("secret"), "{output}");
    let mut lines = collapse_whitespace(&output);
    assert_eq!(
        lines.remove(0),
        "ID URL STATE STATUS USERS EXPECTED USERS UPCOMING USERS LOAD FORECAST LOAD MULTIPLIER TAG \
         TIER MAX MEETINGS MAX USERS SAME AS FAILURES"
    );
    lines.sort();
    let failed = lines.iter().find(|line| line.starts_with("<id-2>")).expect("a line");
    assert!(
        failed.starts_with(
            "<id-2> <url-2> disabled offline 0 0 0 unavailable 0.0 1.0 0 1 x, last 20"
        )
    );
    assert!(failed.ends_with("Z: refused: checksumError"), "{failed}");
    lines.retain(|line| !line.starts_with("<id-2>"));
    assert_eq!(lines, ["<id-1> <url-1> enabled online 0 0 0 0.0 0.0 2.0 blue 0"]);

    let output = cli.run_ok("servers --json").await?;
    assert!(!output.contains("secret"), "{output}");
    let list: Vec<Value> = serde_json::from_str(&output)?;
    let first = list.iter().find(|server| server["id"] == "<id-1>");
    let first = first.unwrap_or(&Value::Null);
    assert_eq!((&first["url"], &first["state"]), (&"<url-1>".into(), &"enabled".into()));
    assert_eq!((&first["load"], &first["load_multiplier"]), (&0.0.into(), &2.0.into()));
    assert_eq!((&first["tag"], list.len()), (&"blue".into(), 2));
    Ok(())
}

#[tokio::test]
async fn meetings_that_servers_report_are_listed() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(2).await?;
    cli.add_enabled_server().await?;
    cli.add_enabled_server().await?;
    let ids = ["a", "b"].map(str::to_owned).to_vec();
    cli.server(1).preload(Preload { ids, ..Preload::default() });
    let first =
        "\nServer ID: <id-1>\nServer Url: <url-1>\nMeetingIDs: \n\tMeeting a\n\tMeeting b\n";
    assert_eq!(cli.run_ok("servers meetings <id-1>").await?, first);
    let second = "\nServer ID: <id-2>\nServer Url: <url-2>\n";
    let output = cli.run_ok("servers meetings").await?;
    assert!(
        output.contains(first) && output.contains(&format!("{second}MeetingIDs: \n")),
        "{output}"
    );
    cli.server(2).set_fault(FaultMode::Refuse);
    let output = cli.run("servers meetings").await?;
    assert!(output.stdout.contains(first) && output.stdout.contains(second), "{output:?}");
    assert!(output.exit_code == 1 && output.stderr.starts_with("WARNING: "), "{output:?}");
    Ok(())
}
