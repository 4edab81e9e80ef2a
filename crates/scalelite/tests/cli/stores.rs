//! Where the state is kept: by the environment, and by the files of a deployment of the original in
//! the working directory.

use crate::environment::setup;
use testkit::process;
use testkit::product::Setup;

/// The line of `config` that says where the state is.
async fn store_line(setup: &Setup) -> anyhow::Result<String> {
    let said = process::run(setup, &["config"]).await?;
    assert_eq!((said.stderr.as_str(), said.exit_code), ("", 0));
    assert!(!said.stdout.contains("hidden"), "{}", said.stdout);
    Ok(said.stdout.lines().last().unwrap_or_default().to_owned())
}

/// Files as the original has them.
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
async fn files_of_the_original_count() -> anyhow::Result<()> {
    let setup = setup()?;
    write_files(&setup, "config")?;
    let embedded =
        " Servers and meetings are kept in the data directory, recordings in the data directory";
    assert_eq!(store_line(&setup).await?, embedded);
    let by_file = setup.clone().with_setting("REDIS_HOST", "r");
    let redis =
        " Servers and meetings are kept in redis://r:6379/0, recordings in the data directory";
    assert_eq!(store_line(&by_file).await?, redis);
    let by_both = by_file.with_setting("DATABASE_URL", "postgres://u:hidden@p");
    let both = " Servers and meetings are kept in redis://r:6379/0, recordings in \
                postgresql://p:5432/scalelite";
    assert_eq!(store_line(&by_both).await?, both);
    let elsewhere = by_both
        .with_setting("SCALELITE_CONFIG_DIR", "elsewhere")
        .with_setting("DB_DISABLED", "true");
    let nowhere = " Servers and meetings are kept in the data directory, recordings in nowhere \
                   (DB_DISABLED)";
    assert_eq!(store_line(&elsewhere).await?, nowhere);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_stops_every_command_and_hides_secrets() -> anyhow::Result<()> {
    let setup = setup()?;
    write_files(&setup, "config")?;
    let file = setup.folder().join("config").join("redis_store.yml");
    std::fs::write(&file, "production:\n  password: hidden\n  url: <%= Rails.root %>\n")?;
    let ruby = "config/redis_store.yml: line 3: `<%= Rails.root %>`: of Ruby, only ENV['NAME'] and \
                ENV.fetch('NAME') are understood, with plain defaults\n";
    let elsewhere = setup.clone().with_setting("SCALELITE_CONFIG_DIR", "elsewhere");
    let port = "REDIS_URL: a port must be a number from 1 to 65535, or: the characters / ? # @ : % and \
                blanks in user and password must be percent-encoded\n";
    for (setup, line) in
        [(setup.clone(), ruby), (elsewhere.with_setting("REDIS_URL", "redis://:hidden@h:x"), port)]
    {
        for command in ["config", "serve", "servers", "secret"] {
            let said = process::run(&setup, &[command]).await?;
            let all = (said.stdout.as_str(), said.stderr.as_str(), said.exit_code);
            assert_eq!(all, ("", line, 1), "{command}");
        }
        assert!(!setup.folder().join("data").exists(), "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn an_unreachable_store_is_reported_at_once_and_without_secrets() -> anyhow::Result<()> {
    for (name, url, what) in [
        ("REDIS_URL", "redis://:hidden@127.0.0.1:1/1", "ERROR: store unavailable: Redis: "),
        ("DATABASE_URL", "postgres://u:hidden@127.0.0.1:1/d", "ERROR: store unavailable: "),
    ] {
        let setup = setup()?.with_setting(name, url);
        for command in ["servers", "status"] {
            let said = process::run(&setup, &[command]).await?;
            assert!(said.stderr.starts_with(what), "{command}: {}", said.stderr);
            assert!(!said.stderr.contains("hidden") && said.stderr.lines().count() == 1);
            assert_eq!((said.stdout.as_str(), said.exit_code), ("", 1), "{command}");
        }
        let said = process::run(&setup, &["liveness"]).await?;
        assert_eq!(said.exit_code, 1, "{}", said.stderr);
    }
    Ok(())
}

/// One that each replica made for itself would not be the others'.
#[tokio::test]
async fn a_shared_store_needs_a_secret_that_is_given() -> anyhow::Result<()> {
    let setup = setup()?
        .with_setting("REDIS_URL", "redis://127.0.0.1:1")
        .with_setting("LOADBALANCER_SECRET", "");
    let said = process::run(&setup, &["serve"]).await?;
    let line = "ERROR: LOADBALANCER_SECRET must be set: all replicas on redis://127.0.0.1:1/0 need \
                the same one\n";
    assert_eq!((said.stderr.as_str(), said.exit_code), (line, 1));
    Ok(())
}
