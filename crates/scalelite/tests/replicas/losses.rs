//! Everything in Redis is lost while replicas run: they put back the servers that they knew, and find
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
async fn a_redis_that_forgot_everything_is_filled_again() {
    let stores = TestStores::start(StoreKind::RedisAndPostgres).await.unwrap();
    let world = start_replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await.unwrap();
    let redis = stores.redis().unwrap();
    let load = LoadClients::on(&world.products);
    load.wait_until_created(CREATES).await.unwrap();
    create(&world.products[0], "kept").await.unwrap();
    let home = world.servers_with("kept")[0].number();
    // In the middle of a poll, which must not bring back half of a server.
    for server in world.pool.servers() {
        server.set_latency(Latency::Fixed(Duration::from_millis(300)));
    }
    let before = count_polls(&world.pool);
    let polled = async || count_polls(&world.pool).iter().zip(&before).all(|(now, old)| now > old);
    wait_until("polled", polled).await.unwrap();
    redis.flush_all().await.unwrap();
    load.finish().await.unwrap();
    for server in world.pool.servers() {
        server.set_latency(Latency::None);
    }
    for product in &world.products {
        wait_for_health(product, 200).await.unwrap();
        let whole = async || product.list_loads().await.is_ok_and(|loads| loads.len() == SERVERS);
        wait_until("the servers are back", whole).await.unwrap();
        let known = async || {
            let info = product.call("getMeetingInfo", "meetingID=kept").await.unwrap();
            is_success(&info)
        };
        wait_until("the meeting is known", known).await.unwrap();
    }
    let again = create(&world.products[1], "kept").await.unwrap();
    assert_eq!(again.xml_field("messageKey"), "duplicateWarning", "{}", describe_response(&again));
    let homes: Vec<usize> = world.servers_with("kept").iter().map(|one| one.number()).collect();
    assert_eq!(homes, [home]);
    for (product, name) in world.products.iter().zip(["one", "other"]) {
        wait_until_served(product, name).await.unwrap();
        create(product, "both").await.unwrap();
        assert_eq!(health_status(product).await.unwrap(), 200);
    }
    assert_eq!(world.servers_with("both").len(), 1);
    assert_no_panic(&world.products);
}
