//! Wrong usage has an exit code of its own, and help is no failure.

use crate::environment::setup;
use testkit::process;

#[tokio::test]
async fn wrong_usage_is_exit_code_2() -> anyhow::Result<()> {
    let setup = setup()?;
    let wrong: [&[&str]; 19] = [
        &[],
        &["nonsense"],
        &["--nonsense"],
        &["servers", "nonsense"],
        &["servers", "add"],
        &["servers", "add", "http://x"],
        &["servers", "enable"],
        &["servers", "sync"],
        &["servers", "--table", "--json"],
        &["servers", "disable", "id", "--maybe"],
        &["meetings", "info"],
        &["poll", "nonsense"],
        &["sign"],
        &["sign", "x", "--url", "u", "--server", "s"],
        &["rake"],
        &["config", "--json", "--reference"],
        &["doctor", "--yaml"],
        &["serve", "--roles", "cook"],
        &["demo", "--servers", "0"],
    ];
    for arguments in wrong {
        let said = process::run(&setup, arguments).await?;
        assert_eq!((said.stdout.as_str(), said.exit_code), ("", 2), "{arguments:?}");
        assert!(
            said.stderr.contains("Usage: ") || said.stderr.contains("try '--help'"),
            "{arguments:?}: {}",
            said.stderr
        );
    }
    assert!(!setup.folder().join("data").exists());
    Ok(())
}

#[tokio::test]
async fn help_and_version_are_no_failures() -> anyhow::Result<()> {
    let setup = setup()?;
    for arguments in
        [&["--help"][..], &["help"], &["serve", "--help"], &["help", "servers", "sync"]]
    {
        let said = process::run(&setup, arguments).await?;
        assert_eq!((said.stderr.as_str(), said.exit_code), ("", 0), "{arguments:?}");
        assert!(said.stdout.contains("Usage: scalelite"), "{}", said.stdout);
    }
    let said = process::run(&setup, &["--version"]).await?;
    assert_eq!(said.stdout, concat!("scalelite ", env!("CARGO_PKG_VERSION"), "\n"));
    Ok(())
}

#[tokio::test]
async fn unknown_tasks_of_rake_fail() -> anyhow::Result<()> {
    let setup = setup()?;
    for (task, complaint) in [
        ("nonsense", "ERROR: there is no task nonsense\n"),
        ("servers:add[x", "ERROR: `servers:add[x` is not a task of the form name[a,b]\n"),
    ] {
        let said = process::run(&setup, &["rake", task, "servers"]).await?;
        let all = (said.stdout.as_str(), said.stderr.as_str(), said.exit_code);
        assert_eq!(all, ("", complaint, 1));
    }
    let said = process::run(&setup, &["rake", "liveness", "status", "liveness"]).await?;
    assert_eq!((said.stdout.as_str(), said.exit_code), ("success\n\nsuccess\n", 0));
    Ok(())
}
