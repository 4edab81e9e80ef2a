//! Tests of `meetings`: listing, showing and ending meetings while the balancer runs.

use crate::environment::{CliEnvironment, create_meeting};
use bbb_sim::FaultMode;

#[tokio::test]
async fn meetings_are_listed_with_their_servers() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    let output = cli.run("meetings").await?;
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str(), output.exit_code),
        ("", "No meetings\n", 0)
    );
    let product = cli.setup.start().await?;
    cli.add_enabled_server().await?;
    create_meeting(&product, "Alpha", "").await?;
    create_meeting(&product, "Beta", "").await?;
    let listed =
        |id: &str| format!("\nMeetingID: {id}\n\tServer ID: <id-1>\n\tServer Url: <url-1>\n");
    let both = [listed("Alpha"), listed("Beta")];
    let output = cli.run_ok("meetings").await?;
    assert!(output == both.concat() || output == format!("{}{}", both[1], both[0]), "{output}");
    assert_eq!(cli.run_ok("meetings list Beta").await?, both[1]);
    assert_eq!(cli.run("meetings list nope").await?.stderr, "No meetings\n");
    Ok(())
}

#[tokio::test]
async fn a_meeting_is_shown() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    let product = cli.setup.start().await?;
    cli.add_enabled_server().await?;
    let parameters = "&record=true&meta_bbb-origin=Moodle&meta_bbb-origin-server-name=lms.example.test\
                &meta_bbb-context=Chemistry&meta_other=hidden";
    create_meeting(&product, "Alpha", parameters).await?;
    let output = cli.run_ok("meetings info Alpha").await?;
    for line in [
        "\nMeeting ID: Alpha\n\tMeeting Name: Alpha\n\tInternal MeetingID: ",
        "\n\tCreated Date: ",
        "\n\tRecording Enabled: true\n\tServer id: <id-1>\n\tServer url: <url-1>\n\tMetaData:\n",
        "\n\t\tbbb-origin: Moodle\n",
        "\n\t\tbbb-origin-server-name: lms.example.test\n",
        "\n\t\tbbb-origin-server-common-name: \n",
        "\n\t\tbbb-context: Chemistry\n",
    ] {
        assert!(output.contains(line), "{line:?} is not in {output}");
    }
    assert!(!output.contains("hidden"), "{output}");
    let unknown = "ERROR: No meeting found with id: nope\n";
    assert_eq!(cli.run_failing("meetings info nope").await?, unknown);
    cli.server(1).set_fault(FaultMode::Refuse);
    let output = cli.run_failing("meetings info Alpha").await?;
    assert!(output.starts_with("ERROR: ") && output.lines().count() == 1, "{output}");
    Ok(())
}

#[tokio::test]
async fn meetings_are_ended() -> anyhow::Result<()> {
    const CONFIRMATION: &str = "WARNING: You are trying to clear active meetings.\n\
                         If you still wish to continue please enter `yes`\n";
    let mut cli = CliEnvironment::new(1).await?;
    let product = cli.setup.start().await?;
    cli.add_enabled_server().await?;
    for id in ["Alpha", "Beta", "Gamma"] {
        create_meeting(&product, id, "").await?;
    }
    let output = cli.run_with_input("meetings end Alpha", "no\n").await?;
    assert_eq!(output.stdout, format!("{CONFIRMATION}Nothing was done.\n"));
    assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0));
    let output = cli.run_with_input("meetings end Alpha", "yes\n").await?;
    assert_eq!(output.stdout, format!("{CONFIRMATION}Clearing Meeting id=Alpha\nOK\n"));
    let remaining = || cli.server(1).meetings().into_iter().map(|meeting| meeting.id);
    assert_eq!(remaining().collect::<Vec<_>>(), ["Beta", "Gamma"]);
    let ended = "Clearing Meeting id=Beta\nOK\n";
    assert_eq!(cli.run_ok("meetings end Beta --yes").await?, ended);
    let output = cli.run("meetings end nope --yes").await?;
    assert_eq!((output.stdout.as_str(), output.exit_code), ("OK\n", 0));
    assert_eq!(output.stderr, "No meetings to clear\n");
    cli.server(1).set_fault(FaultMode::Refuse);
    let output = cli.run("meetings end --yes").await?;
    assert_eq!((output.stdout.as_str(), output.exit_code), ("Clearing Meeting id=Gamma\nOK\n", 1));
    assert!(output.stderr.starts_with("WARNING: not ended on its server: "), "{output:?}");
    assert_eq!(cli.run("meetings").await?.stderr, "No meetings\n");
    Ok(())
}

#[tokio::test]
async fn an_error_of_the_server_is_printed_without_control_characters() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    let product = cli.setup.start().await?;
    cli.add_enabled_server().await?;
    create_meeting(&product, "Alpha", "").await?;
    let (key, message) = ("odd".to_owned(), "red\u{9b}31m\nnext".to_owned());
    cli.server(1).set_fault(FaultMode::Failed { key, message });
    let output = cli.run_failing("meetings info Alpha").await?;
    assert_eq!(output, "ERROR: red\u{fffd}31m\u{fffd}next\n");
    Ok(())
}
