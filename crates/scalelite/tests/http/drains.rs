//! Planned drains: carried out by the server, whatever becomes of the processes; and an operator's morning.

use bbb_sim::{BbbPool, PoolOptions};
use serde_json::{Value, json};
use testkit::process;
use testkit::product::{Product, Setup, wait_until};

use crate::api_client::{ApiClient, make_token, make_token_in};
use crate::callbacks::start_front_end;
use crate::tools::{create, start_deployment, take_requests};

/// Runs a command that must succeed; returns what it prints.
async fn run(setup: &Setup, command: &str) -> String {
    let arguments: Vec<&str> = command.split(' ').collect();
    let output = process::run(setup, &arguments).await.unwrap();
    assert_eq!(output.exit_code, 0, "{command}: {output:?}");
    output.stdout
}

/// A time so many seconds from now, as the API reads it.
fn in_seconds(seconds: u64) -> String {
    let time = std::time::SystemTime::now() + std::time::Duration::from_secs(seconds);
    humantime::format_rfc3339_millis(time).to_string()
}

async fn wait_for_phase(api: &ApiClient<'_>, drain: &Value, phase: &str) {
    let path = format!("/drains/{}", drain["id"].as_str().unwrap());
    wait_until(phase, async || api.get(&path).await["phase"] == phase).await.unwrap();
}

