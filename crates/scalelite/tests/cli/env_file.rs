//! Tests of the environment file: read by the server and by every command, in the syntaxes of docker, systemd and shells; what is
//! wrong with it is said, and no command makes a second store when it is missing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::environment::{CliEnvironment, setup};
use serde_json::Value;
use testkit::process::{self, CommandOutput, wait_for_output};
use testkit::product::Setup;

/// A setup whose settings come from a file with this text.
fn setup_with_file(text: &[u8]) -> anyhow::Result<Setup> {
    let setup = setup()?;
    let file = setup.folder().join("scalelite.env");
    std::fs::write(&file, text)?;
    Ok(setup.with_setting("SCALELITE_ENV_FILE", &file.display().to_string()))
}

/// The value and the origin of a setting, as `config --json` shows them.
async fn shown(setup: &Setup, more: &[&str], name: &str) -> anyhow::Result<(String, String)> {
    let output = process::run(setup, &[&["config", "--json"], more].concat()).await?;
    assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0));
    let list: Vec<Value> = serde_json::from_str(&output.stdout)?;
    let setting = list.into_iter().find(|setting| setting["name"] == name).unwrap_or_default();
    let text = |key: &str| setting[key].as_str().unwrap_or_default().to_owned();
    Ok((text("value"), text("origin")))
}

/// Runs a command that must fail with one line, and returns it.
async fn run_failing(setup: &Setup, arguments: &[&str]) -> anyhow::Result<String> {
    let output = process::run(setup, arguments).await?;
    assert_eq!((output.stdout.as_str(), output.exit_code), ("", 1), "{arguments:?}: {output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    assert!(!output.stderr.contains("hidden"), "{output:?}");
    Ok(output.stderr)
}

#[tokio::test]
async fn server_and_commands_share_one_file() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    let folder = cli.setup.folder().to_owned();
    let file = folder.join("its own.env");
    let text = format!(
        "\u{feff}# The balancer\r\n\
         export SCALELITE_DATA_DIR='{}'\r\n\
         DEFAULT_CREATE_PARAMS=\"welcome=Tea & cake? #1 for $5\"\r\n\
         OVERRIDE_CREATE_PARAMS=logout=https://lms.test/?a=1&b=2#c\r\n\
         POLL_INTERVAL=31\r\n\
         POLL_INTERVAL=32\r\n\
         RAILS_LOG_LEVEL=debug\r\n\
         BUILD_NUMBER=\r\n\
         POSTGRES_PASSWORD=hidden\r\n",
        folder.join("data of its own").display()
    );
    std::fs::write(&file, text)?;
    let file = file.display().to_string();
    // Neither variables nor flags besides the name of the file.
    cli.setup =
        cli.setup.clone().with_setting("SCALELITE_DATA_DIR", "").with_setting("POLL_INTERVAL", "");
    let by_variable = cli.setup.clone().with_setting("SCALELITE_ENV_FILE", &file);
    let product = by_variable.start().await?;
    let store = folder.join("data of its own/scalelite.db");
    assert!(
        store.exists() && product.log().contains(&store.display().to_string()),
        "{}",
        product.log()
    );
    product.add_simulated_server(cli.server(1)).await?;
    for setup in [&by_variable, &cli.setup] {
        let named = ["--env-file", &file, "status", "--columns", "state"];
        let arguments = if std::ptr::eq(setup, &by_variable) { &named[2..] } else { &named[..] };
        let output = process::run(setup, arguments).await?;
        // The level of the log is the server's.
        let result = (output.stdout.as_str(), output.stderr.as_str(), output.exit_code);
        assert_eq!(result, ("\n STATE\n enabled\n", "", 0));
    }
    for (name, value, origin) in [
        ("DEFAULT_CREATE_PARAMS", "welcome=Tea & cake? #1 for $5", format!("{file}:3")),
        ("OVERRIDE_CREATE_PARAMS", "logout=https://lms.test/?a=1&b=2#c", format!("{file}:4")),
        ("POLL_INTERVAL", "32", format!("{file}:6")),
        ("BUILD_NUMBER", "", "default".to_owned()),
    ] {
        assert_eq!(shown(&by_variable, &[], name).await?, (value.to_owned(), origin));
    }
    // The environment precedes the file, and flags precede both.
    let in_environment = by_variable.clone().with_setting("INTERVAL", "5");
    let value = shown(&in_environment, &[], "POLL_INTERVAL").await?;
    assert_eq!(value, ("5".to_owned(), "environment INTERVAL".to_owned()));
    let value = shown(&in_environment, &["--poll-interval", "7"], "POLL_INTERVAL").await?;
    assert_eq!(value, ("7".to_owned(), "flag".to_owned()));
    let output = process::run(&by_variable, &["config"]).await?.stdout;
    assert!(
        output.contains(&format!("\n Settings were read from the environment and {file}\n")),
        "{output}"
    );
    assert!(
        output.contains(&format!(" {file}:6: POLL_INTERVAL: it replaces the value in line 5\n")),
        "{output}"
    );
    assert!(!output.contains("hidden") && !output.contains("POSTGRES_PASSWORD"), "{output}");
    Ok(())
}

