//! Tests of `secret`: the URL and secret for front-ends, and the secret that is generated if none is set.

use crate::environment::setup;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use testkit::process;
use testkit::product::{SECRET, Setup};

/// A setup with neither a secret nor an address to listen on.
fn setup_without_secret() -> anyhow::Result<Setup> {
    Ok(setup()?.with_setting("LOADBALANCER_SECRET", "").with_setting("BIND", ""))
}

/// Starts the server once, on a free port.
async fn serve_once(setup: &Setup) -> anyhow::Result<()> {
    drop(setup.clone().with_setting("BIND", "tcp://127.0.0.1:0").start().await?);
    Ok(())
}

fn file_mode(path: &Path) -> anyhow::Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

#[tokio::test]
async fn a_secret_is_generated_once_and_accessible_by_its_owner_only() -> anyhow::Result<()> {
    let setup = setup_without_secret()?;
    // Only the server makes a secret.
    let none = process::run(&setup, &["secret"]).await?;
    assert!(
        none.exit_code == 1 && none.stderr.starts_with("ERROR: there is no store: "),
        "{none:?}"
    );
    setup.create_store().await?;
    let none = process::run(&setup, &["secret"]).await?;
    assert!(
        none.exit_code == 1 && none.stderr.starts_with("ERROR: there is no secret: "),
        "{none:?}"
    );
    serve_once(&setup).await?;
    let first = process::run(&setup, &["secret"]).await?;
    let secret = first.stdout.strip_prefix("URL: http://localhost:3000/bigbluebutton/\nSecret: ");
    let secret = secret.unwrap_or_default().trim_end();
    assert!(secret.len() >= 32, "{first:?}");
    let note = "The secret was generated on first start; set LOADBALANCER_SECRET to replace it.\n";
    assert_eq!((first.stderr.as_str(), first.exit_code), (note, 0));
    let data = setup.folder().join("data");
    assert_eq!((file_mode(&data)?, file_mode(&data.join("secret"))?), (0o700, 0o600));
    assert_eq!(std::fs::read_to_string(data.join("secret"))?.trim(), secret);
    assert_eq!(process::run(&setup, &["secret"]).await?, first);
    let other_setup = setup_without_secret()?;
    serve_once(&other_setup).await?;
    let other_store = process::run(&other_setup, &["secret"]).await?;
    assert_ne!(other_store.stdout, first.stdout);
    Ok(())
}

#[tokio::test]
async fn files_in_an_open_directory_are_accessible_by_their_owner_only() -> anyhow::Result<()> {
    let setup = setup_without_secret()?;
    let data = setup.folder().join("data");
    std::fs::create_dir(&data)?;
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755))?;
    let add = ["servers", "add", "--force", "http://127.0.0.1:1/bigbluebutton/api", "secret1"];
    assert_eq!(process::run(&setup, &add).await?.exit_code, 0);
    serve_once(&setup).await?;
    for entry in std::fs::read_dir(&data)? {
        let path = entry?.path();
        assert_eq!(file_mode(&path)?, 0o600, "{}", path.display());
    }
    Ok(())
}

#[tokio::test]
async fn processes_that_start_at_the_same_time_use_one_secret() -> anyhow::Result<()> {
    let setup = setup_without_secret()?;
    let serving = setup.clone().with_setting("BIND", "tcp://127.0.0.1:0");
    let products = futures_util::future::try_join_all((0..4).map(|_| serving.start())).await?;
    let secret = std::fs::read_to_string(setup.folder().join("data").join("secret"))?;
    let target = |secret: &str| {
        let checksum = bbb_sim::Algorithm::Sha256.hex_digest(&format!("getMeetings{secret}"));
        format!("/bigbluebutton/api/getMeetings?checksum={checksum}")
    };
    for product in &products {
        let response = product.get(&target(secret.trim())).await?.text();
        assert!(response.contains("<returncode>SUCCESS</returncode>"), "{response}");
    }
    drop(products);
    let entries = std::fs::read_dir(setup.folder().join("data"))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let expected = |name: &str| {
        ["secret", "scalelite.db", "store-mark"].iter().any(|start| name.starts_with(start))
    };
    assert!(names.iter().all(|name| expected(&name.to_string_lossy())), "{names:?}");
    Ok(())
}

#[tokio::test]
async fn configured_secrets_and_the_address_are_printed() -> anyhow::Result<()> {
    let setup = setup()?.with_setting("LOADBALANCER_SECRETS", "one:two");
    let secrets = format!("Secret: {SECRET}\nSecret: one\nSecret: two\n");
    setup.create_store().await?;
    for (settings, url) in [
        (vec![("BIND", "tcp://127.0.0.1:3001")], "http://127.0.0.1:3001"),
        (vec![("BIND", "[::1]")], "http://[::1]:3000"),
        (vec![("BIND", ""), ("PORT", "8080")], "http://localhost:8080"),
        (vec![("URL_HOST", "bbb.example.test")], "https://bbb.example.test"),
    ] {
        let setup = settings
            .iter()
            .fold(setup.clone(), |setup, (name, value)| setup.with_setting(name, value));
        let output = process::run(&setup, &["secret"]).await?;
        assert_eq!(output.stdout, format!("URL: {url}/bigbluebutton/\n{secrets}"));
        assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0));
    }
    assert!(!setup.folder().join("data").join("secret").exists());
    Ok(())
}

#[tokio::test]
async fn an_empty_secret_file_is_not_overwritten() -> anyhow::Result<()> {
    let setup = setup_without_secret()?;
    serve_once(&setup).await?;
    let file = setup.folder().join("data").join("secret");
    std::fs::write(&file, "\n")?;
    let output = process::run(&setup, &["secret"]).await?;
    assert_eq!(output.exit_code, 1);
    assert!(
        output.stderr.ends_with("/data/secret: is empty: delete it to get a new one\n"),
        "{output:?}"
    );
    Ok(())
}
