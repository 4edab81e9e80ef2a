//! Everything in Redis is lost while replicas run: they go on with nothing, and can be told of
//! their servers again.

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
async fn a_redis_that_forgot_everything_can_be_told_again() {
    let stores = Stores::start(Kind::RedisAndPostgres).await.unwrap();
    let world = replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await.unwrap();
    let redis = stores.redis().unwrap();
    let load = Load::on(&world.products);
    load.until_created(CREATES).await.unwrap();
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
        let loads = product.loads().await.unwrap_err();
        assert!(loads.to_string().contains("No servers are configured"), "{loads:#}");
        let lost = product.call("getMeetingInfo", "meetingID=c0-0").await.unwrap();
        assert_eq!(lost.field("messageKey"), "notFound", "{}", told(&lost));
        let refused = product.call("create", "meetingID=new&name=New").await.unwrap();
        assert!(!is_success(&refused), "there are no servers");
    }
    let half = redis.ask_in(stores.redis_database(), &["KEYS", "*server*"]).await.unwrap();
    assert!(half.texts().is_empty(), "{half:?}");
    for server in world.pool.servers() {
        world.products[0].add(server).await.unwrap();
    }
    for (product, name) in world.products.iter().zip(["one", "other"]) {
        until_served(product, name).await.unwrap();
        assert_eq!(product.loads().await.unwrap().len(), SERVERS);
        create(product, "both").await.unwrap();
        assert_eq!(health(product).await.unwrap(), 200);
    }
    assert_eq!(world.servers_with("both").len(), 1);
    let before = asked(&world.pool);
    let polled = async || asked(&world.pool).iter().zip(&before).all(|(now, old)| *now > old + 1);
    until("polled again", polled).await.unwrap();
    assert_calm(&world.products);
}