#[tokio::test]
async fn mistyped_names_get_a_hint_and_names_of_other_programs_do_not() -> anyhow::Result<()> {
    let text = b"POLL_INTERVALL=5\npoll_interval=6\nDATA_DIR=x\nPROT=1\nSCALELITE_COLOUR=red\n\
        POSTGRES_USER=a\nLETSENCRYPT_EMAIL=b\nTZ=UTC\nREDIS_PASSWORD=hidden\nURL_HOST lb.test\n";
    let setup = setup_with_file(text)?;
    let hints = [
        "POLL_INTERVALL: unknown setting, did you mean POLL_INTERVAL?",
        "poll_interval: unknown setting, did you mean POLL_INTERVAL?",
        "DATA_DIR: unknown setting, did you mean SCALELITE_DATA_DIR?",
        "PROT: unknown setting, did you mean PORT?",
        "SCALELITE_COLOUR: unknown setting, `scalelite config` shows all names",
        ":10: `URL_HOST lb.test` has no `=` and is ignored",
        ":8: TZ: it has no effect here",
    ];
    let output = process::run(&setup, &["config", "--check"]).await?;
    assert_eq!((output.stdout.as_str(), output.exit_code), ("", 0));
    assert!(hints.iter().all(|hint| output.stderr.contains(hint)), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), hints.len(), "{}", output.stderr);
    let findings = process::run(&setup, &["doctor"]).await?.stdout;
    assert!(findings.contains("setting PROT: unknown setting"), "{findings}");
    let product = setup.start().await?;
    assert_eq!(product.log().matches("unknown setting").count(), 5, "{}", product.log());
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_used_stops_every_command_with_one_line() -> anyhow::Result<()> {
    let long = format!("URL_HOST={}\n", "x".repeat(1 << 20));
    for (text, reason) in [
        (&b"A=1\nLOADBALANCER_SECRET=\"hidden\n"[..], ": line 2: LOADBALANCER_SECRET: the quote"),
        (b"\xff\xfeA\0", ": the file is in UTF-16: save it as UTF-8"),
        (b"A=hidden\xff", ": line 1: A: the value is not UTF-8"),
        (long.as_bytes(), ": line 1: URL_HOST: the value has 1048576 bytes"),
        (b"IDLE_TIMEOUT=soon", "IDLE_TIMEOUT: `soon` is not allowed"),
    ] {
        let setup = setup_with_file(text)?;
        for arguments in
            [&["serve"][..], &["status"], &["config", "--check"], &["servers", "sync", "x"]]
        {
            let line = run_failing(&setup, arguments).await?;
            assert!(line.contains(reason), "{line}");
        }
        assert!(!setup.folder().join("data").exists());
    }
    let missing = setup()?.with_setting("SCALELITE_ENV_FILE", "absent.env");
    let line = run_failing(&missing, &["status"]).await?;
    assert_eq!(line, "ERROR: absent.env: No such file or directory (os error 2)\n");
    // What needs no settings needs no file.
    assert_eq!(process::run(&missing, &["config", "--reference"]).await?.exit_code, 0);
    Ok(())
}

