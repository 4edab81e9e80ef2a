//! Tests of `config` and of settings: origins of values, hidden secrets, refused values.

use crate::environment::{collapse_whitespace, setup};
use serde_json::Value;
use testkit::process::{self, CommandOutput};
use testkit::product::{SECRET, Setup};

async fn run_config(setup: &Setup, more: &[&str]) -> anyhow::Result<CommandOutput> {
    process::run(setup, &[&["config"], more].concat()).await
}

/// The line that `config` prints for a setting, with whitespace collapsed.
async fn setting_line(setup: &Setup, more: &[&str], name: &str) -> anyhow::Result<String> {
    let output = run_config(setup, more).await?;
    assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0));
    let lines = collapse_whitespace(&output.stdout);
    let line = lines.into_iter().find(|line| line.split(' ').next() == Some(name));
    Ok(line.unwrap_or_default())
}

#[tokio::test]
async fn values_are_shown_with_their_origin() -> anyhow::Result<()> {
    let setup = setup()?.with_setting("INTERVAL", "5").with_setting("CONNECT_TIMEOUT", "");
    let setup = setup.with_setting("POLL_INTERVAL", "");
    for (name, line) in [
        ("SETTING", "SETTING VALUE ORIGIN"),
        ("PORT", "PORT 3000 default"),
        ("BIND", "BIND tcp://127.0.0.1:0 environment BIND"),
        ("POLL_INTERVAL", "POLL_INTERVAL 5 environment INTERVAL"),
        ("CONNECT_TIMEOUT", "CONNECT_TIMEOUT 5 default"),
    ] {
        assert_eq!(setting_line(&setup, &[], name).await?, line);
    }
    Ok(())
}

#[tokio::test]
async fn flags_override_the_environment() -> anyhow::Result<()> {
    let setup =
        setup()?.with_setting("POLL_INTERVAL", "30").with_setting("RECORDING_DISABLED", "false");
    let flag = "POLL_INTERVAL 31 flag";
    let name = "POLL_INTERVAL";
    assert_eq!(setting_line(&setup, &["--poll-interval", "31"], name).await?, flag);
    assert_eq!(setting_line(&setup, &["--poll-interval=31"], name).await?, flag);
    let flag_first = process::run(&setup, &["--poll-interval", "31", "config"]).await?;
    assert!(collapse_whitespace(&flag_first.stdout).iter().any(|line| line == flag));
    let on = "RECORDING_DISABLED true flag";
    assert_eq!(setting_line(&setup, &["--recording-disabled"], "RECORDING_DISABLED").await?, on);
    let dir = setup.folder().join("other");
    let data_dir = format!("--data-dir={}", dir.display());
    std::fs::write(setup.folder().join("none.yml"), "servers: {}\n")?;
    let sync = ["servers", "sync", "none.yml", &data_dir];
    assert_eq!(process::run(&setup, &sync).await?.exit_code, 0);
    assert_eq!(process::run(&setup, &["liveness", &data_dir]).await?.exit_code, 0);
    assert!(dir.join("scalelite.db").exists() && !setup.folder().join("data").exists());
    Ok(())
}

