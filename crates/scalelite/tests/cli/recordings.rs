//! Tests of `recordings` without a running server: listing, changing and checking recordings.

use adapters::sqlite::SqliteStore;
use app::ports::Recordings as _;
use domain::Timestamp;
use domain::recording::{PlaybackFormat, Recording};

use crate::environment::CliEnvironment;

const FIRST_START: Timestamp = Timestamp(1_600_000_000_000);

fn recording(id: &str) -> Recording {
    let url = Some(format!("/video/{id}/"));
    let format = PlaybackFormat { format: "video".to_owned(), url, ..PlaybackFormat::default() };
    Recording {
        record_id: id.to_owned(),
        meeting_id: Some("room".to_owned()),
        published: true,
        state: Some("published".to_owned()),
        started_at: Some(FIRST_START),
        ended_at: Some(FIRST_START),
        formats: vec![format],
        ..Recording::default()
    }
}

/// An environment with recordings `a`, `b` and `c`, and their files.
async fn environment_with_recordings() -> anyhow::Result<(CliEnvironment, SqliteStore)> {
    let mut cli = CliEnvironment::new(0).await?;
    for (name, value) in
        [("RECORDING_PUBLISH_DIR", "published"), ("RECORDING_UNPUBLISH_DIR", "hidden")]
    {
        cli.setup = cli.setup.with_setting(name, value);
    }
    assert_eq!(cli.run("recordings list").await?.stderr, "No recordings\n");
    let store = SqliteStore::open(&cli.setup.folder().join("data/scalelite.db"))?;
    for id in ["a", "b", "c"] {
        store.put_recording(&recording(id)).await?;
        let dir = cli.setup.folder().join("published/video").join(id);
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("index.html"), id)?;
    }
    Ok((cli, store))
}

#[tokio::test]
async fn recordings_are_listed_and_changed() -> anyhow::Result<()> {
    let (cli, store) = environment_with_recordings().await?;
    let all = "a\tpublished\troom\tvideo\nb\tpublished\troom\tvideo\nc\tpublished\troom\tvideo\n";
    assert_eq!(cli.run_ok("recordings list").await?, all);
    assert_eq!(cli.run_ok("recordings unpublish a b").await?, "OK\n");
    let hidden = cli.setup.folder().join("hidden/video");
    assert!(hidden.join("a/index.html").exists() && hidden.join("b").exists());
    let listed = cli.run_ok("recordings list --state unpublished --json").await?;
    let ids: Vec<serde_json::Value> = listed
        .lines()
        .map(|line| Ok(serde_json::from_str::<serde_json::Value>(line)?["record_id"].take()))
        .collect::<anyhow::Result<_>>()?;
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(cli.run_ok("recordings publish a").await?, "OK\n");
    assert_eq!(cli.run_ok("recordings protect a").await?, "OK\n");
    assert_eq!(cli.run_ok("recordings update a Name=Neu x=y").await?, "OK\n");
    assert_eq!(cli.run_ok("recordings update a x=").await?, "OK\n");
    let a = store.find_recording("a").await?.unwrap();
    assert_eq!((a.published, a.protected, a.metadata_value("name")), (true, true, Some("Neu")));
    assert_eq!(a.metadata_value("x"), None);
    assert!(cli.run_ok("recordings show a").await?.contains("\"name\": \"Neu\""));
    let filtered = cli.run_ok("recordings list --meta name=N%").await?;
    assert_eq!(filtered, "a\tpublished\troom\tvideo\tprotected\n");
    let refused = cli.run_failing("recordings update a tenant-id=x").await?;
    assert!(refused.contains("add-to-tenant"), "{refused}");
    assert_eq!(
        cli.run_failing("recordings show zz").await?,
        "ERROR: No recording found with id: zz\n"
    );
    assert_eq!(
        cli.run_failing("recordings publish zz").await?,
        "ERROR: No recording found with id: zz\n"
    );
    let declined = cli.run_with_input("recordings delete a", "no\n").await?;
    assert!(declined.stdout.ends_with("Nothing was done.\n"), "{declined:?}");
    assert_eq!(cli.run_ok("recordings delete a --yes").await?, "OK\n");
    assert!(store.find_recording("a").await?.unwrap().is_deleted());
    assert!(!cli.setup.folder().join("published/video/a").exists());
    Ok(())
}

#[tokio::test]
async fn database_and_files_are_compared_both_ways() -> anyhow::Result<()> {
    let (cli, store) = environment_with_recordings().await?;
    assert_eq!(cli.run("recordings check").await?.stderr, "Database and files match\n");
    let folder = cli.setup.folder();
    std::fs::create_dir_all(folder.join("hidden/video"))?;
    std::fs::rename(folder.join("published/video/a"), folder.join("hidden/video/a"))?;
    std::fs::remove_dir_all(folder.join("published/video/b"))?;
    let state = Some("deleted".to_owned());
    store.put_recording(&Recording { state, formats: vec![], ..recording("c") }).await?;
    std::fs::create_dir_all(folder.join("published/notes/stranger"))?;
    let faults = "a\tvideo\tfiles in the wrong place\nb\tvideo\tno files\n\
        stranger\tnotes\tfiles of an unknown recording\nc\tvideo\tfiles of a deleted recording\n";
    let output = cli.run("recordings check").await?;
    assert_eq!((output.stdout.as_str(), output.exit_code), (faults, 1));
    let output = cli.run("recordings check --repair").await?;
    assert_eq!(output.stdout.matches("\trepaired\n").count(), 2, "{output:?}");
    assert_eq!(
        (output.stderr.as_str(), output.exit_code),
        ("2 recordings do not match their files\n", 1)
    );
    assert!(folder.join("published/video/a/index.html").exists());
    assert!(!folder.join("published/video/c").exists());
    assert!(
        folder.join("published/notes/stranger").exists(),
        "files of unknown recordings are kept"
    );
    Ok(())
}

#[tokio::test]
async fn old_recordings_are_deleted() -> anyhow::Result<()> {
    let (cli, store) = environment_with_recordings().await?;
    let now = Timestamp(FIRST_START.0 * 2);
    store.put_recording(&Recording { ended_at: Some(now), ..recording("c") }).await?;
    let dry_run = cli.run("recordings retention --days 30 --dry-run").await?;
    assert_eq!(dry_run.stdout.lines().count(), 2, "{dry_run:?}");
    assert_eq!(dry_run.stderr, "2 recordings would be deleted\n");
    assert!(!store.find_recording("a").await?.unwrap().is_deleted());
    let none = cli.run("recordings retention --days 30 --meta name=x").await?;
    assert_eq!(none.stderr, "0 recordings deleted\n");
    assert_eq!(cli.run("recordings retention --days 30").await?.stderr, "2 recordings deleted\n");
    assert_eq!(cli.run_ok("recordings list").await?.lines().count(), 1);
    assert!(!cli.setup.folder().join("published/video/a").exists());
    Ok(())
}