/// The id of the server in the pool that has this URL.
async fn find_id(api: &ApiClient<'_>, url: &str) -> String {
    let servers = api.get("/servers").await;
    let items = servers["items"].as_array().unwrap();
    let found = items.iter().find(|server| server["url"] == url).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_drain_outlives_its_process_and_warns_once() {
    let mut deployment = start_deployment(1).await;
    let token = make_token(&deployment, "ops --scope servers:write").await;
    create(&deployment.product, "room").await;
    let server = deployment.pool.server(1).clone();
    assert!(server.set_users("room", 3, 1));
    take_requests(&server, "create");
    let mut other = deployment.product.setup().start().await.unwrap();
    let id = find_id(&ApiClient::new(&other, &token), &server.url()).await;

    let setup = deployment.product.setup().clone();
    let planned = run(&setup, &format!("servers drain {id} --at 23:59:59 --deadline 1h")).await;
    assert!(planned.contains(" of 127.0.0.1 begins at 20"), "{planned}");
    assert_eq!(run(&setup, "drains cancel 127.0.0.1").await, "OK\n");
    assert_eq!(run(&setup, "drains").await, "");
    run(&setup, &format!("servers drain {id} --deadline 5s --warn 2s --then enable-when-healthy"))
        .await;
    let drains: Value = serde_json::from_str(&run(&setup, "drains list --json").await).unwrap();
    let drain = &drains[0];
    assert_eq!(drain["then"], "enable-when-healthy");
    wait_for_phase(&ApiClient::new(&other, &token), drain, "draining").await;
    // Neither of the processes that saw it begin sees it end.
    other.kill().await.unwrap();
    deployment.product.kill().await.unwrap();
    deployment.product.restart().await.unwrap();
    let _third = deployment.product.setup().start().await.unwrap();
    let api = ApiClient::new(&deployment.product, &token);
    wait_for_phase(&api, drain, "away").await;
    assert!(server.meeting("room").is_none(), "ended at the deadline");
    let log = server.take_log();
    let count = |call: &str| log.iter().filter(|request| request.call == call).count();
    assert_eq!((count("sendChatMessage"), count("end")), (1, 1));
    assert_eq!(api.get(&format!("/servers/{id}")).await["state"], "disabled");

    // Who enables it does not need the drain any more.
    api.expect(200, &format!("POST /servers/{id}/enable"), None).await;
    let all = api.get("/drains?over=true").await;
    let phases: Vec<_> = all["items"].as_array().unwrap().iter().map(|it| &it["phase"]).collect();
    assert!(phases.contains(&&json!("taken-over")) && phases.contains(&&json!("cancelled")));
    assert_eq!(api.get("/drains").await["items"], json!([]));
}

#[tokio::test]
async fn drains_that_cannot_be_are_refused() {
    let deployment = start_deployment(1).await;
    let token = make_token(&deployment, "ops --scope servers:write").await;
    let api = ApiClient::new(&deployment.product, &token);
    let id = find_id(&api, &deployment.pool.server(1).url()).await;
    for body in [
        json!({ "server": "other" }),
        json!({ "server": id, "at": "2020-01-01T00:00:00Z" }),
        json!({ "server": id, "at": "2999-01-01T00:00:00Z" }),
        json!({ "server": id, "at": "2026-13-01T00:00:00Z" }),
        json!({ "server": id, "at": "22:00" }),
        json!({ "server": id, "deadline_s": 604_801 }),
        json!({ "server": id, "then": "remove" }),
    ] {
        api.expect(422, "POST /drains", Some(body)).await;
    }
    let at = in_seconds(3_600);
    let drain = api.expect(201, "POST /drains", Some(json!({ "server": id, "at": at }))).await;
    assert_eq!((&drain["phase"], &drain["starts_at"]), (&json!("planned"), &json!(at)));
    assert_eq!(drain["planned_by"], "token ops");
    let problem = api.expect(409, "POST /drains", Some(json!({ "server": id }))).await;
    assert_eq!(problem["type"], "urn:scalelite:problem:has-drain");
    let reader = make_token(&deployment, "reader --scope servers:read").await;
    let reader = ApiClient::new(&deployment.product, &reader);
    assert_eq!(reader.get("/drains").await["items"], json!([drain]));
    let path = format!("/drains/{}", drain["id"].as_str().unwrap());
    reader.expect(403, &format!("DELETE {path}"), None).await;
    api.expect(204, &format!("DELETE {path}"), None).await;
    api.expect(409, &format!("DELETE {path}"), None).await;
    api.expect(404, "DELETE /drains/other", None).await;
    assert_eq!(api.get(&path).await["phase"], "cancelled");
    let setup = deployment.product.setup();
    for (arguments, error) in [
        ("servers drain other --at 22:00", "No server found with id: other"),
        (&*format!("servers drain {id} --at noon"), "--at: noon is no time"),
        (&*format!("servers drain {id} --at 22:00 --then remove"), "--wait"),
        ("drains cancel other", "There is no drain other"),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let output = process::run(setup, &arguments).await.unwrap();
        assert!(output.exit_code != 0 && output.stderr.contains(error), "{output:?}");
    }
}

/// Starts a balancer that knows no servers, and sends notifications there.
async fn start_balancer(webhook: &str) -> Product {
    let settings = [
        ("NOTIFY_WEBHOOK_URL", webhook),
        ("NOTIFY_ALLOW", "127.0.0.1"),
        ("SERVER_UNHEALTHY_THRESHOLD", "1"),
    ];
    let mut setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
    for (name, value) in settings {
        setup = setup.with_setting(name, value);
    }
    setup.start().await.unwrap()
}

#[tokio::test]
async fn an_operators_morning() {
    let pool = BbbPool::start(PoolOptions { servers: 3, ..PoolOptions::default() }).await.unwrap();
    let (webhook_url, mut webhook) = start_front_end(&[200]).await;
    let product = start_balancer(&webhook_url).await;
    let token =
        make_token_in(product.setup(), "ada --scope servers:write,meetings:read,audit:read").await;
    let api = ApiClient::new(&product, &token);
    // Three servers are added by a file.
    let entries = pool
        .servers()
        .iter()
        .map(|server| json!({ "url": server.url(), "secret": server.secret() }));
    let file = product.setup().folder().join("pool.yaml");
    std::fs::write(&file, json!({ "servers": entries.collect::<Vec<_>>() }).to_string()).unwrap();
    run(product.setup(), &format!("apply -f {}", file.display())).await;
    let all_online = async || {
        let servers = api.get("/servers").await;
        let items = servers["items"].as_array().unwrap().clone();
        items.len() == 3 && items.iter().all(|server| server["online"] == true)
    };
    wait_until("three servers online", all_online).await.unwrap();
    // The pool is watched: a meeting runs.
    create(&product, "lecture").await;
    let busy = pool.servers().iter().find(|server| server.meeting("lecture").is_some()).unwrap();
    let id = find_id(&api, &busy.url()).await;
    assert_eq!(api.get("/meetings").await["items"][0]["id"], "lecture");

    // Its server is drained at a time, and the lecture goes on to its end.
    let plan = json!({ "server": id, "at": in_seconds(2), "deadline_s": 7_200 });
    let drain = api.expect(201, "POST /drains", Some(plan)).await;
    wait_for_phase(&api, &drain, "draining").await;
    assert_eq!(api.get(&format!("/servers/{id}")).await["state"], "cordoned");
    assert!(busy.end_meeting("lecture"));
    wait_for_phase(&api, &drain, "drained").await;
    assert_eq!(api.get(&format!("/servers/{id}")).await["state"], "disabled");

    // Another one dies, and the operator is told.
    let dead = pool.servers().iter().find(|server| server.url() != busy.url()).unwrap();
    dead.crash();
    api.expect(200, "POST /polls", Some(json!({ "target": "servers" }))).await;
    let told: Value = serde_json::from_str(&webhook.recv().await.unwrap().body).unwrap();
    assert_eq!((&told["kind"], &told["state"]), (&json!("server-offline"), &json!("begun")));
    assert_eq!(told["what"], "127.0.0.1 is offline.");

    // The audit tells all of it, in its order.
    let find_changes = async || {
        let changes = api.get("/audit?limit=500").await;
        let changes = changes["items"].as_array().unwrap().clone();
        let told = changes.iter().rev().map(|change| {
            let actor = change["actor"].as_str().unwrap();
            let actor = if actor.contains('@') { "command line" } else { actor };
            (change["action"].as_str().unwrap().to_owned(), actor.to_owned())
        });
        told.collect::<Vec<_>>()
    };
    let is_told =
        async || find_changes().await.iter().any(|(action, _)| action == "server.offline");
    wait_until("audit written", is_told).await.unwrap();
    let mut found = find_changes().await;
    found.retain(|(action, _)| action.starts_with("server.") || action.starts_with("drain."));
    found.retain(|(action, _)| action != "server.online");
    let by_itself = "automatic: drain";
    let expected = [
        ("server.add", "command line"),
        ("server.add", "command line"),
        ("server.add", "command line"),
        ("drain.plan", "token ada"),
        ("server.update", by_itself),
        ("drain.begin", by_itself),
        ("server.update", by_itself),
        ("drain.end", by_itself),
        ("server.offline", "automatic: poll"),
    ];
    assert_eq!(found, expected.map(|(action, actor)| (action.to_owned(), actor.to_owned())));
}
