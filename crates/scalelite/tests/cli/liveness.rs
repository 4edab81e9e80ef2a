//! Tests of `liveness`: exit code 0 only if the store can be used.

use crate::environment::setup;
use std::os::unix::fs::PermissionsExt;
use testkit::process::{self, CommandOutput};
use testkit::product::Setup;

async fn run_liveness(setup: &Setup) -> anyhow::Result<CommandOutput> {
    process::run(setup, &["liveness"]).await
}

/// Asserts that `liveness` fails with one line that contains this text.
async fn assert_failure(setup: &Setup, text: &str) -> anyhow::Result<()> {
    let output = run_liveness(setup).await?;
    assert_eq!((output.stdout.as_str(), output.exit_code), ("", 1), "{output:?}");
    assert!(output.stderr.starts_with("ERROR: ") && output.stderr.contains(text), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    Ok(())
}

#[tokio::test]
async fn a_usable_store_is_a_success() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.create_store().await?;
    for _ in 0..2 {
        let output = run_liveness(&setup).await?;
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str(), output.exit_code),
            ("success\n", "", 0)
        );
    }
    let product = setup.start().await?;
    assert_eq!(run_liveness(&setup).await?.exit_code, 0);
    drop(product);
    Ok(())
}

#[tokio::test]
async fn a_broken_store_is_a_failure() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.create_store().await?;
    assert_eq!(run_liveness(&setup).await?.exit_code, 0);
    let store = setup.folder().join("data").join("scalelite.db");
    for file in ["scalelite.db-wal", "scalelite.db-shm"] {
        let _ = std::fs::remove_file(store.with_file_name(file));
    }
    std::fs::write(&store, "garbage ".repeat(2_000))?;
    assert_failure(&setup, "scalelite.db").await?;
    // The store was not changed.
    assert!(std::fs::read(&store)?.starts_with(b"garbage"));
    Ok(())
}

#[tokio::test]
async fn a_store_that_cannot_be_there_is_a_failure() -> anyhow::Result<()> {
    let setup = setup()?;
    let file = setup.folder().join("file");
    std::fs::write(&file, "")?;
    let data = file.join("data").display().to_string();
    let setup = setup.with_setting("SCALELITE_DATA_DIR", &data);
    assert_failure(&setup, &data).await
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_failure() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.create_store().await?;
    assert_eq!(run_liveness(&setup).await?.exit_code, 0);
    let data = setup.folder().join("data");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o500))?;
    // The user root may write everywhere.
    let may_write = std::fs::write(data.join("probe"), "").is_ok();
    let result = match may_write {
        true => Ok(()),
        false => assert_failure(&setup, "data").await,
    };
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700))?;
    result
}
