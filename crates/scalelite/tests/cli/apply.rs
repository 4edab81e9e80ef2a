//! Tests of `apply` and `export`: the pool as a file says.

use bbb_sim::Preload;
use testkit::process;

use crate::environment::CliEnvironment;

const POOL: &str = "\
servers:
  - url: <url-1>
    secret_file: secret-1
    tag: blue
    max_users: 50
  - url: <url-2>
    secret_env: SECOND_SECRET
    load_multiplier: 2
";

async fn environment(servers: usize) -> anyhow::Result<CliEnvironment> {
    let mut cli = CliEnvironment::new(servers).await?;
    cli.setup = cli.setup.with_setting("SECOND_SECRET", "secret2");
    Ok(cli)
}

#[tokio::test]
async fn a_pool_is_brought_to_what_a_file_says() -> anyhow::Result<()> {
    let cli = environment(3).await?;
    cli.write_file("pool.yaml", POOL)?;
    cli.write_file("secret-1", "secret1\n")?;
    let planned = cli.run_ok("apply -f pool.yaml --dry-run").await?;
    assert!(planned.contains("would add server <url-1>\n    secret: set\n"), "{planned}");
    assert_eq!(cli.run_ok("servers --json").await?, "[]\n");
    let done = cli.run_ok("apply -f pool.yaml").await?;
    assert_eq!(done, planned.replace("would ", ""));
    let listed = cli.run_ok("servers").await?;
    assert_eq!(listed.matches("\tenabled\n").count(), 2, "{listed}");
    assert!(listed.contains("secret: secret1") && listed.contains("secret: secret2"), "{listed}");
    assert_eq!(cli.run_ok("apply -f pool.yaml --prune").await?, "Nothing to change.\n");

    // What was exported changes nothing; without secrets neither.
    for options in ["", " --without-secrets"] {
        let exported = cli.run_ok(&format!("export{options}")).await?;
        assert_eq!(exported.contains("secret1"), options.is_empty(), "{exported}");
        cli.write_file("exported.yaml", &exported)?;
        let again = cli.run_ok("apply -f exported.yaml --prune").await?;
        assert_eq!(again, "Nothing to change.\n", "{exported}");
    }

    // A change, a secret that changes, a server too many, and meetings on one of them.
    let changed = "servers:\n- {url: <url-1>, secret: other, tag: null, max_users: null}\n- {url: <url-3>, secret: secret3}\n";
    cli.write_file("changed.yaml", changed)?;
    let busy = Preload { ids: vec!["room".to_owned()], users: 1, ..Preload::default() };
    cli.server(2).preload(busy);
    cli.run_ok("poll all").await?;
    let output = cli.run("apply -f changed.yaml --prune --json").await?;
    assert_eq!(output.exit_code, 1, "{output:?}");
    assert!(!output.stdout.contains("other") && output.stdout.contains("not_done"), "{output:?}");
    let output = cli.run("apply -f changed.yaml --prune").await?;
    assert_eq!((output.exit_code, output.stdout.as_str()), (1, "Nothing to change.\n"));
    assert!(output.stderr.contains("running meetings: not removed"), "{output:?}");
    let removed = cli.run_ok("apply -f changed.yaml --prune --force").await?;
    assert_eq!(removed, "remove server <url-2>\n");
    Ok(())
}

