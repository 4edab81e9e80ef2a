//! Tests of `migrate-store`: copies between all kinds of stores, and back.

use anyhow::{Context as _, ensure};
use testkit::process::{self, CommandOutput};
use testkit::product::{Setup, new_request, signed_target_with};
use testkit::stores::{StoreKind, TestStores};

use crate::environment::{CliEnvironment, setup};

const DUMP: &str = include_str!("../../../testkit/data/fixtures/postgres.sql");

async fn run_migration(
    setup: &Setup,
    from: &str,
    to: &str,
    arguments: &[&str],
) -> anyhow::Result<CommandOutput> {
    let command = [&["migrate-store", "--from", from, "--to", to], arguments].concat();
    process::run(setup, &command).await
}

/// The numbers in a row of the table.
fn row_numbers(output: &CommandOutput, kind: &str) -> Vec<u64> {
    let line = output.stdout.lines().find_map(|line| line.trim().strip_prefix(kind));
    line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The servers, meetings and tenants in a store, as commands print them.
async fn describe_store(setup: &Setup) -> anyhow::Result<Vec<String>> {
    let mut outputs = Vec::new();
    for command in [&["servers", "yaml", "--verbose"][..], &["meetings", "list"], &["tenants"]] {
        let output = process::run(setup, command).await?;
        assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0), "{command:?}");
        outputs.push(output.stdout);
    }
    Ok(outputs)
}

/// Creates meetings of the tenant with a balancer that is stopped afterwards.
async fn create_meetings(setup: &Setup, ids: &[&str]) -> anyhow::Result<()> {
    let mut product = setup.start().await?;
    for id in ids {
        let id = form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>();
        let mut request = new_request(
            "GET",
            &signed_target_with("s1", "create", &format!("meetingID={id}&name=Name")),
        );
        request.headers = vec![("Host".to_owned(), "acme.balancer.test".to_owned())];
        let response = product.send(&request).await?.text();
        ensure!(response.contains("SUCCESS"), "{response}");
    }
    product.kill().await
}

#[tokio::test]
async fn a_pool_is_copied_through_all_stores_and_back() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(3).await?;
    cli.setup = cli.setup.with_setting("MULTITENANCY_ENABLED", "true");
    for arguments in [&["2.5", "blue"][..], &[], &["0.5"]] {
        cli.add_server(arguments).await?;
    }
    for n in 1..=2 {
        cli.run_ok(&format!("servers enable <id-{n}>")).await?;
    }
    cli.run_ok("tenants add acme s1:s2").await?;
    create_meetings(&cli.setup, &["one", "zwei 💥"]).await?;
    let data = cli.setup.folder().join("data").display().to_string();
    let before = describe_store(&cli.setup).await?;
    let stores = TestStores::start(StoreKind::RedisAndPostgres).await?;
    let environment = stores.environment();
    let (redis, postgres) = (environment[0].1.as_str(), environment[1].1.as_str());

    let dry = run_migration(&cli.setup, &data, redis, &["--dry-run"]).await?;
    assert_eq!((dry.exit_code, row_numbers(&dry, "servers")), (0, vec![3, 0, 3, 0]), "{dry:?}");
    let back = cli.setup.folder().join("back").display().to_string();
    for (from, to) in [(data.as_str(), redis), (redis, postgres), (postgres, back.as_str())] {
        let copied = run_migration(&cli.setup, from, to, &[]).await?;
        assert_eq!(copied.exit_code, 0, "{copied:?}");
        assert_eq!(row_numbers(&copied, "servers"), [3, 0, 3, 0, 3], "{from} to {to}: {copied:?}");
        assert_eq!(row_numbers(&copied, "tenants"), [1, 0, 1, 0, 1]);
        assert_eq!(row_numbers(&copied, "meetings"), [2, 0, 2, 0, 2]);
        let again = run_migration(&cli.setup, from, to, &[]).await?;
        assert_eq!(row_numbers(&again, "servers"), [3, 3, 0, 0, 3], "{again:?}");
    }
    let setup_with = |name: &str, url: &str| cli.setup.clone().with_setting(name, url);
    assert_eq!(describe_store(&setup_with("REDIS_URL", redis)).await?, before);
    assert_eq!(describe_store(&setup_with("DATABASE_URL", postgres)).await?, before);
    assert_eq!(describe_store(&setup_with("SCALELITE_DATA_DIR", &back)).await?, before);
    // Each copy is in the audit of its target, without the passwords of the addresses, and was copied on.
    let audit = ["audit", "--json", "--action", "stores.migrate"];
    let audit = process::run(&setup_with("SCALELITE_DATA_DIR", &back), &audit).await?.stdout;
    assert_eq!(audit.lines().count(), 3, "{audit}");
    assert!(
        audit.lines().all(|line| line.contains('@') && line.contains("\"copied\":")),
        "{audit}"
    );
    assert!(!audit.contains(postgres) && !audit.contains("://:"), "{audit}");
    Ok(())
}

