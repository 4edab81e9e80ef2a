//! Everything in Redis is lost while replicas run: they put back the servers that they knew, and find
//! the meetings that run on them.

use std::time::Duration;

use bbb_sim::Latency;
use testkit::product::until;
use testkit::stores::{Kind, Stores};

use crate::load::Load;
use crate::polls::asked;
use crate::tools::{
    assert_calm, create, health, is_success, replicas, told, until_health, until_served,
};

const SERVERS: usize = 3;
const CREATES: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_forgot_everything_is_filled_again() {
    let stores = Stores::start(Kind::RedisAndPostgres).await.unwrap();
    let world = replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await.unwrap();
    let redis = stores.redis().unwrap();
    let load = Load::on(&world.products);
    load.until_created(CREATES).await.unwrap();
    create(&world.products[0], "kept").await.unwrap();
    let home = world.servers_with("kept")[0].number();
    // In the middle of a poll, which must not bring back half of a server.
    for server in world.pool.servers() {
        server.set_latency(Latency::Fixed(Duration::from_millis(300)));
    }
    let before = asked(&world.pool);
    let polled = async || asked(&world.pool).iter().zip(&before).all(|(now, old)| now > old);
    until("polled", polled).await.unwrap();
    redis.flush().await.unwrap();
    load.finish().await.unwrap();
    for server in world.pool.servers() {
        server.set_latency(Latency::None);
    }
    for product in &world.products {
        until_health(product, 200).await.unwrap();
        let whole = async || product.loads().await.is_ok_and(|loads| loads.len() == SERVERS);
        until("the servers are back", whole).await.unwrap();
        let known = async || {
            let info = product.call("getMeetingInfo", "meetingID=kept").await.unwrap();
            is_success(&info)
        };
        until("the meeting is known", known).await.unwrap();
    }
    let again = create(&world.products[1], "kept").await.unwrap();
    assert_eq!(again.field("messageKey"), "duplicateWarning", "{}", told(&again));
    let homes: Vec<usize> = world.servers_with("kept").iter().map(|one| one.number()).collect();
    assert_eq!(homes, [home]);
    for (product, name) in world.products.iter().zip(["one", "other"]) {
        until_served(product, name).await.unwrap();
        create(product, "both").await.unwrap();
        assert_eq!(health(product).await.unwrap(), 200);
    }
    assert_eq!(world.servers_with("both").len(), 1);
    assert_calm(&world.products);
}
