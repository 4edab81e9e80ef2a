//! Tests of SIGTERM: open requests are finished, no new ones are accepted, and the process exits.

use std::time::Duration;

use bbb_sim::Latency;
use testkit::product::{ClientConnection, new_request, signed_target, wait_until};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::tools::{assert_success, create_query, start_deployment};

#[tokio::test]
async fn an_open_request_is_finished_and_no_new_one_accepted() {
    let mut deployment = start_deployment(1, &[]).await;
    let server = deployment.pool.servers()[0].clone();
    server.set_latency(Latency::Fixed(Duration::from_secs(1)));
    let _ = server.take_log();
    let port = deployment.product.port();
    let target = signed_target("create", &create_query("last"));
    let creating = tokio::spawn(async move {
        let mut connection = ClientConnection::open(port).await?;
        let response = connection.send_request(&new_request("GET", &target)).await?;
        // The connection is closed after the response.
        let rest = connection.read_to_end().await.unwrap_or_default();
        anyhow::Ok((response, rest))
    });
    let arrived = async || server.log_len() > 0;
    wait_until("at the server", arrived).await.unwrap();
    let started = Instant::now();
    deployment.product.terminate().await.unwrap();
    let refused = async || TcpStream::connect(("127.0.0.1", port)).await.is_err();
    wait_until("refused", refused).await.unwrap();
    assert!(!creating.is_finished(), "the create ended too early");
    let (response, rest) = creating.await.unwrap().unwrap();
    assert_success(&response);
    assert!(rest.is_empty());
    let status = deployment.product.wait_for_exit().await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));
    server.set_latency(Latency::None);
    deployment.product.restart().await.unwrap();
    let info = deployment.product.call("getMeetingInfo", "meetingID=last");
    assert_success(&info.await.unwrap());
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_stop() {
    let mut deployment = start_deployment(0, &[]).await;
    let port = deployment.product.port();
    let unused = ClientConnection::open(port).await.unwrap();
    let mut used = ClientConnection::open(port).await.unwrap();
    let request = new_request("GET", &signed_target("getMeetings", ""));
    assert_success(&used.send_request(&request).await.unwrap());
    let mut incomplete = ClientConnection::open(port).await.unwrap();
    incomplete.send(b"GET /big").await.unwrap();
    let started = Instant::now();
    deployment.product.terminate().await.unwrap();
    let status = deployment.product.wait_for_exit().await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(3));
    drop((unused, used, incomplete));
}

#[tokio::test]
async fn requests_that_exceed_the_shutdown_timeout_are_aborted() {
    let mut deployment = start_deployment(1, &[("SHUTDOWN_TIMEOUT", "0.5")]).await;
    let server = deployment.pool.servers()[0].clone();
    server.set_latency(Latency::Fixed(Duration::from_secs(8)));
    let _ = server.take_log();
    let port = deployment.product.port();
    let target = signed_target("create", &create_query("late"));
    let creating = tokio::spawn(async move {
        let mut connection = ClientConnection::open(port).await?;
        connection.send_request(&new_request("GET", &target)).await
    });
    let arrived = async || server.log_len() > 0;
    wait_until("at the server", arrived).await.unwrap();
    let started = Instant::now();
    deployment.product.terminate().await.unwrap();
    let status = deployment.product.wait_for_exit().await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(4));
    assert!(creating.await.unwrap().is_err());
    assert!(deployment.product.log().contains("requests in flight aborted"));
    assert!(!deployment.product.log().contains("panicked"));
}
