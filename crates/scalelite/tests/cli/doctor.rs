//! Tests of `doctor`: it finds problems, gives advice, and fails if a check fails.

use std::os::unix::fs::PermissionsExt;

use crate::environment::{CliEnvironment, setup};
use serde_json::Value;
use testkit::private::{PgBouncer, Postgres, Redis, RedisOptions};
use testkit::process::{self, CommandOutput};
use testkit::product::{SECRET, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn run_doctor(setup: &Setup) -> anyhow::Result<CommandOutput> {
    let output = process::run(setup, &["doctor"]).await?;
    assert_eq!(output.stderr, "");
    assert!(!output.stdout.contains(SECRET), "{}", output.stdout);
    Ok(output)
}

/// The lines that start with this word, and the lines with their advice.
fn lines_with(output: &CommandOutput, word: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_selected = false;
    for line in output.stdout.lines() {
        let is_advice = line.starts_with(' ');
        is_selected = if is_advice { is_selected } else { line.split(' ').next() == Some(word) };
        if is_selected {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The single failure with its advice.
fn only_failure(output: &CommandOutput) -> String {
    assert_eq!(output.exit_code, 1, "{output:?}");
    let failures = lines_with(output, "FAIL");
    assert_eq!(failures.len(), 2, "{}", output.stdout);
    failures.join("\n")
}

#[tokio::test]
async fn a_healthy_deployment_has_no_problems() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(2).await?;
    cli.add_enabled_server().await?;
    cli.add_enabled_server().await?;
    let output = run_doctor(&cli.setup).await?;
    assert_eq!(output.exit_code, 0, "{output:?}");
    let problems =
        (lines_with(&output, "FAIL"), lines_with(&output, "warn"), lines_with(&output, "skipped"));
    assert_eq!(problems, (vec![], vec![], vec![]), "{}", output.stdout);
    for end in [
        "data directory: permissions: 700, accessible by its owner only",
        "LOADBALANCER_SECRET: 1 set, long enough",
        "stores: servers and meetings in the data directory, recordings in the data directory",
        "store: access: can be read and written",
        "store: integrity: quick_check found no problem",
        "store: journal: write-ahead log",
        ": connection: reachable, without TLS",
        ": secret: accepted, 0 meetings",
        ": clock: within some seconds of ours",
        "No problems found.",
    ] {
        assert!(output.stdout.lines().any(|line| line.ends_with(end)), "{end}: {}", output.stdout);
    }
    assert_eq!(output.stdout.matches(": version: 2.7").count(), 2, "{}", output.stdout);
    Ok(())
}

#[tokio::test]
async fn nothing_is_created_before_the_first_start() -> anyhow::Result<()> {
    let setup = setup()?;
    let output = run_doctor(&setup).await?;
    assert_eq!(output.exit_code, 0, "{output:?}");
    let skipped = lines_with(&output, "skipped");
    assert_eq!(skipped.len(), 2, "{}", output.stdout);
    assert!(output.stdout.contains("created on first start"), "{}", output.stdout);
    assert!(!setup.folder().join("data").exists());
    Ok(())
}

#[tokio::test]
async fn a_pool_without_servers_is_a_warning() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    let output = run_doctor(&cli.setup).await?;
    assert_eq!((output.exit_code, lines_with(&output, "warn").len()), (0, 2), "{}", output.stdout);
    assert!(lines_with(&output, "warn")[0].contains("servers: the pool is empty"));
    cli.add_server(&[]).await?;
    let output = run_doctor(&cli.setup).await?;
    assert!(
        lines_with(&output, "warn")[0].contains("servers: none is enabled"),
        "{}",
        output.stdout
    );
    Ok(())
}

#[tokio::test]
async fn a_wrong_secret_is_a_failure() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(2).await?;
    cli.add_enabled_server().await?;
    cli.add_enabled_server().await?;
    cli.server(2).set_secret("changed-meanwhile");
    let failure = only_failure(&run_doctor(&cli.setup).await?);
    assert!(failure.contains(": secret: refused: checksumError\n"), "{failure}");
    assert!(failure.contains("scalelite servers update "), "{failure}");
    Ok(())
}

#[tokio::test]
async fn an_unreachable_server_is_a_failure_once_it_is_enabled() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    cli.add_enabled_server().await?;
    let closed = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/bigbluebutton/api", closed.local_addr()?);
    drop(closed);
    let added = cli.run(&format!("servers add {url} a-secret --force")).await?.stdout;
    let id = added.lines().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default();
    // While the server is disabled, this is only a warning.
    let output = run_doctor(&cli.setup).await?;
    assert_eq!(output.exit_code, 0, "{}", output.stdout);
    let warnings = lines_with(&output, "warn").join("\n");
    assert!(warnings.contains("Connection refused"), "{warnings}");
    assert!(warnings.contains("(the server is disabled)"), "{warnings}");
    cli.run(&format!("servers enable {id}")).await?;
    let output = run_doctor(&cli.setup).await?;
    let failure = only_failure(&output);
    assert!(failure.contains(": connection: unreachable: "), "{failure}");
    assert!(failure.contains(&url), "{failure}");
    assert_eq!(lines_with(&output, "skipped").len(), 3, "{}", output.stdout);
    Ok(())
}

