//! `--api`: commands do the same on another machine, by the management API, and refuse what cannot be done there.

use serde_json::{Value, json};
use testkit::private::free_port;
use testkit::process::{self, CommandOutput};
use testkit::product::Setup;

use crate::api_client::{ApiClient, make_token_in};
use crate::recordings::{RecordingsDeployment, recording};
use crate::tenants::MULTITENANCY;
use crate::tls_tools::TestAuthority;
use crate::tools::{create, start_deployment, start_deployment_with};

/// How often two outputs are compared: polls change numbers between them.
const COMPARISONS: usize = 20;

/// A machine without a store, from which a balancer is called.
struct Remote {
    setup: Setup,
    options: Vec<String>,
}

impl Remote {
    fn new(address: &str, token: &str) -> Self {
        let setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
        let file = setup.folder().join("token");
        std::fs::write(&file, format!("{token}\n")).unwrap();
        let options = ["--api", address, "--token-file", file.to_str().unwrap()];
        Self { options: options.map(str::to_owned).to_vec(), setup }
    }

    async fn run(&self, arguments: &[&str]) -> CommandOutput {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        process::run(&self.setup, &[arguments, &options].concat()).await.unwrap()
    }

    /// Runs a command with this output and exit code.
    async fn expect(&self, line: &str, exit_code: i32, stdout: &str) -> CommandOutput {
        let output = self.run(&line.split(' ').collect::<Vec<_>>()).await;
        assert_eq!(
            (output.exit_code, output.stdout.as_str()),
            (exit_code, stdout),
            "{line}: {output:?}"
        );
        output
    }

