//! One server under two names, and two balancers on the same servers: nothing is ended that is not
//! ours, or that is the only copy.

use serde_json::Value;
use testkit::deployment::TestDeployment;
use testkit::product::{Product, Setup};

use crate::tools::{assert_success, create, start_deployment, start_deployment_with};

async fn run(product: &Product, arguments: &[&str]) -> String {
    let output = product.setup().run_command(arguments).await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The servers of the pool as JSON, in the order in which they were added.
async fn list_servers(product: &Product) -> Vec<Value> {
    let list: Value = serde_json::from_str(&run(product, &["servers", "--json"]).await).unwrap();
    list.as_array().unwrap().clone()
}

/// A deployment of one server that is listed under a second name, and the ids of both entries.
async fn start_with_twin() -> (TestDeployment, String, String) {
    let deployment = start_deployment_with(1, &[("MEETING_GRACE", "0")]).await;
    let server = deployment.pool.server(1);
    let url = server.url().replace("127.0.0.1", "localhost");
    let second = deployment.product.add_server(&url, &server.secret()).await.unwrap();
    let first = list_servers(&deployment.product).await[0]["id"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    (deployment, first, second)
}

/// The number of users of the only meeting that the server has.
fn users_of_only_meeting(deployment: &TestDeployment) -> u32 {
    let meetings = deployment.pool.server(1).meetings();
    assert_eq!(meetings.len(), 1, "{meetings:?}");
    meetings[0].users
}

#[tokio::test]
async fn the_meetings_of_a_server_that_is_listed_twice_are_not_ended() {
    let (deployment, first, second) = start_with_twin().await;
    let product = &deployment.product;
    create(product, "mm").await;
    assert!(deployment.pool.server(1).set_users("mm", 20, 1));
    for _ in 0..3 {
        product.poll_servers().await.unwrap();
        assert_eq!(users_of_only_meeting(&deployment), 20);
    }
    let list = product.call("getMeetings", "").await.unwrap().text();
    assert_eq!(list.matches("<meetingID>mm</meetingID>").count(), 1, "{list}");
    let servers = list_servers(product).await;
    assert_eq!(servers[0]["same_as"], serde_json::json!([second]));
    assert_eq!(servers[1]["same_as"], serde_json::json!([first]));
    let foreign = run(product, &["meetings", "list", "--foreign"]).await;
    assert!(!foreign.contains("mm"), "it is ours under both names: {foreign}");
    let output = product.setup().run_command(&["doctor"]).await.unwrap();
    let findings = String::from_utf8(output.stdout).unwrap();
    assert!(findings.contains("the same server as"), "{findings}");
}

#[tokio::test]
async fn a_server_is_renamed_in_operation() {
    let deployment = start_deployment_with(1, &[("MEETING_GRACE", "0")]).await;
    let (product, server) = (&deployment.product, deployment.pool.server(1));
    create(product, "mm").await;
    assert!(server.set_users("mm", 20, 1));
    let old = list_servers(product).await[0]["id"].as_str().unwrap().to_owned();
    run(product, &["servers", "cordon", &old]).await;
    let url = server.url().replace("127.0.0.1", "localhost");
    product.add_server(&url, &server.secret()).await.unwrap();
    product.poll_servers().await.unwrap();
    run(product, &["servers", "remove", &old, "--yes"]).await;
    product.poll_servers().await.unwrap();
    assert_eq!(users_of_only_meeting(&deployment), 20);
    let join = product.call("join", "meetingID=mm&fullName=A&role=VIEWER").await.unwrap();
    let location = join.header("location").unwrap().to_owned();
    assert!(location.starts_with(&url), "{location}");
    let foreign = run(product, &["meetings", "list", "--foreign"]).await;
    assert!(!foreign.contains("mm"), "its proof has moved with it: {foreign}");
}

#[tokio::test]
async fn the_same_url_in_another_spelling_is_refused() {
    let deployment = start_deployment(1).await;
    let url = deployment.pool.server(1).url();
    let base = url.strip_suffix("/api").unwrap();
    let id = list_servers(&deployment.product).await[0]["id"].as_str().unwrap().to_owned();
    for spelling in [url.clone(), format!("{url}/"), base.to_owned(), format!("{base}//api")] {
        let add = ["servers", "add", &spelling, "secret"];
        let output = deployment.product.setup().run_command(&add).await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(&id), "{spelling}: {error}");
        let added = deployment.product.add_server(&spelling, "secret").await;
        assert!(added.is_err(), "{spelling}");
    }
    assert_eq!(list_servers(&deployment.product).await.len(), 1);
}

#[tokio::test]
async fn a_second_balancer_ends_nothing_of_the_first() {
    let deployment = start_deployment_with(2, &[("MEETING_GRACE", "0")]).await;
    for id in ["m1", "m2", "m3", "m4"] {
        create(&deployment.product, id).await;
        let server = deployment.servers_with(id)[0];
        assert!(server.set_users(id, 2, 1));
    }
    let setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
    let trial = setup.with_setting("MEETING_GRACE", "0").start().await.unwrap();
    for server in deployment.pool.servers() {
        trial.add_simulated_server(server).await.unwrap();
    }
    create(&trial, "own").await;
    let count = || {
        let servers = deployment.pool.servers().iter();
        servers.map(|server| server.meetings().len()).sum::<usize>()
    };
    for product in [&trial, &deployment.product, &trial] {
        product.poll_servers().await.unwrap();
    }
    assert_eq!(count(), 5, "polls end nothing");
    let foreign = run(&trial, &["meetings", "list", "--foreign"]).await;
    assert_eq!(foreign.lines().count(), 4, "{foreign}");
    assert!(!foreign.contains("own"), "{foreign}");
    // What is foreign can be joined all the same.
    let join = trial.call("join", "meetingID=m1&fullName=A&role=VIEWER").await.unwrap();
    assert!(join.header("location").is_some(), "{}", join.text());
    run(&trial, &["meetings", "end", "--yes"]).await;
    assert_eq!(count(), 4, "only its own one");
    let ids: Vec<String> = list_servers(&trial)
        .await
        .iter()
        .map(|server| server["id"].as_str().unwrap().to_owned())
        .collect();
    run(&trial, &["servers", "disable", &ids[0], "--yes"]).await;
    run(&trial, &["servers", "panic", &ids[1], "--yes"]).await;
    trial.poll_servers().await.unwrap();
    assert_eq!(count(), 4);
    for id in ["m1", "m2", "m3", "m4"] {
        let info = deployment.product.call("getMeetingInfo", &format!("meetingID={id}")).await;
        assert_success(&info.unwrap());
    }
}

#[tokio::test]
async fn a_foreign_meeting_that_is_named_is_ended() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "m1").await;
    let trial = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap().start().await.unwrap();
    trial.add_simulated_server(deployment.pool.server(1)).await.unwrap();
    trial.poll_servers().await.unwrap();
    run(&trial, &["meetings", "end", "m1", "--yes"]).await;
    assert!(deployment.pool.server(1).meetings().is_empty());
}

#[tokio::test]
async fn a_meeting_that_another_balancer_created_a_moment_before_is_not_ours() {
    let deployment = start_deployment(1).await;
    let trial = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap().start().await.unwrap();
    trial.add_simulated_server(deployment.pool.server(1)).await.unwrap();
    trial.poll_servers().await.unwrap();
    create(&deployment.product, "mm").await;
    let reply = trial.call("create", "meetingID=mm&name=Meeting").await.unwrap();
    assert_success(&reply);
    trial.poll_servers().await.unwrap();
    let id = list_servers(&trial).await[0]["id"].as_str().unwrap().to_owned();
    run(&trial, &["servers", "disable", &id, "--yes"]).await;
    run(&trial, &["servers", "panic", &id, "--yes"]).await;
    assert_eq!(deployment.servers_with("mm").len(), 1);
}
