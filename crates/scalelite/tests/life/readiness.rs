//! Tests of `/livez`, `/readyz`, `readiness` and `check`: what is taken away is named, and the command line judges as monitoring systems
//! expect it.

use serde_json::Value;
use testkit::process;
use testkit::product::{Product, RECORDING_DIRS, Setup, wait_until};

use crate::tools::{setup, start_deployment};

/// The parts that are not usable, of an answer of `/readyz`; `None` if it contradicts its status.
async fn failed_parts(product: &Product, query: &str) -> Option<(u16, Vec<String>)> {
    let response = product.get(&format!("/readyz{query}")).await.ok()?;
    let answer: Value = serde_json::from_str(&response.text()).ok()?;
    assert_eq!(answer["ready"].as_bool(), Some(response.status == 200), "{answer}");
    let is_usable = |part: &&Value| matches!(part["status"].as_str(), Some("ok" | "warning"));
    let failed = answer["parts"].as_array()?.iter().filter(|part| !is_usable(part));
    let failed = failed.map(|part| part["name"].as_str().unwrap_or_default().to_owned());
    Some((response.status, failed.collect()))
}

async fn wait_for_failed(product: &Product, expected: &[&str]) {
    let status = if expected.is_empty() { 200 } else { 503 };
    let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
    let found = async || failed_parts(product, "").await == Some((status, expected.clone()));
    let waited = wait_until(&format!("failed: {expected:?}"), found).await;
    waited.unwrap_or_else(|error| panic!("{error} {}", product.log()));
}

fn management_setup() -> Setup {
    let setup = setup();
    let socket = setup.folder().join("management.sock");
    setup.with_setting("MANAGEMENT_BIND", &format!("unix://{}", socket.display()))
}

#[tokio::test]
async fn each_directory_that_is_taken_away_is_named_until_it_is_back() {
    let setup = management_setup();
    let mut product = setup.start().await.unwrap();
    wait_for_failed(&product, &[]).await;
    assert_eq!(product.get("/livez").await.unwrap().text(), "ok");
    let ready = process::run(&setup, &["readiness"]).await.unwrap();
    assert_eq!(ready.exit_code, 0, "{ready:?}");
    assert!(ready.stdout.contains("ok       state-store\n"), "{ready:?}");
    let parts = ["spool", "work-directory", "published-recordings", "unpublished-recordings"];
    let dirs = RECORDING_DIRS.iter().map(|(_, dir)| *dir).zip(parts);
    for (dir, part) in dirs.chain([("data", "data-directory")]) {
        let (path, away) = (setup.folder().join(dir), setup.folder().join("away"));
        std::fs::rename(&path, &away).unwrap();
        let has_failed = async || {
            let failed = failed_parts(&product, "").await;
            failed
                .is_some_and(|(status, failed)| status == 503 && failed.contains(&part.to_owned()))
        };
        wait_until(&format!("{part} failed"), has_failed).await.unwrap();
        if dir != "data" {
            let query = format!("?exclude={part},nothing");
            assert_eq!(failed_parts(&product, &query).await.unwrap().0, 200, "{part} is left out");
        }
        // Paths are nothing for everybody.
        let public = product.get("/readyz").await.unwrap().text();
        assert!(!public.contains(&setup.folder().display().to_string()), "{public}");
        let told = process::run(&setup, &["readiness"]).await.unwrap();
        let line = format!("failed   {part}  {}: ", path.display());
        assert!(told.exit_code == 1 && told.stdout.contains(&line), "{told:?}");
        std::fs::rename(&away, &path).unwrap();
        wait_for_failed(&product, &[]).await;
    }
    let log = product.log();
    for part in parts {
        // One line when it fails, one when it works again.
        let lines = log.lines().filter(|line| line.contains(&format!("part=\"{part}\""))).count();
        assert_eq!(lines, 2, "{part}: {log}");
    }
    product.kill().await.unwrap();
    let alone = process::run(&setup, &["readiness"]).await.unwrap();
    assert_eq!((alone.exit_code, alone.stdout.as_str()), (1, ""), "{alone:?}");
    assert!(alone.stderr.contains("management.sock"), "{alone:?}");
}

#[tokio::test]
async fn a_check_tells_monitoring_systems_how_many_servers_are_offline() {
    let deployment = start_deployment(3, &[]).await;
    let setup = deployment.product.setup();
    let check = async |arguments: &[&str]| {
        let arguments = [&["check"], arguments].concat();
        let output = process::run(setup, &arguments).await.unwrap();
        (output.exit_code, output.stdout, output.stderr)
    };
    let (code, line, _) = check(&[]).await;
    assert_eq!(code, 0, "{line}");
    let expected = "SCALELITE OK: 3 of 3 enabled servers online, 0 meetings, 0 users | offline=0;0;1;0;3 online=3 ";
    assert!(line.starts_with(expected) && line.lines().count() == 1, "{line}");
    deployment.pool.servers()[1].crash();
    for _ in 0..2 {
        assert_eq!(process::run(setup, &["poll"]).await.unwrap().exit_code, 0);
    }
    let (code, line, _) = check(&[]).await;
    assert_eq!(code, 1, "{line}");
    assert!(line.starts_with("SCALELITE WARNING: 2 of 3 "), "{line}");
    assert!(line.contains(", offline: 127.0.0.1 | offline=1;0;1;0;3 "), "{line}");
    assert_eq!(check(&["--warning", "1"]).await.0, 0);
    assert_eq!(check(&["-w", "0", "-c", "10%"]).await.0, 2);
    // What is asked for in a wrong way, or cannot be looked at, is unknown.
    let (code, line, error) = check(&["--warning", "few"]).await;
    assert_eq!((code, line.as_str()), (3, ""));
    assert!(error.contains("few is neither a number of servers nor a percentage"), "{error}");
    let (code, line, _) = check(&["--poll-interval", "often"]).await;
    assert!(code == 3 && line.starts_with("SCALELITE UNKNOWN: "), "{line}");
}