    /// Runs a command here and there, and compares the outputs. Secrets are not shown there.
    async fn compare(&self, here: &Setup, line: &str, secrets: &[&str]) -> String {
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut different = None;
        for _ in 0..COMPARISONS {
            let mut local = process::run(here, &arguments).await.unwrap();
            for secret in secrets {
                local.stdout = local.stdout.replace(secret, "***");
            }
            let remote = self.run(&arguments).await;
            // Another balancer lists servers by their ids.
            let is_same = sorted_lines(&local.stdout) == sorted_lines(&remote.stdout)
                && local.exit_code == remote.exit_code;
            if is_same {
                return local.stdout;
            }
            different = Some((local, remote));
        }
        panic!("{line}: {different:#?}");
    }
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.split(['\n', '{', '}', ',', '[', ']']).collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn servers_and_meetings_are_managed_from_another_machine() {
    let deployment = start_deployment(2).await;
    let here = deployment.product.setup();
    let token = make_token_in(here, "ops --scope admin").await;
    let address = format!("http://127.0.0.1:{}", deployment.product.port());
    let remote = Remote::new(&address, &token);
    create(&deployment.product, "room-1").await;
    deployment.product.poll_servers().await.unwrap();
    let secrets: Vec<String> =
        deployment.pool.servers().iter().map(|server| server.secret()).collect();
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    for line in [
        "servers",
        "servers --table",
        "servers --json",
        "servers meetings",
        "servers meetings none",
        "status",
        "status --json",
        "status --columns hostname,id,users,load,tag",
        "meetings",
        "meetings list room-1",
        "meetings list none",
        "meetings info room-1",
        "meetings info none",
        "meetings list --foreign",
        "placement dry-run --size 50",
        "placement dry-run --tag none!",
        "placement explain none",
        "placement explain room-1",
        "tokens create ops --scope read",
        "tokens revoke none",
        "tenants",
        "callbacks",
        "drains",
        "drains list --all --json",
        "drains cancel none",
        "servers drain none",
        "audit --server 127.0.0.1",
        "audit --json --action server",
        "audit --limit 1",
        "config --json",
        "servers cordon none",
        "servers remove none --yes",
        "servers add http://127.0.0.1:1/bigbluebutton/api",
        "servers add ftp://x/api s",
        "poll versions",
        "meetings end none --yes",
    ] {
        remote.compare(here, line, &secrets).await;
    }
    let readiness = remote.run(&["readiness"]).await;
    assert!(readiness.stdout.contains("ok       state-store"), "{readiness:?}");
    let check = remote.run(&["check"]).await;
    assert!(check.stdout.starts_with("SCALELITE OK: 2 of 2"), "{check:?}");
    let doctor = remote.run(&["doctor"]).await;
    assert!(doctor.stdout.contains("store"), "{doctor:?}");
    remote.expect("poll", 0, "Answered: 2, failed: 0, meetings forgotten: 0\n").await;

    // Changes, each seen by the other side.
    let dead = "http://127.0.0.1:9/bigbluebutton/api";
    let refused = remote.run(&["servers", "add", dead, "geheim"]).await;
    assert!(
        refused.exit_code == 1 && refused.stderr.contains("--force adds it nevertheless"),
        "{refused:?}"
    );
    let added = remote.run(&["servers", "add", dead, "geheim", "2.5", "blue", "--force"]).await;
    let id = added.stdout.trim().rsplit(' ').next().unwrap().to_owned();
    let listed = remote.compare(here, "servers", &[secrets.as_slice(), &["geheim"]].concat()).await;
    assert!(listed.contains("load multiplier: 2.5") && listed.contains("tag: blue"), "{listed}");
    remote.expect(&format!("servers limits {id} --max-users 40 --tier 1"), 0, "OK\n").await;
    remote.expect(&format!("servers tag {id}"), 0, "OK\n").await;
    let cordoning = format!("Cordoning server {id}...\nOK\n");
    remote.expect(&format!("servers cordon {id}"), 0, &cordoning).await;
    let enabling = format!("Enabling server {id}...\n");
    let enabled = remote.expect(&format!("servers enable {id}"), 1, &enabling).await;
    assert!(enabled.stderr.contains("cannot be used yet"), "{enabled:?}");
    let disabling = format!("Disabling server {id}...\nOK\n");
    remote.expect(&format!("servers disable {id} --yes"), 0, &disabling).await;
    let removing = format!("Removing server {id}...\nOK\n");
    remote.expect(&format!("servers remove {id}"), 0, &removing).await;
    let ended = "Clearing Meeting id=room-1\nOK\n";
    remote.expect("meetings end room-1 --yes", 0, ended).await;
    remote.compare(here, "meetings", &[]).await;
    let changes = remote.run(&["audit", "--json", "--actor", "token ops"]).await.stdout;
    let actions: Vec<Value> =
        changes.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(actions.iter().any(|change| change["action"] == "meeting.end"), "{changes}");
    assert!(!changes.contains("geheim") && actions.len() > 5, "{changes}");

    let made = remote.run(&["tokens", "create", "desk", "--scope", "servers:read"]).await;
    assert!(made.stdout.starts_with("scl_"), "{made:?}");
    let desk = Remote::new(&format!("{address}/"), made.stdout.trim());
    assert_eq!(desk.run(&["servers"]).await.exit_code, 0);
    let forbidden = desk.expect("meetings", 1, "").await;
    assert_eq!(forbidden.stderr, "ERROR: this token lacks the scope meetings:read\n");
    remote.expect("tokens revoke desk", 0, "OK\n").await;
}

#[tokio::test]
async fn a_file_is_applied_from_another_machine() {
    let deployment = start_deployment_with(0, &[MULTITENANCY]).await;
    let here = deployment.product.setup();
    let pool = bbb_sim::BbbPool::start(bbb_sim::PoolOptions { servers: 2, ..Default::default() });
    let pool = pool.await.unwrap();
    let address = format!("http://127.0.0.1:{}", deployment.product.port());
    let token = make_token_in(here, "ops --scope servers:write").await;
    let remote = Remote::new(&address, &token);
    let folder = remote.setup.folder().to_owned();
    std::fs::write(folder.join("secret"), pool.server(2).secret()).unwrap();
    let servers = format!(
        "servers:\n- {{url: '{}', secret: '{}', max_users: 90}}\n- {{url: '{}', secret_file: secret, tag: blue}}\n",
        pool.server(1).url(),
        pool.server(1).secret(),
        pool.server(2).url()
    );
    let file = folder.join("pool.yaml");
    std::fs::write(&file, &servers).unwrap();
    let file = file.to_str().unwrap();
    let planned = remote.run(&["apply", "-f", file, "--dry-run"]).await;
    assert!(planned.stdout.contains("would add server") && planned.exit_code == 0, "{planned:?}");
    assert!(planned.stdout.contains("max_users: 90") && planned.stdout.contains("secret: set"));
    assert_eq!(remote.run(&["servers"]).await.stdout, "");
    let applied = remote.run(&["apply", "-f", file, "--json"]).await;
    let applied: Value = serde_json::from_str(&applied.stdout).unwrap();
    assert_eq!((&applied["done"], &applied["not_done"]), (&json!(2), &json!([])), "{applied}");
    let again = process::run(here, &["apply", "-f", file]).await.unwrap();
    assert_eq!((again.exit_code, again.stdout.as_str()), (0, "Nothing to change.\n"));
    remote.expect(&format!("apply -f {file}"), 0, "Nothing to change.\n").await;
    // Tenants need another scope; problems name their place.
    std::fs::write(folder.join("tenants.yaml"), "tenants: [{name: acme, secrets: [s]}]\n").unwrap();
    let tenants = folder.join("tenants.yaml");
    let refused = remote.run(&["apply", "-f", tenants.to_str().unwrap()]).await;
    assert!(refused.stderr.contains("lacks the scope tenants:write"), "{refused:?}");
    std::fs::write(folder.join("bad.yaml"), "servers: [{url: 'ftp://x', secret: s}]\n").unwrap();
    let bad = folder.join("bad.yaml");
    let refused = remote.run(&["apply", "-f", bad.to_str().unwrap()]).await;
    assert!(
        refused.exit_code == 1 && refused.stderr.contains("/pool/servers/0/url"),
        "{refused:?}"
    );
    // A request cannot name files of the balancer's machine.
    let api = ApiClient::new(&deployment.product, &token);
    let hostile =
        json!({ "pool": { "servers": [{ "url": "http://x/api", "secret_file": "/etc/passwd" }] } });
    let problem = api.expect(422, "POST /apply", Some(hostile)).await;
    assert!(problem["detail"].as_str().unwrap().contains("holds its secrets itself"), "{problem}");
    let empty = json!({ "pool": { "servers": [] }, "prune": true });
    api.expect(422, "POST /apply", Some(empty)).await;
}

#[tokio::test]
async fn what_cannot_be_done_from_another_machine_is_refused() {
    let deployment = start_deployment(0).await;
    let token = make_token_in(deployment.product.setup(), "ops --scope read").await;
    let port = deployment.product.port();
    let address = format!("http://127.0.0.1:{port}");
    let remote = Remote::new(&address, &token);
    for line in [
        "serve",
        "demo",
        "secret",
        "backup x",
        "restore x",
        "sign getMeetings",
        "servers yaml",
        "servers sync x",
        "recordings import x",
        "recordings index",
        "config --check",
    ] {
        let refused = remote.expect(line, 1, "").await;
        assert!(refused.stderr.contains("without --api"), "{line}: {refused:?}");
    }
    let refused = remote.expect("rake servers", 1, "").await;
    assert!(refused.stderr.contains("unknown option --api"), "{refused:?}");
    let other = Remote::new(&address, &format!("scl_{}", "0".repeat(64)));
    let refused = other.expect("servers", 1, "").await;
    assert!(
        refused.stderr.starts_with("ERROR: ") && !refused.stderr.contains("0000"),
        "{refused:?}"
    );
    for (address, expected) in [
        ("http://lb.example.com", "--insecure-http"),
        ("lb.example.com", "no address of a balancer"),
        ("http://127.0.0.1:9", "127.0.0.1:9"),
        (&format!("http://127.0.0.1:{port}/elsewhere"), "is no management API of this program"),
    ] {
        let refused = Remote::new(address, &token).expect("servers", 1, "").await;
        assert!(refused.stderr.contains(expected), "{address}: {refused:?}");
    }
    let unknown = Remote::new(&address, "a b").expect("servers", 1, "").await;
    assert!(unknown.stderr.contains("characters that no token has"), "{unknown:?}");
    let arguments = ["servers", "--api", &address];
    let refused = process::run(&remote.setup, &arguments).await.unwrap();
    assert!(refused.stderr.contains("--token-file"), "{refused:?}");
    let down = Remote::new("http://127.0.0.1:9", &token).run(&["check"]).await;
    assert_eq!(down.exit_code, 2, "{down:?}");
    // The token may stand in the environment.
    let setup = remote.setup.with_setting("SCALELITE_API_TOKEN", &token);
    let listed = process::run(&setup, &arguments).await.unwrap();
    assert_eq!((listed.exit_code, listed.stderr.as_str()), (0, "No servers are configured\n"));
}

#[tokio::test]
async fn tenants_and_their_settings_are_managed_from_another_machine() {
    let deployment = start_deployment_with(0, &[MULTITENANCY]).await;
    let here = deployment.product.setup();
    let token = make_token_in(here, "ops --scope tenants:write").await;
    let remote = Remote::new(&format!("http://127.0.0.1:{}", deployment.product.port()), &token);
    let added = remote.run(&["tenants", "add", "acme", "geheim-1:geheim-2"]).await;
    assert!(added.stdout.starts_with("OK\nNew Tenant id: "), "{added:?}");
    let id = added.stdout.trim().rsplit(' ').next().unwrap().to_owned();
    let set = format!("tenant-settings add {id} maxParticipants 30 --override");
    let set = remote.run(&set.split(' ').collect::<Vec<_>>()).await;
    let setting = set.stdout.trim().rsplit(' ').next().unwrap().to_owned();
    let lrs = ["tenants", "update-lrs-basic", &id, "https://lrs.test", "u", "geheim-3"];
    assert_eq!(remote.run(&lrs).await.stdout, format!("OK\nUpdated Tenant id: {id}\n"));
    let secrets = ["geheim-1", "geheim-2", "geheim-3"];
    let listed = remote.compare(here, "tenants", &secrets).await;
    assert!(listed.contains("secrets: ***:***"), "{listed}");
    let settings = remote.compare(here, "tenant-settings", &[]).await;
    assert!(settings.contains("maxParticipants"), "{settings}");
    for line in ["tenants remove none", "tenants update none other", "tenant-settings remove none"]
    {
        remote.compare(here, line, &[]).await;
    }
    let removed = "TenantSetting was successfully deleted.\n";
    remote.expect(&format!("tenant-settings remove {setting}"), 0, removed).await;
    let removed = "Tenant was successfully deleted.\n";
    remote.expect(&format!("tenants remove {id}"), 0, removed).await;
    remote.compare(here, "tenants", &[]).await;
}

#[tokio::test]
async fn recordings_are_managed_from_another_machine() {
    let all: Vec<_> = (0..4).map(|n| recording(&format!("r{n}"), n)).collect();
    let deployment = RecordingsDeployment::with(&[("RECORDING_TRASH_DAYS", "5")], &all).await;
    let here = deployment.product.setup();
    let token = make_token_in(here, "ops --scope recordings:write").await;
    let remote = Remote::new(&format!("http://127.0.0.1:{}", deployment.product.port()), &token);
    remote.expect("recordings unpublish r1", 0, "OK\n").await;
    remote.expect("recordings protect r2", 0, "OK\n").await;
    remote.expect("recordings update r2 course=a%b gone=", 0, "OK\n").await;
    remote.expect("recordings delete r3 --yes", 0, "OK\n").await;
    for line in [
        "recordings list",
        "recordings list --json",
        "recordings list --state deleted --state unpublished",
        "recordings list --state any --meeting m-r2 --meeting m-r3",
        "recordings list --meta course=a% --meta gone=x",
        "recordings list --meta COURSE=a%",
        "recordings show r2",
        "recordings show none",
        "recordings publish none r1 none2",
        "recordings trash",
        "recordings trash --json",
        "recordings imports",
        "recordings retry none",
        "recordings restore none",
        "recordings undelete none",
        "recordings delete none --yes",
        "recordings update none a=b",
    ] {
        remote.compare(here, line, &[]).await;
    }
    remote.expect("recordings restore r3", 0, "OK\n").await;
    remote.expect("recordings delete r0 --yes", 0, "OK\n").await;
    remote.expect("recordings undelete r0", 0, "r0: brought back\n").await;
    remote.compare(here, "recordings list", &[]).await;
}

#[tokio::test]
async fn the_certificate_of_the_other_balancer_is_checked() {
    let (authority, folder) = (TestAuthority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.write_files(folder.path(), &["localhost"]);
    let port = free_port().unwrap().to_string();
    let settings = [
        ("TLS_CERT", certificate.to_str().unwrap()),
        ("TLS_KEY", key.to_str().unwrap()),
        ("TLS_BIND", "127.0.0.1"),
        ("TLS_PORT", &port),
    ];
    let deployment = start_deployment_with(0, &settings).await;
    let token = make_token_in(deployment.product.setup(), "ops --scope servers:read").await;
    let mut remote = Remote::new(&format!("https://localhost:{port}"), &token);
    let refused = remote.expect("servers", 1, "").await;
    assert!(refused.stderr.to_lowercase().contains("certificate"), "{refused:?}");
    let file = remote.setup.folder().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    remote.options.extend(["--api-ca".to_owned(), file.display().to_string()]);
    let listed = remote.expect("servers", 0, "").await;
    assert_eq!(listed.stderr, "No servers are configured\n");
}
