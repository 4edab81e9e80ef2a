//! Tests of `rake`: every task of the original's documentation, options of rake, and calls under the names of other
//! programs.

use crate::environment::{CliEnvironment, create_meeting, setup};
use testkit::process;
use testkit::product::wait_until;

/// Tasks in the order in which they are played on a pool with one server, what they print, and their exit codes.
const PLAYED: [(&str, &str, i32); 40] = [
    ("servers", "id: <id-1>", 0),
    ("servers:update[<id-1>,,2.0,blue]", "OK", 0),
    ("servers:tag[<id-1>]", "OK", 0),
    ("servers:loadMultiplier[<id-1>,1.0]", "OK", 0),
    ("servers:cordon[<id-1>]", "OK", 0),
    ("servers:enable[<id-1>]", "OK", 0),
    ("servers:disable[<id-1>]", "OK", 0),
    ("servers:enable[<id-1>]", "OK", 0),
    ("servers:meeting_list", "MeetingIDs: ", 0),
    ("servers:meeting_list[<id-1>:<id-1>]", "MeetingIDs: ", 0),
    ("servers:meeting_list[<id-1>:nope]", "No server found with id: nope", 1),
    ("servers:yaml", "load_multiplier: 1.0", 0),
    ("servers:yaml[verbose]", "online: true", 0),
    ("servers:sync[pool.yml,force,true]", "", 0),
    ("servers:sync[pool.yml,force,y]", "", 0),
    ("servers:sync", "Missing 'path' parameter", 1),
    ("servers:panic[<id-1>,keep]", "OK", 0),
    ("meetings", "No meetings", 0),
    ("meetings:list[a:b]", "No meetings", 0),
    ("meetings:info[a]", "No meeting found", 1),
    ("meetings:end[a:b]", "Nothing was done.", 0),
    ("meetings:end[:]", "no meeting is named", 1),
    ("poll:all", "", 0),
    ("poll:servers", "", 0),
    ("poll:meetings", "", 0),
    ("poll:versions", "", 0),
    ("status", "HOSTNAME", 0),
    ("liveness", "success", 0),
    ("tenants", "", 1),
    ("recordings:update", "Database and files match", 0),
    ("db:setup", "nothing to do", 0),
    ("db:migrate RAILS_ENV=production", "nothing to do", 0),
    ("db:migrate:status", "nothing to do", 0),
    ("db:schema:load", "nothing to do", 0),
    ("db:drop", "is refused", 1),
    ("db:migrate:reset", "is refused", 1),
    ("db:rollback STEP=1", "is refused", 1),
    ("-n servers:remove[<id-1>]", "** Execute (dry run) servers:remove", 0),
    ("poll:all status liveness", "success", 0),
    ("servers:remove[<id-1>]", "OK", 0),
];

#[tokio::test]
async fn every_task_of_the_documentation_is_played() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    cli.add_enabled_server().await?;
    cli.write_file("pool.yml", "servers: {}\n")?;
    for (task, text, exit_code) in PLAYED {
        let output = cli.run(&format!("rake {task}")).await?;
        let printed = format!("{}{}", output.stdout, output.stderr);
        assert!(output.exit_code == exit_code && printed.contains(text), "{task}: {output:?}");
    }
    assert_eq!(cli.run("rake servers").await?.stderr, "No servers are configured\n");
    let list = cli.run_ok("rake -T").await?;
    for (task, ..) in PLAYED.iter().filter(|(task, ..)| !task.starts_with("db:")) {
        let name = task.split(['[', ' ']).next().unwrap_or_default();
        assert!(
            name == "-n" || list.contains(&format!("rake {name}")),
            "{name} is not in the list"
        );
    }
    assert_eq!(cli.run_ok("rake").await?, list);
    assert_eq!(cli.run_ok("rake --tasks tenants:add").await?.lines().count(), 1);
    assert_eq!(cli.run_ok("rake secret").await?.trim().len(), 128);
    assert_eq!(cli.run_failing("rake --nonsense").await?, "ERROR: unknown option --nonsense\n");
    Ok(())
}

#[tokio::test]
async fn a_pool_is_read_from_the_standard_input() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(0).await?;
    let yaml = "servers:\n  a:\n    secret: s\n    url: http://127.0.0.1:1/bigbluebutton/api\n";
    for (task, added) in [("servers:sync[-,keep,maybe]", false), ("servers:sync[-,keep,no]", true)]
    {
        let output = cli.run_with_input(&format!("rake {task}"), yaml).await?;
        assert_eq!(output.exit_code, 0, "{output:?}");
        assert_eq!(cli.run_ok("servers yaml").await?.contains("  a:\n"), added, "{task}");
    }
    Ok(())
}

#[tokio::test]
async fn lists_of_meetings_are_separated_by_colons() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    let product = cli.setup.start().await?;
    cli.add_enabled_server().await?;
    for id in ["aa", "bb", "aa:bb", "cc"] {
        create_meeting(&product, id, "").await?;
    }
    let listed = |output: &str| output.matches("MeetingID: ").count();
    assert_eq!(listed(&cli.run_ok("rake meetings:list").await?), 4);
    assert_eq!(listed(&cli.run_ok("rake meetings:list[aa:cc:nope]").await?), 2);
    // A meeting of that very id.
    assert_eq!(listed(&cli.run_ok("rake meetings:list[aa:bb]").await?), 1);
    let ended = cli.run_with_input("rake meetings:end[bb:cc]", "yes\n").await?;
    assert!(ended.stdout.ends_with("OK\n"), "{ended:?}");
    assert_eq!(listed(&cli.run_ok("rake meetings:list").await?), 2);
    Ok(())
}

#[tokio::test]
async fn the_program_answers_under_the_names_of_rake_and_bundle() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.create_store().await?;
    for (name, arguments) in [
        ("rake", &["liveness"][..]),
        ("rails", &["liveness"]),
        ("bundle", &["exec", "rake", "liveness"]),
    ] {
        let link = setup.folder().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_scalelite"), &link)?;
        let mut command = tokio::process::Command::new(&link);
        command.args(arguments).env_clear().current_dir(setup.folder());
        command.env("SCALELITE_DATA_DIR", setup.folder().join("data"));
        command.env("SCALELITE_ENV_FILE", "/dev/null");
        let output = command.output().await?;
        assert_eq!(String::from_utf8_lossy(&output.stdout), "success\n", "{name}: {output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_importer_of_the_original_is_a_task() -> anyhow::Result<()> {
    let setup = setup()?;
    let mut command = process::piped_command(&setup, &["rake", "db:migrate", "recordings:watch"]);
    command.stderr(std::fs::File::create(setup.folder().join("watch"))?);
    let mut child = command.spawn()?;
    let log = || std::fs::read_to_string(setup.folder().join("watch")).unwrap_or_default();
    let is_ready = async || log().contains("started without listening");
    wait_until("the importer runs", is_ready).await?;
    let id = child.id().unwrap_or_default();
    let kill =
        tokio::process::Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status();
    assert!(kill.await?.success());
    assert!(child.wait().await?.success(), "{}", log());
    Ok(())
}
