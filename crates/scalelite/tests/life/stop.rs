//! SIGTERM: what is under way is finished, nothing new is begun, and then it is over.

use std::time::Duration;

use bbb_sim::Latency;
use testkit::product::{ClientConnection, new_request, signed_target, wait_until};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::tools::{assert_success, create_query, start_deployment};

#[tokio::test]
async fn a_request_in_flight_is_finished_and_no_other_begun() {
    let mut world = start_deployment(1, &[]).await;
    let server = world.pool.servers()[0].clone();
    server.set_latency(Latency::Fixed(Duration::from_secs(1)));
    let _ = server.take_log();
    let port = world.product.port();
    let target = signed_target("create", &create_query("last"));
    let creating = tokio::spawn(async move {
        let mut connection = ClientConnection::open(port).await?;
        let answer = connection.send_request(&new_request("GET", &target)).await?;
        // The connection is not kept for another one.
        let rest = connection.read_to_end().await.unwrap_or_default();
        anyhow::Ok((answer, rest))
    });
    let arrived = async || server.log_len() > 0;
    wait_until("at the server", arrived).await.unwrap();
    let started = Instant::now();
    world.product.terminate().await.unwrap();
    let refused = async || TcpStream::connect(("127.0.0.1", port)).await.is_err();
    wait_until("refused", refused).await.unwrap();
    assert!(!creating.is_finished(), "it should be under way");
    let (answer, rest) = creating.await.unwrap().unwrap();
    assert_success(&answer);
    assert!(rest.is_empty());
    let status = world.product.wait_for_exit().await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));
    server.set_latency(Latency::None);
    world.product.restart().await.unwrap();
    let info = world.product.call("getMeetingInfo", "meetingID=last");
    assert_success(&info.await.unwrap());
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_end() {
    let mut world = start_deployment(0, &[]).await;
    let port = world.product.port();
    let unused = ClientConnection::open(port).await.unwrap();
    let mut used = ClientConnection::open(port).await.unwrap();
    let request = new_request("GET", &signed_target("getMeetings", ""));
    assert_success(&used.send_request(&request).await.unwrap());
    let mut begun = ClientConnection::open(port).await.unwrap();
    begun.send(b"GET /big").await.unwrap();
    let started = Instant::now();
    world.product.terminate().await.unwrap();
    let status = world.product.wait_for_exit().await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(3));
    drop((unused, used, begun));
}

#[tokio::test]
async fn requests_that_do_not_end_are_cut_off() {
    let mut world = start_deployment(1, &[("SHUTDOWN_TIMEOUT", "0.5")]).await;
    let server = world.pool.servers()[0].clone();
    server.set_latency(Latency::Fixed(Duration::from_secs(8)));
    let _ = server.take_log();
    let port = world.product.port();
    let target = signed_target("create", &create_query("late"));
    let creating = tokio::spawn(async move {
        let mut connection = ClientConnection::open(port).await?;
        connection.send_request(&new_request("GET", &target)).await
    });
    let arrived = async || server.log_len() > 0;
    wait_until("at the server", arrived).await.unwrap();
    let started = Instant::now();
    world.product.terminate().await.unwrap();
    let status = world.product.wait_for_exit().await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(4));
    assert!(creating.await.unwrap().is_err());
    assert!(world.product.log().contains("cut off"));
    assert!(!world.product.log().contains("panicked"));
}
