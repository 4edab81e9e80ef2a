//! Tests of `servers add-all`, `servers sync` and `servers yaml`: servers from files and to files.

use crate::environment::{CliEnvironment, create_meeting};
use bbb_sim::Preload;
use testkit::process;

const TWO_SERVERS: &str = "\
servers:
  a:
    url: <url-1>
    secret: secret1
  b:
    url: <url-2>
    secret: secret2
    load_multiplier: 2
    tag: blue
    enabled: false
";
const NO_SERVERS: &str = "servers: {}\n";

#[tokio::test]
async fn a_pool_is_read_from_a_file_and_printed_as_a_file() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(2).await?;
    cli.write_file("two.yml", TWO_SERVERS)?;
    assert_eq!(cli.run_ok("servers sync two.yml --dry-run").await?, "would add a\nwould add b\n");
    assert_eq!(cli.run_ok("servers yaml").await?, "---\nservers: {}\n");
    assert_eq!(cli.run_ok("servers sync two.yml").await?, "add a\nadd b\n");
    let yaml = cli.run_ok("servers yaml").await?;
    let expected = "\
---
servers:
  a:
    url: <url-1>
    secret: secret1
    load_multiplier: 1.0
    tag: ''
    enabled: true
  b:
    url: <url-2>
    secret: secret2
    load_multiplier: 2.0
    tag: blue
    enabled: false
";
    assert_eq!(yaml, expected);
    let verbose = cli.run_ok("servers yaml --verbose").await?;
    let state = "    enabled: true\n    state: enabled\n    load: 0.0\n    bbb_version: 2.7.12\n    online: true\n";
    assert!(verbose.contains(state), "{verbose}");
    for (name, text) in [("yaml.yml", &yaml), ("verbose.yml", &verbose)] {
        cli.write_file(name, text)?;
        assert_eq!(cli.run_ok(&format!("servers sync {name} force")).await?, "");
        assert_eq!(cli.run_ok("servers yaml --verbose").await?, verbose);
    }
    Ok(())
}

#[tokio::test]
async fn every_secret_and_tag_is_the_same_after_yaml() -> anyhow::Result<()> {
    const TEXTS: [&str; 24] = [
        "0123",
        "1e5",
        "0x1F",
        "1_000",
        "12:30:45",
        "2020-01-01",
        ".5",
        "null",
        "~",
        "No",
        "it's",
        "\"quoted\"",
        "a: b",
        "a #b",
        "- x",
        "%@`|>&*!",
        "[a, b]",
        "back\\slash",
        "\u{e9}\u{4e2d}",
        "tab\tline\nend",
        "\u{2028}\u{feff}\u{85}",
        "trailing ",
        "'",
        "? #",
    ];
    let cli = CliEnvironment::new(0).await?;
    for (port, text) in (1..).zip(TEXTS) {
        let url = format!("http://127.0.0.1:{port}/bigbluebutton/api");
        let add = ["servers", "add", "--force", "--", &url, text, "1", text];
        let output = process::run(&cli.setup, &add).await?;
        assert_eq!(output.exit_code, 0, "{output:?}");
    }
    let yaml = cli.run_ok("servers yaml").await?;
    cli.write_file("pool.yml", &yaml)?;
    assert_eq!(cli.run_ok("servers sync pool.yml force").await?, "");
    assert_eq!(cli.run_ok("servers yaml").await?, yaml);
    cli.write_file("none.yml", NO_SERVERS)?;
    cli.run_ok("servers sync none.yml").await?;
    assert_eq!(cli.run_ok("servers sync pool.yml").await?.lines().count(), TEXTS.len());
    // The order is that in which the servers were added, which differs now.
    assert_eq!(sort_servers(&cli.run_ok("servers yaml").await?), sort_servers(&yaml));
    Ok(())
}

/// The lines of each server, sorted by server.
fn sort_servers(yaml: &str) -> Vec<Vec<&str>> {
    let lines = yaml.lines().filter(|line| line.starts_with("  ")).collect::<Vec<_>>();
    let mut servers: Vec<_> =
        lines.chunk_by(|_, next| next.starts_with("    ")).map(<[&str]>::to_vec).collect();
    servers.sort();
    servers
}

#[tokio::test]
async fn differences_are_updated() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(2).await?;
    cli.write_file("two.yml", TWO_SERVERS)?;
    cli.run_ok("servers sync two.yml").await?;
    let changed =
        TWO_SERVERS.replace("secret: secret2\n", "secret: other\n").replace("blue", "red");
    cli.write_file("changed.yml", &changed)?;
    assert_eq!(cli.run_ok("servers sync changed.yml --dry-run").await?, "would update b\n");
    assert!(cli.run_ok("servers yaml").await?.contains("secret: secret2\n"));
    assert_eq!(cli.run_ok("servers sync changed.yml").await?, "update b\n");
    let yaml = cli.run_ok("servers yaml").await?;
    assert!(yaml.contains("secret: other\n    load_multiplier: 2.0\n    tag: red\n"), "{yaml}");
    cli.write_file("off.yml", &changed.replace("secret1\n", "secret1\n    enabled: false\n"))?;
    assert_eq!(cli.run_ok("servers sync off.yml").await?, "update a\n");
    assert!(cli.run_ok("servers yaml --verbose").await?.contains("state: cordoned"));
    assert_eq!(cli.run_ok("servers sync off.yml").await?, "");
    assert_eq!(cli.run_ok("servers sync two.yml").await?, "update a\nupdate b\n");
    Ok(())
}