#[tokio::test]
async fn tenants_are_brought_to_what_a_file_says() -> anyhow::Result<()> {
    let mut cli = environment(0).await?;
    const TENANTS: &str = "\
tenants:
  - name: acme
    secrets: [a, \"b#\", 12]
    lrs: {lrs_endpoint: 'https://lrs', lrs_username: u, lrs_password_env: SECOND_SECRET}
    settings:
      - {param: record, value: true, override: true}
      - {param: welcome, value: 'a: b, [c]'}
";
    cli.write_file("tenants.yaml", TENANTS)?;
    let output = cli.run("apply -f tenants.yaml").await?;
    assert!(output.stderr.contains("MULTITENANCY_ENABLED is not set"), "{output:?}");
    cli.setup = cli.setup.with_setting("MULTITENANCY_ENABLED", "true");
    let added = cli.run_ok("apply -f tenants.yaml").await?;
    assert!(added.starts_with("add tenant acme\n    secrets: set\n"), "{added}");
    let listed = cli.run_ok("tenants").await?;
    assert!(listed.contains("secrets: a:b#:12") && listed.contains("secret2"), "{listed}");
    assert_eq!(cli.run_ok("apply -f tenants.yaml --prune").await?, "Nothing to change.\n");
    let exported = cli.run_ok("export").await?;
    cli.write_file("exported.yaml", &exported)?;
    assert_eq!(cli.run_ok("apply -f exported.yaml --prune").await?, "Nothing to change.\n");
    cli.write_file("none.yaml", "tenants: []\n")?;
    let output = cli.run("apply -f none.yaml --prune").await?;
    assert!(output.exit_code == 1 && output.stderr.contains("add --force"), "{output:?}");
    assert_eq!(cli.run_ok("apply -f none.yaml --prune --force").await?, "remove tenant acme\n");
    Ok(())
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a list of faults")]
async fn a_file_with_a_fault_changes_nothing() -> anyhow::Result<()> {
    let cli = environment(1).await?;
    let good = "servers:\n- url: <url-1>\n  secret: hunter2\n";
    let bomb = format!(
        "servers:\n- &a0 {{url: x, secret: hunter2}}\n{}",
        (1..40)
            .map(|n| format!("- &a{n} [*a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1))
            .collect::<String>()
    );
    let long = format!("{good}# {}\n", "x".repeat(10 << 20));
    for (text, expected) in [
        ("", ": it lists neither servers nor tenants"),
        ("servers:\n", ": it lists neither servers nor tenants"),
        ("- a\n", ":1:1: it must be fields with values"),
        ("servers: 5\n", ":1:10: servers: it must be a list"),
        (
            &format!("{good}  colour: red\n"),
            ":4:3: servers[0].colour: unknown field `colour`; known are url, secret,",
        ),
        (
            &format!("{good}  load_multiplier: hunter2\n"),
            ":4:20: servers[0].load_multiplier: it must be a number",
        ),
        (
            &format!("{good}  tier: -1\n"),
            ":4:9: servers[0].tier: it must be a whole number, 0 or more",
        ),
        (
            &format!("{good}  state: on\n"),
            ": servers[0].state: it must be one of enabled, cordoned, disabled",
        ),
        (
            &format!("{good}  secret: other\n"),
            ":4:3: servers[0]: the field `secret` is given twice",
        ),
        (&format!("{good}  secret_file: x\n"), ": servers[0].secret: it is given in several ways"),
        ("servers:\n- secret: hunter2\n", "servers[0]: the field `url` is missing"),
        ("servers:\n- url: <url-1>\n  secret_file: absent\n", "servers[0].secret_file: "),
        (
            "servers:\n- url: <url-1>\n  secret_env: ABSENT\n",
            "servers[0].secret_env: the environment variable ABSENT is not set",
        ),
        ("servers:\n- url: <url-1>\n", "servers[0].secret: a new server needs"),
        (
            &format!("{good}- url: <url-1>/\n  secret: hunter2\n"),
            "servers[1].url: servers[0] has the same",
        ),
        (&format!("{good}---\nservers: []\n"), ": only one document may be in the file"),
        ("servers: [\n", "not valid YAML"),
        (&bomb, "servers[1]"),
        (&long, ": longer than 4194304 bytes"),
    ] {
        cli.write_file("bad.yaml", text)?;
        let output = cli.run("apply -f bad.yaml --prune").await?;
        let shown: String = text.chars().take(300).collect();
        assert_eq!(output.exit_code, 1, "{shown}: {output:?}");
        assert!(output.stderr.contains(expected), "{shown}: {expected}: {}", output.stderr);
        assert!(output.stderr.starts_with("ERROR: ") && output.stderr.contains("bad.yaml"));
        assert!(!output.stderr.contains("hunter2"), "{shown}: {}", output.stderr);
        assert_eq!(cli.run_ok("servers --json").await?, "[]\n");
    }
    let output = process::run(&cli.setup, &["apply", "-f", "/nowhere/x.yaml"]).await?;
    assert!(output.stderr.starts_with("ERROR: /nowhere/x.yaml: "), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn the_schema_is_that_of_the_documentation() -> anyhow::Result<()> {
    let cli = environment(0).await?;
    let printed = cli.run_ok("generate apply-schema").await?;
    let written = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/apply.schema.json");
    assert_eq!(
        printed,
        std::fs::read_to_string(written)?,
        "scalelite generate apply-schema > docs/apply.schema.json"
    );
    Ok(())
}
