//! Tests of several processes on one embedded store, which act as one balancer.

use std::collections::HashSet;
use std::time::Duration;

use bbb_sim::Latency;
use testkit::deployment::TestDeployment;
use testkit::product::{exchange, new_request, signed_target, wait_until};
use testkit::stores::TestStores;
use tokio::time::Instant;

use crate::tools::{assert_success, create_query, start_deployment};

const MEETINGS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creates_through_two_processes_use_one_server() {
    let TestDeployment { pool, product } = start_deployment(5, &[]).await;
    let other = product.setup().start().await.unwrap();
    let race = async |n: usize| {
        let query = create_query(&format!("race-{n}"));
        let products = [&product, &other, &product, &other];
        let creates = products.map(|product| product.call("create", &query));
        futures_util::future::try_join_all(creates).await.unwrap()
    };
    let responses = futures_util::future::join_all((0..MEETINGS).map(race)).await;
    for (n, responses) in responses.iter().enumerate() {
        responses.iter().for_each(assert_success);
        let ids: HashSet<_> = responses.iter().map(|a| a.xml_field("internalMeetingID")).collect();
        assert_eq!(ids.len(), 1, "race-{n}");
        let keys = responses.iter().map(|response| response.xml_field("messageKey"));
        assert_eq!(keys.filter(String::is_empty).count(), 1, "race-{n}");
        let id = format!("race-{n}");
        let servers = pool.servers().iter().filter(|s| s.meetings().iter().any(|m| m.id == id));
        assert_eq!(servers.count(), 1, "{id}");
    }
}

#[tokio::test]
async fn meetings_of_one_process_are_known_to_the_other() {
    let TestDeployment { pool, product } = start_deployment(2, &[]).await;
    let other = product.setup().start().await.unwrap();
    let created = product.call("create", &create_query("shared")).await.unwrap();
    assert_success(&created);
    let info = other.call("getMeetingInfo", "meetingID=shared");
    let info = info.await.unwrap();
    assert_eq!(info.xml_field("createTime"), created.xml_field("createTime"));
    assert_success(&other.call("end", "meetingID=shared").await.unwrap());
    let gone = product.call("getMeetingInfo", "meetingID=shared");
    assert_eq!(gone.await.unwrap().xml_field("messageKey"), "notFound");
    assert!(pool.servers().iter().all(|server| server.meetings().is_empty()));
    // One process stops, the other continues.
    drop(product);
    assert_success(&other.call("create", &create_query("later")).await.unwrap());
}

#[tokio::test]
async fn a_create_that_a_killed_process_began_can_be_repeated() {
    let TestDeployment { pool, mut product } = start_deployment(3, &[]).await;
    let other = product.setup().start().await.unwrap();
    for server in pool.servers() {
        server.set_latency(Latency::Fixed(Duration::from_secs(1)));
        let _ = server.take_log();
    }
    let request = new_request("GET", &signed_target("create", &create_query("orphan")));
    let port = product.port();
    let create = tokio::spawn(async move { exchange(port, &request).await });
    let arrived = async || pool.servers().iter().any(|server| server.log_len() > 0);
    wait_until("at a server", arrived).await.unwrap();
    product.kill().await.unwrap();
    assert!(create.await.unwrap().is_err());
    let started = Instant::now();
    let response = other.call("create", &create_query("orphan")).await.unwrap();
    assert_success(&response);
    assert!(started.elapsed() < Duration::from_secs(10));
    let servers = pool.servers().iter().filter(|server| !server.meetings().is_empty());
    assert_eq!(servers.count(), 1);
}

#[tokio::test]
async fn one_of_three_replicas_can_be_killed_and_restarted() {
    let (stores, binary) = (TestStores::embedded(), env!("CARGO_BIN_EXE_scalelite"));
    let mut replicas = TestDeployment::start_replicas(3, &stores, binary, 2, &[]).await.unwrap();
    assert_success(&replicas.products[0].call("create", &create_query("kept")).await.unwrap());
    replicas.products[0].kill().await.unwrap();
    for product in &replicas.products[1..] {
        let info = product.call("getMeetingInfo", "meetingID=kept").await.unwrap();
        assert_success(&info);
    }
    replicas.products[0].restart().await.unwrap();
    assert_success(&replicas.products[0].call("end", "meetingID=kept").await.unwrap());
    assert!(replicas.servers_with("kept").is_empty());
}
