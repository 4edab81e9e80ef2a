//! Servers that take long and are alive: their creates are awaited and made once, and they are
//! enabled and used like others.

use std::time::Duration;

use bbb_sim::Latency;
use testkit::deployment::TestDeployment;

use crate::tools::{assert_success, create, start_deployment_with};

/// Makes every server this slow in everything.
fn slow_down(deployment: &TestDeployment, seconds: f64) {
    for server in deployment.pool.servers() {
        server.set_latency(Latency::Fixed(Duration::from_secs_f64(seconds)));
        let _ = server.take_log();
    }
}

fn count_calls(deployment: &TestDeployment, call: &str) -> usize {
    let logs = deployment.pool.servers().iter().map(|server| server.take_log());
    logs.flatten().filter(|request| request.call == call).count()
}

async fn assert_all_online(deployment: &TestDeployment) {
    let servers = deployment.product.setup().run_command(&["servers", "--json"]).await.unwrap();
    let servers: serde_json::Value = serde_json::from_slice(&servers.stdout).unwrap();
    for server in servers.as_array().unwrap() {
        assert_eq!(server["health"]["online"], true, "{server}");
    }
}

#[tokio::test]
async fn a_create_of_twelve_seconds_succeeds_within_a_response_timeout_of_thirty() {
    let deployment = start_deployment_with(3, &[("RESPONSE_TIMEOUT", "30")]).await;
    for server in deployment.pool.servers() {
        server.set_create_latency(Latency::Fixed(Duration::from_secs(12)));
        let _ = server.take_log();
    }
    create(&deployment.product, "mm").await;
    assert_eq!(deployment.servers_with("mm").len(), 1);
    assert_eq!(count_calls(&deployment, "create"), 1);
    assert_all_online(&deployment).await;
}

#[tokio::test]
async fn a_server_that_answers_after_a_second_and_a_half_is_enabled_by_its_first_poll() {
    let deployment = start_deployment_with(1, &[]).await;
    slow_down(&deployment, 1.5);
    let server = deployment.pool.server(1);
    let url = server.url().replace("127.0.0.1", "localhost");
    deployment.product.add_server(&url, &server.secret()).await.unwrap();
    deployment.product.poll_servers().await.unwrap();
    assert_all_online(&deployment).await;
    create(&deployment.product, "mm").await;
}

#[tokio::test]
async fn a_pool_that_is_slow_in_everything_works() {
    let deployment = start_deployment_with(2, &[]).await;
    slow_down(&deployment, 3.0);
    deployment.product.poll_servers().await.unwrap();
    create(&deployment.product, "mm").await;
    let join = deployment.product.call("join", "meetingID=mm&fullName=A&role=VIEWER").await;
    assert!(join.unwrap().header("location").is_some());
    assert_success(&deployment.product.call("getMeetingInfo", "meetingID=mm").await.unwrap());
    let list = deployment.product.call("getMeetings", "").await.unwrap().text();
    assert!(list.contains("<meetingID>mm</meetingID>"), "{list}");
    deployment.product.poll_servers().await.unwrap();
    assert_eq!((count_calls(&deployment, "create"), count_calls(&deployment, "end")), (1, 0));
    let log = deployment.product.log();
    assert!(!log.contains("server offline") && !log.contains("call to server failed"), "{log}");
}
