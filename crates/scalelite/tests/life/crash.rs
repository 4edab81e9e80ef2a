//! Killed in the middle of creates, again and again: what was answered is known, and what was not
//! can be repeated.

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

/// Products that are killed side by side, since a retry may have to wait.
const PRODUCTS: u64 = 5;
const ROUNDS: u32 = 5;
const CREATES: usize = 24;
const SERVERS: usize = 4;

struct CrashRound {
    answered_ids: Vec<String>,
    interrupted_ids: Vec<String>,
}

async fn create_until_killed(
    world: &mut TestDeployment,
    name: &str,
    kill_after: Duration,
) -> CrashRound {
    let port = world.product.port();
    let create = |id: String| async move {
        let request = new_request("GET", &signed_target("create", &create_query(&id)));
        let answer = exchange(port, &request).await;
        (id, answer.is_ok_and(|answer: ClientResponse| is_success(&answer)))
    };
    let creates = (0..CREATES).map(|n| tokio::spawn(create(format!("{name}-{n}"))));
    let creates: Vec<_> = creates.collect();
    // The one thing here that waits for nothing in particular: the moment of death.
    sleep(kill_after).await;
    world.product.kill().await.unwrap();
    let mut round = CrashRound { answered_ids: Vec::new(), interrupted_ids: Vec::new() };
    for (id, answered) in join_all(creates).await.into_iter().map(Result::unwrap) {
        let list = if answered { &mut round.answered_ids } else { &mut round.interrupted_ids };
        list.push(id);
    }
    round
}

async fn assert_known(world: &TestDeployment, id: &str) {
    let query = format!("meetingID={id}");
    let info = world.product.call("getMeetingInfo", &query);
    assert_success(&info.await.unwrap());
    let there = world.servers_with(id);
    assert_eq!(there.len(), 1, "{id}");
    let join = format!("meetingID={id}&fullName=A&role=VIEWER");
    let join = world.product.call("join", &join).await.unwrap();
    let location = join.header("location").unwrap();
    assert!(location.starts_with(&there[0].url()), "{id}");
}

async fn assert_repeatable(world: &TestDeployment, id: &str) {
    let started = Instant::now();
    let answer = world.product.call("create", &create_query(id)).await.unwrap();
    assert_success(&answer);
    assert!(started.elapsed() < Duration::from_secs(10), "{id}");
    assert_eq!(world.servers_with(id).len(), 1, "{id}");
}

async fn crash_repeatedly(seed: u64) -> (usize, usize) {
    let mut world = start_deployment(SERVERS, &[]).await;
    for server in world.pool.servers() {
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
        let name = format!("life-{seed}-{n}");
        let round = create_until_killed(&mut world, &name, kill_after).await;
        world.product.restart().await.unwrap();
        let world = Arc::new(&world);
        join_all(round.answered_ids.iter().map(|id| assert_known(&world, id))).await;
        let repeated = round.interrupted_ids.iter().map(|id| assert_repeatable(&world, id));
        join_all(repeated).await;
        answered += round.answered_ids.len();
        interrupted += round.interrupted_ids.len();
    }
    (answered, interrupted)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_answered_is_lost_by_a_kill() {
    let lives = join_all((0..PRODUCTS).map(|seed| tokio::spawn(crash_repeatedly(seed)))).await;
    let sums = lives.into_iter().map(Result::unwrap);
    let (answered, interrupted) = sums.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!("{answered} answered, {interrupted} interrupted");
    // Otherwise the moments were badly chosen and nothing was shown.
    assert!(answered > 50 && interrupted > 50);
}
