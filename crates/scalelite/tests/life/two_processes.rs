//! Two processes on one store are one balancer.

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
async fn creates_that_race_through_two_processes_end_on_one_server() {
    let TestDeployment { pool, product } = start_deployment(5, &[]).await;
    let other = product.setup().start().await.unwrap();
    let race = async |n: usize| {
        let query = create_query(&format!("race-{n}"));
        let doors = [&product, &other, &product, &other];
        let creates = doors.map(|door| door.call("create", &query));
        futures_util::future::try_join_all(creates).await.unwrap()
    };
    let answers = futures_util::future::join_all((0..MEETINGS).map(race)).await;
    for (n, answers) in answers.iter().enumerate() {
        answers.iter().for_each(assert_success);
        let ids: HashSet<_> = answers.iter().map(|a| a.xml_field("internalMeetingID")).collect();
        assert_eq!(ids.len(), 1, "race-{n}");
        let keys = answers.iter().map(|answer| answer.xml_field("messageKey"));
        assert_eq!(keys.filter(String::is_empty).count(), 1, "race-{n}");
        let id = format!("race-{n}");
        let has = pool.servers().iter().filter(|s| s.meetings().iter().any(|m| m.id == id));
        assert_eq!(has.count(), 1, "{id}");
    }
}

#[tokio::test]
async fn what_one_process_does_the_other_knows() {
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
    // The one may go and the other stays.
    drop(product);
    assert_success(&other.call("create", &create_query("later")).await.unwrap());
}

#[tokio::test]
async fn what_one_process_left_unfinished_the_other_finishes() {
    let TestDeployment { pool, mut product } = start_deployment(3, &[]).await;
    let other = product.setup().start().await.unwrap();
    for server in pool.servers() {
        server.set_latency(Latency::Fixed(Duration::from_secs(1)));
        let _ = server.take_log();
    }
    let request = new_request("GET", &signed_target("create", &create_query("orphan")));
    let port = product.port();
    let create = tokio::spawn(async move { exchange(port, &request).await });
    let asked = async || pool.servers().iter().any(|server| server.log_len() > 0);
    wait_until("at a server", asked).await.unwrap();
    product.kill().await.unwrap();
    assert!(create.await.unwrap().is_err());
    let started = Instant::now();
    let answer = other.call("create", &create_query("orphan")).await.unwrap();
    assert_success(&answer);
    assert!(started.elapsed() < Duration::from_secs(10));
    let has = pool.servers().iter().filter(|server| !server.meetings().is_empty());
    assert_eq!(has.count(), 1);
}

#[tokio::test]
async fn one_of_three_may_die_and_come_back() {
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
