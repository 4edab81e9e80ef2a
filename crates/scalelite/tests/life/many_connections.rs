//! Many connections: idle ones cost nobody anything, and more than allowed wait for their turn.

use std::time::Duration;

use testkit::product::{ClientConnection, new_request, signed_target};
use tokio::time::timeout;

use crate::tools::{assert_success, create_query, start_deployment};

#[tokio::test]
async fn many_idle_connections_do_not_stop_service() {
    let world = start_deployment(1, &[]).await;
    let mut idle = Vec::new();
    for n in 0..500 {
        let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
        if n % 2 == 0 {
            let health = new_request("GET", "/health_check");
            connection.send_request(&health).await.unwrap();
        }
        idle.push(connection);
    }
    for n in 0..20 {
        let query = create_query(&format!("m-{n}"));
        let answer = world.product.call("create", &query);
        let answer = timeout(Duration::from_secs(2), answer).await;
        assert_success(&answer.unwrap().unwrap());
    }
    // The idle ones still work.
    let target = signed_target("getMeetings", "");
    for connection in idle.iter_mut().step_by(100) {
        let answer = connection.send_request(&new_request("GET", &target)).await;
        assert_success(&answer.unwrap());
    }
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let world = start_deployment(1, &[("MAX_CONNECTIONS", "3")]).await;
    let port = world.product.port();
    let request = new_request("GET", &signed_target("getMeetings", ""));
    let mut served = Vec::new();
    for _ in 0..3 {
        let mut connection = ClientConnection::open(port).await.unwrap();
        assert_success(&connection.send_request(&request).await.unwrap());
        served.push(connection);
    }
    let mut waiting = ClientConnection::open(port).await.unwrap();
    waiting.send(&testkit::conformance::http::encode_request(&request)).await.unwrap();
    let early = timeout(Duration::from_millis(300), waiting.read_response("GET")).await;
    assert!(early.is_err(), "a fourth connection is served");
    drop(served.pop());
    let answer = timeout(Duration::from_secs(5), waiting.read_response("GET")).await;
    assert_success(&answer.expect("still waits").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_share_few_connections() {
    let world = start_deployment(1, &[("MAX_CONNECTIONS", "4")]).await;
    let queries: Vec<_> = (0..200).map(|n| create_query(&format!("m-{n}"))).collect();
    let creates = queries.iter().map(|query| world.product.call("create", query));
    for answer in futures_util::future::join_all(creates).await {
        assert_success(&answer.unwrap());
    }
}
