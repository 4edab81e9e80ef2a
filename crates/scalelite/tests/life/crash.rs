//! Killed in the middle of creates, again and again: what was answered is known, and what was not
//! can be repeated.

use std::sync::Arc;
use std::time::Duration;

use bbb_sim::Latency;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testkit::product::{Answer, exchange, outgoing, signed};
use testkit::world::World;
use tokio::time::{Instant, sleep};

use crate::tools::{assert_success, is_success, named, world};

/// Products that are killed side by side, since a retry may have to wait.
const LIVES: u64 = 5;
const ROUNDS: u32 = 5;
const CREATES: usize = 24;
const SERVERS: usize = 4;

struct Round {
    answered: Vec<String>,
    interrupted: Vec<String>,
}

async fn creates_until_killed(world: &mut World, name: &str, kill_after: Duration) -> Round {
    let port = world.product.port();
    let create = |id: String| async move {
        let request = outgoing("GET", &signed("create", &named(&id)));
        let answer = exchange(port, &request).await;
        (id, answer.is_ok_and(|answer: Answer| is_success(&answer)))
    };
    let creates = (0..CREATES).map(|n| tokio::spawn(create(format!("{name}-{n}"))));
    let creates: Vec<_> = creates.collect();
    // The one thing here that waits for nothing in particular: the moment of death.
    sleep(kill_after).await;
    world.product.kill().await.unwrap();
    let mut round = Round { answered: Vec::new(), interrupted: Vec::new() };
    for (id, answered) in join_all(creates).await.into_iter().map(Result::unwrap) {
        let list = if answered { &mut round.answered } else { &mut round.interrupted };
        list.push(id);
    }
    round
}

async fn assert_known(world: &World, id: &str) {
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

async fn assert_repeatable(world: &World, id: &str) {
    let started = Instant::now();
    let answer = world.product.call("create", &named(id)).await.unwrap();
    assert_success(&answer);
    assert!(started.elapsed() < Duration::from_secs(10), "{id}");
    assert_eq!(world.servers_with(id).len(), 1, "{id}");
}

async fn live(seed: u64) -> (usize, usize) {
    let mut world = world(SERVERS, &[]).await;
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
        let round = creates_until_killed(&mut world, &name, kill_after).await;
        world.product.restart().await.unwrap();
        let world = Arc::new(&world);
        join_all(round.answered.iter().map(|id| assert_known(&world, id))).await;
        let repeated = round.interrupted.iter().map(|id| assert_repeatable(&world, id));
        join_all(repeated).await;
        answered += round.answered.len();
        interrupted += round.interrupted.len();
    }
    (answered, interrupted)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_answered_is_lost_by_a_kill() {
    let lives = join_all((0..LIVES).map(|seed| tokio::spawn(live(seed)))).await;
    let sums = lives.into_iter().map(Result::unwrap);
    let (answered, interrupted) = sums.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!("{answered} answered, {interrupted} interrupted");
    // Otherwise the moments were badly chosen and nothing was shown.
    assert!(answered > 50 && interrupted > 50);
}
