//! Tests of `poll` and `status`, without a balancer and while one runs on the same store.

use crate::environment::{CliEnvironment, collapse_whitespace, create_meeting, setup};
use bbb_sim::{FaultMode, Preload};
use serde_json::Value;
use testkit::process;

#[tokio::test]
async fn polls_print_a_summary() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(2).await?;
    cli.setup = cli.setup.clone().with_setting("MEETING_GRACE", "0");
    assert_eq!(cli.run_ok("poll").await?, "Answered: 0, failed: 0, meetings forgotten: 0\n");
    cli.add_enabled_server().await?;
    cli.add_enabled_server().await?;
    let product = cli.setup.start().await?;
    create_meeting(&product, "Alpha", "").await?;
    drop(product);
    for server in cli.pool.servers() {
        server.drop_meetings(None);
    }
    cli.server(2).set_fault(FaultMode::Refuse);
    let output = cli.run_ok("poll all").await?;
    assert!(output.starts_with("Answered: 1, failed: 1, meetings forgotten: "), "{output}");
    cli.run_ok("poll servers").await?;
    cli.run_ok("poll meetings").await?;
    cli.server(2).clear_fault();
    cli.run_ok("poll").await?;
    cli.run_ok("poll").await?;
    assert_eq!(cli.run("meetings").await?.stderr, "No meetings\n");
    cli.server(1).set_version("3.0.4");
    assert_eq!(cli.run_ok("poll versions").await?, "");
    assert!(cli.run_ok("servers").await?.contains("bbb version: 3.0.4"));
    Ok(())
}

#[tokio::test]
async fn status_has_the_columns_of_the_original() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(2).await?;
    assert_eq!(cli.run_ok("rake status").await?, "\n");
    cli.add_server(&["2", "blue"]).await?;
    let ids = ["a", "b"].map(str::to_owned).to_vec();
    let busy = Preload { ids, users: 55, videos: 7, ..Preload::default() };
    cli.server(1).preload(busy);
    cli.run_ok("servers enable <id-1>").await?;
    let expected = "
  HOSTNAME   STATE   STATUS  MEETINGS  USERS  LARGEST MEETING  VIDEOS   LOAD  BBB VERSION   TAG \u{20}
 127.0.0.1  enabled  online  2         110    55               14      220.0  2.7.12       blue \u{20}
";
    let trimmed =
        |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(trimmed(&cli.run_ok("rake status").await?), trimmed(expected));
    let narrow = cli.run_ok("status").await?;
    assert!(narrow.lines().all(|line| line.len() <= 80), "{narrow}");
    let table = collapse_whitespace(&narrow);
    let row = "127.0.0.1 enabled online 2 110 220.0";
    assert_eq!(table, ["", "HOSTNAME STATE STATUS MEETINGS USERS LOAD", row]);
    let chosen = collapse_whitespace(&cli.run_ok("status --columns id,tag,users").await?);
    assert_eq!(chosen, ["", "ID TAG USERS", "<id-1> blue 110"]);
    let table = collapse_whitespace(&cli.run_ok("status --wide").await?);
    let headings = "HOSTNAME STATE STATUS MEETINGS USERS LARGEST MEETING VIDEOS LOAD BBB VERSION TAG \
                    EXPECTED USERS UPCOMING USERS FORECAST LOAD SAME AS FAILURES";
    let row = "127.0.0.1 enabled online 2 110 55 14 220.0 2.7.12 blue 0 0 220.0";
    assert_eq!(table, ["", headings, row]);
    let output = cli.run_ok("status --json").await?;
    assert!(!output.contains("secret"), "{output}");
    let list: Value = serde_json::from_str(&output)?;
    let expected = serde_json::json!([{
        "id": "<id-1>", "hostname": "127.0.0.1", "url": "<url-1>", "state": "enabled",
        "status": "online", "health": "online", "meetings": 2, "users": 110,
        "largest_meeting": 55, "videos": 14, "load": 220.0, "load_multiplier": 2.0,
        "bbb_version": "2.7.12", "tag": "blue", "last_failure": null, "failures": 0,
        "probation_until": 0, "expected_users": 0.0, "upcoming_users": 0.0, "forecast_load": 220.0,
        "max_meetings": null, "max_users": null, "tier": 0, "same_as": [],
    }]);
    assert_eq!(list, expected);
    Ok(())
}

#[tokio::test]
async fn commands_and_a_running_balancer_share_the_store() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(2).await?;
    let mut product = cli.setup.start().await?;
    cli.add_enabled_server().await?;
    create_meeting(&product, "Alpha", "").await?;
    assert_eq!(cli.server(1).meetings().len(), 1);
    cli.add_enabled_server().await?;
    cli.run_ok("servers cordon <id-1>").await?;
    create_meeting(&product, "Beta", "").await?;
    assert_eq!(cli.server(2).meetings().len(), 1);
    let commands = ["servers", "status", "meetings", "poll", "servers yaml", "liveness"];
    let outputs = commands.map(|command| cli.run_ok(command));
    futures_util::future::try_join_all(outputs).await?;
    product.kill().await?;
    assert!(!product.log().contains("panicked"), "{}", product.log());
    assert!(cli.run_ok("servers").await?.contains("\tcordoned\n"));
    assert!(cli.run_ok("meetings").await?.contains("MeetingID: Beta\n"));
    Ok(())
}

#[tokio::test]
async fn commands_log_nothing_unless_a_level_is_set() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.create_store().await?;
    assert_eq!(process::run(&setup, &["poll"]).await?.stderr, "");
    let mut cli = CliEnvironment::new(1).await?;
    cli.add_server(&[]).await?;
    assert_eq!(cli.run_ok("poll").await?, "Answered: 1, failed: 0, meetings forgotten: 0\n");
    let output = cli.run("poll --rails-log-level debug").await?;
    assert!(output.stderr.contains("DEBUG"), "{output:?}");
    cli.setup = cli.setup.clone().with_setting("LOG_LEVEL", "debug");
    let output = cli.run("poll").await?;
    assert!(output.stderr.contains("DEBUG"), "{output:?}");
    Ok(())
}