#[tokio::test]
async fn secrets_are_hidden_wherever_they_come_from() -> anyhow::Result<()> {
    let setup = setup()?;
    let file = setup.folder().join("secrets");
    std::fs::write(&file, "from-a-file:and-another\n")?;
    let file = file.display().to_string();
    let setup = setup.with_setting("LOADBALANCER_SECRETS_FILE", &file);
    let output = run_config(&setup, &[]).await?.stdout;
    let json = run_config(&setup, &["--json"]).await?.stdout;
    for text in [&output, &json] {
        assert!(!text.contains(SECRET) && !text.contains("from-a-file"), "{text}");
    }
    let lines = collapse_whitespace(&output);
    assert!(lines.contains(&"LOADBALANCER_SECRET *** environment LOADBALANCER_SECRET".to_owned()));
    let from_file = "LOADBALANCER_SECRETS *** file named by LOADBALANCER_SECRETS_FILE";
    assert!(lines.contains(&from_file.to_owned()), "{output}");
    let list: Vec<Value> = serde_json::from_str(&json)?;
    let setting = list.iter().find(|setting| setting["name"] == "LOADBALANCER_SECRETS");
    let setting = setting.unwrap_or(&Value::Null);
    assert_eq!(setting["value"], "***");
    assert_eq!(setting["origin"], "file named by LOADBALANCER_SECRETS_FILE");
    let secret = process::run(&setup, &["secret"]).await?.stdout;
    assert!(secret.contains("Secret: from-a-file\nSecret: and-another\n"), "{secret}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_value_is_one_line_and_exit_code_1() -> anyhow::Result<()> {
    let wrong = |name, value| setup().map(|setup| setup.with_setting(name, value));
    for (setup, line) in [
        (
            wrong("MAX_CONNECTIONS", "many")?,
            "MAX_CONNECTIONS: `many` is not allowed, it must be a whole number, 1 or more\n",
        ),
        (
            wrong("LOG_FORMAT", "\u{1b}[31mred\nx")?,
            "LOG_FORMAT: `\u{fffd}[31mred\u{fffd}x` is not allowed, it must be text or json\n",
        ),
        (
            wrong("PLAYBACK_X_ACCEL", "maybe")?,
            "PLAYBACK_X_ACCEL: `maybe` is not allowed, it must be true or false\n",
        ),
        (
            wrong("AWS_SESSION_TOKEN", " hidden")?,
            "AWS_SESSION_TOKEN: `***` is not allowed, it must be a secret without leading or trailing whitespace\n",
        ),
        (wrong("S3_RECORDING", "true")?, "S3_BUCKET_NAME: it must be set, S3_RECORDING needs it\n"),
        (
            wrong("LOADBALANCER_SECRETS_FILE", "absent")?,
            "LOADBALANCER_SECRETS_FILE: absent: No such file or directory (os error 2)\n",
        ),
    ] {
        for command in ["config", "serve", "servers", "secret"] {
            let output = process::run(&setup, &[command]).await?;
            let result = (output.stdout.as_str(), output.stderr.as_str(), output.exit_code);
            assert_eq!(result, ("", line, 1), "{command}");
        }
        assert!(!setup.folder().join("data").exists(), "{line}");
    }
    let output = run_config(&setup()?, &["--log-format", "xml"]).await?;
    assert_eq!(output.stderr, "LOG_FORMAT: `xml` is not allowed, it must be text or json\n");
    assert_eq!(output.exit_code, 1);
    Ok(())
}

#[tokio::test]
async fn ignored_settings_of_the_original_are_listed() -> anyhow::Result<()> {
    let setup = setup()?.with_setting("WEB_CONCURRENCY", "4").with_setting("FSAPI_PASSWORD", "");
    let output = run_config(&setup, &[]).await?.stdout;
    for line in [
        " WEB_CONCURRENCY is set and has no effect: one process uses all cores\n",
        "FSAPI_PASSWORD ",
    ] {
        assert!(output.contains(line), "{output}");
    }
    let output = run_config(&setup, &["--reference"]).await?;
    assert!(output.exit_code == 0 && output.stdout.starts_with("# Configuration\n"));
    Ok(())
}

/// An environment file as playbooks write it: zeros, blanks, and values that the original ignores.
const PLAYBOOK_SETTINGS: [(&str, &str); 12] = [
    ("URL_HOST", "https://lb.example.test:8443/"),
    ("MAX_MEETING_DURATION", "0"),
    ("POLLER_THREADS", "0"),
    ("SERVER_HEALTHY_THRESHOLD", "0"),
    ("CONNECT_TIMEOUT", " 5 "),
    ("RESPONSE_TIMEOUT", "10s"),
    ("LOAD_MIN_USER_COUNT", "15 "),
    ("CREATE_EXCLUDE_PARAMS", " "),
    ("DEFAULT_CREATE_PARAMS", "record=true,webcams"),
    ("LOADBALANCER_CHECKSUM_ALGORITHM", "SHA1:SHA256:SHA512:MD5"),
    ("CF_KEY_PAIR_ID", "K2JCJMDEHXQW5F"),
    ("RAILS_LOG_LEVEL", "verbose"),
];

#[tokio::test]
async fn an_environment_that_works_with_the_original_starts_with_warnings() -> anyhow::Result<()> {
    let settings = PLAYBOOK_SETTINGS.iter();
    let setup = settings.fold(setup()?, |setup, (name, value)| setup.with_setting(name, value));
    let mut product = setup.spawn()?;
    product.wait_until_listening().await?;
    let log = product.log();
    for text in [
        "10 is used",
        "50 is used",
        "lb.example.test:8443 is used",
        "record=true is used",
        "SHA1:SHA256:SHA512 is used",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
    assert_eq!(log.matches("setting corrected").count(), 8, "{log}");
    product.kill().await?;
    let output = run_config(&setup, &[]).await?.stdout;
    let line =
        " POLLER_THREADS: `0` is not allowed, it must be a whole number, 1 or more: 50 is used\n";
    assert!(output.contains(line), "{output}");
    let findings = process::run(&setup, &["doctor"]).await?.stdout;
    assert!(findings.contains("setting POLLER_THREADS"), "{findings}");
    Ok(())
}
