//! All data in Redis is lost while replicas run: they restore the servers that they knew, and adopt
//! the meetings that run on them.

use std::time::Duration;

use bbb_sim::Latency;
use testkit::product::wait_until;
use testkit::stores::{StoreKind, TestStores};

use crate::load::LoadClients;
use crate::polls::count_polls;
use crate::tools::{
    assert_no_panic, create, describe_response, health_status, is_success, start_replicas,
    wait_for_health, wait_until_served,
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