#[tokio::test]
async fn modes_select_what_happens_to_absent_servers() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(2).await?;
    cli.write_file("two.yml", TWO_SERVERS)?;
    cli.write_file("none.yml", NO_SERVERS)?;
    cli.run_ok("servers sync two.yml").await?;
    let product = cli.setup.start().await?;
    create_meeting(&product, "Alpha", "").await?;
    assert_eq!(cli.run_ok("servers sync none.yml keep").await?, "");
    let changes = "would cordon a\nwould remove b\n";
    assert_eq!(cli.run_ok("servers sync none.yml --dry-run").await?, changes);
    assert_eq!(cli.run_ok("servers sync none.yml").await?, "cordon a\nremove b\n");
    assert_eq!(cli.run_ok("servers sync none.yml cordon").await?, "");
    assert!(cli.run_ok("servers").await?.contains("\tcordoned\n"));
    assert_eq!(cli.run_ok("servers sync none.yml force --dry-run").await?, "would remove a\n");
    assert_eq!(cli.server(1).meetings().len(), 1);
    assert_eq!(cli.run_ok("servers sync none.yml force").await?, "remove a\n");
    assert!(cli.server(1).meetings().is_empty());
    assert_eq!(cli.run("servers").await?.stdout, "");
    let modes = "ERROR: Unknown sync mode 'bogus' (choose: keep cordon force)\n";
    assert_eq!(cli.run_failing("servers sync two.yml bogus").await?, modes);
    Ok(())
}

#[tokio::test]
async fn a_server_with_load_but_no_meetings_is_cordoned() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(2).await?;
    let busy = Preload { ids: vec!["room".to_owned()], users: 1, ..Preload::default() };
    cli.server(1).preload(busy);
    cli.write_file("two.yml", TWO_SERVERS)?;
    cli.write_file("none.yml", NO_SERVERS)?;
    cli.run_ok("servers sync two.yml").await?;
    assert_eq!(cli.run_ok("servers sync none.yml").await?, "cordon a\nremove b\n");
    Ok(())
}

#[tokio::test]
async fn a_wrong_file_changes_nothing() -> anyhow::Result<()> {
    let cli = CliEnvironment::new(2).await?;
    for ((text, replacement), error) in [
        (
            ("blue", "blue\n    color: red\n    size: 3"),
            "Server id=b has bad parameters: [\"color\", \"size\"]",
        ),
        (("    secret: secret2\n", ""), "Server id=b has no secret"),
        (("<url-2>", "ftp://x"), "Server id=b has a bad url"),
        (("multiplier: 2", "multiplier: -2"), "Server id=b has a bad load_multiplier"),
        (("multiplier: 2", "multiplier: 1e7"), "Server id=b has a bad load_multiplier"),
        (("multiplier: 2", "multiplier: many"), "Server id=b has a bad load_multiplier"),
        (("enabled: false", "enabled: maybe"), "Server id=b has a bad value of enabled"),
        (("  b:", "  b/c:"), "Server id=b/c is invalid"),
        (("servers:", "pool:"), "Invalid YAML document"),
        (("  b:", " - b:"), "Invalid YAML document"),
    ] {
        cli.write_file("wrong.yml", &TWO_SERVERS.replace(text, replacement))?;
        let output = cli.run_failing("servers sync wrong.yml").await?;
        assert_eq!(output, format!("ERROR: {error}\n"));
    }
    let missing = "ERROR: No such file or directory @ rb_sysopen - absent.yml\n";
    assert_eq!(cli.run_failing("servers sync absent.yml").await?, missing);
    assert_eq!(cli.run_failing("servers add-all absent.yml").await?, missing);
    assert_eq!(cli.run("servers").await?.stdout, "");
    Ok(())
}

#[tokio::test]
async fn servers_of_a_file_are_all_added_or_none() -> anyhow::Result<()> {
    const LIST: &str = "servers:\n- url: <url-1>\n  secret: 12\n  load_multiplier: 2\n  tag: blue\n- url: <url-2>\n";
    let cli = CliEnvironment::new(2).await?;
    cli.write_file("all.yml", LIST)?;
    let output = cli.run_failing("servers add-all all.yml").await?;
    assert_eq!(output, "ERROR: Server number 2 has no secret\n");
    assert_eq!(cli.run("servers").await?.stdout, "");
    cli.write_file("all.yml", &format!("{LIST}  secret: x\n"))?;
    let output = cli.run_ok("servers add-all all.yml").await?;
    let servers: Vec<&str> = output.lines().step_by(2).collect();
    assert_eq!(servers, ["server: <url-1>", "server: <url-2>"]);
    let yaml = cli.run_ok("servers yaml").await?;
    assert!(
        yaml.contains("url: <url-1>\n    secret: '12'\n    load_multiplier: 2.0\n    tag: blue\n"),
        "{yaml}"
    );
    assert!(
        yaml.contains("url: <url-2>\n    secret: x\n    load_multiplier: 1.0\n    tag: ''\n"),
        "{yaml}"
    );
    Ok(())
}
