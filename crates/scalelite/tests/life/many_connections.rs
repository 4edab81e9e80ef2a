//! Tests of many connections: idle ones do not disturb others, and are closed when there are too many.

use std::time::Duration;

use testkit::product::{ClientConnection, new_request, signed_target};
use tokio::time::timeout;

use crate::tools::{assert_success, create_query, start_deployment};

#[tokio::test]
async fn many_idle_connections_do_not_stop_service() {
    let deployment = start_deployment(1, &[]).await;
    let mut idle = Vec::new();
    for n in 0..500 {
        let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
        if n % 2 == 0 {
            let health = new_request("GET", "/health_check");
            connection.send_request(&health).await.unwrap();
        }
        idle.push(connection);
    }
    for n in 0..20 {
        let query = create_query(&format!("m-{n}"));
        let response = deployment.product.call("create", &query);
        let response = timeout(Duration::from_secs(2), response).await;
        assert_success(&response.unwrap().unwrap());
    }
    // The idle connections still work.
    let target = signed_target("getMeetings", "");
    for connection in idle.iter_mut().step_by(100) {
        let response = connection.send_request(&new_request("GET", &target)).await;
        assert_success(&response.unwrap());
    }
}

#[tokio::test]
async fn idle_connections_above_the_limit_are_closed() {
    let deployment = start_deployment(1, &[("MAX_CONNECTIONS", "3")]).await;
    let port = deployment.product.port();
    let request = new_request("GET", &signed_target("getMeetings", ""));
    let mut served = Vec::new();
    for _ in 0..3 {
        let mut connection = ClientConnection::open(port).await.unwrap();
        assert_success(&connection.send_request(&request).await.unwrap());
        served.push(connection);
    }
    // One address may have three. The next one waits until the first has been idle for a second.
    let mut another = ClientConnection::open(port).await.unwrap();
    assert_success(&another.send_request(&request).await.unwrap());
    let ends = served.iter_mut().map(|connection| Box::pin(connection.read_to_end()));
    let closed = timeout(Duration::from_secs(30), futures_util::future::select_all(ends)).await;
    assert!(closed.is_ok(), "all idle connections are open");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_share_few_connections() {
    let deployment = start_deployment(1, &[("MAX_CONNECTIONS", "4")]).await;
    let queries: Vec<_> = (0..200).map(|n| create_query(&format!("m-{n}"))).collect();
    let creates = queries.iter().map(|query| deployment.product.call("create", query));
    for response in futures_util::future::join_all(creates).await {
        assert_success(&response.unwrap());
    }
}