#[tokio::test]
async fn a_server_without_tls_at_an_https_url_is_a_failure() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(1).await?;
    let url = cli.server(1).url().replace("http:", "https:");
    let added = cli.run(&format!("servers add {url} a-secret --force")).await?.stdout;
    let id = added.lines().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default();
    cli.run(&format!("servers enable {id}")).await?;
    let failure = only_failure(&run_doctor(&cli.setup).await?);
    assert!(failure.contains(": connection: unreachable: "), "{failure}");
    Ok(())
}

/// Responds to every request like a server whose clock is years ahead.
async fn serve_with_future_clock(listener: TcpListener) -> std::io::Result<()> {
    let body = "<response><returncode>SUCCESS</returncode><meetings/></response>";
    let text = format!(
        "HTTP/1.1 200 OK\r\nDate: Fri, 01 Jan 2100 00:00:00 GMT\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    loop {
        let (mut socket, _) = listener.accept().await?;
        let _ = socket.read(&mut [0; 4096]).await?;
        socket.write_all(text.as_bytes()).await?;
    }
}

#[tokio::test]
async fn a_wrong_clock_is_a_warning_and_a_hidden_version_is_not() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(1).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/bigbluebutton/api", listener.local_addr()?);
    tokio::spawn(serve_with_future_clock(listener));
    cli.run_ok(&format!("servers add {url} a-secret")).await?;
    let output = run_doctor(&cli.setup).await?;
    assert_eq!(output.exit_code, 0, "{}", output.stdout);
    let warnings = lines_with(&output, "warn").join("\n");
    assert!(warnings.contains(": clock: ") && warnings.contains(" s ahead of ours"), "{warnings}");
    assert!(output.stdout.contains(": version: not revealed by the server"), "{}", output.stdout);
    Ok(())
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_used_is_a_failure() -> anyhow::Result<()> {
    let setup = setup()?;
    let file = setup.folder().join("file");
    std::fs::write(&file, "")?;
    let below =
        setup.clone().with_setting("SCALELITE_DATA_DIR", &file.join("data").display().to_string());
    let failure = only_failure(&run_doctor(&below).await?);
    assert!(failure.contains("data directory: ") && failure.contains("cannot be created"));

    let data = setup.folder().join("data");
    setup.create_store().await?;
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755))?;
    let output = run_doctor(&setup).await?;
    let warning = "warn     data directory: permissions: 755, accessible by other users";
    assert_eq!(lines_with(&output, "warn")[0], warning, "{}", output.stdout);
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o500))?;
    // The user root may write everywhere.
    let may_write = std::fs::write(data.join("probe"), "").is_ok();
    let output = run_doctor(&setup).await?;
    assert!(may_write || output.stdout.contains("cannot be written"), "{}", output.stdout);
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700))?;
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_not_a_store_is_a_failure() -> anyhow::Result<()> {
    let setup = setup()?;
    let data = setup.folder().join("data");
    std::fs::create_dir(&data)?;
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700))?;
    std::fs::write(data.join("scalelite.db"), "garbage ".repeat(2_000))?;
    let failure = only_failure(&run_doctor(&setup).await?);
    assert!(failure.starts_with("FAIL     store: ") && failure.contains("not a database"));
    Ok(())
}

