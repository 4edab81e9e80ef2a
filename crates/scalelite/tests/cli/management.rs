//! Tests of `tokens` and `audit`: tokens are shown once, and what commands change is recorded with who did it.

use serde_json::{Value, json};
use testkit::process::{self, CommandOutput};
use testkit::product::Setup;

use crate::environment::setup;

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
async fn run(setup: &Setup, arguments: &[&str]) -> CommandOutput {
    process::run(setup, arguments).await.unwrap()
}

async fn run_ok(setup: &Setup, arguments: &[&str]) -> String {
    let output = run(setup, arguments).await;
    assert_eq!(output.exit_code, 0, "{arguments:?}: {output:?}");
    output.stdout
}

/// Runs a command that must fail, and returns its exit code with its messages.
async fn run_failing(setup: &Setup, arguments: &[&str]) -> (i32, String) {
    let output = run(setup, arguments).await;
    assert_eq!(output.stdout, "", "{arguments:?}");
    (output.exit_code, output.stderr)
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked() {
    let setup = setup().unwrap().with_setting("MULTITENANCY_ENABLED", "true");
    setup.create_store().await.unwrap();
    let output = run(&setup, &["tokens"]).await;
    assert_eq!((output.exit_code, output.stderr.as_str()), (0, "There are no tokens\n"));
    run_ok(&setup, &["tenants", "add", "acme", "s1"]).await;
    let made =
        run(&setup, &["tokens", "create", "deploy", "--scope", "servers:write,audit:read"]).await;
    let token = made.stdout.trim_end();
    assert!(token.starts_with("scl_") && token.len() == 68, "{made:?}");
    let note = "Token deploy is valid until it is revoked. It is not shown again.\n";
    assert_eq!(made.stderr, note);
    let limited = ["tokens", "create", "acme", "--scope", "meetings:read", "--tenant", "acme"];
    run_ok(&setup, &[limited.as_slice(), &["--expires", "90d"]].concat()).await;
    let list: Value =
        serde_json::from_str(&run_ok(&setup, &["tokens", "list", "--json"]).await).unwrap();
    assert_eq!(list[0]["name"], "acme");
    assert!(list[0]["tenant"].is_string() && list[0]["expires_at"].is_string(), "{list}");
    assert_eq!(list[1]["scopes"], json!(["servers:write", "audit:read"]));
    assert_eq!(list[1]["last_used_at"], Value::Null);
    assert!(list[1]["created_by"].as_str().is_some_and(|by| by.contains('@')), "{list}");
    let table = run_ok(&setup, &["tokens"]).await;
    assert!(table.contains("servers:write,audit:read") && table.contains("never"), "{table}");
    for shown in [list.to_string(), table, run_ok(&setup, &["audit", "--json"]).await] {
        assert!(!shown.contains(&token[4..]), "{shown}");
    }
    let taken = "ERROR: there is a token with the name deploy already\n".to_owned();
    let again = ["tokens", "create", "deploy", "--scope", "admin"];
    assert_eq!(run_failing(&setup, &again).await, (1, taken));
    for (arguments, code, expected) in [
        (["x", "--scope", "everything", "--expires", "1d"], 2, "there is no scope `everything`"),
        (["x", "--scope", "admin", "--expires", "soon"], 2, "--expires"),
        (["a b", "--scope", "admin", "--expires", "1d"], 1, "1 to 64 letters"),
        (["x", "--scope", "admin", "--tenant", "acme"], 1, "concerns all tenants"),
        (["x", "--scope", "meetings:read", "--tenant", "other"], 1, "no tenant other"),
    ] {
        let arguments = [["tokens", "create"].as_slice(), &arguments].concat();
        let (found, text) = run_failing(&setup, &arguments).await;
        assert!(found == code && text.contains(expected), "{arguments:?}: {found} {text}");
    }
    assert_eq!(run_ok(&setup, &["tokens", "revoke", "deploy"]).await, "OK\n");
    let unknown = "ERROR: there is no token deploy\n".to_owned();
    assert_eq!(run_failing(&setup, &["tokens", "revoke", "deploy"]).await, (1, unknown));
}

#[tokio::test]
async fn changes_by_commands_and_tasks_are_in_the_audit() {
    let setup = setup().unwrap();
    setup.create_store().await.unwrap();
    let output = run(&setup, &["audit"]).await;
    assert_eq!((output.exit_code, output.stderr.as_str()), (0, "No changes\n"));
    let url = "http://127.0.0.1:9/bigbluebutton/api";
    let add = format!("servers:add[{url},geheim-1]");
    let added = run_ok(&setup, &["rake", &add]).await;
    let id = added.trim_end().rsplit(' ').next().unwrap().to_owned();
    run_ok(&setup, &["servers", "update", &id, "geheim-2", "2.5"]).await;
    run_ok(&setup, &["servers", "cordon", &id]).await;
    run_ok(&setup, &["servers", "remove", &id, "--yes"]).await;
    let all = run_ok(&setup, &["audit", "--since", "1h", "--json"]).await;
    let changes: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<_> = changes.iter().map(|change| change["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["server.add", "server.update", "server.update", "server.remove"]);
    assert!(changes.iter().all(|change| change["actor"].as_str().unwrap().contains('@')));
    assert!(changes.iter().all(|change| change["target"]["host"] == "127.0.0.1"), "{all}");
    assert_eq!(changes[1]["before"], json!({ "load_multiplier": 1.0, "secret": "***" }));
    assert_eq!(changes[1]["after"], json!({ "load_multiplier": 2.5, "secret": "*** (another)" }));
    assert_eq!(changes[2]["after"], json!({ "state": "cordoned" }));
    assert!(!all.contains("geheim"), "{all}");
    let lines = run_ok(&setup, &["audit", "--server", "127.0.0.1", "--action", "server.up"]).await;
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains(r#"{"state":"disabled"} -> {"state":"cordoned"}"#), "{lines}");
    let newest = run(&setup, &["audit", "--limit", "1"]).await;
    assert!(newest.stdout.contains("server.remove"), "{newest:?}");
    assert_eq!(newest.stderr, "These are the newest 1; --limit N shows more\n");
    assert_eq!(run_ok(&setup, &["audit", "--actor", "automatic"]).await, "");
}
