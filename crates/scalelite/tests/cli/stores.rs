//! Tests of the locations of the stores: environment, and files of a deployment of the original in the
//! working directory.

use crate::environment::setup;
use testkit::process;
use testkit::product::Setup;

/// The line of `config` with the locations of the stores.
async fn store_line(setup: &Setup) -> anyhow::Result<String> {
    let output = process::run(setup, &["config"]).await?;
    assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0));
    assert!(!output.stdout.contains("hidden"), "{}", output.stdout);
    Ok(output.stdout.lines().last().unwrap_or_default().to_owned())
}

/// Writes configuration files of the original.
fn write_files(setup: &Setup, folder: &str) -> anyhow::Result<()> {
    let folder = setup.folder().join(folder);
    std::fs::create_dir(&folder)?;
    let redis = "default: &default\n  url: <%= ENV['REDIS_URL'] %>\n  namespace: scalelite\n\n\
                 production:\n  <<: *default\n  host: <%= ENV['REDIS_HOST'] %>\n  \
                 password: hidden\n";
    std::fs::write(folder.join("redis_store.yml"), redis)?;
    let database = "default: &default\n  adapter: postgresql\n  encoding: unicode\n\
                    production:\n  <<: *default\n  url: <%= ENV.fetch('DATABASE_URL', '') %>\n";
    Ok(std::fs::write(folder.join("database.yml"), database)?)
}

#[tokio::test]
async fn files_of_the_original_are_read() -> anyhow::Result<()> {
    let setup = setup()?;
    write_files(&setup, "config")?;
    let embedded =
        " Servers and meetings are stored in the data directory, recordings in the data directory";
    assert_eq!(store_line(&setup).await?, embedded);
    let by_file = setup.clone().with_setting("REDIS_HOST", "r");
    let redis =
        " Servers and meetings are stored in redis://r:6379/0, recordings in the data directory";
    assert_eq!(store_line(&by_file).await?, redis);
    let by_both = by_file.with_setting("DATABASE_URL", "postgres://u:hidden@p");
    let both = " Servers and meetings are stored in redis://r:6379/0, recordings in \
                postgresql://p:5432/scalelite";
    assert_eq!(store_line(&by_both).await?, both);
    let elsewhere = by_both
        .with_setting("SCALELITE_CONFIG_DIR", "elsewhere")
        .with_setting("DB_DISABLED", "true");
    let nowhere = " Servers and meetings are stored in the data directory, recordings in nowhere \
                   (DB_DISABLED)";
    assert_eq!(store_line(&elsewhere).await?, nowhere);
    Ok(())
}

#[tokio::test]
async fn wrong_locations_stop_every_command_and_errors_have_no_secret() -> anyhow::Result<()> {
    let setup = setup()?;
    write_files(&setup, "config")?;
    let file = setup.folder().join("config").join("redis_store.yml");
    std::fs::write(&file, "production:\n  password: hidden\n  url: <%= Rails.root %>\n")?;
    let ruby = "config/redis_store.yml: line 3: `<%= Rails.root %>`: only ENV['NAME'] and \
                ENV.fetch('NAME') with literal defaults are supported\n";
    let elsewhere = setup.clone().with_setting("SCALELITE_CONFIG_DIR", "elsewhere");
    let port = "REDIS_URL: a port must be a number from 1 to 65535, or: the characters / ? # @ : % and \
                blanks in user and password must be percent-encoded\n";
    for (setup, line) in
        [(setup.clone(), ruby), (elsewhere.with_setting("REDIS_URL", "redis://:hidden@h:x"), port)]
    {
        for command in ["config", "serve", "servers", "secret"] {
            let output = process::run(&setup, &[command]).await?;
            let result = (output.stdout.as_str(), output.stderr.as_str(), output.exit_code);
            assert_eq!(result, ("", line, 1), "{command}");
        }
        assert!(!setup.folder().join("data").exists(), "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn an_unreachable_store_is_reported_without_secrets() -> anyhow::Result<()> {
    for (name, url, prefix) in [
        ("REDIS_URL", "redis://:hidden@127.0.0.1:1/1", "ERROR: store unavailable: Redis: "),
        ("DATABASE_URL", "postgres://u:hidden@127.0.0.1:1/d", "ERROR: store unavailable: "),
    ] {
        let setup = setup()?.with_setting(name, url);
        for command in ["servers", "status"] {
            let output = process::run(&setup, &[command]).await?;
            assert!(output.stderr.starts_with(prefix), "{command}: {}", output.stderr);
            assert!(!output.stderr.contains("hidden") && output.stderr.lines().count() == 1);
            assert_eq!((output.stdout.as_str(), output.exit_code), ("", 1), "{command}");
        }
        let output = process::run(&setup, &["liveness"]).await?;
        assert_eq!(output.exit_code, 1, "{}", output.stderr);
    }
    Ok(())
}

/// Each replica would generate another secret.
#[tokio::test]
async fn a_shared_store_needs_a_configured_secret() -> anyhow::Result<()> {
    let setup = setup()?
        .with_setting("REDIS_URL", "redis://127.0.0.1:1")
        .with_setting("LOADBALANCER_SECRET", "");
    let output = process::run(&setup, &["serve"]).await?;
    let line = "ERROR: LOADBALANCER_SECRET must be set: all replicas on redis://127.0.0.1:1/0 need \
                the same one\n";
    assert_eq!((output.stderr.as_str(), output.exit_code), (line, 1));
    Ok(())
}
