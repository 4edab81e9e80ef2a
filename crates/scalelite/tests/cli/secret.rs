//! `secret`: what to paste into a front-end, and the secret that is made if none is given.

use crate::environment::setup;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use testkit::process;
use testkit::product::{SECRET, Setup};

/// Without a secret and with nothing said about where to listen.
fn setup_without_secret() -> anyhow::Result<Setup> {
    Ok(setup()?.with_setting("LOADBALANCER_SECRET", "").with_setting("BIND", ""))
}

fn file_mode(path: &Path) -> anyhow::Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

#[tokio::test]
async fn a_secret_is_made_once_and_kept_private() -> anyhow::Result<()> {
    let setup = setup_without_secret()?;
    let first = process::run(&setup, &["secret"]).await?;
    let secret = first.stdout.strip_prefix("URL: http://localhost:3000/bigbluebutton/\nSecret: ");
    let secret = secret.unwrap_or_default().trim_end();
    assert!(secret.len() >= 32, "{first:?}");
    let note = "The secret was made on the first start; LOADBALANCER_SECRET would replace it.\n";
    assert_eq!((first.stderr.as_str(), first.exit_code), (note, 0));
    let data = setup.folder().join("data");
    assert_eq!((file_mode(&data)?, file_mode(&data.join("secret"))?), (0o700, 0o600));
    assert_eq!(std::fs::read_to_string(data.join("secret"))?.trim(), secret);
    assert_eq!(process::run(&setup, &["secret"]).await?, first);
    let other = process::run(&setup_without_secret()?, &["secret"]).await?;
    assert_ne!(other.stdout, first.stdout);
    Ok(())
}

#[tokio::test]
async fn nobody_else_reads_the_store_in_an_open_folder() -> anyhow::Result<()> {
    let setup = setup_without_secret()?;
    let data = setup.folder().join("data");
    std::fs::create_dir(&data)?;
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755))?;
    let add = ["servers", "add", "http://127.0.0.1:1/bigbluebutton/api", "secret1"];
    assert_eq!(process::run(&setup, &add).await?.exit_code, 0);
    for entry in std::fs::read_dir(&data)? {
        let path = entry?.path();
        assert_eq!(file_mode(&path)?, 0o600, "{}", path.display());
    }
    Ok(())
}

#[tokio::test]
async fn all_that_start_at_the_same_time_agree() -> anyhow::Result<()> {
    let setup = setup_without_secret()?;
    let runs = (0..8).map(|_| process::run(&setup, &["secret"]));
    let said = futures_util::future::try_join_all(runs).await?;
    assert!(said[0].stdout.contains("Secret: "), "{said:?}");
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
    let left = std::fs::read_dir(setup.folder().join("data"))?;
    let names = left.map(|entry| entry.map(|entry| entry.file_name()));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let expected = |name: &str| name.starts_with("secret") || name.starts_with("scalelite.db");
    assert!(names.iter().all(|name| expected(&name.to_string_lossy())), "{names:?}");
    Ok(())
}

#[tokio::test]
async fn given_secrets_and_the_address_are_shown() -> anyhow::Result<()> {
    let setup = setup()?.with_setting("LOADBALANCER_SECRETS", "one:two");
    let shown = format!("Secret: {SECRET}\nSecret: one\nSecret: two\n");
    for (settings, url) in [
        (vec![("BIND", "tcp://127.0.0.1:3001")], "http://127.0.0.1:3001"),
        (vec![("BIND", "[::1]")], "http://[::1]:3000"),
        (vec![("BIND", ""), ("PORT", "8080")], "http://localhost:8080"),
        (vec![("URL_HOST", "bbb.example.test")], "https://bbb.example.test"),
    ] {
        let setup = settings
            .iter()
            .fold(setup.clone(), |setup, (name, value)| setup.with_setting(name, value));
        let said = process::run(&setup, &["secret"]).await?;
        assert_eq!(said.stdout, format!("URL: {url}/bigbluebutton/\n{shown}"));
        assert_eq!((said.stderr.as_str(), said.exit_code), ("", 0));
    }
    assert!(!setup.folder().join("data").join("secret").exists());
    Ok(())
}

#[tokio::test]
async fn an_empty_secret_file_is_not_overwritten() -> anyhow::Result<()> {
    let setup = setup_without_secret()?;
    process::run(&setup, &["secret"]).await?;
    let file = setup.folder().join("data").join("secret");
    std::fs::write(&file, "\n")?;
    let said = process::run(&setup, &["secret"]).await?;
    assert_eq!(said.exit_code, 1);
    assert!(
        said.stderr.ends_with("/data/secret: is empty: delete it to get a new one\n"),
        "{said:?}"
    );
    Ok(())
}