/// A database of the original, and an empty one.
async fn original_database() -> anyhow::Result<(TestStores, TestStores)> {
    let old = TestStores::start(StoreKind::Postgres).await?;
    let new = old.with_new_databases().await?;
    let server = old.postgres().context("a PostgreSQL")?;
    server.psql(old.postgres_database(), DUMP).await?;
    Ok((old, new))
}

fn store_url(stores: &TestStores) -> String {
    stores.environment()[0].1.clone()
}

#[tokio::test]
async fn recordings_of_the_original_are_copied_and_copied_back() -> anyhow::Result<()> {
    let setup = setup()?;
    let (old, new) = original_database().await?;
    let server = old.postgres().unwrap();
    let copied = run_migration(&setup, &store_url(&old), "copy", &[]).await?;
    assert_eq!(row_numbers(&copied, "recordings"), [4, 0, 4, 0, 4], "{copied:?}");
    assert_eq!(row_numbers(&copied, "callbacks"), [2, 0, 2, 0, 2], "{copied:?}");
    let copied = run_migration(&setup, "copy", &store_url(&new), &["--only", "recordings"]).await?;
    assert_eq!(
        (copied.exit_code, row_numbers(&copied, "recordings")),
        (0, vec![4, 0, 4, 0, 4]),
        "{copied:?}"
    );
    assert!(!copied.stdout.contains("servers"));
    let rows = "SELECT record_id, meeting_id, name, published, participants, state, starttime, \
                endtime, protected, publish_updated FROM recordings ORDER BY record_id";
    let metadata = "SELECT r.record_id, m.key, m.value FROM metadata m JOIN recordings r \
                    ON r.id = m.recording_id ORDER BY 1, 2";
    let callbacks = "SELECT c.meeting_id, r.record_id, c.callback_attributes FROM callback_data c \
                     LEFT JOIN recordings r ON r.id = c.recording_id ORDER BY 1";
    for query in [rows, metadata, callbacks] {
        let copied = server.psql(new.postgres_database(), query).await?;
        assert_eq!(copied, server.psql(old.postgres_database(), query).await?);
        assert!(!copied.is_empty());
    }
    Ok(())
}

/// Neither a dry run nor `doctor` adopts a database.
#[tokio::test]
async fn read_only_commands_do_not_change_databases() -> anyhow::Result<()> {
    let setup = setup()?;
    let (old, new) = original_database().await?;
    let server = old.postgres().unwrap();
    let before = server.dump(old.postgres_database(), &[]).await?;
    let doctor =
        process::run(&setup.clone().with_setting("DATABASE_URL", &store_url(&old)), &["doctor"])
            .await?;
    assert!(doctor.stdout.contains("the database is not adopted yet"), "{doctor:?}");
    let refused = run_migration(&setup, &store_url(&old), "copy", &["--dry-run"]).await?;
    assert!(refused.stderr.contains("not adopted yet"), "{refused:?}");
    // These lines differ between any two dumps.
    let comparable = |dump: &str| -> Vec<String> {
        dump.lines().filter(|line| !line.contains("restrict")).map(str::to_owned).collect()
    };
    let after = server.dump(old.postgres_database(), &[]).await?;
    assert_eq!(comparable(&after), comparable(&before));

    run_migration(&setup, &store_url(&old), "copy", &[]).await?;
    let dry = run_migration(&setup, "copy", &store_url(&new), &["--dry-run"]).await?;
    assert_eq!((dry.exit_code, row_numbers(&dry, "recordings")), (0, vec![4, 0, 4, 0]), "{dry:?}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN \
                  ('pg_catalog', 'information_schema')";
    assert_eq!(server.psql(new.postgres_database(), tables).await?, "0");
    Ok(())
}

#[tokio::test]
async fn stores_that_cannot_be_copied_are_reported() -> anyhow::Result<()> {
    let setup = setup()?;
    let table = [
        ("nowhere", "redis://127.0.0.1:1", "ERROR: nowhere/scalelite.db: store not found\n"),
        ("a", "a/scalelite.db", "ERROR: --from and --to are the same store\n"),
        (
            "postgres//u:hidden@h/d",
            "b",
            "ERROR: --from: this is neither a URL of a store nor a path\n",
        ),
        (
            "http://x",
            "b",
            "ERROR: --from: a store is redis://…, postgresql://…, or the path of a data directory\n",
        ),
    ];
    for (from, to, line) in table {
        let output = run_migration(&setup, from, to, &[]).await?;
        assert_eq!((output.stderr.as_str(), output.exit_code), (line, 1), "{from} to {to}");
    }
    let output = run_migration(&setup, "redis://:hidden@127.0.0.1:1", "copy", &[]).await?;
    assert_eq!(output.exit_code, 1);
    assert!(output.stderr.contains("store unavailable") && !output.stderr.contains("hidden"));
    Ok(())
}
