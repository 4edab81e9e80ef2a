//! `meetings`: listing, looking into and ending meetings that the balancer placed, while it runs.

use crate::environment::{CliEnvironment, create_meeting};
use bbb_sim::FaultMode;

#[tokio::test]
async fn meetings_are_listed_with_their_servers() -> anyhow::Result<()> {
    let mut stage = CliEnvironment::new(1).await?;
    let said = stage.run("meetings").await?;
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str(), said.exit_code),
        ("", "No meetings\n", 0)
    );
    let product = stage.setup.start().await?;
    stage.add_enabled_server().await?;
    create_meeting(&product, "Alpha", "").await?;
    create_meeting(&product, "Beta", "").await?;
    let of = |id: &str| format!("\nMeetingID: {id}\n\tServer ID: <id-1>\n\tServer Url: <url-1>\n");
    let both = [of("Alpha"), of("Beta")];
    let said = stage.run_ok("meetings").await?;
    assert!(said == both.concat() || said == format!("{}{}", both[1], both[0]), "{said}");
    assert_eq!(stage.run_ok("meetings list Beta").await?, both[1]);
    assert_eq!(stage.run("meetings list nope").await?.stderr, "No meetings\n");
    Ok(())
}

#[tokio::test]
async fn a_meeting_is_shown() -> anyhow::Result<()> {
    let mut stage = CliEnvironment::new(1).await?;
    let product = stage.setup.start().await?;
    stage.add_enabled_server().await?;
    let more = "&record=true&meta_bbb-origin=Moodle&meta_bbb-origin-server-name=lms.example.test\
                &meta_bbb-context=Chemistry&meta_other=hidden";
    create_meeting(&product, "Alpha", more).await?;
    let said = stage.run_ok("meetings info Alpha").await?;
    for line in [
        "\nMeeting ID: Alpha\n\tMeeting Name: Alpha\n\tInternal MeetingID: ",
        "\n\tCreated Date: ",
        "\n\tRecording Enabled: true\n\tServer id: <id-1>\n\tServer url: <url-1>\n\tMetaData:\n",
        "\n\t\tbbb-origin: Moodle\n",
        "\n\t\tbbb-origin-server-name: lms.example.test\n",
        "\n\t\tbbb-origin-server-common-name: \n",
        "\n\t\tbbb-context: Chemistry\n",
    ] {
        assert!(said.contains(line), "{line:?} is not in {said}");
    }
    assert!(!said.contains("hidden"), "{said}");
    let unknown = "ERROR: No meeting found with id: nope\n";
    assert_eq!(stage.run_failing("meetings info nope").await?, unknown);
    stage.server(1).set_fault(FaultMode::Refuse);
    let said = stage.run_failing("meetings info Alpha").await?;
    assert!(said.starts_with("ERROR: ") && said.lines().count() == 1, "{said}");
    Ok(())
}

#[tokio::test]
async fn meetings_are_ended() -> anyhow::Result<()> {
    const CONFIRMATION: &str = "WARNING: You are trying to clear active meetings.\n\
                         If you still wish to continue please enter `yes`\n";
    let mut stage = CliEnvironment::new(1).await?;
    let product = stage.setup.start().await?;
    stage.add_enabled_server().await?;
    for id in ["Alpha", "Beta", "Gamma"] {
        create_meeting(&product, id, "").await?;
    }
    let said = stage.run_with_input("meetings end Alpha", "no\n").await?;
    assert_eq!(said.stdout, format!("{CONFIRMATION}Nothing was done.\n"));
    assert_eq!((said.stderr.as_str(), said.exit_code), ("", 0));
    let said = stage.run_with_input("meetings end Alpha", "yes\n").await?;
    assert_eq!(said.stdout, format!("{CONFIRMATION}Clearing Meeting id=Alpha\nOK\n"));
    let left = || stage.server(1).meetings().into_iter().map(|meeting| meeting.id);
    assert_eq!(left().collect::<Vec<_>>(), ["Beta", "Gamma"]);
    let ended = "Clearing Meeting id=Beta\nOK\n";
    assert_eq!(stage.run_ok("meetings end Beta --yes").await?, ended);
    let said = stage.run("meetings end nope --yes").await?;
    assert_eq!((said.stdout.as_str(), said.exit_code), ("OK\n", 0));
    assert_eq!(said.stderr, "No meetings to clear\n");
    stage.server(1).set_fault(FaultMode::Refuse);
    let said = stage.run("meetings end --yes").await?;
    assert_eq!((said.stdout.as_str(), said.exit_code), ("Clearing Meeting id=Gamma\nOK\n", 1));
    assert!(said.stderr.starts_with("WARNING: not ended on its server: "), "{said:?}");
    assert_eq!(stage.run("meetings").await?.stderr, "No meetings\n");
    Ok(())
}

#[tokio::test]
async fn an_error_of_the_server_is_told_without_control_characters() -> anyhow::Result<()> {
    let mut stage = CliEnvironment::new(1).await?;
    let product = stage.setup.start().await?;
    stage.add_enabled_server().await?;
    create_meeting(&product, "Alpha", "").await?;
    let (key, message) = ("odd".to_owned(), "red\u{9b}31m\nnext".to_owned());
    stage.server(1).set_fault(FaultMode::Failed { key, message });
    let said = stage.run_failing("meetings info Alpha").await?;
    assert_eq!(said, "ERROR: red\u{fffd}31m\u{fffd}next\n");
    Ok(())
}
