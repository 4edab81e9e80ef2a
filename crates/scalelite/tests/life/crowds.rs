//! Many connections: idle ones cost nobody anything, and more than allowed wait for their turn.

use std::time::Duration;

use testkit::product::{Connection, outgoing, signed};
use tokio::time::timeout;

use crate::tools::{assert_success, named, world};

#[tokio::test]
async fn many_idle_connections_do_not_stop_service() {
    let world = world(1, &[]).await;
    let mut idle = Vec::new();
    for n in 0..500 {
        let mut connection = Connection::open(world.product.port()).await.unwrap();
        if n % 2 == 0 {
            let health = outgoing("GET", "/health_check");
            connection.ask(&health).await.unwrap();
        }
        idle.push(connection);
    }
    for n in 0..20 {
        let query = named(&format!("m-{n}"));
        let answer = world.product.call("create", &query);
        let answer = timeout(Duration::from_secs(2), answer).await;
        assert_success(&answer.unwrap().unwrap());
    }
    // The idle ones still work.
    let target = signed("getMeetings", "");
    for connection in idle.iter_mut().step_by(100) {
        let answer = connection.ask(&outgoing("GET", &target)).await;
        assert_success(&answer.unwrap());
    }
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let world = world(1, &[("MAX_CONNECTIONS", "3")]).await;
    let port = world.product.port();
    let request = outgoing("GET", &signed("getMeetings", ""));
    let mut served = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(port).await.unwrap();
        assert_success(&connection.ask(&request).await.unwrap());
        served.push(connection);
    }
    let mut waiting = Connection::open(port).await.unwrap();
    waiting.send(&testkit::conformance::http::encode(&request)).await.unwrap();
    let early = timeout(Duration::from_millis(300), waiting.answer("GET")).await;
    assert!(early.is_err(), "a fourth connection is served");
    drop(served.pop());
    let answer = timeout(Duration::from_secs(5), waiting.answer("GET")).await;
    assert_success(&answer.expect("still waits").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_at_a_narrow_door_is_all_served() {
    let world = world(1, &[("MAX_CONNECTIONS", "4")]).await;
    let queries: Vec<_> = (0..200).map(|n| named(&format!("m-{n}"))).collect();
    let creates = queries.iter().map(|query| world.product.call("create", query));
    for answer in futures_util::future::join_all(creates).await {
        assert_success(&answer.unwrap());
    }
}
