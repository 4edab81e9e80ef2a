//! A Redis that may take no more memory: health says so, and what writes nothing goes on.

use testkit::product::wait_until;
use testkit::stores::{StoreKind, TestStores};

use crate::tools::{
    assert_no_panic, create, create_query, health_status, is_success, start_replicas,
    wait_for_health,
};

#[tokio::test(flavor = "multi_thread")]
async fn at_maxmemory_joins_go_on_and_health_says_what_fails() {
    let stores = TestStores::start(StoreKind::RedisAndPostgres).await.unwrap();
    let deployment = start_replicas(1, &stores, 2, &[("POLL_INTERVAL", "1")]).await.unwrap();
    let product = &deployment.products[0];
    let redis = stores.redis().unwrap();
    create(product, "before").await.unwrap();
    let set_limit = async |bytes: &str| {
        redis.run_command(&["CONFIG", "SET", "maxmemory", bytes]).await.unwrap();
    };
    set_limit("1").await;
    let unhealthy = async || health_status(product).await.unwrap() == 503;
    wait_until("unhealthy", unhealthy).await.unwrap();
    // The log is read from a pipe.
    let is_told = async || product.log().contains("maxmemory: it can still be read");
    wait_until("the reason is logged", is_told).await.unwrap();
    for _ in 0..5 {
        let join = product.call("join", "meetingID=before&fullName=A&role=VIEWER").await.unwrap();
        assert_eq!(join.status, 302, "{}", join.text());
        let info = product.call("getMeetingInfo", "meetingID=before").await.unwrap();
        assert!(is_success(&info), "{}", info.text());
        let meetings = product.call("getMeetings", "").await.unwrap();
        assert!(meetings.text().contains("before"), "{}", meetings.text());
        // Some scripts are let through: a create is answered, with success or an error.
        let created = product.call("create", &create_query("during")).await.unwrap();
        let is_error = created.text().contains("<messageKey>internalError<");
        assert!(is_success(&created) || is_error, "{}", created.text());
    }
    set_limit("0").await;
    wait_for_health(product, 200).await.unwrap();
    create(product, "during").await.unwrap();
    assert_no_panic(&deployment.products);
}