/// Runs a command as a user who may read only what its permissions allow, also if this user is root.
async fn run_unprivileged(setup: &Setup, arguments: &[&str]) -> anyhow::Result<CommandOutput> {
    let mut command = process::piped_command(setup, arguments);
    let probe = setup.folder().join("probe");
    std::fs::write(&probe, "")?;
    std::fs::set_permissions(&probe, std::fs::Permissions::from_mode(0o000))?;
    if std::fs::read(&probe).is_ok() {
        let program = env!("CARGO_BIN_EXE_scalelite");
        let without = "-dac_override,-dac_read_search";
        let mut all = vec![format!("--bounding-set={without}"), format!("--inh-caps={without}")];
        all.push(program.to_owned());
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let environment: Vec<_> = command
            .as_std()
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        command = tokio::process::Command::new("setpriv");
        command.env_clear().envs(environment).args(all).current_dir(setup.folder());
        command.stdin(std::process::Stdio::null()).kill_on_drop(true);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    }
    wait_for_output(command, None).await
}

#[tokio::test]
async fn what_this_user_may_not_read_is_named_with_the_command_to_use() -> anyhow::Result<()> {
    let setup = setup_with_file(b"POLL_INTERVAL=7\n")?;
    let file = setup.folder().join("scalelite.env");
    let deny = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000));
    deny(&file)?;
    let output = run_unprivileged(&setup, &["servers", "add", "http://x", "hidden"]).await?;
    assert_eq!(output.exit_code, 1, "{output:?}");
    let start =
        format!("ERROR: {}: Permission denied (os error 13): run the command as ", file.display());
    assert!(output.stderr.starts_with(&start) && output.stderr.contains("`sudo "), "{output:?}");
    assert!(!output.stderr.contains("hidden"), "{output:?}");

    let setup = setup.with_setting("SCALELITE_ENV_FILE", "/dev/null");
    let data = setup.folder().join("data");
    std::fs::create_dir(&data)?;
    deny(&data)?;
    for arguments in [&["status"][..], &["servers", "sync", "x"], &["serve"]] {
        let output = run_unprivileged(&setup, arguments).await?;
        assert_eq!(output.exit_code, 1, "{output:?}");
        let start = format!("ERROR: {}: Permission denied", data.display());
        assert!(output.stderr.contains(&start) && output.stderr.contains("`sudo "), "{output:?}");
    }
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700))?;
    assert_eq!(std::fs::read_dir(&data)?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn commands_that_only_read_make_no_store_and_say_where_they_looked() -> anyhow::Result<()> {
    let setup = setup()?.with_setting("LOADBALANCER_SECRET", "");
    let store = setup.folder().join("data/scalelite.db");
    for arguments in [
        &["status"][..],
        &["servers"],
        &["servers", "enable", "x"],
        &["meetings"],
        &["secret"],
        &["sign", "getMeetings"],
        &["poll"],
        &["liveness"],
        &["recordings", "list"],
        &["rake", "status"],
        &["rake", "servers:panic[x]"],
    ] {
        let line = run_failing(&setup, arguments).await?;
        let start = format!("ERROR: there is no store: looked for {}. ", store.display());
        assert!(line.starts_with(&start), "{line}");
        assert!(line.ends_with("Settings were read from the environment only\n"), "{line}");
        assert!(!setup.folder().join("data").exists(), "{arguments:?}");
    }
    for arguments in [&["doctor"][..], &["config"], &["rake", "db:migrate"], &["rake", "-T"]] {
        assert_eq!(process::run(&setup, arguments).await?.exit_code, 0, "{arguments:?}");
        assert!(!setup.folder().join("data").exists(), "{arguments:?}");
    }
    // Where nobody has said where the store is, no command makes one.
    let unnamed = setup.with_setting("SCALELITE_DATA_DIR", "");
    let local = unnamed.folder().join("scalelite-data");
    for arguments in [&["status"][..], &["servers", "add", "http://127.0.0.1:1/api", "s"]] {
        assert_eq!(process::run(&unnamed, arguments).await?.exit_code, 1, "{arguments:?}");
        assert!(!local.exists(), "{arguments:?}");
    }
    Ok(())
}
