//! All data in Redis is lost while replicas run: they restore the servers that they knew, and adopt
//! the meetings that run on them.

use std::time::Duration;

use bbb_sim::{Algorithm, Latency};
use serde_json::json;
use testkit::deployment::ReplicatedDeployment;
use testkit::product::{ClientResponse, Product, exchange, new_request, wait_until};
use testkit::stores::{StoreKind, TestStores};

use crate::load::LoadClients;
use crate::polls::count_polls;
use crate::tools::{
    assert_no_panic, create, create_query, describe_response, health_status, is_success,
    start_replicas, wait_for_health, wait_until_served,
};

const SERVERS: usize = 3;
const CREATES: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lost_everything_is_restored() {
    let stores = TestStores::start(StoreKind::RedisAndPostgres).await.unwrap();
    let deployment = start_replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await.unwrap();
    let redis = stores.redis().unwrap();
    let load = LoadClients::on(&deployment.products);
    load.wait_until_created(CREATES).await.unwrap();
    create(&deployment.products[0], "kept").await.unwrap();
    let number = deployment.servers_with("kept")[0].number();
    // The loss happens during a poll, which must not restore a part of a server's data.
    for server in deployment.pool.servers() {
        server.set_latency(Latency::Fixed(Duration::from_millis(300)));
    }
    let before = count_polls(&deployment.pool);
    let is_polled = async || {
        count_polls(&deployment.pool).iter().zip(&before).all(|(now, before)| now > before)
    };
    wait_until("polled", is_polled).await.unwrap();
    redis.flush_all().await.unwrap();
    load.finish().await.unwrap();
    for server in deployment.pool.servers() {
        server.set_latency(Latency::None);
    }
    for product in &deployment.products {
        wait_for_health(product, 200).await.unwrap();
        let are_back =
            async || product.list_loads().await.is_ok_and(|loads| loads.len() == SERVERS);
        wait_until("the servers are back", are_back).await.unwrap();
        let is_known = async || {
            let info = product.call("getMeetingInfo", "meetingID=kept").await.unwrap();
            is_success(&info)
        };
        wait_until("the meeting is known", is_known).await.unwrap();
    }
    let again = create(&deployment.products[1], "kept").await.unwrap();
    assert_eq!(again.xml_field("messageKey"), "duplicateWarning", "{}", describe_response(&again));
    let numbers: Vec<usize> =
        deployment.servers_with("kept").iter().map(|server| server.number()).collect();
    assert_eq!(numbers, [number]);
    for (product, name) in deployment.products.iter().zip(["first", "second"]) {
        wait_until_served(product, name).await.unwrap();
        create(product, "both").await.unwrap();
        assert_eq!(health_status(product).await.unwrap(), 200);
    }
    assert_eq!(deployment.servers_with("both").len(), 1);
    assert_no_panic(&deployment.products);
}

/// The secret of the tenant in this test.
const TENANT_SECRET: &str = "secret-of-acme";

/// Calls a replica as the tenant `acme`.
async fn call_as_acme(product: &Product, name: &str, query: &str) -> ClientResponse {
    let sum = Algorithm::Sha256.hex_digest(&format!("{name}{query}{TENANT_SECRET}"));
    let mut request =
        new_request("GET", &format!("/bigbluebutton/api/{name}?{query}&checksum={sum}"));
    request.headers = vec![("Host".to_owned(), "acme.lb.test".to_owned())];
    exchange(product.port(), &request).await.unwrap()
}

/// Nothing is polled while this test runs, except because of the loss.
#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_loses_no_tenant_and_makes_no_second_rooms() {
    let stores = TestStores::start(StoreKind::RedisAndPostgres).await.unwrap();
    let settings = [
        ("POLL_INTERVAL", "1800"),
        ("MULTITENANCY_ENABLED", "true"),
        ("RUST_LOG", "info,app=debug"),
    ];
    let mut deployment = start_replicas(2, &stores, SERVERS, &settings).await.unwrap();
    let tenant = json!({ "tenant": { "name": "acme", "secrets": TENANT_SECRET } });
    deployment.products[0].call_management("addTenant", Some(tenant)).await.unwrap();
    let ids: Vec<String> = (0..6).map(|number| format!("room-{number}")).collect();
    for (id, product) in ids.iter().zip(deployment.products.iter().cycle()) {
        let created = call_as_acme(product, "create", &create_query(id)).await;
        assert!(is_success(&created), "{}", describe_response(&created));
    }
    // A process saves what the store has when it starts.
    for product in &mut deployment.products {
        product.restart().await.unwrap();
        let is_saved = async || product.log().contains("servers=3 tenants=1 meetings=6");
        wait_until("saved", is_saved).await.unwrap();
    }
    // This meeting begins after that: only the polls find it.
    let late = call_as_acme(&deployment.products[0], "create", &create_query("late")).await;
    assert!(is_success(&late), "{}", describe_response(&late));
    let ids = [ids, vec!["late".to_owned()]].concat();
    let places = |deployment: &ReplicatedDeployment| {
        let numbers = |id: &String| {
            let servers = deployment.servers_with(id);
            servers.iter().map(|server| server.number()).collect::<Vec<_>>()
        };
        ids.iter().map(numbers).collect::<Vec<_>>()
    };
    let before = places(&deployment);
    for server in deployment.pool.servers() {
        server.set_latency(Latency::Fixed(Duration::from_millis(200)));
    }
    stores.redis().unwrap().flush_all().await.unwrap();
    let creates =
        ids.iter().zip(deployment.products.iter().cycle()).map(|(id, product)| async move {
            let again = call_as_acme(product, "create", &create_query(id)).await;
            assert!(is_success(&again), "{id}: {}", describe_response(&again));
        });
    futures_util::future::join_all(creates).await;
    assert_eq!(places(&deployment), before);
    for product in &deployment.products {
        let info = call_as_acme(product, "getMeetingInfo", "meetingID=room-0").await;
        assert!(is_success(&info), "{}", describe_response(&info));
    }
    assert_no_panic(&deployment.products);
}
