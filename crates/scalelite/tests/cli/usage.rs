//! Exit codes of wrong usage, help and unknown tasks.

use crate::environment::setup;
use testkit::process;

#[tokio::test]
async fn wrong_usage_is_exit_code_2() -> anyhow::Result<()> {
    let setup = setup()?;
    let wrong: [&[&str]; 22] = [
        &[],
        &["nonsense"],
        &["--nonsense"],
        &["servers", "nonsense"],
        &["servers", "add"],
        &["servers", "add", "http://x"],
        &["servers", "add", "http://x", "s", "--secret", "t"],
        &["servers", "add", "http://x", "s", "1", "--multiplier", "2"],
        &["servers", "enable"],
        &["status", "--columns", "nonsense"],
        &["status", "--wide", "--columns", "users"],
        &["servers", "sync"],
        &["servers", "--table", "--json"],
        &["servers", "disable", "id", "--maybe"],
        &["meetings", "info"],
        &["poll", "nonsense"],
        &["sign"],
        &["sign", "x", "--url", "u", "--server", "s"],
        &["config", "--json", "--reference"],
        &["doctor", "--yaml"],
        &["serve", "--roles", "cook"],
        &["demo", "--servers", "0"],
    ];
    for arguments in wrong {
        let output = process::run(&setup, arguments).await?;
        assert_eq!((output.stdout.as_str(), output.exit_code), ("", 2), "{arguments:?}");
        assert!(
            output.stderr.contains("Usage: ") || output.stderr.contains("try '--help'"),
            "{arguments:?}: {}",
            output.stderr
        );
    }
    assert!(!setup.folder().join("data").exists());
    Ok(())
}

#[tokio::test]
async fn help_and_version_succeed() -> anyhow::Result<()> {
    let setup = setup()?;
    for arguments in
        [&["--help"][..], &["help"], &["serve", "--help"], &["help", "servers", "sync"]]
    {
        let output = process::run(&setup, arguments).await?;
        assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0), "{arguments:?}");
        assert!(output.stdout.contains("Usage: scalelite"), "{}", output.stdout);
    }
    let output = process::run(&setup, &["--version"]).await?;
    assert_eq!(output.stdout, concat!("scalelite ", env!("CARGO_PKG_VERSION"), "\n"));
    Ok(())
}

#[tokio::test]
async fn unknown_tasks_of_rake_fail() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.create_store().await?;
    for (task, error) in [
        ("nonsense", "ERROR: unknown task nonsense\n"),
        ("servers:add[x", "ERROR: `servers:add[x` is not a task of the form name[a,b]\n"),
    ] {
        let output = process::run(&setup, &["rake", task, "servers"]).await?;
        let result = (output.stdout.as_str(), output.stderr.as_str(), output.exit_code);
        assert_eq!(result, ("", error, 1));
    }
    let output = process::run(&setup, &["rake", "liveness", "status", "liveness"]).await?;
    assert_eq!((output.stdout.as_str(), output.exit_code), ("success\n\nsuccess\n", 0));
    Ok(())
}
