//! `poll` and `status`, alone and while the balancer runs on the same store.

use crate::environment::{CliEnvironment, create_meeting, setup};
use bbb_sim::{FaultMode, Preload};
use serde_json::Value;
use testkit::process;

#[tokio::test]
async fn polls_say_what_they_found() -> anyhow::Result<()> {
    let mut stage = CliEnvironment::new(2).await?;
    stage.setup = stage.setup.clone().with_setting("MEETING_GRACE", "0");
    assert_eq!(stage.run_ok("poll").await?, "Answered: 0, failed: 0, meetings forgotten: 0\n");
    stage.add_enabled_server().await?;
    stage.add_enabled_server().await?;
    let product = stage.setup.start().await?;
    create_meeting(&product, "Alpha", "").await?;
    drop(product);
    for server in stage.pool.servers() {
        server.drop_meetings(None);
    }
    stage.server(2).set_fault(FaultMode::Refuse);
    let said = stage.run_ok("poll all").await?;
    assert!(said.starts_with("Answered: 1, failed: 1, meetings forgotten: "), "{said}");
    stage.run_ok("poll servers").await?;
    stage.run_ok("poll meetings").await?;
    stage.server(2).clear_fault();
    stage.run_ok("poll").await?;
    stage.run_ok("poll").await?;
    assert_eq!(stage.run("meetings").await?.stderr, "No meetings\n");
    stage.server(1).set_version("3.0.4");
    assert_eq!(stage.run_ok("poll versions").await?, "");
    assert!(stage.run_ok("servers").await?.contains("bbb version: 3.0.4"));
    Ok(())
}

#[tokio::test]
async fn status_is_the_original_table() -> anyhow::Result<()> {
    let mut stage = CliEnvironment::new(2).await?;
    assert_eq!(stage.run_ok("rake status").await?, "\n");
    stage.add_server(&["2", "blue"]).await?;
    let ids = ["a", "b"].map(str::to_owned).to_vec();
    let busy = Preload { ids, users: 55, videos: 7, ..Preload::default() };
    stage.server(1).preload(busy);
    stage.run_ok("servers enable <id-1>").await?;
    let expected = "
  HOSTNAME   STATE   STATUS  MEETINGS  USERS  LARGEST MEETING  VIDEOS   LOAD  BBB VERSION   TAG \u{20}
 127.0.0.1  enabled  online  2         110    55               14      220.0  2.7.12       blue \u{20}
";
    let unpadded =
        |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(unpadded(&stage.run_ok("rake status").await?), unpadded(expected));
    let said = stage.run_ok("status --json").await?;
    assert!(!said.contains("secret"), "{said}");
    let list: Value = serde_json::from_str(&said)?;
    let expected = serde_json::json!([{
        "id": "<id-1>", "hostname": "127.0.0.1", "url": "<url-1>", "state": "enabled",
        "status": "online", "standing": "online", "meetings": 2, "users": 110,
        "largest_meeting": 55, "videos": 14, "load": 220.0, "load_multiplier": 2.0,
        "bbb_version": "2.7.12", "tag": "blue", "last_failure": null, "failures": 0,
        "probation_until": 0, "reserve": 0.0, "promised": 0.0, "effective_load": 220.0,
        "max_meetings": null, "max_users": null, "tier": 0,
    }]);
    assert_eq!(list, expected);
    Ok(())
}

#[tokio::test]
async fn commands_and_a_running_balancer_share_the_store() -> anyhow::Result<()> {
    let mut stage = CliEnvironment::new(2).await?;
    let mut product = stage.setup.start().await?;
    stage.add_enabled_server().await?;
    create_meeting(&product, "Alpha", "").await?;
    assert_eq!(stage.server(1).meetings().len(), 1);
    stage.add_enabled_server().await?;
    stage.run_ok("servers cordon <id-1>").await?;
    create_meeting(&product, "Beta", "").await?;
    assert_eq!(stage.server(2).meetings().len(), 1);
    let commands = ["servers", "status", "meetings", "poll", "servers yaml", "liveness"];
    let all = commands.map(|command| stage.run_ok(command));
    futures_util::future::try_join_all(all).await?;
    product.kill().await?;
    assert!(!product.log().contains("panicked"), "{}", product.log());
    assert!(stage.run_ok("servers").await?.contains("\tcordoned\n"));
    assert!(stage.run_ok("meetings").await?.contains("MeetingID: Beta\n"));
    Ok(())
}

#[tokio::test]
async fn the_log_is_silent_unless_asked_for() -> anyhow::Result<()> {
    let quiet = setup()?;
    assert_eq!(process::run(&quiet, &["poll"]).await?.stderr, "");
    let mut stage = CliEnvironment::new(1).await?;
    stage.add_server(&[]).await?;
    assert_eq!(stage.run_ok("poll").await?, "Answered: 1, failed: 0, meetings forgotten: 0\n");
    let loud = stage.run("poll --rails-log-level debug").await?;
    assert!(loud.stderr.contains("polled"), "{loud:?}");
    stage.setup = stage.setup.clone().with_setting("LOG_LEVEL", "debug");
    let loud = stage.run("poll").await?;
    assert!(loud.stderr.contains("polled"), "{loud:?}");
    Ok(())
}
