//! `doctor`: finds what is wrong, says what to do, and fails if anything does.

use std::os::unix::fs::PermissionsExt;

use crate::environment::{CliEnvironment, setup};
use serde_json::Value;
use testkit::process::{self, CommandOutput};
use testkit::product::{SECRET, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn run_doctor(setup: &Setup) -> anyhow::Result<CommandOutput> {
    let said = process::run(setup, &["doctor"]).await?;
    assert_eq!(said.stderr, "");
    assert!(!said.stdout.contains(SECRET), "{}", said.stdout);
    Ok(said)
}

/// The lines that begin with this word, and the advice under them.
fn lines_with(said: &CommandOutput, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in said.stdout.lines() {
        let advice = line.starts_with(' ');
        inside = if advice { inside } else { line.split(' ').next() == Some(word) };
        if inside {
            found.push(line.to_owned());
        }
    }
    found
}

/// The only failure, with its advice.
fn only_failure(said: &CommandOutput) -> String {
    assert_eq!(said.exit_code, 1, "{said:?}");
    let failures = lines_with(said, "FAIL");
    assert_eq!(failures.len(), 2, "{}", said.stdout);
    failures.join("\n")
}

#[tokio::test]
async fn a_healthy_deployment() -> anyhow::Result<()> {
    let mut stage = CliEnvironment::new(2).await?;
    stage.add_enabled_server().await?;
    stage.add_enabled_server().await?;
    let said = run_doctor(&stage.setup).await?;
    assert_eq!(said.exit_code, 0, "{said:?}");
    let wrong =
        (lines_with(&said, "FAIL"), lines_with(&said, "warn"), lines_with(&said, "skipped"));
    assert_eq!(wrong, (vec![], vec![], vec![]), "{}", said.stdout);
    for end in [
        "data directory: permissions: 700, its owner's only",
        "LOADBALANCER_SECRET: 1 given, long enough",
        "stores: servers and meetings in the data directory, recordings in the data directory",
        "store: access: can be read and written",
        "store: integrity: quick_check found no problem",
        "store: journal: write-ahead log",
        ": connection: reachable, without TLS",
        ": secret: accepted, 0 meetings",
        ": clock: within some seconds of ours",
        "Nothing is wrong.",
    ] {
        assert!(said.stdout.lines().any(|line| line.ends_with(end)), "{end}: {}", said.stdout);
    }
    assert_eq!(said.stdout.matches(": version: 2.7").count(), 2, "{}", said.stdout);
    Ok(())
}

#[tokio::test]
async fn before_the_first_start_nothing_is_made() -> anyhow::Result<()> {
    let setup = setup()?;
    let said = run_doctor(&setup).await?;
    assert_eq!(said.exit_code, 0, "{said:?}");
    let skipped = lines_with(&said, "skipped");
    assert_eq!(skipped.len(), 2, "{}", said.stdout);
    assert!(said.stdout.contains("the first start makes it"), "{}", said.stdout);
    assert!(!setup.folder().join("data").exists());
    Ok(())
}

#[tokio::test]
async fn a_pool_without_servers_is_a_warning() -> anyhow::Result<()> {
    let mut stage = CliEnvironment::new(1).await?;
    stage.run_ok("liveness").await?;
    let said = run_doctor(&stage.setup).await?;
    assert_eq!((said.exit_code, lines_with(&said, "warn").len()), (0, 2), "{}", said.stdout);
    assert!(lines_with(&said, "warn")[0].contains("servers: the pool is empty"));
    stage.add_server(&[]).await?;
    let said = run_doctor(&stage.setup).await?;
    assert!(lines_with(&said, "warn")[0].contains("servers: none is enabled"), "{}", said.stdout);
    Ok(())
}

#[tokio::test]
async fn a_wrong_secret() -> anyhow::Result<()> {
    let mut stage = CliEnvironment::new(2).await?;
    stage.add_enabled_server().await?;
    stage.add_enabled_server().await?;
    stage.server(2).set_secret("changed-meanwhile");
    let failure = only_failure(&run_doctor(&stage.setup).await?);
    assert!(failure.contains(": secret: refused: checksumError\n"), "{failure}");
    assert!(failure.contains("scalelite servers update "), "{failure}");
    Ok(())
}

#[tokio::test]
async fn a_dead_server() -> anyhow::Result<()> {
    let mut stage = CliEnvironment::new(1).await?;
    stage.add_enabled_server().await?;
    let closed = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/bigbluebutton/api", closed.local_addr()?);
    drop(closed);
    let added = stage.run_ok(&format!("servers add {url} a-secret")).await?;
    let id = added.lines().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default();
    // While it is disabled, nobody misses it.
    let said = run_doctor(&stage.setup).await?;
    assert_eq!(said.exit_code, 0, "{}", said.stdout);
    let warnings = lines_with(&said, "warn").join("\n");
    assert!(warnings.contains("Connection refused"), "{warnings}");
    assert!(warnings.contains("(the server is disabled)"), "{warnings}");
    stage.run(&format!("servers enable {id}")).await?;
    let said = run_doctor(&stage.setup).await?;
    let failure = only_failure(&said);
    assert!(failure.contains(": connection: unreachable: "), "{failure}");
    assert!(failure.contains(&url), "{failure}");
    assert_eq!(lines_with(&said, "skipped").len(), 3, "{}", said.stdout);
    Ok(())
}

#[tokio::test]
async fn a_server_without_tls_behind_an_https_url() -> anyhow::Result<()> {
    let stage = CliEnvironment::new(1).await?;
    let url = stage.server(1).url().replace("http:", "https:");
    let added = stage.run_ok(&format!("servers add {url} a-secret")).await?;
    let id = added.lines().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default();
    stage.run(&format!("servers enable {id}")).await?;
    let failure = only_failure(&run_doctor(&stage.setup).await?);
    assert!(failure.contains(": connection: unreachable: "), "{failure}");
    Ok(())
}

/// Answers everything like a server whose clock is years ahead.
async fn serve_with_future_clock(listener: TcpListener) -> std::io::Result<()> {
    let body = "<response><returncode>SUCCESS</returncode><meetings/></response>";
    let answer = format!(
        "HTTP/1.1 200 OK\r\nDate: Fri, 01 Jan 2100 00:00:00 GMT\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    loop {
        let (mut socket, _) = listener.accept().await?;
        let _ = socket.read(&mut [0; 4096]).await?;
        socket.write_all(answer.as_bytes()).await?;
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_and_a_hidden_version() -> anyhow::Result<()> {
    let stage = CliEnvironment::new(1).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/bigbluebutton/api", listener.local_addr()?);
    tokio::spawn(serve_with_future_clock(listener));
    stage.run_ok(&format!("servers add {url} a-secret")).await?;
    let said = run_doctor(&stage.setup).await?;
    assert_eq!(said.exit_code, 0, "{}", said.stdout);
    let warnings = lines_with(&said, "warn").join("\n");
    assert!(warnings.contains(": clock: ") && warnings.contains(" s ahead of ours"), "{warnings}");
    assert!(said.stdout.contains(": version: not revealed by the server"), "{}", said.stdout);
    Ok(())
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_used() -> anyhow::Result<()> {
    let setup = setup()?;
    let file = setup.folder().join("file");
    std::fs::write(&file, "")?;
    let below =
        setup.clone().with_setting("SCALELITE_DATA_DIR", &file.join("data").display().to_string());
    let found = only_failure(&run_doctor(&below).await?);
    assert!(found.contains("data directory: ") && found.contains("cannot be made"), "{found}");

    let data = setup.folder().join("data");
    process::run(&setup, &["liveness"]).await?;
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755))?;
    let said = run_doctor(&setup).await?;
    let open = "warn     data directory: permissions: 755, others may look into it";
    assert_eq!(lines_with(&said, "warn")[0], open, "{}", said.stdout);
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o500))?;
    // An administrator of the machine may write everywhere.
    let may_write = std::fs::write(data.join("probe"), "").is_ok();
    let said = run_doctor(&setup).await?;
    assert!(may_write || said.stdout.contains("cannot be written"), "{}", said.stdout);
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700))?;
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_not_a_store() -> anyhow::Result<()> {
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
async fn settings_that_are_wrong_weak_or_misspelled() -> anyhow::Result<()> {
    let found = only_failure(&run_doctor(&setup()?.with_setting("PORT", "many")).await?);
    assert!(found.starts_with("FAIL     configuration: PORT: `many` is not allowed"), "{found}");
    let url = setup()?.with_setting("REDIS_URL", "redis://:hidden@h:x");
    let found = only_failure(&run_doctor(&url).await?);
    assert!(found.starts_with("FAIL     stores: REDIS_URL: a port"), "{found}");
    assert!(!found.contains("hidden"));
    let dir = setup()?.with_setting("RECORDING_SPOOL_DIR", "absent");
    let found = only_failure(&run_doctor(&dir).await?);
    assert!(found.starts_with("FAIL     RECORDING_SPOOL_DIR: absent: "), "{found}");

    let odd =
        setup()?.with_setting("LOADBALANCER_SECRET", "short").with_setting("POLL_INTERVALL", "5");
    let odd = odd.with_setting("WEB_CONCURRENCY", "4").with_setting("FSAPI_PASSWORD", "b");
    let odd = odd.with_setting("SCALELITE_COLOUR", "red");
    let said = run_doctor(&odd).await?;
    assert_eq!(said.exit_code, 0, "{}", said.stdout);
    let warnings = lines_with(&said, "warn").join("\n");
    for part in [
        "LOADBALANCER_SECRET: 1 of 1 can be guessed",
        "setting POLL_INTERVALL: is no setting",
        "POLL_INTERVAL may be meant",
        "setting SCALELITE_COLOUR: is no setting",
        "setting WEB_CONCURRENCY: has no effect: one process uses all cores",
        "setting FSAPI_PASSWORD: has no effect yet",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
    assert!(!said.stdout.contains("short\n"));
    Ok(())
}

#[tokio::test]
async fn output_may_be_json() -> anyhow::Result<()> {
    let mut stage = CliEnvironment::new(1).await?;
    stage.add_enabled_server().await?;
    stage.server(1).set_secret("changed-meanwhile");
    let said = stage.run("doctor --json").await?;
    assert_eq!((said.stderr.as_str(), said.exit_code), ("", 1));
    let findings: Vec<Value> = serde_json::from_str(&said.stdout)?;
    let outcomes = ["ok", "warn", "fail", "skipped"];
    for finding in &findings {
        assert!(finding["name"].is_string() && finding["detail"].is_string(), "{finding}");
        assert!(outcomes.iter().any(|outcome| finding["outcome"] == *outcome), "{finding}");
    }
    let failed: Vec<_> = findings.iter().filter(|one| one["outcome"] == "fail").collect();
    assert_eq!(failed.len(), 1, "{}", said.stdout);
    assert_eq!(failed[0]["name"], "server 127.0.0.1: secret");
    assert!(failed[0]["advice"].is_string());
    assert!(findings[0]["advice"].is_null());
    Ok(())
}
