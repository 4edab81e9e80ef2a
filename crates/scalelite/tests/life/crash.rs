//! Tests of kills in the middle of creates: meetings whose creates were answered are kept, and creates
//! that were interrupted can be repeated.

use std::sync::Arc;
use std::time::Duration;

use bbb_sim::Latency;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testkit::deployment::TestDeployment;
use testkit::product::{ClientResponse, exchange, new_request, signed_target};
use tokio::time::{Instant, sleep};

use crate::tools::{assert_success, create_query, is_success, start_deployment};

/// Balancers that are killed in parallel, since repeated creates may have to wait.
const PRODUCTS: u64 = 5;
const ROUNDS: u32 = 5;
const CREATES: usize = 24;
const SERVERS: usize = 4;

struct CrashRound {
    answered_ids: Vec<String>,
    interrupted_ids: Vec<String>,
}

async fn create_until_killed(
    deployment: &mut TestDeployment,
    name: &str,
    kill_after: Duration,
) -> CrashRound {
    let port = deployment.product.port();
    let create = |id: String| async move {
        let request = new_request("GET", &signed_target("create", &create_query(&id)));
        let response = exchange(port, &request).await;
        (id, response.is_ok_and(|response: ClientResponse| is_success(&response)))
    };
    let creates = (0..CREATES).map(|n| tokio::spawn(create(format!("{name}-{n}"))));
    let creates: Vec<_> = creates.collect();
    // The time of the kill is random on purpose.
    sleep(kill_after).await;
    deployment.product.kill().await.unwrap();
    let mut round = CrashRound { answered_ids: Vec::new(), interrupted_ids: Vec::new() };
    for (id, answered) in join_all(creates).await.into_iter().map(Result::unwrap) {
        let list = if answered { &mut round.answered_ids } else { &mut round.interrupted_ids };
        list.push(id);
    }
    round
}

async fn assert_kept(deployment: &TestDeployment, id: &str) {
    let query = format!("meetingID={id}");
    let info = deployment.product.call("getMeetingInfo", &query);
    assert_success(&info.await.unwrap());
    let servers = deployment.servers_with(id);
    assert_eq!(servers.len(), 1, "{id}");
    let join = format!("meetingID={id}&fullName=A&role=VIEWER");
    let join = deployment.product.call("join", &join).await.unwrap();
    let location = join.header("location").unwrap();
    assert!(location.starts_with(&servers[0].url()), "{id}");
}

async fn assert_repeatable(deployment: &TestDeployment, id: &str) {
    let started = Instant::now();
    let response = deployment.product.call("create", &create_query(id)).await.unwrap();
    assert_success(&response);
    assert!(started.elapsed() < Duration::from_secs(10), "{id}");
    assert_eq!(deployment.servers_with(id).len(), 1, "{id}");
}

async fn crash_repeatedly(seed: u64) -> (usize, usize) {
    let mut deployment = start_deployment(SERVERS, &[]).await;
    for server in deployment.pool.servers() {
        server.set_latency(Latency::LogNormal {
            median: Duration::from_millis(20),
            sigma: 0.5,
            seed,
        });
    }
    let mut random = StdRng::seed_from_u64(seed);
    let (mut answered, mut interrupted) = (0, 0);
    for n in 0..ROUNDS {
        let kill_after = Duration::from_millis(random.random_range(5..150));
        let name = format!("crash-{seed}-{n}");
        let round = create_until_killed(&mut deployment, &name, kill_after).await;
        deployment.product.restart().await.unwrap();
        let deployment = Arc::new(&deployment);
        join_all(round.answered_ids.iter().map(|id| assert_kept(&deployment, id))).await;
        let repeated = round.interrupted_ids.iter().map(|id| assert_repeatable(&deployment, id));
        join_all(repeated).await;
        answered += round.answered_ids.len();
        interrupted += round.interrupted_ids.len();
    }
    (answered, interrupted)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answered_create_is_lost_by_a_kill() {
    let runs = join_all((0..PRODUCTS).map(|seed| tokio::spawn(crash_repeatedly(seed)))).await;
    let counts = runs.into_iter().map(Result::unwrap);
    let (answered, interrupted) =
        counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    println!("{answered} answered, {interrupted} interrupted");
    // Otherwise the kills came too early or too late, and the test proves nothing.
    assert!(answered > 50 && interrupted > 50);
}
