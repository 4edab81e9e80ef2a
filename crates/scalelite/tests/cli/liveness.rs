//! `liveness`, for health checks of containers: exit code 0 only if the store can be used.

use crate::environment::setup;
use std::os::unix::fs::PermissionsExt;
use testkit::process::{self, CommandOutput};
use testkit::product::Setup;

async fn run_liveness(setup: &Setup) -> anyhow::Result<CommandOutput> {
    process::run(setup, &["liveness"]).await
}

/// One line that names what is wrong, and exit code 1.
async fn assert_dead(setup: &Setup, what: &str) -> anyhow::Result<()> {
    let said = run_liveness(setup).await?;
    assert_eq!((said.stdout.as_str(), said.exit_code), ("", 1), "{said:?}");
    assert!(said.stderr.starts_with("ERROR: ") && said.stderr.contains(what), "{said:?}");
    assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    Ok(())
}

#[tokio::test]
async fn a_usable_store_is_a_success() -> anyhow::Result<()> {
    let setup = setup()?;
    for _ in 0..2 {
        let said = run_liveness(&setup).await?;
        assert_eq!(
            (said.stdout.as_str(), said.stderr.as_str(), said.exit_code),
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
    assert_eq!(run_liveness(&setup).await?.exit_code, 0);
    let store = setup.folder().join("data").join("scalelite.db");
    for file in ["scalelite.db-wal", "scalelite.db-shm"] {
        let _ = std::fs::remove_file(store.with_file_name(file));
    }
    std::fs::write(&store, "garbage ".repeat(2_000))?;
    assert_dead(&setup, "scalelite.db").await?;
    // Nothing is repaired behind the administrator's back.
    assert!(std::fs::read(&store)?.starts_with(b"garbage"));
    Ok(())
}

#[tokio::test]
async fn a_store_that_cannot_be_made_is_a_failure() -> anyhow::Result<()> {
    let setup = setup()?;
    let file = setup.folder().join("file");
    std::fs::write(&file, "")?;
    let below = file.join("data");
    let setup = setup.with_setting("SCALELITE_DATA_DIR", &below.display().to_string());
    assert_dead(&setup, &below.display().to_string()).await
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_failure() -> anyhow::Result<()> {
    let setup = setup()?;
    assert_eq!(run_liveness(&setup).await?.exit_code, 0);
    let data = setup.folder().join("data");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o500))?;
    // An administrator of the machine may write everywhere.
    let may_write = std::fs::write(data.join("probe"), "").is_ok();
    let checked = match may_write {
        true => Ok(()),
        false => assert_dead(&setup, "data").await,
    };
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700))?;
    checked
}