#[tokio::test]
async fn wrong_weak_and_misspelled_settings_are_found() -> anyhow::Result<()> {
    let failure = only_failure(&run_doctor(&setup()?.with_setting("IDLE_TIMEOUT", "long")).await?);
    assert!(
        failure.starts_with("FAIL     configuration: IDLE_TIMEOUT: `long` is not allowed"),
        "{failure}"
    );
    let url = setup()?.with_setting("REDIS_URL", "redis://:hidden@h:x");
    let failure = only_failure(&run_doctor(&url).await?);
    assert!(failure.starts_with("FAIL     stores: REDIS_URL: a port"), "{failure}");
    assert!(!failure.contains("hidden"));
    let dir = setup()?.with_setting("RECORDING_SPOOL_DIR", "absent");
    let failure = only_failure(&run_doctor(&dir).await?);
    assert!(failure.starts_with("FAIL     RECORDING_SPOOL_DIR: absent: "), "{failure}");

    let setup =
        setup()?.with_setting("LOADBALANCER_SECRET", "short").with_setting("POLL_INTERVALL", "5");
    let setup = setup.with_setting("WEB_CONCURRENCY", "4").with_setting("FSAPI_PASSWORD", "");
    let setup = setup.with_setting("SCALELITE_COLOUR", "red");
    let output = run_doctor(&setup).await?;
    assert_eq!(output.exit_code, 0, "{}", output.stdout);
    let warnings = lines_with(&output, "warn").join("\n");
    for part in [
        "LOADBALANCER_SECRET: 1 of 1 are too short or too simple",
        "setting POLL_INTERVALL: unknown setting",
        "did you mean POLL_INTERVAL?",
        "setting SCALELITE_COLOUR: unknown setting",
        "setting WEB_CONCURRENCY: has no effect: one process uses all cores",
        "FSAPI_PASSWORD: it is set to nothing: everybody may ask /fsapi",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
    assert!(!output.stdout.contains("short\n"));
    Ok(())
}

#[tokio::test]
async fn findings_are_printed_as_json() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    cli.add_enabled_server().await?;
    cli.server(1).set_secret("changed-meanwhile");
    let output = cli.run("doctor --json").await?;
    assert_eq!((output.stderr.as_str(), output.exit_code), ("", 1));
    let findings: Vec<Value> = serde_json::from_str(&output.stdout)?;
    let outcomes = ["ok", "warn", "fail", "skipped"];
    for finding in &findings {
        assert!(finding["name"].is_string() && finding["detail"].is_string(), "{finding}");
        assert!(outcomes.iter().any(|outcome| finding["outcome"] == *outcome), "{finding}");
    }
    let failed: Vec<_> = findings.iter().filter(|finding| finding["outcome"] == "fail").collect();
    assert_eq!(failed.len(), 1, "{}", output.stdout);
    assert_eq!(failed[0]["name"], "server 127.0.0.1: secret");
    assert!(failed[0]["advice"].is_string());
    assert!(findings[0]["advice"].is_null());
    Ok(())
}

#[tokio::test]
async fn a_pooler_that_takes_sessions_away_is_named() -> anyhow::Result<()> {
    let postgres = Postgres::shared().await?;
    let database = postgres.next_database().await?;
    let pooler = PgBouncer::start(&postgres, "transaction", 2).await?;
    let setup = setup()?.with_setting("DATABASE_URL", &pooler.url(&database));
    let failure = only_failure(&run_doctor(&setup).await?);
    assert!(failure.contains("postgresql: pooler: a pooler between gives each"), "{failure}");
    assert!(failure.contains("pool_mode = session"), "{failure}");
    let pooler = PgBouncer::start(&postgres, "session", 20).await?;
    let setup = setup.with_setting("DATABASE_URL", &pooler.url(&database));
    let output = run_doctor(&setup).await?;
    assert!(output.stdout.contains("not adopted yet"), "{}", output.stdout);
    let mut product = setup.start().await?;
    product.wait_until_listening().await?;
    product.terminate().await?;
    let output = run_doctor(&setup).await?;
    assert!(output.stdout.contains("postgresql: role: primary"), "{}", output.stdout);
    Ok(())
}

#[tokio::test]
async fn a_redis_cluster_is_refused() -> anyhow::Result<()> {
    let options = RedisOptions::default().configuration_line("cluster-enabled yes");
    let redis = Redis::start_with(options).await?;
    let url = format!("redis://127.0.0.1:{}/0", redis.port());
    let output = run_doctor(&setup()?.with_setting("REDIS_URL", &url)).await?;
    assert_eq!(output.exit_code, 1, "{output:?}");
    let failures = lines_with(&output, "FAIL").join("\n");
    assert!(failures.contains("redis: mode: a Redis Cluster, which cannot be used"), "{failures}");
    assert!(failures.contains("with or without Sentinel"), "{failures}");
    Ok(())
}
