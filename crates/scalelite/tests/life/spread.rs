//! Test of placement: a burst of creates between two polls evens out the load of the servers.

use bbb_sim::Preload;
use futures_util::StreamExt as _;
use testkit::deployment::TestDeployment;

use crate::tools::{assert_success, create_query, setup, start_pool};

const SERVERS: usize = 10;
const CREATES: usize = 300;
const USERS: u32 = 15;

/// Asserts that no load differs from the mean by more than a tenth.
async fn assert_even(deployment: &TestDeployment, when: &str) {
    let loads = deployment.product.list_loads().await.unwrap();
    assert_eq!(loads.len(), SERVERS);
    let mean = loads.iter().map(|(_, load)| load).sum::<f64>() / SERVERS as f64;
    for (url, load) in &loads {
        let ratio = load / mean;
        assert!((0.9..1.1).contains(&ratio), "{when}: {url} has {ratio} of {mean}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_creates_evens_out_uneven_servers() {
    let pool = start_pool(SERVERS).await;
    for (n, server) in (0_u32..).zip(pool.servers()) {
        // An hour old, so that no more users are expected.
        server.preload(Preload {
            ids: vec![format!("old-{n}")],
            users: 10 * n,
            ..Preload::default()
        });
    }
    let product = setup().start().await.unwrap();
    for server in pool.servers() {
        product.add_simulated_server(server).await.unwrap();
    }
    product.poll_servers().await.unwrap();
    let loads = product.list_loads().await.unwrap();
    let least = loads.iter().map(|(_, load)| *load).fold(f64::MAX, f64::min);
    let most = loads.iter().map(|(_, load)| *load).fold(0.0, f64::max);
    assert_eq!((least, most), (0.0, 90.0));

    let deployment = TestDeployment { pool, product };
    let queries: Vec<_> = (0..CREATES).map(|n| create_query(&format!("burst-{n}"))).collect();
    let creates = queries.iter().map(|query| deployment.product.call("create", query));
    let responses: Vec<_> =
        futures_util::stream::iter(creates).buffer_unordered(CREATES).collect().await;
    for response in responses {
        assert_success(&response.unwrap());
    }
    assert_even(&deployment, "after the creates").await;
    for server in deployment.pool.servers() {
        for meeting in server.meetings() {
            if meeting.id.starts_with("burst-") {
                assert!(server.set_users(&meeting.id, USERS, 1));
            }
        }
    }
    deployment.product.poll_servers().await.unwrap();
    assert_even(&deployment, "after the poll").await;
}
